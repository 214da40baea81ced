#include "tui/action.h"

#include <stdbool.h>
#include <string.h>

#include "tui/terminal/event.h"

static const struct action table[] = {
#define ACTION(id_, name_, keys_, group_, views_, hint_, help_)                                        \
	{.id = ACTION_##id_, .name = name_, .keys = keys_, .group = GROUP_##group_, .views = (views_),         \
		.hint = hint_, .help = help_},
#include "tui/actions.def"
#undef ACTION
};
enum { N_TABLE = sizeof table / sizeof *table };

const struct action *action_list(int *n)
{
	*n = N_TABLE;
	return table;
}

const struct action *action_get(enum action_id id)
{
	return id > ACTION_NONE && id < N_ACTION ? &table[id - 1] : NULL;
}

const struct action *action_by_name(const char *name)
{
	for (int i = 0; i < N_TABLE; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

int action_next_key(const struct action *a, int *at)
{
	char name[16];
	const char *begin = a->keys + *at;
	begin += strspn(begin, " ");
	size_t n = strcspn(begin, " ");
	if (n == 0 || n >= sizeof name)
		return K_NONE;
	memcpy(name, begin, n);
	name[n] = '\0';
	*at = (int)(begin + n - a->keys);
	return event_key_from_name(name);
}

static bool has_key(const struct action *a, int key)
{
	int at = 0;
	for (int k = action_next_key(a, &at); k != K_NONE; k = action_next_key(a, &at))
		if (k == key)
			return true;
	return false;
}

enum action_id action_by_key(int key, unsigned view)
{
	for (int i = 0; i < N_TABLE; i++)
		if ((table[i].views & view) && has_key(&table[i], key))
			return table[i].id;
	return ACTION_NONE;
}

const char *action_group_title(enum action_group g)
{
	static const char *const title[N_GROUP] = {
		[GROUP_MOVE] = "Moving",
		[GROUP_LOOK] = "Looking",
		[GROUP_FILE] = "Runs and files",
		[GROUP_FORM] = "Fields",
		[GROUP_ASK] = "Questions",
		[GROUP_LEAVE] = "Program",
	};
	return title[g];
}

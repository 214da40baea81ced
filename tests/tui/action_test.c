#include "tui/action.h"
#include "tui/terminal/event.h"
#include "tests/support/test.h"

#include <string.h>

TEST(action, every_key_is_one_and_means_one_thing_in_a_view)
{
	int n;
	const struct action *list = action_list(&n);
	for (unsigned view = 1; view & AT_ANY; view <<= 1) {
		for (int i = 0; i < n; i++) {
			int at = 0, key, keys = 0;
			if (!(list[i].views & view))
				continue;
			while ((key = action_next_key(&list[i], &at)) != K_NONE) {
				enum action_id found = action_by_key(key, view);
				if (found != list[i].id)
					test_fail(__FILE__, __LINE__, "%s is shadowed by %s", list[i].name, action_get(found)->name);
				keys++;
			}
			CHECK(keys > 0);
			CHECK(list[i].keys[at + strspn(list[i].keys + at, " ")] == '\0'); /* no key that is not understood */
		}
	}
}

TEST(action, names_are_unique_and_no_key)
{
	int n;
	const struct action *list = action_list(&n);
	for (int i = 0; i < n; i++) {
		CHECK_INT(list[i].id, i + 1);
		CHECK(action_by_name(list[i].name) == &list[i]);
		CHECK_INT(event_key_from_name(list[i].name), K_NONE);
		CHECK(*list[i].help && strlen(list[i].help) < 70);
		CHECK(action_group_title(list[i].group) != NULL);
	}
	CHECK(action_by_name("no-such") == NULL);
	CHECK_INT(action_by_key('\x05', AT_MAPS), ACTION_NONE);
}

/* The keys of the contract. */
TEST(action, keys_that_users_expect)
{
	static const struct {
		const char *key, *name;
	} want[] = {
		{"Left", "cell-left"}, {"h", "cell-left"}, {"l", "cell-right"}, {",", "token-prev"}, {".", "token-next"},
		{"k", "row-up"}, {"j", "row-down"}, {"[", "layer-prev"}, {"]", "layer-next"}, {"{", "head-prev"},
		{"}", "head-next"}, {"PgUp", "page-up"}, {"^U", "half-up"}, {"^D", "half-down"}, {"Home", "line-start"},
		{"g", "first"}, {"G", "last"}, {"Enter", "enter"}, {"q", "back"}, {"Esc", "back"}, {"Q", "quit"},
		{"+", "budget-more"}, {"-", "budget-less"}, {"a", "scope"}, {"c", "scale"}, {"z", "zoom-in"},
		{"Z", "zoom-out"}, {"f", "full"}, {"Tab", "method-next"}, {"S-Tab", "method-prev"}, {"1", "view-maps"},
		{"2", "view-text"}, {"r", "run"}, {"s", "save-figure"}, {"w", "save-capture"}, {"?", "help"},
		{"F1", "help"}, {"^C", "cancel"}, {"^L", "redraw"}, {"^Z", "suspend"},
	};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		enum action_id id = action_by_key(event_key_from_name(want[i].key), AT_MAPS);
		CHECK_STR(id ? action_get(id)->name : "nothing", want[i].name);
	}
}

TEST(event, keys_have_names_and_back)
{
	char name[16];
	for (int key = 1; key < 0x250; key++) {
		if ((key >= 0x7f && key < 0xa0) || key == 0x1b || key == '\t' || key == '\r')
			continue; /* told by names of their own */
		CHECK_INT(event_key_from_name(event_key_name(key, name)), key);
	}
	for (int key = K_UP; key <= K_F12; key++)
		CHECK_INT(event_key_from_name(event_key_name(key, name)), key);
	CHECK_INT(event_key_from_name("F13"), K_NONE);
	CHECK_INT(event_key_from_name(""), K_NONE);
	CHECK_INT(event_key_from_name("^a"), K_NONE);
}

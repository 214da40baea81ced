#include "engine/lookahead/parts.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

static const char *const projection_words[N_PROJ] = {
	[PROJ_Q] = "q", [PROJ_K] = "k", [PROJ_V] = "v", [PROJ_O] = "o", [PROJ_GATE] = "gate", [PROJ_UP] = "up", [PROJ_DOWN] = "down"};

const char *projection_name(int proj)
{
	return projection_words[proj];
}

enum { MAX_WORD = 24, MAX_WORDS = 48 };

struct words {
	char word[MAX_WORDS][MAX_WORD]; /* lower case; longer ones are cut, no word that matters is that long */
	int n;
};

static int kind_of(char c)
{
	return isdigit((unsigned char)c) ? 1 : isalpha((unsigned char)c) ? 2 : 0;
}

static void split(const char *name, struct words *w)
{
	w->n = 0;
	while (*name && w->n < MAX_WORDS) {
		int kind = kind_of(*name);
		size_t n = 0;
		char *word = w->word[w->n];
		for (; kind && kind_of(*name) == kind; name++)
			if (n + 1 < MAX_WORD)
				word[n++] = (char)tolower((unsigned char)*name);
		word[n] = '\0';
		if (kind)
			w->n++;
		else
			name++;
	}
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static int number_of(const char *word)
{
	long value = 0;
	for (; *word; word++) {
		value = 10 * value + (*word - '0');
		if (value > INT_MAX)
			return INT_MAX;
	}
	return (int)value;
}

static void read_layer(const struct words *w, struct name_facts *out)
{
	static const char *const before[] = {"layers", "layer", "blocks", "block", "h", NULL};
	for (int i = 1; i < w->n; i++) {
		if (!isdigit((unsigned char)w->word[i][0]) || !is_one_of(w->word[i - 1], before))
			continue;
		if (out->layer >= 0)
			out->doubt = "two layer numbers";
		out->layer = number_of(w->word[i]);
	}
}

/* "q", "qproj". Not "wq" or "attn_q" of "blk": those families of names go with rows in another order. */
static int projection_of(const char *word)
{
	for (int p = 0; p < N_PROJ; p++) {
		size_t n = strlen(projection_words[p]);
		const char *rest = word + n;
		if (!strncmp(word, projection_words[p], n) && (!*rest || !strcmp(rest, "proj")))
			return p;
	}
	return -1;
}

static enum role role_of(const struct words *w, int i)
{
	const char *word = w->word[i];
	bool after_lora = i > 0 && !strcmp(w->word[i - 1], "lora");
	if (!strcmp(word, "a") || !strcmp(word, "loraa") || (after_lora && !strcmp(word, "down")))
		return ROLE_A;
	if (!strcmp(word, "b") || !strcmp(word, "lorab") || (after_lora && !strcmp(word, "up")))
		return ROLE_B;
	return strcmp(word, "alpha") ? ROLE_NONE : ROLE_ALPHA;
}

void name_read(const char *name, struct name_facts *out)
{
	struct words w;
	split(name, &w);
	*out = (struct name_facts){.layer = -1, .proj = -1};
	read_layer(&w, out);
	for (int i = 0; i < w.n; i++) {
		enum role role = role_of(&w, i);
		int proj = role ? -1 : projection_of(w.word[i]);
		if (role && out->role)
			out->doubt = "A and B, or one of them twice";
		if (proj >= 0 && out->proj >= 0)
			out->doubt = "two projections";
		if (role)
			out->role = role;
		if (proj >= 0)
			out->proj = proj;
	}
}

/* Filters and methods of strings. */
#include "engine/token/jinja/jinja_builtin.h"

static struct jinja_value own_text(struct jinja_call *c)
{
	return value_string(value_text(c->j, c->at, c->self));
}

static struct jinja_value strip(struct jinja_call *c, int sides)
{
	bool given;
	struct jinja_string s = own_text(c).string, chars = call_text(c, 0, "chars", &given);
	return value_string(string_strip(s, given ? &chars : NULL, sides));
}

static struct jinja_value do_strip(struct jinja_call *c)
{
	return strip(c, STRIP_LEFT | STRIP_RIGHT);
}

static struct jinja_value do_lstrip(struct jinja_call *c)
{
	return strip(c, STRIP_LEFT);
}

static struct jinja_value do_rstrip(struct jinja_call *c)
{
	return strip(c, STRIP_RIGHT);
}

enum letter_case { UPPER, LOWER, CAPITAL };

/* ASCII only: role names and the like; Python's rules for the rest (ß, final sigma) are not here. */
static struct jinja_value change_case(struct jinja_call *c, enum letter_case want)
{
	struct jinja_string s = own_text(c).string;
	char *text = jinja_take(c->j, s.n + 1);
	if (!text)
		return value_undefined();
	for (size_t i = 0; i < s.n; i++) {
		char from = s.text[i];
		if ((unsigned char)from >= 0x80)
			return call_failed(c, ", of letters beyond ASCII,");
		bool up = want == UPPER || (want == CAPITAL && i == 0);
		text[i] = up && from >= 'a' && from <= 'z' ? (char)(from - 32)
			: !up && from >= 'A' && from <= 'Z'    ? (char)(from + 32)
												   : from;
	}
	return value_string((struct jinja_string){text, s.mark, s.n});
}

static struct jinja_value do_upper(struct jinja_call *c)
{
	return change_case(c, UPPER);
}

static struct jinja_value do_lower(struct jinja_call *c)
{
	return change_case(c, LOWER);
}

static struct jinja_value do_capitalize(struct jinja_call *c)
{
	return change_case(c, CAPITAL);
}

/* Replaces every occurrence; before each character and at the end when `old` is empty, as Python does. */
static struct jinja_value do_replace(struct jinja_call *c)
{
	bool has_old, has_new;
	struct jinja_string s = own_text(c).string, old = call_text(c, 0, "old", &has_old),
						new = call_text(c, 1, "new", &has_new);
	if (!has_old || !has_new || old.n == 0 || c->n_argument != 2)
		return call_failed(c, " without two texts to replace");
	struct jinja_builder b = {0};
	size_t done = 0, at;
	while (!c->j->rc && string_find(s, old, done, &at)) {
		builder_add(c->j, &b, string_part(s, done, at));
		builder_add(c->j, &b, new);
		done = at + old.n;
	}
	builder_add(c->j, &b, string_part(s, done, s.n));
	return value_string(builder_string(&b));
}

static struct jinja_value do_split(struct jinja_call *c)
{
	bool given;
	struct jinja_string s = c->self.string, separator = call_text(c, 0, "sep", &given);
	const struct jinja_value *most = call_argument(c, 1, "maxsplit");
	int64_t left = most && most->kind == VALUE_INTEGER && most->number >= 0 ? most->number : INT64_MAX;
	if (!given || separator.n == 0)
		return call_failed(c, " at white space");
	struct jinja_value list = value_new_list(c->j);
	size_t done = 0, at;
	for (; left && !c->j->rc && string_find(s, separator, done, &at); left--) {
		list_append(c->j, list.list, value_string(string_part(s, done, at)));
		done = at + separator.n;
	}
	if (list.kind == VALUE_LIST)
		list_append(c->j, list.list, value_string(string_part(s, done, s.n)));
	return list;
}

static bool begins(struct jinja_string s, struct jinja_string with)
{
	return s.n >= with.n && !memcmp(s.text, with.text, with.n);
}

static bool ends(struct jinja_string s, struct jinja_string with)
{
	return s.n >= with.n && !memcmp(s.text + s.n - with.n, with.text, with.n);
}

/* startswith and endswith take one text or several. */
static struct jinja_value affix(struct jinja_call *c, bool (*has)(struct jinja_string, struct jinja_string))
{
	const struct jinja_value *what = call_argument(c, 0, "");
	if (c->n_argument == 1 && what && what->kind == VALUE_STRING)
		return value_bool(has(c->self.string, what->string));
	if (c->n_argument != 1 || !what || what->kind != VALUE_LIST)
		return call_failed(c, " with other than one text or list");
	bool found = false;
	for (size_t i = 0; i < what->list->n; i++) {
		if (what->list->item[i].kind != VALUE_STRING)
			return call_failed(c, " with other than texts");
		found |= has(c->self.string, what->list->item[i].string);
	}
	return value_bool(found);
}

static struct jinja_value do_startswith(struct jinja_call *c)
{
	return affix(c, begins);
}

static struct jinja_value do_endswith(struct jinja_call *c)
{
	return affix(c, ends);
}

static struct jinja_value do_find(struct jinja_call *c)
{
	bool given;
	struct jinja_string what = call_text(c, 0, "", &given);
	size_t at;
	if (!given || c->n_argument != 1)
		return call_failed(c, " with other than one text");
	if (!string_find(c->self.string, what, 0, &at))
		return value_integer(-1);
	return value_integer((int64_t)string_length(string_part(c->self.string, 0, at)));
}

struct jinja_value call_join(
	struct jinja_call *c, const struct jinja_list *items, struct jinja_string between, bool texts_only)
{
	struct jinja_builder b = {0};
	for (size_t i = 0; i < items->n && !c->j->rc; i++) {
		if (texts_only && items->item[i].kind != VALUE_STRING)
			return call_failed(c, ", with other than texts,");
		if (i)
			builder_add(c->j, &b, between);
		builder_add(c->j, &b, value_text(c->j, c->at, items->item[i]));
	}
	return value_string(builder_string(&b));
}

static struct jinja_value do_join_method(struct jinja_call *c)
{
	const struct jinja_value *items = call_argument(c, 0, "");
	return items ? call_join(c, value_items(c->j, c->at, *items), c->self.string, true)
				 : call_failed(c, " of nothing");
}

static struct jinja_value do_string(struct jinja_call *c)
{
	return own_text(c);
}

const struct jinja_builtin string_filters[] = {{"capitalize", do_capitalize}, {"lower", do_lower},
	{"replace", do_replace}, {"string", do_string}, {"trim", do_strip}, {"upper", do_upper}, {NULL, NULL}};

const struct jinja_builtin string_methods[] = {{"capitalize", do_capitalize}, {"endswith", do_endswith},
	{"find", do_find}, {"join", do_join_method}, {"lower", do_lower}, {"lstrip", do_lstrip},
	{"replace", do_replace}, {"rstrip", do_rstrip}, {"split", do_split}, {"startswith", do_startswith},
	{"strip", do_strip}, {"upper", do_upper}, {NULL, NULL}};

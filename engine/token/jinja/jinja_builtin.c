/* Functions, tests, and how filters and methods are found and called. */
#include <locale.h>
#include <time.h>

#include "engine/token/jinja/jinja_builtin.h"

struct jinja_value call_failed(struct jinja_call *c, const char *what)
{
	return jinja_fail(c->j, c->at, "%.*s%s of %s", (int)(c->at->text.n < 40 ? c->at->text.n : 40),
		c->at->text.text ? c->at->text.text : "", what, value_kind_name(c->self));
}

const struct jinja_value *call_argument(const struct jinja_call *c, int position, const char *name)
{
	for (int i = 0; i < c->n_argument; i++)
		if (c->argument[i].name.n == 0 ? i == position : string_is(c->argument[i].name, name))
			return &c->argument[i].value;
	return NULL;
}

struct jinja_string call_text(struct jinja_call *c, int position, const char *name, bool *given)
{
	const struct jinja_value *v = call_argument(c, position, name);
	*given = v && v->kind != VALUE_NONE;
	if (!*given)
		return (struct jinja_string){"", NULL, 0};
	if (v->kind != VALUE_STRING)
		jinja_fail(c->j, c->at, "%s as the argument %s", value_kind_name(*v), name);
	return v->kind == VALUE_STRING ? v->string : (struct jinja_string){"", NULL, 0};
}

/* ---- functions
 * ------------------------------------------------------------------------------------------------------ */

static struct jinja_value do_raise_exception(struct jinja_call *c)
{
	bool given;
	struct jinja_string text = call_text(c, 0, "message", &given);
	return jinja_fail(c->j, c->at, "it refuses the message: %.*s", (int)(text.n < 200 ? text.n : 200), text.text);
}

static struct jinja_value do_strftime_now(struct jinja_call *c)
{
	enum { SIZE = 512 };
	bool given;
	struct jinja_string wanted = call_text(c, 0, "format", &given);
	char *format = jinja_take(c->j, wanted.n + 1), *text = jinja_take(c->j, SIZE);
	struct tm local;
	if (!format || !text || !localtime_r(&c->j->request->now, &local))
		return value_undefined();
	memcpy(format, wanted.text, wanted.n);
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	size_t n = plain != (locale_t)0 ? strftime_l(text, SIZE, format, &local, plain) : 0;
	if (plain != (locale_t)0)
		freelocale(plain);
	return n || !wanted.n ? value_string((struct jinja_string){text, NULL, n})
						  : call_failed(c, " with a format that gives no date");
}

static struct jinja_value do_dict(struct jinja_call *c)
{
	struct jinja_value dict = value_new_dict(c->j);
	for (int i = 0; i < c->n_argument && !c->j->rc; i++) {
		if (c->argument[i].name.n == 0)
			return jinja_fail(c->j, c->at, "a dictionary or namespace from something without a name");
		dict_set(c->j, dict.dict, value_string(c->argument[i].name), c->argument[i].value);
	}
	return dict;
}

static struct jinja_value do_namespace(struct jinja_call *c)
{
	struct jinja_value dict = do_dict(c);
	if (dict.kind == VALUE_DICT)
		dict.dict->is_namespace = true;
	return dict;
}

static struct jinja_value do_range(struct jinja_call *c)
{
	enum { LIMIT = 100000 }; /* the sandbox's own */
	int64_t number[3] = {0, 0, 1};
	for (int i = 0; i < c->n_argument; i++)
		if (i == 3 || c->argument[i].name.n || c->argument[i].value.kind != VALUE_INTEGER)
			return jinja_fail(c->j, c->at, "range of other than one to three numbers");
	for (int i = 0; i < c->n_argument; i++)
		number[c->n_argument == 1 ? 1 : i] = c->argument[i].value.number;
	int64_t start = number[0], stop = number[1], step = number[2];
	struct jinja_value list = value_new_list(c->j);
	if (!c->n_argument || step == 0 || start < -LIMIT || start > LIMIT || stop < -LIMIT || stop > LIMIT ||
		step < -LIMIT || step > LIMIT)
		return jinja_fail(c->j, c->at, "range of numbers beyond %d", LIMIT);
	for (int64_t i = start; (step > 0 ? i < stop : i > stop) && !c->j->rc; i += step)
		list_append(c->j, list.list, value_integer(i));
	return list;
}

/* ---- tests
 * ------------------------------------------------------------------------------------------------------------ */

static bool is_number(struct jinja_value v)
{
	return v.kind == VALUE_INTEGER || v.kind == VALUE_BOOL;
}

static bool is_sized(struct jinja_value v)
{
	return v.kind == VALUE_STRING || v.kind == VALUE_LIST || (v.kind == VALUE_DICT && !v.dict->is_namespace) ||
		v.kind == VALUE_UNDEFINED;
}

static bool test_by_name(const struct jinja_value v, struct jinja_string name, bool *known)
{
	const struct {
		const char *name;
		bool holds;
	} tests[] = {
		{"defined", v.kind != VALUE_UNDEFINED},
		{"undefined", v.kind == VALUE_UNDEFINED},
		{"none", v.kind == VALUE_NONE},
		{"string", v.kind == VALUE_STRING},
		{"mapping", v.kind == VALUE_DICT && !v.dict->is_namespace},
		{"iterable", is_sized(v) || v.kind == VALUE_LOOP},
		{"sequence", is_sized(v)},
		{"number", is_number(v)},
		{"integer", v.kind == VALUE_INTEGER},
		{"float", false},
		{"boolean", v.kind == VALUE_BOOL},
		{"true", v.kind == VALUE_BOOL && v.number},
		{"false", v.kind == VALUE_BOOL && !v.number},
		{"callable", v.kind >= VALUE_MACRO},
	};
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (string_is(name, tests[i].name)) {
			*known = true;
			return tests[i].holds;
		}
	*known = false;
	return false;
}

static const char *comparison_of(struct jinja_string test)
{
	static const char *const names[][4] = {{"==", "eq", "equalto"}, {"!=", "ne"}, {"<", "lt", "lessthan"},
		{"<=", "le"}, {">", "gt", "greaterthan"}, {">=", "ge"}, {"in", "in"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (int k = 0; names[i][k]; k++)
			if (string_is(test, names[i][k]))
				return names[i][0];
	return NULL;
}

bool builtin_test(struct jinja_call *c, struct jinja_string name)
{
	bool known, holds = test_by_name(c->self, name, &known);
	if (known && c->n_argument == 0)
		return holds;
	const struct jinja_value *other = call_argument(c, 0, "");
	const char *op = comparison_of(name);
	if (op && other)
		return value_compare(c->j, c->at, value_literal(op).string, c->self, *other);
	bool odd = string_is(name, "odd"), even = string_is(name, "even"), divisible = string_is(name, "divisibleby");
	if ((odd || even) && is_number(c->self))
		return (c->self.number % 2 != 0) == odd;
	if (divisible && other && is_number(c->self) && is_number(*other) && other->number != 0 && other->number != -1)
		return c->self.number % other->number == 0;
	jinja_fail(c->j, c->at, "the test \"%.*s\" of %s", (int)(name.n < 40 ? name.n : 40), name.text,
		value_kind_name(c->self));
	return false;
}

/* ---- tables
 * ------------------------------------------------------------------------------------------------------------- */

static const struct jinja_builtin no_methods[] = {{NULL, NULL}};

static const struct jinja_builtin functions[] = {{"dict", do_dict}, {"namespace", do_namespace},
	{"raise_exception", do_raise_exception}, {"range", do_range}, {"strftime_now", do_strftime_now}, {NULL, NULL}};

/* Attributes that Python's own types have besides: a template that names one means it. */
static const char *const string_attributes[] = {"casefold", "center", "count", "encode", "expandtabs", "format",
	"format_map", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
	"isnumeric", "isprintable", "isspace", "istitle", "isupper", "ljust", "maketrans", "partition", "removeprefix",
	"removesuffix", "rfind", "rindex", "rjust", "rpartition", "rsplit", "splitlines", "swapcase", "title",
	"translate", "zfill", NULL};
static const char *const list_attributes[] = {
	"append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort", NULL};
static const char *const dict_attributes[] = {
	"clear", "copy", "fromkeys", "pop", "popitem", "setdefault", "update", NULL};

static const struct jinja_builtin *find_builtin(const struct jinja_builtin *table, struct jinja_string name)
{
	while (table->name && !string_is(name, table->name))
		table++;
	return table->name ? table : NULL;
}

static bool is_listed(const char *const *list, struct jinja_string name)
{
	while (*list && !string_is(name, *list))
		list++;
	return *list != NULL;
}

bool builtin_method(struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_string name,
	struct jinja_value *out)
{
	const struct jinja_builtin *table = v.kind == VALUE_STRING ? string_methods
		: v.kind == VALUE_DICT                                 ? dict_methods
															   : no_methods;
	const struct jinja_builtin *found = find_builtin(table, name);
	*out = value_undefined();
	if (found) {
		struct jinja_method *method = jinja_take(j, sizeof *method);
		if (method) {
			*method = (struct jinja_method){v, found->function};
			*out = (struct jinja_value){.kind = VALUE_METHOD, .method = method};
		}
		return true;
	}
	const char *const *others = v.kind == VALUE_STRING ? string_attributes : list_attributes;
	if (!is_listed(v.kind == VALUE_DICT ? dict_attributes : others, name))
		return false;
	jinja_fail(j, at, "the method \"%.*s\" of %s is not there", (int)name.n, name.text, value_kind_name(v));
	return true;
}

struct jinja_value builtin_function(struct jinja_string name)
{
	const struct jinja_builtin *found = find_builtin(functions, name);
	return found ? (struct jinja_value){.kind = VALUE_FUNCTION, .function = found->function} : value_undefined();
}

struct jinja_value builtin_filter(struct jinja_call *c, struct jinja_string name)
{
	const struct jinja_builtin *found = find_builtin(string_filters, name);
	if (!found)
		found = find_builtin(list_filters, name);
	if (!found)
		return jinja_fail(
			c->j, c->at, "the filter \"%.*s\" is not there", (int)(name.n < 40 ? name.n : 40), name.text);
	return found->function(c);
}

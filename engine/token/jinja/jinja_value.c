#include "engine/token/jinja/jinja_value.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/utf8.h"

/* ---- text -----------------------------------------------------------------------------------------------------
 */

static bool is_python_space(uint32_t code)
{
	return utf8_is_space(code) || (code >= 0x1c && code <= 0x1f);
}

size_t string_space_at(const char *text, size_t at)
{
	size_t n_bytes;
	return is_python_space(utf8_next(text + at, &n_bytes)) ? n_bytes : 0;
}

static bool contains(const struct jinja_string *chars, uint32_t code)
{
	if (!chars)
		return is_python_space(code);
	for (size_t at = 0, n_bytes; at < chars->n; at += n_bytes)
		if (utf8_next(chars->text + at, &n_bytes) == code)
			return true;
	return false;
}

struct jinja_string string_part(struct jinja_string s, size_t start, size_t end)
{
	return (struct jinja_string){s.text + start, s.mark ? s.mark + start : NULL, end - start};
}

struct jinja_string string_strip(struct jinja_string s, const struct jinja_string *chars, int sides)
{
	size_t start = 0, end = s.n, n_bytes;
	while ((sides & STRIP_LEFT) && start < end && contains(chars, utf8_next(s.text + start, &n_bytes)))
		start += n_bytes;
	while ((sides & STRIP_RIGHT) && end > start) {
		size_t last = utf8_previous(s.text, end);
		if (!contains(chars, utf8_next(s.text + last, &n_bytes)))
			break;
		end = last;
	}
	return string_part(s, start, end);
}

size_t string_strip_end(const char *text, size_t start, size_t end)
{
	return start + string_strip((struct jinja_string){text + start, NULL, end - start}, NULL, STRIP_RIGHT).n;
}

size_t string_length(struct jinja_string s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.text[i] & 0xc0) != 0x80;
	return n;
}

size_t string_offset(struct jinja_string s, size_t n_characters)
{
	size_t at = 0, n_bytes;
	for (; n_characters && at < s.n; n_characters--, at += n_bytes)
		utf8_next(s.text + at, &n_bytes);
	return at;
}

bool string_find(struct jinja_string s, struct jinja_string what, size_t from, size_t *at)
{
	const char *found = what.n ? memmem(s.text + from, s.n - from, what.text, what.n) : s.text + from;
	*at = found ? (size_t)(found - s.text) : s.n;
	return found != NULL;
}

bool string_equal(struct jinja_string a, struct jinja_string b)
{
	return a.n == b.n && !memcmp(a.text, b.text, a.n);
}

/* ---- failures and memory --------------------------------------------------------------------------------------
 */

struct jinja_value jinja_fail(struct jinja *j, const struct jinja_node *at, const char *format, ...)
{
	if (!j->rc) {
		char text[400];
		va_list args;
		va_start(args, format);
		vsnprintf(text, sizeof text, format, args);
		va_end(args);
		j->rc = err_set(j->e, ERR_UNSUPPORTED, "chat template, line %d: %s", at->line, text);
	}
	return value_undefined();
}

void *jinja_take(struct jinja *j, size_t n)
{
	void *taken = arena_take(&j->arena, n);
	if (!taken && !j->rc)
		j->rc = err_set(
			j->e, ERR_MEMORY, "chat template: its rendering takes more than %zu bytes", j->arena.limit);
	return taken;
}

void builder_add(struct jinja *j, struct jinja_builder *b, struct jinja_string s)
{
	if (b->n + s.n > b->capacity) {
		size_t capacity = 2 * (b->n + s.n) + 64;
		char *text = jinja_take(j, capacity);
		uint8_t *mark = jinja_take(j, capacity);
		if (!text || !mark)
			return;
		if (b->n) {
			memcpy(text, b->text, b->n);
			memcpy(mark, b->mark, b->n);
		}
		b->text = text;
		b->mark = mark;
		b->capacity = capacity;
	}
	if (s.n == 0)
		return;
	memcpy(b->text + b->n, s.text, s.n);
	if (s.mark)
		memcpy(b->mark + b->n, s.mark, s.n);
	else
		memset(b->mark + b->n, 0, s.n);
	b->n += s.n;
}

struct jinja_string builder_string(const struct jinja_builder *b)
{
	return (struct jinja_string){b->n ? b->text : "", b->n ? b->mark : NULL, b->n};
}

/* ---- lists and dictionaries -----------------------------------------------------------------------------------
 */

struct jinja_value value_new_list(struct jinja *j)
{
	struct jinja_list *l = jinja_take(j, sizeof *l);
	return l ? (struct jinja_value){.kind = VALUE_LIST, .list = l} : value_undefined();
}

void list_append(struct jinja *j, struct jinja_list *l, struct jinja_value v)
{
	if (l->n == l->capacity) {
		size_t capacity = l->capacity ? 2 * l->capacity : 4;
		struct jinja_value *item = jinja_take(j, capacity * sizeof *item);
		if (!item)
			return;
		if (l->n)
			memcpy(item, l->item, l->n * sizeof *item);
		l->item = item;
		l->capacity = capacity;
	}
	l->item[l->n++] = v;
}

struct jinja_value value_new_dict(struct jinja *j)
{
	struct jinja_dict *d = jinja_take(j, sizeof *d);
	return d ? (struct jinja_value){.kind = VALUE_DICT, .dict = d} : value_undefined();
}

void dict_set(struct jinja *j, struct jinja_dict *d, struct jinja_value key, struct jinja_value v)
{
	for (size_t i = 0; i < d->n; i++)
		if (value_equal(d->entry[i].key, key)) {
			d->entry[i].value = v;
			return;
		}
	if (d->n == d->capacity) {
		size_t capacity = d->capacity ? 2 * d->capacity : 4;
		struct jinja_entry *entry = jinja_take(j, capacity * sizeof *entry);
		if (!entry)
			return;
		if (d->n)
			memcpy(entry, d->entry, d->n * sizeof *entry);
		d->entry = entry;
		d->capacity = capacity;
	}
	d->entry[d->n++] = (struct jinja_entry){key, v};
}

const struct jinja_value *dict_get(const struct jinja_dict *d, struct jinja_value key)
{
	for (size_t i = 0; i < d->n; i++)
		if (value_equal(d->entry[i].key, key))
			return &d->entry[i].value;
	return NULL;
}

/* ---- what Python does with values ------------------------------------------------------------------------------
 */

const char *value_kind_name(struct jinja_value v)
{
	static const char *const names[] = {[VALUE_UNDEFINED] = "an undefined value",
		[VALUE_NONE] = "none",
		[VALUE_BOOL] = "a truth value",
		[VALUE_INTEGER] = "a number",
		[VALUE_STRING] = "a string",
		[VALUE_LIST] = "a list",
		[VALUE_DICT] = "a dictionary",
		[VALUE_LOOP] = "the loop",
		[VALUE_MACRO] = "a macro",
		[VALUE_FUNCTION] = "a function",
		[VALUE_METHOD] = "a method"};
	return names[v.kind];
}

bool value_truth(struct jinja_value v)
{
	switch (v.kind) {
	case VALUE_UNDEFINED:
	case VALUE_NONE:
		return false;
	case VALUE_BOOL:
	case VALUE_INTEGER:
		return v.number != 0;
	case VALUE_STRING:
		return v.string.n > 0;
	case VALUE_LIST:
		return v.list->n > 0;
	case VALUE_DICT:
		return v.dict->n > 0 || v.dict->is_namespace;
	default:
		return true;
	}
}

static bool is_number(struct jinja_value v)
{
	return v.kind == VALUE_BOOL || v.kind == VALUE_INTEGER;
}

bool value_equal(struct jinja_value a, struct jinja_value b)
{
	if (is_number(a) && is_number(b))
		return a.number == b.number;
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case VALUE_UNDEFINED:
	case VALUE_NONE:
		return true;
	case VALUE_STRING:
		return string_equal(a.string, b.string);
	case VALUE_LIST:
		for (size_t i = 0; i < a.list->n && a.list->n == b.list->n; i++)
			if (!value_equal(a.list->item[i], b.list->item[i]))
				return false;
		return a.list->n == b.list->n;
	case VALUE_DICT:
		for (size_t i = 0; i < a.dict->n && a.dict->n == b.dict->n; i++) {
			const struct jinja_value *other = dict_get(b.dict, a.dict->entry[i].key);
			if (!other || !value_equal(a.dict->entry[i].value, *other))
				return false;
		}
		return a.dict->n == b.dict->n;
	case VALUE_MACRO:
		return a.macro == b.macro;
	default:
		return false;
	}
}

bool value_is_key(struct jinja *j, const struct jinja_node *at, struct jinja_value v)
{
	bool hashable = v.kind != VALUE_LIST && (v.kind != VALUE_DICT || v.dict->is_namespace);
	if (!hashable)
		jinja_fail(j, at, "%s as a key", value_kind_name(v));
	return hashable;
}

static bool is_in(struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_value whole)
{
	size_t found;
	switch (whole.kind) {
	case VALUE_STRING:
		if (v.kind == VALUE_STRING)
			return string_find(whole.string, v.string, 0, &found);
		break;
	case VALUE_LIST:
		for (size_t i = 0; i < whole.list->n; i++)
			if (value_equal(whole.list->item[i], v))
				return true;
		return false;
	case VALUE_DICT:
		if (!whole.dict->is_namespace)
			return value_is_key(j, at, v) && dict_get(whole.dict, v) != NULL;
		break;
	case VALUE_UNDEFINED:
		return false;
	default:
		break;
	}
	jinja_fail(j, at, "%s in %s", value_kind_name(v), value_kind_name(whole));
	return false;
}

/* -1, 0 or 1 as a is before, equal to or behind b; UTF-8 sorts by bytes as characters do. */
static int order(struct jinja *j, const struct jinja_node *at, struct jinja_value a, struct jinja_value b)
{
	if (is_number(a) && is_number(b))
		return (a.number > b.number) - (a.number < b.number);
	if (a.kind != VALUE_STRING || b.kind != VALUE_STRING) {
		jinja_fail(j, at, "%s and %s have no order", value_kind_name(a), value_kind_name(b));
		return 0;
	}
	size_t n = a.string.n < b.string.n ? a.string.n : b.string.n;
	int sign = memcmp(a.string.text, b.string.text, n);
	return sign ? sign : (a.string.n > b.string.n) - (a.string.n < b.string.n);
}

bool value_compare(struct jinja *j, const struct jinja_node *at, struct jinja_string op, struct jinja_value a,
	struct jinja_value b)
{
	if (string_is(op, "=="))
		return value_equal(a, b);
	if (string_is(op, "!="))
		return !value_equal(a, b);
	if (string_is(op, "in"))
		return is_in(j, at, a, b);
	if (string_is(op, "not"))
		return !is_in(j, at, a, b);
	int sign = order(j, at, a, b);
	bool equal = op.n == 2 && sign == 0;
	return equal || (op.text[0] == '<' ? sign < 0 : sign > 0);
}

struct jinja_string value_text(struct jinja *j, const struct jinja_node *at, struct jinja_value v)
{
	char *digits;
	switch (v.kind) {
	case VALUE_UNDEFINED:
		return value_literal("").string;
	case VALUE_NONE:
		return value_literal("None").string;
	case VALUE_BOOL:
		return value_literal(v.number ? "True" : "False").string;
	case VALUE_INTEGER:
		digits = jinja_take(j, 24);
		if (!digits)
			return value_literal("").string;
		snprintf(digits, 24, "%lld", (long long)v.number);
		return value_literal(digits).string;
	case VALUE_STRING:
		return v.string;
	default:
		return jinja_fail(j, at, "%s as text", value_kind_name(v)), value_literal("").string;
	}
}

const struct jinja_list *value_items(struct jinja *j, const struct jinja_node *at, struct jinja_value v)
{
	static const struct jinja_list none;
	if (v.kind == VALUE_LIST)
		return v.list;
	struct jinja_value list = value_new_list(j);
	if (list.kind != VALUE_LIST || v.kind == VALUE_UNDEFINED)
		return &none;
	if (v.kind == VALUE_DICT && !v.dict->is_namespace) {
		for (size_t i = 0; i < v.dict->n; i++)
			list_append(j, list.list, v.dict->entry[i].key);
	} else if (v.kind == VALUE_STRING) {
		for (size_t start = 0, n_bytes; start < v.string.n && !j->rc; start += n_bytes) {
			utf8_next(v.string.text + start, &n_bytes);
			list_append(j, list.list, value_string(string_part(v.string, start, start + n_bytes)));
		}
	} else {
		jinja_fail(j, at, "a loop over %s", value_kind_name(v));
	}
	return list.list;
}

static struct jinja_value loop_attribute(
	struct jinja *j, const struct jinja_node *at, const struct jinja_loop *loop, struct jinja_string name)
{
	int64_t i = (int64_t)loop->index, n = (int64_t)loop->items->n;
	if (string_is(name, "index0"))
		return value_integer(i);
	if (string_is(name, "index"))
		return value_integer(i + 1);
	if (string_is(name, "revindex0"))
		return value_integer(n - 1 - i);
	if (string_is(name, "revindex"))
		return value_integer(n - i);
	if (string_is(name, "length"))
		return value_integer(n);
	if (string_is(name, "first"))
		return value_bool(i == 0);
	if (string_is(name, "last"))
		return value_bool(i == n - 1);
	if (string_is(name, "previtem"))
		return i ? loop->items->item[i - 1] : value_undefined();
	if (string_is(name, "nextitem"))
		return i + 1 < n ? loop->items->item[i + 1] : value_undefined();
	return jinja_fail(j, at, "loop.%.*s is not there", (int)name.n, name.text);
}

static struct jinja_value undefined_attribute(
	struct jinja *j, const struct jinja_node *at, struct jinja_string name)
{
	return jinja_fail(j, at, "\"%.*s\" of something undefined", (int)(name.n < 60 ? name.n : 60), name.text);
}

struct jinja_value value_attribute(
	struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_string name)
{
	struct jinja_value method;
	const struct jinja_value *found;
	switch (v.kind) {
	case VALUE_UNDEFINED:
		return undefined_attribute(j, at, name);
	case VALUE_LOOP:
		return loop_attribute(j, at, v.loop, name);
	case VALUE_DICT:
		if (!v.dict->is_namespace && builtin_method(j, at, v, name, &method))
			return method;
		found = dict_get(v.dict, value_string(name));
		return found ? *found : value_undefined();
	case VALUE_STRING:
	case VALUE_LIST:
		return builtin_method(j, at, v, name, &method) ? method : value_undefined();
	case VALUE_NONE:
	case VALUE_BOOL:
	case VALUE_INTEGER:
		return value_undefined();
	default:
		return jinja_fail(
			j, at, "\"%.*s\" of %s", (int)(name.n < 60 ? name.n : 60), name.text, value_kind_name(v));
	}
}

/* Number of an item counted from either end, n when there is none. */
static size_t find_index(int64_t index, size_t n)
{
	if (index < 0)
		index += (int64_t)n;
	return index < 0 || index >= (int64_t)n ? n : (size_t)index;
}

struct jinja_value value_item(
	struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_value key)
{
	if (v.kind == VALUE_UNDEFINED)
		return undefined_attribute(j, at, value_literal("an item").string);
	if (v.kind == VALUE_LIST && is_number(key)) {
		size_t i = find_index(key.number, v.list->n);
		return i < v.list->n ? v.list->item[i] : value_undefined();
	}
	if (v.kind == VALUE_STRING && is_number(key)) {
		size_t n = string_length(v.string), i = find_index(key.number, n);
		size_t start = string_offset(v.string, i), end = string_offset(v.string, i + 1);
		return i < n ? value_string(string_part(v.string, start, end)) : value_undefined();
	}
	if (v.kind == VALUE_DICT && !v.dict->is_namespace) {
		const struct jinja_value *found = dict_get(v.dict, key);
		if (found)
			return *found;
	}
	return key.kind == VALUE_STRING ? value_attribute(j, at, v, key.string) : value_undefined();
}

/* A bound as Python's slices clip it. */
static int64_t clip(struct jinja_value bound, int64_t n, int64_t low, int64_t high, int64_t otherwise)
{
	if (!is_number(bound))
		return otherwise;
	int64_t at = bound.number < 0 ? bound.number + n : bound.number;
	return at < low ? low : at > high ? high : at;
}

struct jinja_value value_slice(
	struct jinja *j, const struct jinja_node *at, struct jinja_value v, const struct jinja_value bound[3])
{
	for (int i = 0; i < 3; i++)
		if (!is_number(bound[i]) && bound[i].kind != VALUE_UNDEFINED && bound[i].kind != VALUE_NONE)
			return jinja_fail(j, at, "%s as the bound of a slice", value_kind_name(bound[i]));
	int64_t step = is_number(bound[2]) ? bound[2].number : 1;
	if ((v.kind != VALUE_LIST && v.kind != VALUE_STRING) || step == 0 || (v.kind == VALUE_STRING && step != 1) ||
		step == INT64_MIN)
		return jinja_fail(j, at, "a slice of %s with step %lld", value_kind_name(v), (long long)step);
	int64_t n = (int64_t)(v.kind == VALUE_LIST ? v.list->n : string_length(v.string)), back = step < 0;
	int64_t start = clip(bound[0], n, -back, n - back, back ? n - 1 : 0);
	int64_t stop = clip(bound[1], n, -back, n - back, back ? -1 : n);
	if (v.kind == VALUE_STRING) {
		size_t from = string_offset(v.string, (size_t)start), to = string_offset(v.string, (size_t)stop);
		return value_string(string_part(v.string, from, to > from ? to : from));
	}
	struct jinja_value list = value_new_list(j);
	for (int64_t i = start; !j->rc && (back ? i > stop : i < stop); i += step) {
		list_append(j, list.list, v.list->item[i]);
		if (back ? step < stop - i : step > stop - i) /* the next one could overflow */
			break;
	}
	return list;
}

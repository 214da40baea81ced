/* Filters and methods of lists and dictionaries, and filters that take anything. */
#include "engine/token/jinja/jinja_builtin.h"

static struct jinja_value do_join(struct jinja_call *c)
{
	const struct jinja_value *between = call_argument(c, 0, "d");
	if (call_argument(c, 1, "attribute"))
		return call_failed(c, " by an attribute");
	struct jinja_string text = between ? value_text(c->j, c->at, *between) : (struct jinja_string){"", NULL, 0};
	return call_join(c, value_items(c->j, c->at, c->self), text, false);
}

static struct jinja_value do_length(struct jinja_call *c)
{
	switch (c->self.kind) {
	case VALUE_UNDEFINED:
		return value_integer(0);
	case VALUE_STRING:
		return value_integer((int64_t)string_length(c->self.string));
	case VALUE_LIST:
		return value_integer((int64_t)c->self.list->n);
	case VALUE_DICT:
		if (!c->self.dict->is_namespace)
			return value_integer((int64_t)c->self.dict->n);
		break;
	default:
		break;
	}
	return call_failed(c, "");
}

static struct jinja_value do_default(struct jinja_call *c)
{
	const struct jinja_value *otherwise = call_argument(c, 0, "default_value"),
							 *falsy = call_argument(c, 1, "boolean");
	if (c->self.kind != VALUE_UNDEFINED && !(falsy && value_truth(*falsy) && !value_truth(c->self)))
		return c->self;
	return otherwise ? *otherwise : value_literal("");
}

static struct jinja_value do_first(struct jinja_call *c)
{
	const struct jinja_list *items = value_items(c->j, c->at, c->self);
	return items->n ? items->item[0] : value_undefined();
}

static struct jinja_value do_last(struct jinja_call *c)
{
	const struct jinja_list *items = value_items(c->j, c->at, c->self);
	return items->n ? items->item[items->n - 1] : value_undefined();
}

static struct jinja_value do_list(struct jinja_call *c)
{
	const struct jinja_list *items = value_items(c->j, c->at, c->self);
	struct jinja_value list = value_new_list(c->j);
	for (size_t i = 0; i < items->n && !c->j->rc; i++)
		list_append(c->j, list.list, items->item[i]);
	return list;
}

static struct jinja_value do_reverse(struct jinja_call *c)
{
	if (c->self.kind != VALUE_LIST)
		return call_failed(c, "");
	return value_slice(
		c->j, c->at, c->self, (struct jinja_value[3]){value_undefined(), value_undefined(), value_integer(-1)});
}

static struct jinja_value do_safe(struct jinja_call *c)
{
	return c->self;
}

static struct jinja_value do_int(struct jinja_call *c)
{
	if (c->self.kind == VALUE_BOOL || c->self.kind == VALUE_INTEGER)
		return value_integer(c->self.number);
	return call_failed(c, "");
}

static struct jinja_value do_items(struct jinja_call *c)
{
	struct jinja_value list = value_new_list(c->j);
	if (c->self.kind == VALUE_UNDEFINED)
		return list;
	if (c->self.kind != VALUE_DICT)
		return call_failed(c, "");
	for (size_t i = 0; i < c->self.dict->n && !c->j->rc; i++) {
		struct jinja_value pair = value_new_list(c->j);
		if (pair.kind == VALUE_LIST) {
			list_append(c->j, pair.list, c->self.dict->entry[i].key);
			list_append(c->j, pair.list, c->self.dict->entry[i].value);
			list_append(c->j, list.list, pair);
		}
	}
	return list;
}

static struct jinja_value do_values(struct jinja_call *c)
{
	struct jinja_value list = value_new_list(c->j);
	for (size_t i = 0; i < c->self.dict->n && !c->j->rc; i++)
		list_append(c->j, list.list, c->self.dict->entry[i].value);
	return list;
}

static struct jinja_value do_get(struct jinja_call *c)
{
	const struct jinja_value *key = call_argument(c, 0, ""), *otherwise = call_argument(c, 1, "");
	if (!key || !value_is_key(c->j, c->at, *key))
		return call_failed(c, " without a key");
	const struct jinja_value *found = dict_get(c->self.dict, *key);
	return found ? *found : otherwise ? *otherwise : value_none();
}

/* An item's attribute by a dotted path, as selectattr and map look it up: keys first. */
static struct jinja_value path_of(struct jinja_call *c, struct jinja_value v, struct jinja_string path)
{
	for (size_t start = 0, dot; start <= path.n && !c->j->rc; start = dot + 1) {
		string_find(path, value_literal(".").string, start, &dot);
		v = value_item(c->j, c->at, v, value_string(string_part(path, start, dot)));
	}
	return v;
}

/* select, reject, map and their kin take anything falsy, none for one, as an empty list. */
static const struct jinja_list *own_items(struct jinja_call *c)
{
	return value_items(c->j, c->at, value_truth(c->self) ? c->self : value_undefined());
}

/* select, reject (by_attribute false: the item itself is tested), selectattr, rejectattr; without a test, truth.
 */
static struct jinja_value choose(struct jinja_call *c, bool by_attribute, bool keep)
{
	const struct jinja_list *items = own_items(c);
	struct jinja_value list = value_new_list(c->j);
	bool has_path = true, has_test;
	struct jinja_string path = {"", NULL, 0}, test;
	if (by_attribute)
		path = call_text(c, 0, "attribute", &has_path);
	test = call_text(c, by_attribute, "test", &has_test);
	if (!has_path)
		return call_failed(c, " without an attribute");
	int skip = by_attribute + has_test;
	for (size_t i = 0; i < items->n && !c->j->rc; i++) {
		struct jinja_value tested = by_attribute ? path_of(c, items->item[i], path) : items->item[i];
		struct jinja_call call = {
			c->j, c->at, tested, c->argument + skip, c->n_argument > skip ? c->n_argument - skip : 0};
		bool holds = has_test ? builtin_test(&call, test) : value_truth(tested);
		if (holds == keep)
			list_append(c->j, list.list, items->item[i]);
	}
	return list;
}

static struct jinja_value do_select(struct jinja_call *c)
{
	return choose(c, false, true);
}

static struct jinja_value do_reject(struct jinja_call *c)
{
	return choose(c, false, false);
}

static struct jinja_value do_selectattr(struct jinja_call *c)
{
	return choose(c, true, true);
}

static struct jinja_value do_rejectattr(struct jinja_call *c)
{
	return choose(c, true, false);
}

/* map(attribute="path"), map("filter", ...). */
static struct jinja_value do_map(struct jinja_call *c)
{
	const struct jinja_list *items = own_items(c);
	struct jinja_value list = value_new_list(c->j);
	bool has_path = c->n_argument == 1 && string_is(c->argument[0].name, "attribute"), has_filter = false;
	struct jinja_string path = has_path ? call_text(c, 0, "attribute", &has_path)
										: call_text(c, 0, "filter", &has_filter);
	if (!has_path && !has_filter)
		return call_failed(c, " without an attribute or filter");
	for (size_t i = 0; i < items->n && !c->j->rc; i++) {
		struct jinja_call call = {c->j, c->at, items->item[i], c->argument + 1, c->n_argument - 1};
		struct jinja_value v = has_path ? path_of(c, items->item[i], path) : builtin_filter(&call, path);
		list_append(c->j, list.list, v);
	}
	return list;
}

const struct jinja_builtin list_filters[] = {{"count", do_length}, {"d", do_default}, {"default", do_default},
	{"first", do_first}, {"int", do_int}, {"items", do_items}, {"join", do_join}, {"last", do_last},
	{"length", do_length}, {"list", do_list}, {"map", do_map}, {"reject", do_reject},
	{"rejectattr", do_rejectattr}, {"reverse", do_reverse}, {"safe", do_safe}, {"select", do_select},
	{"selectattr", do_selectattr}, {NULL, NULL}};

const struct jinja_builtin dict_methods[] = {
	{"get", do_get}, {"items", do_items}, {"keys", do_list}, {"values", do_values}, {NULL, NULL}};

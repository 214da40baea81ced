/* Runs a template's tree. A name set inside a loop or macro ends with it, one set inside an if does not; a macro
 * sees its parameters and what the template has set outside of loops. */
#include <stdlib.h>

#include "engine/token/jinja/jinja_value.h"

enum { DEPTH_LIMIT = 800, STEP_LIMIT = 1000000, ARENA_LIMIT = 64 << 20, ARENA_SHARE = 64 };

static struct jinja_value evaluate(struct jinja *j, const struct jinja_node *n);
static void run_list(struct jinja *j, const struct jinja_node *n);

/* ---- names
 * ------------------------------------------------------------------------------------------------------- */

static void bind(struct jinja *j, struct jinja_string name, struct jinja_value v)
{
	if (j->n_binding == j->binding_capacity) {
		size_t capacity = j->binding_capacity ? 2 * j->binding_capacity : 64;
		struct jinja_binding *grown = jinja_take(j, capacity * sizeof *grown);
		if (!grown)
			return;
		if (j->n_binding)
			memcpy(grown, j->binding, j->n_binding * sizeof *grown);
		j->binding = grown;
		j->binding_capacity = capacity;
	}
	j->binding[j->n_binding++] = (struct jinja_binding){name, v};
}

static const struct jinja_value *find_name(const struct jinja *j, struct jinja_string name)
{
	for (size_t i = j->n_binding; i > j->floor; i--)
		if (string_equal(j->binding[i - 1].name, name))
			return &j->binding[i - 1].value;
	for (size_t i = j->n_global < j->floor ? j->n_global : j->floor; i > 0; i--)
		if (string_equal(j->binding[i - 1].name, name))
			return &j->binding[i - 1].value;
	return NULL;
}

static void assign(struct jinja *j, struct jinja_string name, struct jinja_value v)
{
	for (size_t i = j->n_binding; i > j->scope; i--)
		if (string_equal(j->binding[i - 1].name, name)) {
			j->binding[i - 1].value = v;
			return;
		}
	bind(j, name, v);
	if (j->scope == 0)
		j->n_global = j->n_binding;
}

static void assign_target(struct jinja *j, const struct jinja_node *target, struct jinja_value v)
{
	if (target->kind == NODE_NAME) {
		assign(j, target->text, v);
	} else if (target->kind == NODE_ATTRIBUTE) {
		struct jinja_value space = evaluate(j, target->a);
		if (space.kind == VALUE_DICT && space.dict->is_namespace)
			dict_set(j, space.dict, value_string(target->text), v);
		else
			jinja_fail(j, target, "an attribute is set of %s", value_kind_name(space));
	} else {
		const struct jinja_list *items = value_items(j, target, v);
		size_t i = 0;
		for (const struct jinja_node *name = target->list; name; name = name->next, i++)
			if (i < items->n)
				assign(j, name->text, items->item[i]);
		if (i != items->n)
			jinja_fail(j, target, "%zu values for %zu names", items->n, i);
	}
}

/* ---- expressions
 * --------------------------------------------------------------------------------------------------- */

static struct jinja_value concatenate(struct jinja *j, struct jinja_string a, struct jinja_string b)
{
	struct jinja_builder both = {0};
	builder_add(j, &both, a);
	builder_add(j, &both, b);
	return value_string(builder_string(&both));
}

static struct jinja_value join_lists(struct jinja *j, const struct jinja_list *a, const struct jinja_list *b)
{
	struct jinja_value list = value_new_list(j);
	for (size_t i = 0; i < a->n + b->n && !j->rc; i++)
		list_append(j, list.list, i < a->n ? a->item[i] : b->item[i - a->n]);
	return list;
}

static struct jinja_value calculate(struct jinja *j, const struct jinja_node *n, int64_t a, int64_t b)
{
	int64_t result = 0;
	bool wrong = false;
	if (string_is(n->text, "+"))
		wrong = __builtin_add_overflow(a, b, &result);
	else if (string_is(n->text, "-"))
		wrong = __builtin_sub_overflow(a, b, &result);
	else if (string_is(n->text, "*"))
		wrong = __builtin_mul_overflow(a, b, &result);
	else if (string_is(n->text, "/") || b == 0 || (b == -1 && a == INT64_MIN))
		wrong = true;
	else if (string_is(n->text, "//"))
		result = a / b - (a % b != 0 && (a < 0) != (b < 0)); /* towards minus infinity */
	else
		result = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0); /* the divisor's sign */
	if (wrong)
		return jinja_fail(
			j, n, "%lld %.*s %lld is not there", (long long)a, (int)n->text.n, n->text.text, (long long)b);
	return value_integer(result);
}

static struct jinja_value evaluate_binary(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value a = evaluate(j, n->a), b = evaluate(j, n->b);
	if (j->rc)
		return value_undefined();
	if (string_is(n->text, "~"))
		return concatenate(j, value_text(j, n, a), value_text(j, n, b));
	bool plus = string_is(n->text, "+");
	if (plus && a.kind == VALUE_STRING && b.kind == VALUE_STRING)
		return concatenate(j, a.string, b.string);
	if (plus && a.kind == VALUE_LIST && b.kind == VALUE_LIST)
		return join_lists(j, a.list, b.list);
	if ((a.kind == VALUE_INTEGER || a.kind == VALUE_BOOL) && (b.kind == VALUE_INTEGER || b.kind == VALUE_BOOL))
		return calculate(j, n, a.number, b.number);
	return jinja_fail(j, n, "%s %.*s %s", value_kind_name(a), (int)n->text.n, n->text.text, value_kind_name(b));
}

static struct jinja_value evaluate_comparison(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value left = evaluate(j, n->a);
	for (const struct jinja_node *part = n->list; part && !j->rc; part = part->next) {
		struct jinja_value right = evaluate(j, part->a);
		if (!value_compare(j, part, part->text, left, right))
			return value_bool(false);
		left = right;
	}
	return value_bool(true);
}

static struct jinja_value evaluate_list(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value list = value_new_list(j);
	for (const struct jinja_node *item = n->list; item && !j->rc; item = item->next)
		list_append(j, list.list, evaluate(j, item));
	return list;
}

static struct jinja_value evaluate_dict(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value dict = value_new_dict(j);
	for (const struct jinja_node *entry = n->list; entry && !j->rc; entry = entry->next) {
		struct jinja_value key = evaluate(j, entry->a), v = evaluate(j, entry->b);
		if (!j->rc && value_is_key(j, n, key))
			dict_set(j, dict.dict, key, v);
	}
	return dict;
}

/* Evaluates the arguments of n into the call. */
static void prepare_call(struct jinja *j, struct jinja_call *c, const struct jinja_node *n)
{
	int n_argument = 0;
	for (const struct jinja_node *a = n->list; a; a = a->next)
		n_argument++;
	c->j = j;
	c->at = n;
	c->argument = n_argument ? jinja_take(j, (size_t)n_argument * sizeof *c->argument) : NULL;
	for (const struct jinja_node *a = n->list; a && !j->rc; a = a->next)
		c->argument[c->n_argument++] = (struct jinja_argument){a->text, evaluate(j, a->a)};
}

/* The text that running a list of statements gives. */
static struct jinja_string capture(struct jinja *j, const struct jinja_node *list)
{
	struct jinja_builder inner = {0}, *outer = j->out;
	j->out = &inner;
	run_list(j, list);
	j->out = outer;
	return builder_string(&inner);
}

/* The value given for a parameter, by name or position; its default otherwise. */
static struct jinja_value parameter_value(
	struct jinja *j, const struct jinja_call *c, const struct jinja_node *parameter, int position, int *used)
{
	for (int i = 0; i < c->n_argument; i++)
		if (c->argument[i].name.n == 0 ? i == position : string_equal(c->argument[i].name, parameter->text)) {
			++*used;
			return c->argument[i].value;
		}
	return parameter->a ? evaluate(j, parameter->a) : value_undefined();
}

static struct jinja_value call_macro(struct jinja *j, const struct jinja_call *c, const struct jinja_node *macro)
{
	size_t scope = j->scope, floor = j->floor, n_binding = j->n_binding;
	j->scope = j->floor = n_binding;
	int position = 0, used = 0;
	for (const struct jinja_node *p = macro->a->list; p && !j->rc; p = p->next)
		bind(j, p->text, parameter_value(j, c, p, position++, &used));
	struct jinja_value text = value_string(capture(j, macro->list));
	j->scope = scope;
	j->floor = floor;
	j->n_binding = n_binding;
	if (used != c->n_argument)
		return jinja_fail(j, c->at, "the macro \"%.*s\" has no such parameters",
			(int)(macro->text.n < 60 ? macro->text.n : 60), macro->text.text);
	return text;
}

static struct jinja_value evaluate_call(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value callee = evaluate(j, n->a);
	struct jinja_call c = {0};
	prepare_call(j, &c, n);
	if (j->rc)
		return value_undefined();
	if (callee.kind == VALUE_METHOD) {
		c.self = callee.method->self;
		c.at = n->a;
		return callee.method->function(&c);
	}
	if (callee.kind == VALUE_FUNCTION)
		return callee.function(&c);
	if (callee.kind == VALUE_MACRO)
		return call_macro(j, &c, callee.macro);
	struct jinja_string name = n->a->text;
	return jinja_fail(j, n, "\"%.*s\" is %s and cannot be called", (int)(name.n < 60 ? name.n : 60),
		name.text ? name.text : "", value_kind_name(callee));
}

static struct jinja_value evaluate_filter(struct jinja *j, const struct jinja_node *n, struct jinja_value operand)
{
	struct jinja_call c = {.self = operand};
	prepare_call(j, &c, n);
	return j->rc ? value_undefined() : builtin_filter(&c, n->text);
}

static struct jinja_value evaluate_test(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_call c = {.self = evaluate(j, n->a)};
	prepare_call(j, &c, n);
	return value_bool(!j->rc && builtin_test(&c, n->text));
}

static struct jinja_value evaluate_name(struct jinja *j, const struct jinja_node *n)
{
	const struct jinja_value *found = find_name(j, n->text);
	return found ? *found : builtin_function(n->text);
}

static struct jinja_value evaluate_slice(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v = evaluate(j, n->a), bound[3];
	const struct jinja_node *part[3] = {n->b, n->c, n->other};
	for (int i = 0; i < 3; i++)
		bound[i] = part[i] ? evaluate(j, part[i]) : value_undefined();
	return j->rc ? value_undefined() : value_slice(j, n, v, bound);
}

static struct jinja_value evaluate_negation(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v = evaluate(j, n->a);
	if ((v.kind == VALUE_INTEGER || v.kind == VALUE_BOOL) && v.number != INT64_MIN)
		return value_integer(-v.number);
	return jinja_fail(j, n, "minus %s", value_kind_name(v));
}

static struct jinja_value evaluate_kind(struct jinja *j, const struct jinja_node *n)
{
	struct jinja_value v;
	switch (n->kind) {
	case NODE_STRING:
		return value_string(n->text);
	case NODE_INTEGER:
		return value_integer(n->number);
	case NODE_BOOL:
		return value_bool(n->number);
	case NODE_NONE:
		return value_none();
	case NODE_NAME:
		return evaluate_name(j, n);
	case NODE_LIST:
		return evaluate_list(j, n);
	case NODE_DICT:
		return evaluate_dict(j, n);
	case NODE_ATTRIBUTE:
		v = evaluate(j, n->a);
		return j->rc ? v : value_attribute(j, n, v, n->text);
	case NODE_ITEM: {
		struct jinja_value key;
		v = evaluate(j, n->a);
		key = evaluate(j, n->b);
		return j->rc ? v : value_item(j, n, v, key);
	}
	case NODE_SLICE:
		return evaluate_slice(j, n);
	case NODE_CALL:
		return evaluate_call(j, n);
	case NODE_FILTER:
		v = evaluate(j, n->a);
		return evaluate_filter(j, n, v);
	case NODE_TEST:
		return evaluate_test(j, n);
	case NODE_NOT:
		return value_bool(!value_truth(evaluate(j, n->a)));
	case NODE_NEGATE:
		return evaluate_negation(j, n);
	case NODE_AND:
		v = evaluate(j, n->a);
		return value_truth(v) ? evaluate(j, n->b) : v;
	case NODE_OR:
		v = evaluate(j, n->a);
		return value_truth(v) ? v : evaluate(j, n->b);
	case NODE_BINARY:
		return evaluate_binary(j, n);
	case NODE_COMPARE:
		return evaluate_comparison(j, n);
	case NODE_CONDITION:
		if (value_truth(evaluate(j, n->b)))
			return evaluate(j, n->a);
		return n->c ? evaluate(j, n->c) : value_undefined();
	default:
		return jinja_fail(j, n, "numbers with a fraction are not there");
	}
}

/* Counts a step; false when the rendering has gone too far or too deep. */
static bool enter(struct jinja *j, const struct jinja_node *n)
{
	if (j->rc)
		return false;
	if (++j->steps > STEP_LIMIT)
		jinja_fail(j, n, "more than %d steps", STEP_LIMIT);
	if (j->depth == DEPTH_LIMIT)
		jinja_fail(j, n, "more than %d levels", DEPTH_LIMIT);
	return !j->rc;
}

static struct jinja_value evaluate(struct jinja *j, const struct jinja_node *n)
{
	if (!enter(j, n))
		return value_undefined();
	j->depth++;
	struct jinja_value v = evaluate_kind(j, n);
	j->depth--;
	return j->rc ? value_undefined() : v;
}

/* ---- statements
 * ------------------------------------------------------------------------------------------------------ */

/* The items that a for runs over: those for which its condition holds. */
static const struct jinja_list *loop_items(struct jinja *j, const struct jinja_node *n)
{
	const struct jinja_list *all = value_items(j, n, evaluate(j, n->b));
	if (!n->c)
		return all;
	struct jinja_value kept = value_new_list(j);
	size_t scope = j->scope, n_binding = j->n_binding;
	j->scope = n_binding;
	for (size_t i = 0; i < all->n && !j->rc; i++) {
		assign_target(j, n->a, all->item[i]);
		if (value_truth(evaluate(j, n->c)) && !j->rc)
			list_append(j, kept.list, all->item[i]);
	}
	j->scope = scope;
	j->n_binding = n_binding;
	return j->rc ? all : kept.list;
}

static void run_for(struct jinja *j, const struct jinja_node *n)
{
	const struct jinja_list *items = loop_items(j, n);
	size_t scope = j->scope, n_binding = j->n_binding;
	struct jinja_loop *loop = jinja_take(j, sizeof *loop);
	bool completed = false; /* else follows a loop of which no turn ran to its end, as jinja2 has it */
	for (size_t i = 0; i < items->n && enter(j, n) && j->flow != FLOW_BREAK; i++) {
		*loop = (struct jinja_loop){items, i};
		j->scope = n_binding;
		j->n_binding = n_binding;
		bind(j, value_literal("loop").string, (struct jinja_value){.kind = VALUE_LOOP, .loop = loop});
		assign_target(j, n->a, items->item[i]);
		j->flow = FLOW_ON;
		run_list(j, n->list);
		completed |= j->flow == FLOW_ON;
	}
	j->flow = FLOW_ON;
	j->scope = scope;
	j->n_binding = n_binding;
	if (!completed && n->other)
		run_list(j, n->other->list);
}

/* What running n's list gives, in a scope of its own, through the filters in n->b, of which the innermost is to
 * come first. */
static struct jinja_value filtered_block(struct jinja *j, const struct jinja_node *n)
{
	enum { LIMIT = 16 };
	size_t scope = j->scope, n_binding = j->n_binding;
	j->scope = n_binding;
	struct jinja_value v = value_string(capture(j, n->list));
	j->scope = scope;
	j->n_binding = n_binding;
	const struct jinja_node *filter[LIMIT];
	int n_filter = 0;
	for (const struct jinja_node *f = n->b; f; f = f->a) {
		if (n_filter == LIMIT)
			return jinja_fail(j, n, "more than %d filters", LIMIT);
		filter[n_filter++] = f;
	}
	while (n_filter && !j->rc)
		v = evaluate_filter(j, filter[--n_filter], v);
	return v;
}

static void run_scope(struct jinja *j, const struct jinja_node *n)
{
	size_t scope = j->scope, n_binding = j->n_binding;
	j->scope = n_binding;
	run_list(j, n->list);
	j->scope = scope;
	j->n_binding = n_binding;
}

static void run(struct jinja *j, const struct jinja_node *n)
{
	switch (n->kind) {
	case NODE_DATA:
		builder_add(j, j->out, n->text);
		break;
	case NODE_OUTPUT: {
		struct jinja_value v = evaluate(j, n->a);
		builder_add(j, j->out, value_text(j, n, v));
		break;
	}
	case NODE_IF:
		if (value_truth(evaluate(j, n->a)))
			run_list(j, n->list);
		else if (n->b)
			run_list(j, n->b->list);
		break;
	case NODE_BLOCK:
		run_list(j, n->list);
		break;
	case NODE_FOR:
		run_for(j, n);
		break;
	case NODE_SET:
		assign_target(j, n->a, evaluate(j, n->b));
		break;
	case NODE_SET_BLOCK:
		assign_target(j, n->a, filtered_block(j, n));
		break;
	case NODE_FILTER_BLOCK:
		builder_add(j, j->out, value_text(j, n, filtered_block(j, n)));
		break;
	case NODE_MACRO:
		assign(j, n->text, (struct jinja_value){.kind = VALUE_MACRO, .macro = n});
		break;
	case NODE_SCOPE:
		run_scope(j, n);
		break;
	case NODE_BREAK:
		j->flow = FLOW_BREAK;
		break;
	case NODE_CONTINUE:
		j->flow = FLOW_CONTINUE;
		break;
	default:
		jinja_fail(j, n, "an expression where a statement belongs");
	}
}

static void run_list(struct jinja *j, const struct jinja_node *n)
{
	j->depth++;
	for (; n && enter(j, n) && j->flow == FLOW_ON; n = n->next)
		run(j, n);
	j->depth--;
}

/* ---- a rendering
 * ----------------------------------------------------------------------------------------------------- */

static void set_global(struct jinja *j, const char *name, struct jinja_value v)
{
	assign(j, (struct jinja_string){name, NULL, strlen(name)}, v);
}

/* mark: as many ones as the longest content has bytes. */
static void set_messages(struct jinja *j, const uint8_t *mark)
{
	struct jinja_value messages = value_new_list(j);
	for (int i = 0; i < j->request->n_message && !j->rc; i++) {
		const struct chat_message *m = &j->request->message[i];
		struct jinja_value message = value_new_dict(j);
		if (j->rc)
			return;
		dict_set(j, message.dict, value_literal("role"), value_literal(m->role));
		dict_set(j, message.dict, value_literal("content"), value_string((struct jinja_string){m->content, mark, m->n_bytes}));
		list_append(j, messages.list, message);
	}
	if (!j->rc)
		set_global(j, "messages", messages);
}

static void set_globals(struct jinja *j, const uint8_t *mark)
{
	set_messages(j, mark);
	if (j->rc)
		return;
	set_global(j, "tools", value_none());
	set_global(j, "documents", value_none());
	set_global(j, "add_generation_prompt", value_bool(true));
	for (int i = 0; i < j->request->n_variable; i++)
		if (j->request->variable[i].text)
			set_global(j, j->request->variable[i].name, value_literal(j->request->variable[i].text));
}

static int copy_out(struct jinja *j, struct jinja_string text, struct jinja_text *out)
{
	*out = (struct jinja_text){malloc(text.n + 1), malloc(text.n + 1), text.n};
	if (!out->text || !out->from_message) {
		free(out->text);
		free(out->from_message);
		*out = (struct jinja_text){0};
		return err_set(j->e, ERR_MEMORY, "chat template: no memory for %zu bytes", text.n);
	}
	memcpy(out->text, text.text, text.n);
	out->text[text.n] = '\0';
	if (text.mark)
		memcpy(out->from_message, text.mark, text.n);
	return 0;
}

int jinja_render(
	const struct jinja_template *t, const struct jinja_request *r, struct jinja_text *out, struct err *e)
{
	*out = (struct jinja_text){0};
	struct jinja_builder text = {0};
	struct jinja j = {.request = r, .out = &text, .e = e};
	size_t longest = 0, bytes = 0;
	for (int i = 0; i < r->n_message; i++) {
		longest = r->message[i].n_bytes > longest ? r->message[i].n_bytes : longest;
		bytes += r->message[i].n_bytes;
	}
	j.arena.limit = ARENA_LIMIT + (bytes < SIZE_MAX / ARENA_SHARE / 2 ? bytes * ARENA_SHARE : 0);
	uint8_t *mark = jinja_take(&j, longest + 1);
	if (mark)
		memset(mark, 1, longest + 1);
	set_globals(&j, mark);
	run_list(&j, t->root->list);
	int rc = j.rc ? j.rc : copy_out(&j, builder_string(&text), out);
	arena_free(&j.arena);
	return rc;
}

/* Expressions, by jinja2's grammar and precedence:
 * if-else < or < and < not < comparison < + - < ~ < * / // % < unary < attribute, item, call < filter, test. */
#include "engine/token/jinja/jinja_parser.h"

void parser_fail(struct parser *p, const char *what, struct jinja_string text)
{
	if (!p->rc)
		p->rc = err_set(p->e, ERR_UNSUPPORTED, "chat template, line %d: %s%s%.*s%s", p->at->line, what,
			text.n ? " \"" : "", (int)(text.n < 60 ? text.n : 60), text.n ? text.text : "", text.n ? "\"" : "");
	p->at = p->stop;
}

void parser_enter(struct parser *p)
{
	if (++p->depth > PARSER_DEPTH)
		parser_fail(p, "too much inside each other", (struct jinja_string){0});
}

struct jinja_node *parser_node(struct parser *p, enum node_kind kind)
{
	struct jinja_node *n = arena_take(p->a, sizeof *n);
	if (!n) {
		if (!p->rc)
			p->rc = err_set(p->e, ERR_MEMORY, "chat template: no memory for its parts");
		p->at = p->stop;
		n = &p->spare;
	}
	*n = (struct jinja_node){.kind = kind, .line = p->at->line};
	return n;
}

bool parser_at_operator(const struct parser *p, const char *op)
{
	return p->at->kind == TOKEN_OPERATOR && string_is(p->at->text, op);
}

bool parser_at_name(const struct parser *p, const char *name)
{
	return p->at->kind == TOKEN_NAME && string_is(p->at->text, name);
}

bool parser_take_operator(struct parser *p, const char *op)
{
	bool found = parser_at_operator(p, op);
	p->at += found;
	return found;
}

bool parser_take_name(struct parser *p, const char *name)
{
	bool found = parser_at_name(p, name);
	p->at += found;
	return found;
}

void parser_expect_operator(struct parser *p, const char *op)
{
	if (!parser_take_operator(p, op))
		parser_fail(p, "missing", (struct jinja_string){op, NULL, strlen(op)});
}

struct jinja_string parser_expect_name(struct parser *p)
{
	struct jinja_string name = p->at->text;
	if (p->at->kind == TOKEN_NAME)
		p->at++;
	else
		parser_fail(p, "a name is missing before", name);
	return name;
}

static struct jinja_node *parse_unary(struct parser *p, bool with_filters);

static struct jinja_node *parse_constant(struct parser *p)
{
	static const struct {
		const char *name;
		enum node_kind kind;
		int number;
	} constants[] = {{"true", NODE_BOOL, 1}, {"True", NODE_BOOL, 1}, {"false", NODE_BOOL, 0},
		{"False", NODE_BOOL, 0}, {"none", NODE_NONE, 0}, {"None", NODE_NONE, 0}};
	struct jinja_node *n = parser_node(p, NODE_NAME);
	n->text = p->at->text;
	for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
		if (string_is(n->text, constants[i].name)) {
			n->kind = constants[i].kind;
			n->number = constants[i].number;
		}
	p->at++;
	return n;
}

/* Neighbouring literals are one string. */
static struct jinja_node *parse_string(struct parser *p)
{
	struct jinja_node *n = parser_node(p, NODE_STRING);
	n->text = p->at->text;
	p->at++;
	while (p->at->kind == TOKEN_STRING) {
		char *joined = arena_take(p->a, n->text.n + p->at->text.n + 1);
		if (!joined) {
			parser_fail(p, "no memory for a string", (struct jinja_string){0});
			break;
		}
		memcpy(joined, n->text.text, n->text.n);
		memcpy(joined + n->text.n, p->at->text.text, p->at->text.n);
		n->text = (struct jinja_string){joined, NULL, n->text.n + p->at->text.n};
		p->at++;
	}
	return n;
}

/* Expressions up to the closing bracket, which is taken. *comma: there was one. */
static struct jinja_node *parse_items(struct parser *p, const char *close, bool *comma)
{
	struct jinja_node *n = parser_node(p, NODE_LIST), **last = &n->list;
	*comma = false;
	while (p->at->kind != TOKEN_STOP && !parser_at_operator(p, close)) {
		*last = parse_expression(p);
		last = &(*last)->next;
		if (!parser_take_operator(p, ","))
			break;
		*comma = true;
	}
	parser_expect_operator(p, close);
	return n;
}

static struct jinja_node *parse_dict(struct parser *p)
{
	struct jinja_node *n = parser_node(p, NODE_DICT), **last = &n->list;
	while (p->at->kind != TOKEN_STOP && !parser_at_operator(p, "}")) {
		*last = parser_node(p, NODE_ENTRY);
		(*last)->a = parse_expression(p);
		parser_expect_operator(p, ":");
		(*last)->b = parse_expression(p);
		last = &(*last)->next;
		if (!parser_take_operator(p, ","))
			break;
	}
	parser_expect_operator(p, "}");
	return n;
}

static struct jinja_node *parse_primary(struct parser *p)
{
	struct jinja_node *n;
	bool comma;
	switch (p->at->kind) {
	case TOKEN_NAME:
		return parse_constant(p);
	case TOKEN_STRING:
		return parse_string(p);
	case TOKEN_INTEGER:
	case TOKEN_FLOAT:
		n = parser_node(p, p->at->kind == TOKEN_FLOAT ? NODE_FLOAT : NODE_INTEGER);
		n->number = p->at->number;
		p->at++;
		return n;
	default:
		break;
	}
	if (parser_take_operator(p, "(")) {
		n = parse_items(p, ")", &comma);
		return comma || !n->list ? n : n->list;
	}
	if (parser_take_operator(p, "["))
		return parse_items(p, "]", &comma);
	if (parser_take_operator(p, "{"))
		return parse_dict(p);
	parser_fail(p, "an expression is missing", p->at->text);
	return parser_node(p, NODE_NONE);
}

/* a[b], a[b:c:d]; the bracket is taken. */
static struct jinja_node *parse_subscript(struct parser *p, struct jinja_node *operand)
{
	struct jinja_node *n = parser_node(p, NODE_ITEM), *part[3] = {0};
	int n_part = 0;
	n->a = operand;
	for (bool more = true; more && n_part < 3; n_part++) {
		if (!parser_at_operator(p, ":") && !parser_at_operator(p, "]"))
			part[n_part] = parse_expression(p);
		more = parser_take_operator(p, ":");
		if (more)
			n->kind = NODE_SLICE;
	}
	parser_expect_operator(p, "]");
	n->b = part[0];
	n->c = part[1];
	n->other = part[2];
	if (n->kind == NODE_ITEM && !n->b)
		parser_fail(p, "an index is missing", (struct jinja_string){0});
	return n;
}

/* ( a, name=b ); the opening bracket is taken. */
static struct jinja_node *parse_arguments(struct parser *p)
{
	struct jinja_node *first = NULL, **last = &first;
	while (p->at->kind != TOKEN_STOP && !parser_at_operator(p, ")")) {
		struct jinja_node *n = *last = parser_node(p, NODE_ARGUMENT);
		if (p->at->kind == TOKEN_NAME && p->at[1].kind == TOKEN_OPERATOR && string_is(p->at[1].text, "=")) {
			n->text = p->at->text;
			p->at += 2;
		}
		n->a = parse_expression(p);
		last = &n->next;
		if (!parser_take_operator(p, ","))
			break;
	}
	parser_expect_operator(p, ")");
	return first;
}

static struct jinja_node *parse_postfix(struct parser *p, struct jinja_node *n)
{
	for (;;) {
		struct jinja_node *outer;
		if (parser_take_operator(p, ".")) {
			bool index = p->at->kind == TOKEN_INTEGER;
			outer = parser_node(p, index ? NODE_ITEM : NODE_ATTRIBUTE);
			outer->a = n;
			if (index)
				outer->b = parse_primary(p);
			else
				outer->text = parser_expect_name(p);
		} else if (parser_take_operator(p, "[")) {
			outer = parse_subscript(p, n);
		} else if (parser_take_operator(p, "(")) {
			outer = parser_node(p, NODE_CALL);
			outer->a = n;
			outer->list = parse_arguments(p);
		} else {
			return n;
		}
		n = outer;
	}
}

/* What follows "is": [not] name [argument]. */
static struct jinja_node *parse_test(struct parser *p, struct jinja_node *operand)
{
	bool negated = parser_take_name(p, "not");
	struct jinja_node *n = parser_node(p, NODE_TEST);
	n->a = operand;
	n->text = parser_expect_name(p);
	if (parser_take_operator(p, "(")) {
		n->list = parse_arguments(p);
	} else if ((p->at->kind == TOKEN_NAME && !parser_at_name(p, "else") && !parser_at_name(p, "or") &&
				   !parser_at_name(p, "and") && !parser_at_name(p, "is")) ||
		p->at->kind == TOKEN_STRING || p->at->kind == TOKEN_INTEGER || p->at->kind == TOKEN_FLOAT ||
		parser_at_operator(p, "[") || parser_at_operator(p, "{")) {
		n->list = parser_node(p, NODE_ARGUMENT);
		n->list->a = parse_postfix(p, parse_primary(p));
	}
	if (parser_at_name(p, "is"))
		parser_fail(p, "a test of a test", (struct jinja_string){0});
	if (!negated)
		return n;
	struct jinja_node *not = parser_node(p, NODE_NOT);
	not ->a = n;
	return not ;
}

struct jinja_node *parse_filter(struct parser *p, struct jinja_node *operand)
{
	struct jinja_node *n = parser_node(p, NODE_FILTER);
	n->a = operand;
	n->text = parser_expect_name(p);
	if (parser_take_operator(p, "("))
		n->list = parse_arguments(p);
	return n;
}

static struct jinja_node *parse_filters(struct parser *p, struct jinja_node *n)
{
	for (;;) {
		if (parser_take_operator(p, "|")) {
			n = parse_filter(p, n);
		} else if (parser_take_name(p, "is")) {
			n = parse_test(p, n);
		} else if (parser_take_operator(p, "(")) {
			struct jinja_node *call = parser_node(p, NODE_CALL);
			call->a = n;
			call->list = parse_arguments(p);
			n = call;
		} else {
			return n;
		}
	}
}

static struct jinja_node *parse_unary(struct parser *p, bool with_filters)
{
	struct jinja_node *n;
	parser_enter(p);
	if (parser_take_operator(p, "-")) {
		n = parser_node(p, NODE_NEGATE);
		n->a = parse_unary(p, false);
	} else if (parser_take_operator(p, "+")) {
		n = parse_unary(p, false);
	} else {
		n = parse_primary(p);
	}
	n = parse_postfix(p, n);
	if (with_filters)
		n = parse_filters(p, n);
	if (parser_at_operator(p, "**"))
		parser_fail(p, "the operator ** is not there", (struct jinja_string){0});
	p->depth--;
	return n;
}

/* Left-associative operators, loosest first. */
static struct jinja_node *parse_binary(struct parser *p, int level)
{
	static const char *const operators[3][5] = {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}};
	if (level == 3)
		return parse_unary(p, true);
	struct jinja_node *n = parse_binary(p, level + 1);
	for (int i = 0; operators[level][i];) {
		if (!parser_at_operator(p, operators[level][i])) {
			i++;
			continue;
		}
		struct jinja_node *outer = parser_node(p, NODE_BINARY);
		outer->text = p->at->text;
		p->at++;
		outer->a = n;
		outer->b = parse_binary(p, level + 1);
		n = outer;
		i = 0;
	}
	return n;
}

/* The comparison at hand, "in" and "not in" among them; taken. False when there is none. */
static bool take_comparison(struct parser *p, struct jinja_string *op)
{
	static const char *const known[] = {"==", "!=", "<", "<=", ">", ">="};
	*op = p->at->text;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (parser_take_operator(p, known[i]))
			return true;
	if (parser_take_name(p, "in"))
		return true;
	if (!parser_at_name(p, "not") || p->at[1].kind != TOKEN_NAME || !string_is(p->at[1].text, "in"))
		return false;
	p->at += 2;
	return true;
}

static struct jinja_node *parse_comparison(struct parser *p)
{
	struct jinja_node *n = parse_binary(p, 0), *compare = NULL, **last = NULL;
	struct jinja_string op;
	while (take_comparison(p, &op)) {
		if (!compare) {
			compare = parser_node(p, NODE_COMPARE);
			compare->a = n;
			last = &compare->list;
		}
		*last = parser_node(p, NODE_COMPARE_PART);
		(*last)->text = op;
		(*last)->a = parse_binary(p, 0);
		last = &(*last)->next;
	}
	return compare ? compare : n;
}

static struct jinja_node *parse_not(struct parser *p)
{
	if (!parser_take_name(p, "not"))
		return parse_comparison(p);
	struct jinja_node *n = parser_node(p, NODE_NOT);
	parser_enter(p);
	n->a = parse_not(p);
	p->depth--;
	return n;
}

static struct jinja_node *parse_and(struct parser *p)
{
	struct jinja_node *n = parse_not(p);
	while (parser_take_name(p, "and")) {
		struct jinja_node *outer = parser_node(p, NODE_AND);
		outer->a = n;
		outer->b = parse_not(p);
		n = outer;
	}
	return n;
}

struct jinja_node *parse_or(struct parser *p)
{
	struct jinja_node *n = parse_and(p);
	while (parser_take_name(p, "or")) {
		struct jinja_node *outer = parser_node(p, NODE_OR);
		outer->a = n;
		outer->b = parse_and(p);
		n = outer;
	}
	return n;
}

struct jinja_node *parse_expression(struct parser *p)
{
	struct jinja_node *n = parse_or(p);
	while (parser_take_name(p, "if")) {
		struct jinja_node *outer = parser_node(p, NODE_CONDITION);
		outer->a = n;
		outer->b = parse_or(p);
		parser_enter(p);
		if (parser_take_name(p, "else"))
			outer->c = parse_expression(p);
		p->depth--;
		n = outer;
	}
	return n;
}

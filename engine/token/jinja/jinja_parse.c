/* Tokens to a tree: statements and what stands between them. Expressions are jinja_expression.c's. */
#include <stdlib.h>

#include "engine/token/jinja/jinja_parser.h"

enum { ARENA_LIMIT = 64 << 20 };

static void expect(struct parser *p, enum token_kind kind, const char *what)
{
	if (p->at->kind == kind)
		p->at++;
	else
		parser_fail(p, what, p->at->text);
}

static struct jinja_node *parse_until(struct parser *p, const char *const *ends);

/* The body of a statement whose opening tag has been read up to its end. p is left at the name that ended it. */
static struct jinja_node *parse_body(struct parser *p, const char *const *ends)
{
	expect(p, TOKEN_BLOCK_END, "a tag does not end before");
	return parse_until(p, ends)->list;
}

/* The same for a body whose rendering is kept and not put out: what a break out of it would leave behind is
 * nobody's guess. */
static struct jinja_node *parse_kept_body(struct parser *p, const char *const *ends)
{
	int loops = p->loops;
	p->loops = 0;
	struct jinja_node *list = parse_body(p, ends);
	p->loops = loops;
	return list;
}

static struct jinja_node *parse_if(struct parser *p)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL}, *const end[] = {"endif", NULL};
	struct jinja_node *first = parser_node(p, NODE_IF), *n = first;
	n->a = parse_or(p);
	n->list = parse_body(p, ends);
	while (parser_take_name(p, "elif")) {
		n->b = parser_node(p, NODE_BLOCK);
		n = n->b->list = parser_node(p, NODE_IF);
		n->a = parse_or(p);
		n->list = parse_body(p, ends);
	}
	if (parser_take_name(p, "else")) {
		n->b = parser_node(p, NODE_BLOCK);
		n->b->list = parse_body(p, end);
	}
	parser_take_name(p, "endif");
	return first;
}

/* name, name.attribute, or names with commas (as a list). */
static struct jinja_node *parse_target(struct parser *p, bool attribute)
{
	struct jinja_node *n = parser_node(p, NODE_NAME);
	n->text = parser_expect_name(p);
	if (attribute && parser_take_operator(p, ".")) {
		struct jinja_node *outer = parser_node(p, NODE_ATTRIBUTE);
		outer->a = n;
		outer->text = parser_expect_name(p);
		return outer;
	}
	if (!parser_at_operator(p, ","))
		return n;
	struct jinja_node *list = parser_node(p, NODE_LIST), **last = &n->next;
	list->list = n;
	while (parser_take_operator(p, ",")) {
		*last = parser_node(p, NODE_NAME);
		(*last)->text = parser_expect_name(p);
		last = &(*last)->next;
	}
	return list;
}

static struct jinja_node *parse_for(struct parser *p)
{
	static const char *const ends[] = {"else", "endfor", NULL}, *const end[] = {"endfor", NULL};
	struct jinja_node *n = parser_node(p, NODE_FOR);
	n->a = parse_target(p, false);
	if (!parser_take_name(p, "in"))
		parser_fail(p, "a for without in before", p->at->text);
	n->b = parse_or(p);
	if (parser_take_name(p, "if"))
		n->c = parse_expression(p);
	parser_take_name(p, "recursive"); /* calling the loop fails when it is done */
	p->loops++;
	n->list = parse_body(p, ends);
	p->loops--;
	if (parser_take_name(p, "else")) {
		n->other = parser_node(p, NODE_BLOCK);
		n->other->list = parse_body(p, end);
	}
	parser_take_name(p, "endfor");
	return n;
}

static struct jinja_node *parse_set(struct parser *p)
{
	static const char *const end[] = {"endset", NULL};
	struct jinja_node *n = parser_node(p, NODE_SET);
	n->a = parse_target(p, true);
	if (parser_take_operator(p, "=")) {
		n->b = parse_expression(p);
		if (parser_at_operator(p, ",")) {
			struct jinja_node *list = parser_node(p, NODE_LIST), **last = &n->b->next;
			list->list = n->b;
			for (; parser_take_operator(p, ","); last = &(*last)->next)
				*last = parse_expression(p);
			n->b = list;
		}
		return n;
	}
	n->kind = NODE_SET_BLOCK;
	while (parser_take_operator(p, "|"))
		n->b = parse_filter(p, n->b);
	n->list = parse_kept_body(p, end);
	parser_take_name(p, "endset");
	return n;
}

static struct jinja_node *parse_filter_block(struct parser *p)
{
	static const char *const end[] = {"endfilter", NULL};
	struct jinja_node *n = parser_node(p, NODE_FILTER_BLOCK);
	do
		n->b = parse_filter(p, n->b);
	while (parser_take_operator(p, "|"));
	n->list = parse_kept_body(p, end);
	parser_take_name(p, "endfilter");
	return n;
}

static struct jinja_node *parse_macro(struct parser *p)
{
	static const char *const end[] = {"endmacro", NULL};
	struct jinja_node *n = parser_node(p, NODE_MACRO), **last;
	n->text = parser_expect_name(p);
	parser_expect_operator(p, "(");
	n->a = parser_node(p, NODE_LIST);
	last = &n->a->list;
	while (p->at->kind != TOKEN_STOP && !parser_at_operator(p, ")")) {
		*last = parser_node(p, NODE_ARGUMENT);
		(*last)->text = parser_expect_name(p);
		if (parser_take_operator(p, "="))
			(*last)->a = parse_expression(p);
		last = &(*last)->next;
		if (!parser_take_operator(p, ","))
			break;
	}
	parser_expect_operator(p, ")");
	n->list = parse_kept_body(p, end);
	parser_take_name(p, "endmacro");
	return n;
}

/* transformers' own tag: marks what the assistant wrote, renders as what is inside. */
static struct jinja_node *parse_generation(struct parser *p)
{
	static const char *const end[] = {"endgeneration", NULL};
	struct jinja_node *n = parser_node(p, NODE_SCOPE);
	n->list = parse_kept_body(p, end);
	parser_take_name(p, "endgeneration");
	return n;
}

static struct jinja_node *parse_loop_control(struct parser *p, enum node_kind kind)
{
	if (!p->loops)
		parser_fail(p, "break or continue outside a loop", (struct jinja_string){0});
	return parser_node(p, kind);
}

static struct jinja_node *parse_statement(struct parser *p)
{
	struct jinja_string name = parser_expect_name(p);
	struct jinja_node *n = NULL;
	parser_enter(p);
	if (string_is(name, "if"))
		n = parse_if(p);
	else if (string_is(name, "for"))
		n = parse_for(p);
	else if (string_is(name, "set"))
		n = parse_set(p);
	else if (string_is(name, "filter"))
		n = parse_filter_block(p);
	else if (string_is(name, "macro"))
		n = parse_macro(p);
	else if (string_is(name, "generation"))
		n = parse_generation(p);
	else if (string_is(name, "break"))
		n = parse_loop_control(p, NODE_BREAK);
	else if (string_is(name, "continue"))
		n = parse_loop_control(p, NODE_CONTINUE);
	else
		parser_fail(p, "no tag of this name:", name);
	p->depth--;
	expect(p, TOKEN_BLOCK_END, "a tag does not end before");
	return n ? n : parser_node(p, NODE_BLOCK);
}

static bool is_end(const struct parser *p, const char *const *ends)
{
	for (; *ends; ends++)
		if (p->at[1].kind == TOKEN_NAME && string_is(p->at[1].text, *ends))
			return true;
	return false;
}

static struct jinja_node *parse_until(struct parser *p, const char *const *ends)
{
	struct jinja_node *block = parser_node(p, NODE_BLOCK), **last = &block->list;
	while (p->at->kind != TOKEN_STOP) {
		if (p->at->kind == TOKEN_DATA) {
			*last = parser_node(p, NODE_DATA);
			(*last)->text = p->at->text;
			p->at++;
		} else if (p->at->kind == TOKEN_OUTPUT_BEGIN) {
			p->at++;
			*last = parser_node(p, NODE_OUTPUT);
			(*last)->a = parse_expression(p);
			expect(p, TOKEN_OUTPUT_END, "an expression does not end before");
		} else if (is_end(p, ends)) {
			p->at++;
			return block;
		} else {
			p->at++;
			*last = parse_statement(p);
		}
		last = &(*last)->next;
	}
	for (; *ends; ends++)
		if (!ends[1]) /* the tag that must come, behind those that may */
			parser_fail(p, "the source ends before the tag", (struct jinja_string){*ends, NULL, strlen(*ends)});
	return block;
}

int jinja_parse(struct jinja_template **out, const char *source, size_t n, struct err *e)
{
	static const char *const none[] = {NULL};
	*out = NULL;
	struct jinja_template *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_MEMORY, "chat template: no memory");
	t->arena.limit = ARENA_LIMIT;
	struct jinja_token *token;
	int rc = jinja_lex(&t->arena, source, n, &token, e);
	if (!rc) {
		struct parser p = {.a = &t->arena, .at = token, .stop = token, .e = e};
		while (p.stop->kind != TOKEN_STOP)
			p.stop++;
		t->root = parse_until(&p, none);
		rc = p.rc;
	}
	if (rc) {
		jinja_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void jinja_free(struct jinja_template *t)
{
	if (!t)
		return;
	arena_free(&t->arena);
	free(t);
}

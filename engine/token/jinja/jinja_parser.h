/* What the two halves of the parser share: the stream of tokens and how it is read. */
#ifndef KVGLASS_ENGINE_TOKEN_JINJA_PARSER_H
#define KVGLASS_ENGINE_TOKEN_JINJA_PARSER_H

#include "engine/token/jinja/jinja_tree.h"

enum { PARSER_DEPTH = 200 };

struct parser {
	struct arena *a;
	const struct jinja_token *at, *stop;
	int depth, loops;
	int rc; /* the first failure; the rest of the source is skipped then, so that every loop ends */
	struct jinja_node spare; /* what a node is when memory is out */
	struct err *e;
};

void parser_fail(struct parser *p, const char *what, struct jinja_string text);
void parser_enter(struct parser *p); /* one level deeper, PARSER_DEPTH at most; p->depth-- leaves it */
struct jinja_node *parser_node(struct parser *p, enum node_kind kind);
bool parser_at_operator(const struct parser *p, const char *op);
bool parser_at_name(const struct parser *p, const char *name);
bool parser_take_operator(struct parser *p, const char *op); /* steps over it if it is there */
bool parser_take_name(struct parser *p, const char *name);
void parser_expect_operator(struct parser *p, const char *op);
struct jinja_string parser_expect_name(struct parser *p);

struct jinja_node *parse_expression(struct parser *p);
struct jinja_node *parse_or(struct parser *p); /* an expression without a trailing if-else */
struct jinja_node *parse_filter(struct parser *p, struct jinja_node *operand); /* name(arguments) behind a "|" */

#endif

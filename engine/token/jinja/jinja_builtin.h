/* What the files of filters, methods, tests and functions share. */
#ifndef KVGLASS_ENGINE_TOKEN_JINJA_BUILTIN_H
#define KVGLASS_ENGINE_TOKEN_JINJA_BUILTIN_H

#include "engine/token/jinja/jinja_value.h"

struct jinja_builtin {
	const char *name; /* NULL ends a table */
	struct jinja_value (*function)(struct jinja_call *c);
};
/* A filter's operand or a method's object is c->self. */
extern const struct jinja_builtin string_filters[], string_methods[]; /* jinja_string.c */
extern const struct jinja_builtin list_filters[], dict_methods[];     /* jinja_list.c */

/* Ends the rendering with the filter's or method's name, `what` and the kind of its operand. */
struct jinja_value call_failed(struct jinja_call *c, const char *what);
/* The argument at a position or by its name, NULL when it is not given. */
const struct jinja_value *call_argument(const struct jinja_call *c, int position, const char *name);
/* Text of a string argument; fails when it is something else, *given false when it is absent or none. */
struct jinja_string call_text(struct jinja_call *c, int position, const char *name, bool *given);
/* The items joined as texts; with texts_only, none of them may be anything else. */
struct jinja_value call_join(
	struct jinja_call *c, const struct jinja_list *items, struct jinja_string between, bool texts_only);

#endif

/* Jinja, as far as chat templates use it for plain messages: what the reference (transformers: jinja2 3.1,
 * sandboxed, trim_blocks and lstrip_blocks, with raise_exception and strftime_now) renders, byte for byte, or an
 * error. Nothing is guessed: a tag, filter, test, method or operator that is not here ends the rendering with its
 * name and line when it is reached.
 *
 * Here: output, comments, raw, if, for (filter, else, loop.*, break, continue), set (names, tuples, namespace
 * attributes, blocks), macros, filter and generation blocks; all expressions but floats and **; white space
 * control; the filters, tests and methods listed in jinja_builtin.c.
 *
 * Every byte that comes from a message's content is marked as such through concatenation, slicing, trimming and replacing.
 */
#ifndef KVGLASS_ENGINE_TOKEN_JINJA_H
#define KVGLASS_ENGINE_TOKEN_JINJA_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "engine/chat_message.h"
#include "engine/err.h"

struct jinja_template; /* immutable, may be shared by threads */

/* source: valid UTF-8, not kept. */
int jinja_parse(struct jinja_template **out, const char *source, size_t n, struct err *e);
void jinja_free(struct jinja_template *t); /* NULL is allowed */

struct jinja_request {
	const struct chat_message *message; /* (n_message) */
	int n_message;
	const struct jinja_variable {
		const char *name, *text; /* text NULL: not defined */
	} * variable; /* (n_variable) besides messages, add_generation_prompt (true), tools and documents (none) */
	int n_variable;
	time_t now; /* strftime_now: local time, in the C locale whatever the program's is */
};
struct jinja_text {
	char *text;
	uint8_t *from_message; /* (n) 1 for bytes of a message's content */
	size_t n;
};
/* out is owned by the caller (free both). ERR_UNSUPPORTED for what the template asks and this is not, or what it
 * raises. */
int jinja_render(
	const struct jinja_template *t, const struct jinja_request *r, struct jinja_text *out, struct err *e);

#endif

/* Whatever the template: parsing and rendering end, in bounds, and mark no more bytes than the message gave.
 * The input is a template, then, behind the first NUL, a message. */
#include <stdlib.h>
#include <string.h>

#include "engine/token/jinja/jinja.h"
#include "engine/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct jinja_variable variable[] = {{"bos_token", "<s>"}, {"eos_token", NULL}};
	const char *text = (const char *)data, *end = size ? memchr(text, '\0', size) : NULL;
	size_t n = end ? (size_t)(end - text) : size, n_message = end ? size - n - 1 : 0;
	const struct chat_message message = {"user", end ? end + 1 : "", n_message};
	struct jinja_request r = {
		.message = &message, .n_message = 1, .variable = variable, .n_variable = 2};
	struct jinja_template *t;
	struct jinja_text out;
	struct err e = {ERR_NONE, ""};
	if (utf8_first_invalid(text, n) < n || utf8_first_invalid(message.content, n_message) < n_message)
		return 0;
	if (jinja_parse(&t, text, n, &e)) {
		if (t || !*e.text)
			abort();
		return 0;
	}
	if (jinja_render(t, &r, &out, &e)) {
		if (out.text || !*e.text)
			abort();
	} else {
		if (utf8_first_invalid(out.text, out.n) < out.n || (n_message == 0 && memchr(out.from_message, 1, out.n)))
			abort();
		free(out.text);
		free(out.from_message);
	}
	jinja_free(t);
	return 0;
}

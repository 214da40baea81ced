/* Model and prompt as the command line names them. */
#ifndef KVGLASS_TUI_COMMAND_PROMPT_H
#define KVGLASS_TUI_COMMAND_PROMPT_H

#include "engine/engine.h"
#include "tui/command/options.h"

/* -m is there; -f and -p are not both there; --chat and --raw are not both there. */
int prompt_check(const struct options *o, bool needed, struct err *e);

struct prompt {
	char *text;        /* owned; n_bytes and a NUL that is not counted */
	size_t n_bytes;
	const char *name;  /* file name, or "the prompt"; for messages */
};
/* Reads -f or copies -p. An empty prompt is refused here, by name. */
int prompt_read(struct prompt *out, const struct options *o, struct err *e);
void prompt_free(struct prompt *p); /* safe on a zeroed struct */
/* Reads a text file such as --response names; - is standard input. What is not valid UTF-8 is refused with the byte. */
int prompt_read_file(char **text, size_t *n_bytes, const char *path, struct err *e);

enum prompt_mode prompt_mode_of(const struct options *o);
struct model_options prompt_model_options(const struct options *o);
/* Opens -m as these options say; a wish that could not be met (--precision bf16 on a processor without) is remarked on standard error. */
int prompt_open_model(struct model **out, const struct options *o, struct err *e);

#endif

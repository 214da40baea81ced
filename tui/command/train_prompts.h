/* Prompts of a training run: files of plain text or JSONL, as token ids. */
#ifndef KVGLASS_TUI_COMMAND_TRAIN_PROMPTS_H
#define KVGLASS_TUI_COMMAND_TRAIN_PROMPTS_H

#include "engine/engine.h"
#include "tui/command/options.h"

struct train_prompt {
	char *text; /* owned */
	size_t n_bytes;
	struct token_list tokens;
	struct token_list response; /* given; n is 0 when there is none */
	bool has_response;
	char from[200]; /* "news.jsonl line 12" */
};
struct train_prompts {
	struct train_prompt *item;
	int n, capacity;
	int n_left_out;
	char first_reason[300]; /* why the first of those left out was */
};
/* Reads every file of the list. A prompt that is too long (tokens and response beyond `longest` or the model's context) or too short
 * to have candidates is left out and counted; a file that cannot be read or a line that is no JSON object with a `prompt` is an error. */
int train_prompts_read(struct train_prompts *out, const struct model *m, const struct option_texts *files, const struct options *o,
	struct err *e);
void train_prompts_free(struct train_prompts *p); /* safe on a zeroed struct */

#endif

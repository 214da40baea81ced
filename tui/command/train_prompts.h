/* Prompts of a training run: files of plain text or JSONL, as token ids. */
#ifndef KVGLASS_TUI_COMMAND_TRAIN_PROMPTS_H
#define KVGLASS_TUI_COMMAND_TRAIN_PROMPTS_H

#include "engine/engine.h"
#include "tui/command/options.h"

struct train_prompt {
	char *text; /* owned; or NULL: */
	size_t n_bytes;
	struct chat_message *message; /* a conversation of n_message turns, owned with its texts */
	int n_message;
	struct token_list tokens;
	struct token_list response; /* given; n is 0 when there is none */
	bool has_response;
	char from[200]; /* "news.jsonl line 12" */
};

enum prompt_fault { PROMPT_SHORT, PROMPT_LONG, PROMPT_BEYOND_CONTEXT, PROMPT_NO_RESPONSE, N_PROMPT_FAULT };
struct train_prompts {
	struct train_prompt *item;
	int n, capacity;
	struct {
		int n;
		char first[220]; /* which, and how many tokens */
	} left_out[N_PROMPT_FAULT];
};
/* Reads every file of the list. A line of JSONL is an object with a text "prompt" or a list "messages" (objects of "role" and "content"; a
 * last one of the assistant is the response), and perhaps a text "response". A prompt that is too long (tokens and response beyond --longest
 * or the model's context) or too short to have candidates is left out and counted; a file that cannot be read or a line of another
 * form is an error. */
int train_prompts_read(struct train_prompts *out, const struct model *m, const struct option_texts *files, const struct options *o,
	struct err *e);
int train_prompts_n_left_out(const struct train_prompts *p);
/* "58 are longer than --longest 2048 tokens (first: news.jsonl line 42, 2630 tokens), 3 ...": why prompts are left out. */
void train_prompts_faults(const struct train_prompts *p, const struct options *o, char *out, size_t n_out);
void train_prompts_free(struct train_prompts *p); /* safe on a zeroed struct */

#endif

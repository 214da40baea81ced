/* Choosing words of the answer: truth becomes what THOSE words read (analysis/words.h), an errand to the session that
 * the run has left. The choice belongs to the program; the Text screen shows it and moves in it.
 */
#ifndef KVGLASS_TUI_WORDS_H
#define KVGLASS_TUI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app;
struct snapshot;

struct word_choice { /* zeroed: nothing is chosen */
	bool choosing;   /* keys of the Text screen move in the answer */
	int at;          /* response token under the cursor, counted from 0 */
	int n;           /* tokens of the response it was made for */
	uint8_t *chosen; /* (n) 1: chosen */
};

void words_free(struct word_choice *w);
/* Into the answer, or back to the prompt. Says why when there is no answer. */
void words_enter(struct app *app);
void words_leave(struct app *app);
/* By tokens, and to one. */
void words_move(struct app *app, int by);
void words_go(struct app *app, int at);
/* The whole word that holds the token under the cursor: chosen, or no longer. */
void words_toggle(struct app *app);
bool words_is_chosen(const struct app *app, int at);
int words_count(const struct app *app); /* tokens chosen */

/* Runs the chosen rows again; none or all chosen: the whole answer. Truth is replaced when they are there. */
void words_apply(struct app *app);
/* Truth from the whole answer again. */
void words_all(struct app *app);

/* "5 chosen rows of 128: 'harbour ledger'" of what is shown; false: truth is from the whole answer. */
bool words_say_truth(const struct snapshot *s, char *out, size_t out_bytes);

#endif

/* A live training as the screen and the runner's thread both see it: its history, and whether it is to go on. Counted. */
#ifndef KVGLASS_TUI_VIEW_SCHOOL_H
#define KVGLASS_TUI_VIEW_SCHOOL_H

#include <stdbool.h>

#include "analysis/inspect.h"

struct school;

enum { SCHOOL_MAX_STEPS = 4096, SCHOOL_TEXT = 200 };

struct school_view { /* a copy of the state */
	bool running;
	int n_step;     /* made since the start */
	int n_loss;     /* entries of loss: the newest SCHOOL_MAX_STEPS steps */
	double loss[SCHOOL_MAX_STEPS];
	double seconds; /* of the last step */
	double rate;
	char on[SCHOOL_TEXT];      /* "this prompt", "24 prompts of news.jsonl" */
	char stopped[SCHOOL_TEXT]; /* why it stopped by itself; "" */
};

struct school *school_new(void); /* NULL: out of memory */
struct school *school_ref(struct school *s);
void school_unref(struct school *s); /* NULL is allowed */
void school_look(struct school *s, struct school_view *out);

/* The screen's side. */
void school_want(struct school *s, bool run);
/* The runner's. */
bool school_wanted(struct school *s);
void school_set_running(struct school *s, bool running);
void school_set_text(struct school *s, const char *on, const char *stopped); /* NULL: as it is */
void school_add(struct school *s, double loss, double seconds, double rate);
void school_rewind(struct school *s);
/* The rows of the newest step, to be taken by the screen: both take over what is handed out. NULL: nothing new. */
void school_give_rows(struct school *s, struct inspect_rows *rows);
struct inspect_rows *school_take_rows(struct school *s);

#endif

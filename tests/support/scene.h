/* The program without a terminal, for tests: opened over a capture or a tiny model, and worked by keys. */
#ifndef KVGLASS_TESTS_SUPPORT_SCENE_H
#define KVGLASS_TESTS_SUPPORT_SCENE_H

#include "tui/app.h"

struct scene { /* zeroed, but for the options, before it is opened */
	struct app app;
	struct grid grid;
	struct screen_options options;
	char capture[600]; /* file that it was opened with, or the model's */
};

extern const struct theme scene_plain; /* every colour and character, dark */

/* With the options that s holds; what they order is done and the first frame is drawn. */
void scene_open(struct scene *s, const struct theme *theme, int rows, int cols);
/* A synthetic capture of five layers, from a file. */
void scene_open_synthetic(struct scene *s, const struct theme *theme, int n_prompt, int n_response, int n_head, int n_kv_head);
/* The start screen with a tiny model in its form. */
void scene_open_start(struct scene *s);
/* A prompt that has been run on a tiny model, as o says (raw text, one thread, a window of 8 rows); modules: a file, or NULL. */
void scene_open_run(struct scene *s, const char *prompt, const struct measure_options *o, const char *modules);
void scene_close(struct scene *s);

/* An action, then everything that follows from it; drawn. */
void scene_act(struct scene *s, enum action_id action);
void scene_press(struct scene *s, const char *key); /* "Tab", "^R", "q" */
void scene_type(struct scene *s, const char *text);
void scene_perform(struct scene *s, const char *line); /* on the line that : opens */
/* From the start screen: a typed prompt, run to its end. */
void scene_run_typed(struct scene *s);
/* Does the text stand in a line of the frame that was drawn last? */
bool scene_shows(const struct scene *s, const char *text);

/* Without a program around it: what the worker makes of a synthetic capture, under a preset or (NULL) the common protocol. */
const struct snapshot *scene_snapshot(int n_layer, int n_prompt, int n_response, const char *preset);

#endif

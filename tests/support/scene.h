/* The program without a terminal, for tests: opened over a capture or a tiny model, and worked by keys. */
#ifndef KVGLASS_TESTS_SUPPORT_SCENE_H
#define KVGLASS_TESTS_SUPPORT_SCENE_H

#include "tui/app.h"

struct scene {
	struct app app;
	struct grid grid; /* 24 x 80 */
	struct screen_options options;
	char capture[600]; /* file that it was opened with, or the model's */
};

extern const struct theme scene_plain; /* every colour and character, dark */

/* With the options that s holds; the first frame is drawn. */
void scene_open(struct scene *s, const struct theme *theme);
/* A synthetic capture of five layers, from a file. */
void scene_open_synthetic(struct scene *s, const struct theme *theme, int n_prompt, int n_response, int n_head, int n_kv_head);
/* The start screen with a tiny model in its form. */
void scene_open_start(struct scene *s);
void scene_close(struct scene *s);

void scene_press(struct scene *s, const char *key); /* "Tab", "^R", "q" */
void scene_type(struct scene *s, const char *text);
void scene_perform(struct scene *s, const char *line); /* on the line that : opens */
/* From the start screen: a typed prompt, run to its end. */
void scene_run_typed(struct scene *s);

#endif

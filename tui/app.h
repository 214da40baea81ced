/* The program without a terminal: state, what actions do to it, and drawing it into a grid. The same for a person
 * at a terminal (tui/screen.c) and for a script (tui/script.c).
 *
 * app.c opens, draws and serves views; app_act.c is what actions, keys and the mouse do; app_line.c is the line at the
 * bottom; app_news.c takes what the worker has.
 */
#ifndef KVGLASS_TUI_APP_H
#define KVGLASS_TUI_APP_H

#include "tui/line/ask.h"
#include "tui/difference.h"
#include "tui/line/field.h"
#include "tui/line/history.h"
#include "tui/switches.h"
#include "tui/look.h"
#include "tui/pair.h"
#include "tui/results.h"
#include "tui/screen.h"
#include "tui/draw/theme.h"
#include "tui/view.h"
#include "tui/view/panel_options.h"
#include "tui/words.h"
#include "tui/worker/errand.h"
#include "tui/worker/worker.h"

enum view_index {
	VIEW_START, VIEW_MAPS, VIEW_TEXT, VIEW_HEADS, VIEW_CURVES, VIEW_EVICTION, VIEW_MODULES, VIEW_TOKEN, VIEW_REGIONS,
	VIEW_PAIR, VIEW_HELP, N_VIEW
};

enum question { ASK_NOTHING, ASK_LEAVE, ASK_REPLACE_RUN, ASK_OVERWRITE, ASK_COPY, ASK_CPU };

struct app {
	const struct screen_options *options;
	struct theme theme;
	struct worker *worker;
	struct worker_state work; /* as last taken */
	struct look look;
	struct differences differences; /* what the look's method misses, saves, wastes */
	struct two_captures pair; /* with a second capture */
	struct word_choice words; /* of the answer, chosen for truth */
	enum view_index view, under_help, root; /* root: where back means leaving */
	enum view_index under_detail; /* where the views of a token and of regions go back to */
	bool by_escape;   /* the action comes from the Esc key, which goes back but never leaves */
	bool from_result; /* the start screen was called from a result: back goes there */
	void *state[N_VIEW];
	struct panel panel;
	unsigned help_bit; /* where help was called from */

	/* settings, and what of them the result that is shown is evaluated under */
	struct switches switches;
	bool settings_changed; /* since the program began: the next run takes them from there */
	struct in_force in_force;
	char *clipboard; /* text for the terminal's clipboard, to be taken; or NULL */
	bool edit;       /* the prompt is to be given to the user's editor */
	bool reopen; /* colours, characters or background were changed: the terminal is to be opened anew */
	int rows, cols;

	/* one line at the bottom */
	char message[640];
	enum role message_role;
	enum question question;
	char question_text[320];
	char refusal[512]; /* with ASK_CPU: why the device failed */
	const struct ask *line; /* what is being asked for, or NULL */
	struct field line_field;
	char line_names[400]; /* completion's list */
	struct history history;

	/* the run and its file */
	bool from_run;          /* what comes from the worker was measured here */
	bool awaits_result;     /* the next snapshot is the first of a run, or an opened capture */
	bool unsaved;           /* a result is shown that is in no file */
	struct kept_result other; /* the result before, or the newest while the one before is shown */
	bool shows_previous;
	char opening[4096]; /* a capture that waits for the answer to a question */
	bool leave_when_saved;
	const struct ask *overwriting; /* what wants to replace a file */
	char overwritten[4096];
	int saving_serial;      /* of the snapshot that is being saved */
	bool saving_complete;   /* it was a finished run */
	char capture_path[4096]; /* of what is shown; "" when it is in no file */
	char prompt_name[256];   /* of what is shown, when it was measured here */
	char run_name[256];      /* of the run that goes on */
	char run_model[256];
	char *figure_command;   /* of the figure that is being saved */

	bool asked_by_command_line; /* the first job came with the command line: its failure ends the program */
	bool quit, suspend, redraw;
	struct err failure; /* why it ended; code ERR_NONE: the user left */
};

int app_open(struct app *app, const struct screen_options *o, const struct theme *theme, struct err *e);
void app_close(struct app *app);

void app_event(struct app *app, const struct event *event);
void app_act(struct app *app, enum action_id action);
/* Takes what the worker has. */
void app_news(struct app *app);
void app_draw(struct app *app, struct grid *g);
/* Takes news until nothing goes on in the background: for scripts and measurements, which have nobody to keep
 * waiting. */
void app_wait_until_idle(struct app *app);

/* For views and frames. */
/* Asks for a line at the bottom, with a first text in it. */
void app_ask_line(struct app *app, const struct ask *ask, const char *text);
/* Performs a typed line: an action's name, or a command and its argument (tui/typed.h). Says what is wrong with it. */
void app_perform(struct app *app, const char *line);
void app_say(struct app *app, enum role role, const char *format, ...) __attribute__((format(printf, 3, 4)));
void app_show(struct app *app, enum view_index view);
void app_run(struct app *app, const struct run_order *order);
/* The answer to ASK_CPU. */
void app_go_on_with_cpu(struct app *app, bool yes);
void app_open_capture(struct app *app, const char *path);
void app_open_other(struct app *app, const char *path); /* a second one beside it */
/* worker_errand(), refused while another result than the live session's is on the screen. */
int app_errand(struct app *app, const struct errand *errand, struct err *e);
/* May a result that is in no file be replaced? Asks, and comes back with ACTION_START_RUN when it may. */
bool app_may_replace(struct app *app);
unsigned app_where(const struct app *app); /* the AT_ bit that keys are looked up for */
const struct view *app_view(enum view_index i);
const char *app_model_name(const struct app *app); /* of what is shown, never NULL */
const char *app_prompt_name(const struct app *app);

#endif

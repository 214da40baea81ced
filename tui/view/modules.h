/* The Modules screen: what its files share.
 *
 *     view_modules.c      keys, the mouse, what the screen holds
 *     modules_layout.c    where the panes are
 *     modules_left.c      loss by layer and head, the worst heads, the switches
 *     modules_pages.c     rows x tokens, adapters, soft tokens
 *     modules_training.c  the training page: curves
 *     modules_errands.c   what is asked of the live session: rows under switches, the modules as a file
 *     modules_facts.c     the modules' numbers, others beside them
 *     modules_lesson.c    live training
 */
#ifndef KVGLASS_TUI_VIEW_MODULES_H
#define KVGLASS_TUI_VIEW_MODULES_H

#include "analysis/inspect.h"
#include "analysis/training_log.h"
#include "tui/app.h"
#include "tui/draw/layout.h"
#include "tui/view/school.h"

/* ---- where ------------------------------------------------------------------------------------------------------- */

enum modules_pane { PANE_LOSS, PANE_WORST, PANE_LIVE, PANE_ROWS, PANE_TRAINING, PANE_ADAPTERS, PANE_SOFT, N_MODULES_PANE };
enum { FIRST_PAGE = PANE_ROWS, N_PAGE = N_MODULES_PANE - FIRST_PAGE };

struct modules_layout {
	struct rect title, status, hint;
	struct rect pane[N_MODULES_PANE]; /* title line included; rows 0: not on the screen */
	struct rect here;                 /* numbers of the cursor's head */
};
/* focus: a page that has it is on the screen; *first_page moves as little as possible. */
void modules_layout(struct modules_layout *out, const struct app *app, enum modules_pane focus, int *first_page);

/* ---- what is known ----------------------------------------------------------------------------------------------- */

enum { SOFT_WORDS = 3, WORD_BYTES = 24, NAME_BYTES = 96 };

struct soft_fact { /* one soft token */
	double norm;
	char word[SOFT_WORDS][WORD_BYTES]; /* nearest of the vocabulary, drawable */
	float cosine[SOFT_WORDS];
	int like;         /* the other row that is most alike, -1: there is none */
	float like_cosine;
	float beside;     /* cosine with the same row of the modules beside; NaN */
};

struct adapter_fact {
	double share;     /* scale ||BA|| / ||W||; NaN: no adapter */
	double rank;      /* effective */
	double alike;     /* cosine with the adapter beside; NaN */
	double share_beside;
};

/* The modules' numbers, copied out of everything that the runner owns. */
struct module_facts {
	char name[NAME_BYTES], beside[NAME_BYTES]; /* file names; beside "": none */
	int n_layer, n_lookahead, r, n_fault;
	char fault[200]; /* the first */
	bool base_known;
	double word_norm;
	struct adapter_fact *adapter; /* (n_layer, N_PROJ) */
	double *spectrum;             /* (n_layer, N_PROJ, r) */
	struct soft_fact *soft;       /* (n_lookahead) */
	double *beside_kl;            /* (n_layer, n_head) of the modules beside on this prompt, or NULL */
	double beside_mean;
	struct training_log *log;     /* found beside the modules' file, or asked for; NULL */
	char log_name[NAME_BYTES];
};
void module_facts_free(struct module_facts *f); /* NULL is allowed */

/* ---- the screen's state ------------------------------------------------------------------------------------------ */

enum live_line { LIVE_LORA, LIVE_ALPHA, LIVE_ROWS, LIVE_PROJ, LIVE_LAYERS, N_LIVE_LINE };

struct modules {
	enum modules_pane focus;
	int first_page;
	struct modules_layout layout; /* of the last frame: clicks refer to it */

	/* switches, as the screen shows them */
	bool lora_off;
	struct lookahead_switches sw; /* layer_on points to layer_on */
	uint8_t *layer_on;            /* (n_layer) */
	int live_line, live_proj, live_layer;

	/* of the run that is shown; forgotten with it */
	const void *run;        /* identity: what captures of one run share */
	bool asked;             /* first answers were ordered */
	bool disturbed;         /* what is shown is not the modules as the run measured them */
	char why[512];          /* why there are no rows */
	struct inspect_rows *rows;
	struct module_facts *facts;
	char beside_path[4096]; /* modules or a log to be held beside; "" */
	struct school *school;  /* live training; NULL: none was begun */
	double rate;            /* the rate that it will begin with */
	char prompt_path[4096]; /* prompts to train on; "": this prompt */
	int pending;            /* errands that have not come back */

	struct objective objective;
	int objective_serial;

	/* the cursor's head, computed when it changes */
	int gain_serial, gain_layer, gain_head;
	double *gain, *first; /* (n_rows); gain NULL: not known */
	double all;

	int row, soft, proj;   /* cursors of the pages */
	int worst, worst_first, layer_first, row_first, adapter_first, soft_first;
};

bool modules_training(const struct modules *m);
int modules_n_rows(const struct modules *m); /* rows that the modules have; 0: not known */
/* What LIVE says, as the session takes it; layer_on is m's. */
struct lookahead_switches modules_switches(const struct modules *m);

/* ---- errands ----------------------------------------------------------------------------------------------------- */

void modules_ask_rows(struct app *app, struct modules *m, bool publish);
void modules_ask_facts(struct app *app, struct modules *m);
enum school_order { SCHOOL_RUN, SCHOOL_STEP, SCHOOL_REWIND };
void modules_order(struct app *app, struct modules *m, enum school_order order);
void modules_pause(struct modules *m);
void modules_keep(struct app *app, struct modules *m, const char *path);

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

/* ".054", "1.24", "–" */
const char *modules_say_kl(char out[32], double kl);
void modules_pane_title(const struct app *app, const struct modules *m, struct grid *g, enum modules_pane pane, const char *text);
void modules_draw_left(struct app *app, struct modules *m, struct grid *g);
void modules_draw_rows(struct app *app, struct modules *m, struct grid *g);
void modules_draw_adapters(const struct app *app, struct modules *m, struct grid *g);
void modules_draw_soft(const struct app *app, struct modules *m, struct grid *g);
void modules_draw_training(const struct app *app, const struct modules *m, struct grid *g);
int modules_row_cols(const struct rect *r); /* token columns of the rows page */
/* Layers on a line of the loss grid: two where half blocks are used. */
bool modules_loss_half(const struct app *app, const struct modules *m);

#endif

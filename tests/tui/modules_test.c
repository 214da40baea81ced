/* The Modules screen over a live session: switches, training, saving, with a tiny model. */
#include "tui/view/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/random.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of the hour at which "
	"it leaves again. Nobody has read the older volumes since the clerk retired.";
static const char answer[] = "The clerk keeps it still.";

struct stage_set {
	struct app app;
	struct grid grid;
	struct screen_options options;
};

static void write_modules(const char *model, const char *path)
{
	struct model *m = test_model_open(model);
	struct lookahead *l = NULL;
	struct err e;
	struct rng rng;
	rng_seed_stream(&rng, 3, 1);
	CHECK_INT(lookahead_untrained(&l, m, 6, 2, 8, 1, &e), 0);
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		for (int k = 0; l->lora[i].b && k < l->lora[i].n_out * 2; k++)
			l->lora[i].b[k] = 0.05f * (float)rng_normal(&rng);
	CHECK_INT(lookahead_save(l, path, false, &e), 0);
	lookahead_free(l);
	model_close(m);
}

static void open_live(struct stage_set *s, bool modules)
{
	const struct theme theme = {.depth = DEPTH_RGB, .utf8 = true};
	struct err e;
	const char *model = test_scratch("tiny.gguf"), *file = test_scratch("modules.safetensors");
	tiny_model_gguf(model, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
	write_modules(model, file);
	memset(s, 0, sizeof *s);
	s->options = (struct screen_options){.model = model, .prompt = prompt, .prompt_bytes = strlen(prompt), .modules = modules ? file : NULL,
		.device = {.device = DEVICE_CPU}, .protocol = protocol_default(),
		.measure = {.mode = PROMPT_RAW, .window = 8, .response = answer, .response_bytes = strlen(answer), .seed = 1, .n_threads = 1}};
	s->options.protocol.select.window = 8;
	grid_resize(&s->grid, 40, 140);
	CHECK_INT(app_open(&s->app, &s->options, &theme, &e), 0);
	app_wait_until_idle(&s->app);
}

static void close_set(struct stage_set *s)
{
	app_close(&s->app);
	grid_free(&s->grid);
}

/* An action, then everything that follows from it. */
static void act(struct stage_set *s, enum action_id action)
{
	app_act(&s->app, action);
	app_draw(&s->app, &s->grid);
	app_wait_until_idle(&s->app);
	app_draw(&s->app, &s->grid);
}

static struct modules *open_view(struct stage_set *s)
{
	act(s, ACTION_VIEW_MODULES);
	return s->app.state[VIEW_MODULES];
}

static bool shows(const struct grid *g, const char *text)
{
	char line[2000];
	for (int row = 0; row < g->rows; row++) {
		size_t n = 0;
		for (int col = 0; col < g->cols && n + 32 < sizeof line; col++)
			n += (size_t)snprintf(line + n, sizeof line - n, "%s", grid_at(g, row, col)->glyph);
		if (strstr(line, text))
			return true;
	}
	return false;
}

static const float *prediction(const struct stage_set *s)
{
	const struct capture_map *map = capture_find(s->app.look.snap->capture, "lookahead");
	return map ? map->data : NULL;
}

/* The prediction as it is now, kept: the caller's. */
static float *keep_prediction(const struct stage_set *s, size_t *n)
{
	const struct capture *c = s->app.look.snap->capture;
	*n = (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
	float *x = malloc(*n * sizeof *x);
	memcpy(x, prediction(s), *n * sizeof *x);
	return x;
}

static double farthest(const float *a, const float *b, size_t n)
{
	double most = 0;
	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs((double)a[i] - (double)b[i]));
	return most;
}

TEST(modules_view, rows_and_numbers_come_by_themselves)
{
	struct stage_set s;
	open_live(&s, true);
	int serial = s.app.look.snap->serial;
	struct modules *m = open_view(&s);
	CHECK_INT(s.app.look.snap->serial, serial); /* looking changes nothing */
	CHECK(m->rows && m->facts && m->gain && m->pending == 0);
	CHECK_INT(m->rows->n_rows, 6);
	CHECK(shows(&s.grid, "MODULES modules.safetensors") && shows(&s.grid, "6 rows r2") && shows(&s.grid, "WORST") && shows(&s.grid, "6 of 6"));
	CHECK(shows(&s.grid, "ROWS") && !shows(&s.grid, "TRAINING"));
	m->focus = PANE_TRAINING;
	app_draw(&s.app, &s.grid);
	CHECK(shows(&s.grid, "TRAINING"));
	CHECK_NEAR(m->all, m->objective.kl[OBJECTIVE_LOOKAHEAD][s.app.look.layer * m->objective.n_head + s.app.look.head], 1e-6); /* a float32 mean */
	m->focus = PANE_WORST;
	m->worst = 2;
	act(&s, ACTION_ENTER);
	CHECK_INT(s.app.look.layer * m->objective.n_head + s.app.look.head, m->objective.worst[2]);
	close_set(&s);
}

/* Chosen words stay when a switch is turned, and the other way round. */
TEST(modules_view, chosen_words_and_switches_stand_side_by_side)
{
	struct stage_set s;
	size_t n;
	open_live(&s, true);
	struct modules *m = open_view(&s);
	float *as_trained = keep_prediction(&s, &n);
	m->focus = PANE_LIVE;
	m->live_line = LIVE_LORA;
	act(&s, ACTION_SWITCH);
	float *off = keep_prediction(&s, &n);
	CHECK(farthest(as_trained, off, n) > 1e-4);
	act(&s, ACTION_VIEW_TEXT);
	act(&s, ACTION_WORDS);
	act(&s, ACTION_TOGGLE_WORD);
	act(&s, ACTION_ENTER);
	const struct capture *c = s.app.look.snap->capture;
	CHECK(capture_meta(c, "truth_rows") && capture_meta(c, "module_switches"));
	CHECK_NEAR(farthest(off, prediction(&s), n), 0, 0);
	act(&s, ACTION_VIEW_MODULES);
	act(&s, ACTION_AS_TRAINED);
	c = s.app.look.snap->capture;
	CHECK(capture_meta(c, "truth_rows") && !capture_meta(c, "module_switches"));
	CHECK_NEAR(farthest(as_trained, prediction(&s), n), 0, 0);
	act(&s, ACTION_SWITCH);
	act(&s, ACTION_ALL_WORDS);
	c = s.app.look.snap->capture;
	CHECK(!capture_meta(c, "truth_rows") && capture_meta(c, "module_switches"));
	free(as_trained);
	free(off);
	close_set(&s);
}

TEST(modules_view, switches_move_the_prediction_and_back)
{
	struct stage_set s;
	size_t n;
	open_live(&s, true);
	struct modules *m = open_view(&s);
	float *before = keep_prediction(&s, &n);
	m->focus = PANE_LIVE;
	m->live_line = LIVE_LORA;
	act(&s, ACTION_SWITCH);
	CHECK(farthest(before, prediction(&s), n) > 1e-4);
	CHECK_STR(capture_meta(s.app.look.snap->capture, "module_switches"), "LoRA off: q k v o gate up down");
	act(&s, ACTION_SWITCH);
	CHECK_NEAR(farthest(before, prediction(&s), n), 0, 0);
	m->live_line = LIVE_ROWS;
	act(&s, ACTION_CELL_LEFT);
	CHECK_INT(m->rows->n_rows, 5);
	CHECK_STR(capture_meta(s.app.look.snap->capture, "module_switches"), "5 of 6 rows");
	m->live_line = LIVE_ALPHA;
	act(&s, ACTION_CELL_LEFT);
	m->live_line = LIVE_LAYERS;
	act(&s, ACTION_CELL_RIGHT);
	act(&s, ACTION_SWITCH);
	m->live_line = LIVE_PROJ;
	act(&s, ACTION_SWITCH);
	CHECK_STR(capture_meta(s.app.look.snap->capture, "module_switches"), "LoRA off: q, layers 1; alpha x 0.707; 5 of 6 rows");
	CHECK(shows(&s.grid, "5 of 6"));
	act(&s, ACTION_AS_TRAINED);
	CHECK_NEAR(farthest(before, prediction(&s), n), 0, 0);
	CHECK(!capture_meta(s.app.look.snap->capture, "module_switches"));
	free(before);
	close_set(&s);
}

static void step(struct stage_set *s, struct modules *m)
{
	m->focus = PANE_TRAINING;
	act(s, ACTION_SWITCH);
}

TEST(modules_view, training_is_watched_undone_and_kept)
{
	struct stage_set s;
	struct school_view *v = calloc(1, sizeof *v);
	struct lookahead *kept = NULL;
	struct err e;
	size_t n;
	open_live(&s, true);
	struct modules *m = open_view(&s);
	float *before = keep_prediction(&s, &n);
	double loss = m->objective.mean[OBJECTIVE_LOOKAHEAD];
	for (int i = 0; i < 4; i++)
		step(&s, m);
	school_look(m->school, v);
	CHECK_INT(v->n_step, 4);
	CHECK(!v->running && !*v->stopped);
	CHECK_NEAR(v->loss[0], loss, 2e-4 * loss); /* of what was shown, but over keys and values in half precision (2^-11) */
	CHECK(farthest(before, prediction(&s), n) > 0 && m->objective.mean[OBJECTIVE_LOOKAHEAD] < loss);
	CHECK(shows(&s.grid, "trained here") && shows(&s.grid, "step 4"));
	const char *path = test_scratch("kept.safetensors");
	act(&s, ACTION_KEEP_MODULES);
	act(&s, ACTION_EDIT_CUT_HEAD);
	for (const char *c = path; *c; c++)
		app_event(&s.app, &(struct event){.kind = EVENT_KEY, .key = *c});
	act(&s, ACTION_ACCEPT);
	CHECK(strstr(s.app.message, "saved "));
	CHECK_INT(lookahead_load(&kept, NULL, path, NULL, &e), 0);
	CHECK(kept && kept->n_lookahead == 6 && kept->base_sha256);
	act(&s, ACTION_UNDO_TRAINING);
	CHECK_NEAR(farthest(before, prediction(&s), n), 0, TOL_MEAN_ABS); /* other float32 orders of the same modules */
	school_look(m->school, v);
	CHECK_INT(v->n_step, 0);
	lookahead_free(kept);
	free(before);
	free(v);
	close_set(&s);
}

/* A run without modules has none to look at, but they can be made. */
TEST(modules_view, modules_are_made_where_there_were_none)
{
	struct stage_set s;
	open_live(&s, false);
	struct modules *m = open_view(&s);
	CHECK(strstr(m->why, "this run had no modules") && shows(&s.grid, "this run had no modules"));
	m->rate = 5e-3;
	step(&s, m);
	CHECK(m->rows && m->rows->n_rows == 32 && prediction(&s) && !*m->why);
	double first = m->objective.mean[OBJECTIVE_LOOKAHEAD];
	for (int i = 0; i < 3; i++)
		step(&s, m);
	CHECK(m->objective.mean[OBJECTIVE_LOOKAHEAD] < first);
	close_set(&s);
}

TEST(modules_view, training_on_the_prompts_of_a_file)
{
	struct stage_set s;
	struct school_view *v = calloc(1, sizeof *v);
	const char *path = test_scratch("prompts.jsonl");
	FILE *f = fopen(path, "w");
	for (int i = 0; f && i < 3; i++)
		fprintf(f, "{\"prompt\": \"%d %s %s\", \"response\": \"%s\"}\n", i, prompt, prompt, answer);
	CHECK(f && !fclose(f));
	setenv("XDG_CACHE_HOME", test_scratch("cache"), 1);
	open_live(&s, true);
	struct modules *m = open_view(&s);
	snprintf(m->prompt_path, sizeof m->prompt_path, "%s", path);
	step(&s, m);
	school_look(m->school, v);
	CHECK_INT(v->n_step, 1);
	CHECK_STR(v->on, "3 prompts of prompts.jsonl");
	close_set(&s);
	open_live(&s, true);
	m = open_view(&s);
	snprintf(m->prompt_path, sizeof m->prompt_path, "/no/such/file.jsonl");
	step(&s, m);
	CHECK(strstr(s.app.message, "/no/such/file.jsonl"));
	CHECK(shows(&s.grid, "/no/such/file.jsonl"));
	close_set(&s);
	unsetenv("XDG_CACHE_HOME");
	free(v);
}

TEST(modules_view, others_and_logs_beside)
{
	struct stage_set s;
	const char *log = test_scratch("training.log");
	FILE *f = fopen(log, "w");
	CHECK(f && fprintf(f, "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": 0.25}\n") > 0 && !fclose(f));
	open_live(&s, true);
	struct modules *m = open_view(&s);
	snprintf(m->beside_path, sizeof m->beside_path, "%s", s.options.modules);
	modules_ask_facts(&s.app, m);
	app_wait_until_idle(&s.app);
	CHECK(m->facts && !strcmp(m->facts->beside, "modules.safetensors"));
	CHECK_NEAR(m->facts->adapter[0].alike, 1, 1e-12);
	CHECK_NEAR(m->facts->soft[3].beside, 1, 1e-6);
	CHECK_NEAR(m->facts->beside_mean, m->objective.mean[OBJECTIVE_LOOKAHEAD], 1e-12);
	snprintf(m->beside_path, sizeof m->beside_path, "%s", log);
	modules_ask_facts(&s.app, m);
	app_wait_until_idle(&s.app);
	m->focus = PANE_TRAINING;
	app_draw(&s.app, &s.grid);
	CHECK(m->facts->log && m->facts->log->n_step == 2 && shows(&s.grid, "training.log"));
	snprintf(m->beside_path, sizeof m->beside_path, "/no/such/file.safetensors");
	modules_ask_facts(&s.app, m);
	app_wait_until_idle(&s.app);
	CHECK(strstr(s.app.message, "/no/such/file.safetensors") && !*m->beside_path && m->facts);
	close_set(&s);
}

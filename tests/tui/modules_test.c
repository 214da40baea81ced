/* The Modules screen over a live session: switches, training, saving, with a tiny model. */
#include "tui/view/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/random.h"
#include "tests/support/scene.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of the hour at which "
	"it leaves again. Nobody has read the older volumes since the clerk retired.";
static const char answer[] = "The clerk keeps it still.";

/* For the model that the scene makes. */
static void write_modules(const char *path)
{
	const char *model = test_scratch("base.gguf");
	tiny_model_gguf(model, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
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

static void open_live(struct scene *s, bool modules)
{
	const char *file = test_scratch("modules.safetensors");
	write_modules(file);
	scene_open_run(s, prompt, &(struct measure_options){.response = answer, .response_bytes = strlen(answer)}, modules ? file : NULL);
}

static struct modules *open_view(struct scene *s)
{
	scene_act(s, ACTION_VIEW_MODULES);
	return s->app.state[VIEW_MODULES];
}

static const float *prediction(const struct scene *s)
{
	const struct capture_map *map = capture_find(s->app.look.snap->capture, "lookahead");
	return map ? map->data : NULL;
}

/* The prediction as it is now, kept: the caller's. */
static float *keep_prediction(const struct scene *s, size_t *n)
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
	struct scene s;
	open_live(&s, true);
	int serial = s.app.look.snap->serial;
	struct modules *m = open_view(&s);
	CHECK_INT(s.app.look.snap->serial, serial); /* looking changes nothing */
	CHECK(m->rows && m->facts && m->gain && m->pending == 0);
	CHECK_INT(m->rows->n_rows, 6);
	CHECK(scene_shows(&s, "MODULES modules.safetensors") && scene_shows(&s, "6 rows r2") && scene_shows(&s, "WORST") && scene_shows(&s, "6 of 6"));
	CHECK(scene_shows(&s, "ROWS") && !scene_shows(&s, "TRAINING"));
	m->focus = PANE_TRAINING;
	app_draw(&s.app, &s.grid);
	CHECK(scene_shows(&s, "TRAINING"));
	CHECK_NEAR(m->all, m->objective.kl[OBJECTIVE_LOOKAHEAD][s.app.look.layer * m->objective.n_head + s.app.look.head], 1e-6); /* a float32 mean */
	m->focus = PANE_WORST;
	m->worst = 2;
	scene_act(&s, ACTION_ENTER);
	CHECK_INT(s.app.look.layer * m->objective.n_head + s.app.look.head, m->objective.worst[2]);
	scene_close(&s);
}

/* Chosen words stay when a switch is turned, and the other way round. */
TEST(modules_view, chosen_words_and_switches_stand_side_by_side)
{
	struct scene s;
	size_t n;
	open_live(&s, true);
	struct modules *m = open_view(&s);
	float *as_trained = keep_prediction(&s, &n);
	m->focus = PANE_LIVE;
	m->live_line = LIVE_LORA;
	scene_act(&s, ACTION_SWITCH);
	float *off = keep_prediction(&s, &n);
	CHECK(farthest(as_trained, off, n) > 1e-4);
	scene_act(&s, ACTION_VIEW_TEXT);
	scene_act(&s, ACTION_WORDS);
	scene_act(&s, ACTION_TOGGLE_WORD);
	scene_act(&s, ACTION_ENTER);
	const struct capture *c = s.app.look.snap->capture;
	CHECK(capture_meta(c, "truth_rows") && capture_meta(c, "module_switches"));
	CHECK_NEAR(farthest(off, prediction(&s), n), 0, 0);
	scene_act(&s, ACTION_VIEW_MODULES);
	scene_act(&s, ACTION_AS_TRAINED);
	c = s.app.look.snap->capture;
	CHECK(capture_meta(c, "truth_rows") && !capture_meta(c, "module_switches"));
	CHECK_NEAR(farthest(as_trained, prediction(&s), n), 0, 0);
	scene_act(&s, ACTION_SWITCH);
	scene_act(&s, ACTION_ALL_WORDS);
	c = s.app.look.snap->capture;
	CHECK(!capture_meta(c, "truth_rows") && capture_meta(c, "module_switches"));
	free(as_trained);
	free(off);
	scene_close(&s);
}

TEST(modules_view, switches_move_the_prediction_and_back)
{
	struct scene s;
	size_t n;
	open_live(&s, true);
	struct modules *m = open_view(&s);
	float *before = keep_prediction(&s, &n);
	m->focus = PANE_LIVE;
	m->live_line = LIVE_LORA;
	scene_act(&s, ACTION_SWITCH);
	CHECK(farthest(before, prediction(&s), n) > 1e-4);
	CHECK_STR(capture_meta(s.app.look.snap->capture, "module_switches"), "LoRA off: q k v o gate up down");
	scene_act(&s, ACTION_SWITCH);
	CHECK_NEAR(farthest(before, prediction(&s), n), 0, 0);
	m->live_line = LIVE_ROWS;
	scene_act(&s, ACTION_CELL_LEFT);
	CHECK_INT(m->rows->n_rows, 5);
	CHECK_STR(capture_meta(s.app.look.snap->capture, "module_switches"), "5 of 6 rows");
	m->live_line = LIVE_ALPHA;
	scene_act(&s, ACTION_CELL_LEFT);
	m->live_line = LIVE_LAYERS;
	scene_act(&s, ACTION_CELL_RIGHT);
	scene_act(&s, ACTION_SWITCH);
	m->live_line = LIVE_PROJ;
	scene_act(&s, ACTION_SWITCH);
	CHECK_STR(capture_meta(s.app.look.snap->capture, "module_switches"), "LoRA off: q, layers 1; alpha x 0.707; 5 of 6 rows");
	CHECK(scene_shows(&s, "5 of 6"));
	scene_act(&s, ACTION_AS_TRAINED);
	CHECK_NEAR(farthest(before, prediction(&s), n), 0, 0);
	CHECK(!capture_meta(s.app.look.snap->capture, "module_switches"));
	free(before);
	scene_close(&s);
}

static void step(struct scene *s, struct modules *m)
{
	m->focus = PANE_TRAINING;
	scene_act(s, ACTION_SWITCH);
}

TEST(modules_view, training_is_watched_undone_and_kept)
{
	struct scene s;
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
	CHECK(scene_shows(&s, "trained here") && scene_shows(&s, "step 4"));
	const char *path = test_scratch("kept.safetensors");
	scene_act(&s, ACTION_KEEP_MODULES);
	scene_act(&s, ACTION_EDIT_CUT_HEAD);
	for (const char *c = path; *c; c++)
		app_event(&s.app, &(struct event){.kind = EVENT_KEY, .key = *c});
	scene_act(&s, ACTION_ACCEPT);
	CHECK(strstr(s.app.message, "saved "));
	CHECK_INT(lookahead_load(&kept, NULL, path, NULL, &e), 0);
	CHECK(kept && kept->n_lookahead == 6 && kept->base_sha256);
	scene_act(&s, ACTION_UNDO_TRAINING);
	CHECK_NEAR(farthest(before, prediction(&s), n), 0, TOL_MEAN_ABS); /* other float32 orders of the same modules */
	school_look(m->school, v);
	CHECK_INT(v->n_step, 0);
	lookahead_free(kept);
	free(before);
	free(v);
	scene_close(&s);
}

/* A run without modules has none to look at, but they can be made. */
TEST(modules_view, modules_are_made_where_there_were_none)
{
	struct scene s;
	open_live(&s, false);
	struct modules *m = open_view(&s);
	CHECK(strstr(m->why, "this run had no modules") && scene_shows(&s, "this run had no modules"));
	m->rate = 5e-3;
	step(&s, m);
	CHECK(m->rows && m->rows->n_rows == 32 && prediction(&s) && !*m->why);
	double first = m->objective.mean[OBJECTIVE_LOOKAHEAD];
	for (int i = 0; i < 3; i++)
		step(&s, m);
	CHECK(m->objective.mean[OBJECTIVE_LOOKAHEAD] < first);
	scene_close(&s);
}

TEST(modules_view, training_on_the_prompts_of_a_file)
{
	struct scene s;
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
	scene_close(&s);
	open_live(&s, true);
	m = open_view(&s);
	snprintf(m->prompt_path, sizeof m->prompt_path, "/no/such/file.jsonl");
	step(&s, m);
	CHECK(strstr(s.app.message, "/no/such/file.jsonl"));
	CHECK(scene_shows(&s, "/no/such/file.jsonl"));
	scene_close(&s);
	unsetenv("XDG_CACHE_HOME");
	free(v);
}

TEST(modules_view, others_and_logs_beside)
{
	struct scene s;
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
	CHECK(m->facts->log && m->facts->log->n_step == 2 && scene_shows(&s, "training.log"));
	snprintf(m->beside_path, sizeof m->beside_path, "/no/such/file.safetensors");
	modules_ask_facts(&s.app, m);
	app_wait_until_idle(&s.app);
	CHECK(strstr(s.app.message, "/no/such/file.safetensors") && !*m->beside_path && m->facts);
	scene_close(&s);
}

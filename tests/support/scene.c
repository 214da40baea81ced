#include "tests/support/scene.h"

#include <stdio.h>
#include <string.h>

#include "analysis/synthetic.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

const struct theme scene_plain = {DEPTH_RGB, true, false};

void scene_open(struct scene *s, const struct theme *theme, int rows, int cols)
{
	struct err e;
	s->grid = (struct grid){.ascii = !theme->utf8};
	grid_resize(&s->grid, rows, cols);
	CHECK_INT(app_open(&s->app, &s->options, theme, &e), 0);
	app_wait_until_idle(&s->app);
	app_draw(&s->app, &s->grid);
}

void scene_open_synthetic(struct scene *s, const struct theme *theme, int n_prompt, int n_response, int n_head,
	int n_kv_head)
{
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	struct err e;
	spec.n_layer = 5;
	spec.n_head = n_head;
	spec.n_kv_head = n_kv_head;
	spec.n_prompt = n_prompt;
	spec.n_response = n_response;
	memset(s, 0, sizeof *s);
	snprintf(s->capture, sizeof s->capture, "%s", test_scratch("app.kvg"));
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, s->capture, &e), 0);
	capture_unref(c);
	s->options = (struct screen_options){.capture = s->capture, .protocol = protocol_default(), .measure = {.seed = 1}};
	scene_open(s, theme, 24, 80);
}

void scene_close(struct scene *s)
{
	app_close(&s->app);
	grid_free(&s->grid);
}

void scene_type(struct scene *s, const char *text)
{
	for (; *text; text++)
		app_event(&s->app, &(struct event){.kind = EVENT_KEY, .key = (unsigned char)*text});
}

void scene_act(struct scene *s, enum action_id action)
{
	app_act(&s->app, action);
	app_draw(&s->app, &s->grid); /* drawing may ask for more */
	app_wait_until_idle(&s->app);
	app_draw(&s->app, &s->grid);
}

void scene_press(struct scene *s, const char *name)
{
	app_event(&s->app, &(struct event){.kind = EVENT_KEY, .key = event_key_from_name(name)});
}

void scene_perform(struct scene *s, const char *line)
{
	scene_press(s, ":");
	scene_type(s, line);
	scene_press(s, "Enter");
}

/* Options of a run on a tiny model, which is made. */
static void order_run(struct scene *s, const struct measure_options *o)
{
	memset(s, 0, sizeof *s);
	snprintf(s->capture, sizeof s->capture, "%s", test_scratch("tiny.gguf"));
	tiny_model_gguf(s->capture, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
	s->options = (struct screen_options){.model = s->capture, .device = {.device = DEVICE_CPU}, .protocol = protocol_default(), .measure = *o};
	s->options.measure.mode = PROMPT_RAW;
	s->options.measure.n_threads = 1;
	s->options.measure.seed = 1;
	s->options.measure.window = s->options.protocol.select.window = 8;
}

void scene_open_start(struct scene *s)
{
	order_run(s, &(struct measure_options){.n_response = 8});
	scene_open(s, &scene_plain, 24, 80);
}

void scene_open_run(struct scene *s, const char *prompt, const struct measure_options *o, const char *modules)
{
	order_run(s, o);
	s->options.prompt = prompt;
	s->options.prompt_bytes = strlen(prompt);
	s->options.modules = modules;
	scene_open(s, &scene_plain, 40, 140);
}

void scene_run_typed(struct scene *s)
{
	scene_press(s, "Up"); /* from the prompt's file to where it comes from */
	scene_press(s, "Space");
	scene_press(s, "Down");
	scene_type(s, "The harbour office keeps a careful ledger of every boat?Q");
	scene_press(s, "^R");
	CHECK_INT(s->app.view, VIEW_MAPS);
	app_wait_until_idle(&s->app);
	app_draw(&s->app, &s->grid);
}

bool scene_shows(const struct scene *s, const char *text)
{
	for (int row = 0; row < s->grid.rows; row++) {
		char line[4096] = "";
		for (int col = 0, n = 0; col < s->grid.cols && n < (int)sizeof line; col++)
			n += snprintf(line + n, sizeof line - (size_t)n, "%s", grid_at(&s->grid, row, col)->glyph);
		if (strstr(line, text))
			return true;
	}
	return false;
}

const struct snapshot *scene_snapshot(int n_layer, int n_prompt, int n_response, const char *preset)
{
	struct synthetic_spec spec = synthetic_default();
	const struct evaluation_options o = {.protocol = protocol_default(), .seed = 1, .preset = preset ? preset_find(preset) : NULL};
	const struct capture *c;
	const struct snapshot *s = NULL;
	struct err e = {0};
	spec.n_layer = n_layer;
	spec.n_prompt = n_prompt;
	spec.n_response = n_response;
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	if (snapshot_make(&s, c, NULL, &o, false, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	capture_unref(c);
	return s;
}

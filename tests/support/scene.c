#include "tests/support/scene.h"

#include <stdio.h>
#include <string.h>

#include "analysis/synthetic.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

const struct theme scene_plain = {DEPTH_RGB, true, false};

void scene_open(struct scene *s, const struct theme *theme)
{
	struct err e;
	s->grid = (struct grid){.ascii = !theme->utf8};
	grid_resize(&s->grid, 24, 80);
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
	scene_open(s, theme);
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

void scene_open_start(struct scene *s)
{
	static const char model[] = "tiny.gguf";
	const char *path = test_scratch(model);
	memset(s, 0, sizeof *s);
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 1});
	snprintf(s->capture, sizeof s->capture, "%s", path);
	s->options = (struct screen_options){.model = s->capture, .protocol = protocol_default(),
		.measure = {.mode = PROMPT_RAW, .window = 8, .n_response = 8, .seed = 1, .n_threads = 1}};
	s->options.protocol.select.window = 8;
	scene_open(s, &scene_plain);
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

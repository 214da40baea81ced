/* kvglass inspect: modules taken apart on one prompt. */
#include "tui/command/inspect.h"

#include <math.h>
#include <stdlib.h>

#include "export/table.h"
#include "tui/command/command.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"

static int check(const struct options *o, struct err *e)
{
	unsigned off;
	if (prompt_check(o, true, e))
		return ERR_USE;
	if (!o->modules)
		return err_set(e, ERR_USE, "no modules: -l names a .safetensors file, or untrained");
	if (o->response && (GIVEN(o, tokens) || GIVEN(o, temperature)))
		return err_set(e, ERR_USE, "--response gives the response: %s has nothing to say about it",
			GIVEN(o, tokens) ? "--tokens" : "--temperature");
	if (o->per_head && !o->json)
		return err_set(e, ERR_USE, "--per-head needs --json");
	if (GIVEN(o, layer) != GIVEN(o, head))
		return err_set(e, ERR_USE, "--layer and --head name one head together");
	if (settings_projections(&off, &o->lora_off, "--lora-off", e))
		return ERR_USE;
	return settings_check(o, e);
}

/* ---- what is asked of a head, or of all ---- */

void inspection_row(const struct inspection *in, int row, double *out)
{
	const struct inspect_rows *rows = in->own.rows;
	int first = in->layer < 0 ? 0 : in->layer * rows->n_head + in->head;
	int n_heads = in->layer < 0 ? rows->n_layer * rows->n_head : 1;
	for (int j = 0; j < rows->n_prompt; j++)
		out[j] = 0;
	for (int i = first; i < first + n_heads; i++) {
		const float *x = inspect_row(rows, i / rows->n_head, i % rows->n_head, row);
		for (int j = 0; j < rows->n_prompt; j++)
			out[j] += (double)x[j] / n_heads;
	}
}

double inspection_gain(const struct inspection *in, int row)
{
	const struct inspect_worth *w = in->own.worth;
	if (!w)
		return NAN;
	if (in->layer < 0)
		return w->row_gain[row];
	return (double)w->gain[((size_t)in->layer * (size_t)in->own.rows->n_head + (size_t)in->head) * (size_t)w->n_rows + (size_t)row];
}

int inspection_read_most(const struct inspection *in, double *attention)
{
	int first, n = evaluation_n_candidate(in->own.evaluation, &first), best = -1;
	for (int j = first; j < first + n; j++)
		if (attention[j] > (best < 0 ? 0 : attention[best]))
			best = j;
	return best;
}

/* ---- gathering ---- */

static int open_all(struct inspection *in, struct err *e)
{
	const struct options *o = in->o;
	int rc = prompt_read(&in->prompt, o, e);
	rc = rc ? rc : prompt_open_model(&in->model, o, e);
	rc = rc ? rc : settings_modules(&in->own.modules, in->model, o, e);
	rc = rc ? rc : settings_modules_named(&in->other.modules, in->model, o->against, o, e);
	if (rc)
		return rc;
	const struct model_info *info = model_info(in->model);
	if (in->own.modules->warning)
		remark(o, "%s", in->own.modules->warning);
	in->layer = GIVEN(o, layer) ? (int)o->layer : -1;
	in->head = GIVEN(o, head) ? (int)o->head : -1;
	in->n_worst = (int)o->worst;
	if (in->layer >= info->n_layer || in->head >= info->n_head)
		return err_set(e, ERR_USE, "layer %d head %d: the model has %d layers of %d query heads", in->layer, in->head, info->n_layer,
			info->n_head);
	return 0;
}

static int measure(struct inspection *in, const struct progress *progress, struct err *e)
{
	static const char *const controls[] = {"snapkv", "untrained"};
	const struct options *o = in->o;
	const char *names[SETTINGS_MAX_METHODS];
	struct measure_options options = settings_measure(o, names);
	const struct measure_watch watch = {.progress = progress};
	char *response = NULL;
	size_t n_bytes = 0;
	int rc = o->response ? prompt_read_file(&response, &n_bytes, o->response, e) : 0;
	options.response = response;
	options.response_bytes = n_bytes;
	options.modules = in->own.modules; /* room for its rows; they are run by themselves */
	options.method = controls;
	options.n_method = sizeof controls / sizeof *controls;
	options.keep = &in->live;
	options.watch = &watch;
	if (!rc)
		rc = measure_prompt(&in->measured, in->model, in->prompt.text, in->prompt.n_bytes, &options, e);
	free(response);
	if (rc == ERR_FORMAT || rc == ERR_LIMIT) /* the text is to blame: which file was it? */
		err_prefix(e, "%s", in->prompt.name);
	return rc;
}

/* The maps of all rows are the one large thing here; better refused with figures than run out of. */
static int check_memory(const struct inspection *in, int n_rows, struct err *e)
{
	struct memory_estimate m;
	uint64_t bytes = inspect_rows_bytes(in->measured, n_rows);
	model_estimate(in->model, 1, 0, &m);
	if (!m.available || bytes <= m.available)
		return 0;
	return err_set(e, ERR_MEMORY, "maps of %d rows over %d tokens need %.0f MiB, %.0f MiB are free: take a shorter prompt, or --rows-used",
		n_rows, in->measured->n_prompt, (double)bytes / 1048576, (double)m.available / 1048576);
}

static int take_apart(struct inspection *in, struct inspected *x, const struct lookahead_switches *sw, const struct progress *progress,
	struct err *e)
{
	struct preset preset;
	const struct options *o = in->o;
	struct evaluation_options eval = {.protocol = settings_protocol(o), .seed = (uint64_t)o->seed, .n_threads = (int)o->threads};
	const struct inspect_request request = {.modules = x->modules, .switches = sw, .rows = true, .progress = progress};
	int n_rows = sw && sw->n_rows ? sw->n_rows : x->modules->n_lookahead;
	eval.preset = settings_preset(o->preset, &eval.protocol, &preset);
	inspect_say_switches(x->modules, sw, x->switches, sizeof x->switches);
	int rc = check_memory(in, n_rows, e);
	rc = rc ? rc : inspect_run(&x->capture, &x->rows, in->live, &request, e);
	rc = rc ? rc : evaluation_open(&x->evaluation, x->capture, &eval, progress, e);
	rc = rc ? rc : objective_make(&x->objective, x->evaluation, e);
	if (!rc && capture_find(x->capture, "truth"))
		rc = inspect_worth_make(&x->worth, x->rows, x->capture, &eval, (int)o->budget, progress, e);
	return rc ? rc : anatomy_make(&x->anatomy, x->modules, in->model, (int)o->threads, progress, e);
}

static int switches_of(const struct inspection *in, struct lookahead_switches *out, uint8_t *layer_on, struct err *e)
{
	const struct options *o = in->o;
	int n_layer = model_info(in->model)->n_layer;
	*out = (struct lookahead_switches){.n_rows = GIVEN(o, rows_used) ? (int)o->rows_used : 0, .scale = (float)o->lora_scale};
	for (int i = 0; i < n_layer; i++)
		layer_on[i] = 1;
	for (int i = 0; i < o->layers_off.n; i++) {
		if (o->layers_off.item[i] >= n_layer)
			return err_set(e, ERR_USE, "--layers-off %d: the model has layers 0 to %d", o->layers_off.item[i], n_layer - 1);
		layer_on[o->layers_off.item[i]] = 0;
	}
	out->layer_on = o->layers_off.n ? layer_on : NULL;
	return settings_projections(&out->proj_off, &o->lora_off, "--lora-off", e);
}

static int gather(struct inspection *in, const struct progress *progress, struct err *e)
{
	struct lookahead_switches sw;
	uint8_t *layer_on = malloc((size_t)model_info(in->model)->n_layer);
	int rc = layer_on ? switches_of(in, &sw, layer_on, e) : (int)err_set(e, ERR_MEMORY, "no memory for switches");
	rc = rc ? rc : measure(in, progress, e);
	rc = rc ? rc : take_apart(in, &in->own, &sw, progress, e);
	if (!rc && in->other.modules)
		rc = take_apart(in, &in->other, NULL, progress, e);
	free(layer_on);
	return rc;
}

static int work(struct inspection *in, struct err *e)
{
	struct progress_line line;
	int rc = open_all(in, e);
	if (rc)
		return rc;
	stop_on_signals();
	progress_line_begin(&line, in->o);
	rc = gather(in, &line.progress, e);
	progress_line_end(&line);
	if (rc)
		return rc;
	if (!in->own.worth)
		remark(in->o, "no response: nothing to judge the modules by, only their rows and numbers");
	if (!in->o->json) {
		inspection_print(in);
		return 0;
	}
	json_t *value = inspection_json(in);
	rc = value ? table_write_json(value, "-", e) : (int)err_set(e, ERR_MEMORY, "no memory for the result");
	json_decref(value);
	return rc;
}

static void inspected_free(struct inspected *x)
{
	anatomy_free(x->anatomy);
	inspect_worth_free(x->worth);
	objective_free(&x->objective);
	evaluation_close(x->evaluation);
	inspect_rows_free(x->rows);
	capture_unref(x->capture);
	lookahead_free(x->modules);
}

static int run(const struct options *o, struct err *e)
{
	struct inspection in = {.o = o};
	int rc = work(&in, e);
	inspected_free(&in.own);
	inspected_free(&in.other);
	live_close(in.live);
	capture_unref(in.measured);
	model_close(in.model);
	prompt_free(&in.prompt);
	return rc;
}

const struct command command_inspect = {.check = check, .run = run};

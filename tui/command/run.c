/* kvglass run: the analysis without a screen. */
#include <stdlib.h>
#include <string.h>

#include "analysis/compare.h"
#include "analysis/measure.h"
#include "export/table.h"
#include "tui/command/command.h"
#include "tui/command/output.h"
#include "tui/command/prompt.h"
#include "tui/command/run_evict.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"

/* Everything one run owns; freed together. */
struct job {
	const struct options *o;
	struct prompt prompt;
	char *response; /* given text, or NULL */
	size_t response_bytes;
	struct model *model;
	struct lookahead *modules;
	const struct capture *capture;
	struct comparison *comparison;
	struct live *live;           /* with --evict */
	struct evictions *evictions; /* or NULL */
	struct measure_timings timings;
};

static int check(const struct options *o, struct err *e)
{
	if (prompt_check(o, true, e))
		return ERR_USE;
	if (o->per_head && !o->json)
		return err_set(e, ERR_USE, "--per-head needs --json");
	if (o->response && (GIVEN(o, tokens) || GIVEN(o, temperature)))
		return err_set(e, ERR_USE, "--response gives the response: %s has nothing to say about it",
			GIVEN(o, tokens) ? "--tokens" : "--temperature");
	if (o->file && o->response && !strcmp(o->file, "-") && !strcmp(o->response, "-"))
		return err_set(e, ERR_USE, "prompt and response cannot both come from standard input");
	if (o->window == 0)
		return err_set(e, ERR_USE, "--window 0: SnapKV looks at one row at least");
	if (o->output && output_check_word(o->output, e))
		return ERR_USE;
	const struct measure_options methods = {.method = (const char *const *)o->methods.item, .n_method = o->methods.n};
	if (o->methods.n && measure_check_methods(&methods, e))
		return err_prefix(e, "--methods");
	if (run_evict_check(o, e))
		return ERR_USE;
	return settings_check(o, e);
}

/* Found before the model runs for minutes, not after. */
static int check_budgets(const struct options *o, struct err *e)
{
	const struct protocol p = settings_protocol(o);
	for (int i = 0; i < o->budgets.n; i++)
		if (o->budgets.item[i] <= p.select.sink + p.select.window)
			return err_set(e, ERR_USE, "budget %d: nothing to choose, the first %d and the last %d tokens are kept anyway",
				o->budgets.item[i], p.select.sink, p.select.window);
	return 0;
}

static int load(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	double began = milliseconds_now();
	int rc = prompt_open_model(&job->model, o, e);
	if (!rc)
		rc = settings_modules(&job->modules, job->model, o, e);
	if (rc)
		return rc;
	job->timings.load = milliseconds_now() - began;
	if (job->modules && job->modules->warning)
		remark(o, "%s", job->modules->warning);
	return 0;
}

/* A run that was stopped is a failure, but what it had measured is not thrown away when the user named a file for it. */
static int stopped(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	if (!o->output)
		return err_set(e, ERR_CANCELLED, "stopped; nothing is kept without -o");
	if (!job->capture)
		return err_set(e, ERR_CANCELLED, "stopped before anything was measured; %s is as it was", o->output);
	int rc = capture_save(job->capture, o->output, e);
	if (rc)
		return rc;
	return err_set(e, ERR_CANCELLED, "stopped; what was measured until then is in %s (%d of %d response tokens at most)", o->output,
		job->capture->n_response, (int)o->tokens);
}

static int measure(struct job *job, struct err *e)
{
	struct progress_line line;
	const char *names[SETTINGS_MAX_METHODS];
	struct measure_options options = settings_measure(job->o, names);
	options.response = job->response;
	options.response_bytes = job->response_bytes;
	options.modules = job->modules;
	options.keep = job->o->evict.n ? &job->live : NULL;
	stop_on_signals();
	progress_line_begin(&line, job->o);
	const struct measure_watch watch = {.progress = &line.progress};
	options.watch = &watch;
	options.timings = &job->timings;
	int rc = measure_prompt(&job->capture, job->model, job->prompt.text, job->prompt.n_bytes, &options, e);
	progress_line_end(&line);
	if (rc == ERR_FORMAT || rc == ERR_LIMIT) /* the text is to blame: which file was it? */
		err_prefix(e, "%s", job->prompt.name);
	return rc == ERR_CANCELLED ? stopped(job, e) : rc;
}

static int compare(struct job *job, struct err *e)
{
	const char *label = job->prompt.name;
	struct preset preset;
	const struct compare_options options = settings_compare(job->o, &preset);
	int rc = compare_captures(&job->comparison, &job->capture, &label, 1, &options, e);
	for (int i = 0; !rc && i < job->comparison->n_warning; i++)
		remark(job->o, "%s", job->comparison->warning[i]);
	return rc;
}

/* ---- results ---- */

static const char *response_text(const struct capture *c, size_t *n_bytes)
{
	*n_bytes = (size_t)(c->offset[c->n_prompt + c->n_response] - c->offset[c->n_prompt]);
	return c->text + c->offset[c->n_prompt];
}

/* What the capture says about how it was made. */
static const char *told(const struct capture *c, const char *key)
{
	const char *value = capture_meta(c, key);
	return value ? value : "unknown";
}

static json_t *ids_json(const int32_t *id, int n)
{
	json_t *list = json_array();
	for (int i = 0; i < n; i++)
		if (json_array_append_new(list, json_integer(id[i])))
			return NULL;
	return list;
}

static json_t *result_json(const struct job *job)
{
	size_t n;
	const struct capture *c = job->capture;
	const struct model_info *m = model_info(job->model);
	const char *text = response_text(c, &n);
	json_t *timings = json_pack("{s:f, s:f, s:f, s:f}", "load", job->timings.load, "prefill", job->timings.prefill, "lookahead",
		job->timings.lookahead, "decode", job->timings.decode);
	return json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:s, s:s, s:I, s:o, s:o, s:o*}",
		"model", table_json_text(m->name, strlen(m->name)),
		"prompt_mode", told(c, "prompt_mode"),
		"response_source", told(c, "response_source"),
		"response_end", told(c, "response_end"),
		"n_prompt", c->n_prompt,
		"n_response", c->n_response,
		"response", table_json_text(text, n),
		"prompt_ids", ids_json(c->token, c->n_prompt),
		"response_ids", ids_json(c->token + c->n_prompt, c->n_response),
		"device", m->device,
		"precision", m->precision,
		"peak_memory_bytes", (json_int_t)engine_peak_memory(),
		"timings_ms", timings,
		"compare", table_compare_json(job->comparison),
		"eviction", job->evictions ? evictions_json(job->evictions) : NULL);
}

static int print_json(const struct job *job, struct err *e)
{
	json_t *value = result_json(job);
	if (!value)
		return err_set(e, ERR_MEMORY, "no memory for the result");
	int rc = table_write_json(value, "-", e);
	json_decref(value);
	return rc;
}

static void print_stage(const char *name, double ms, int n_tokens)
{
	printf("%s %.*f %s", name, ms >= 1000 ? 2 : 0, ms >= 1000 ? ms / 1000 : ms, ms >= 1000 ? "s" : "ms");
	if (n_tokens > 0 && ms > 0)
		printf(" (%.0f tokens/s)", 1e3 * n_tokens / ms);
}

static int print_text(const struct job *job, struct err *e)
{
	const struct capture *c = job->capture;
	const struct model_info *m = model_info(job->model);
	const struct measure_timings *t = &job->timings;
	char n_prompt[32], n_response[32], memory[32];
	size_t n;
	const char *text = response_text(c, &n);
	format_grouped(n_prompt, c->n_prompt);
	format_grouped(n_response, c->n_response);
	format_size(memory, engine_peak_memory());
	print_visible(stdout, m->name, strlen(m->name));
	printf(": %s, %d layers, %d query heads on %d KV heads, %s %s\n", m->arch_name, m->n_layer, m->n_head, m->n_kv_head,
		m->device, m->precision);
	printf("prompt of %s tokens (%s), response of %s tokens (%s, %s):\n\n", n_prompt, told(c, "prompt_mode"), n_response,
		told(c, "response_source"), told(c, "response_end"));
	print_lines(stdout, text, n);
	fputs("\n\n", stdout);
	fflush(stdout); /* the table is written by others */
	int rc = table_compare_text(job->comparison, "-", e);
	if (rc)
		return rc;
	if (job->evictions)
		evictions_print(job->evictions);
	putchar('\n');
	print_stage("load", t->load, 0);
	print_stage(", prefill", t->prefill, c->n_prompt);
	if (t->lookahead > 0)
		print_stage(", lookahead", t->lookahead, 0);
	if (c->n_response)
		print_stage(", response", t->decode, c->n_response);
	printf(", at most %s of memory\n", memory);
	return 0;
}

/* A capture that cannot be saved (the disk is full) is a failure, but what was measured is still said. */
static int deliver(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	struct err why;
	int unsaved = o->output ? capture_save(job->capture, o->output, &why) : 0;
	if (o->output && !unsaved)
		remark(o, "saved %s", o->output);
	int rc = compare(job, e);
	if (!rc)
		rc = run_evict(&job->evictions, job->live, job->comparison, o, e);
	if (!rc)
		rc = o->json ? print_json(job, e) : print_text(job, e);
	if (!rc && unsaved)
		*e = why;
	return rc ? rc : unsaved;
}

static int work(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	int rc = check_budgets(o, e);
	if (!rc && o->output)
		rc = output_check(o->output, OUTPUT_ANYTHING, e);
	if (!rc)
		rc = prompt_read(&job->prompt, o, e);
	if (!rc && o->response)
		rc = prompt_read_file(&job->response, &job->response_bytes, o->response, e);
	if (!rc)
		rc = load(job, e);
	if (!rc)
		rc = measure(job, e);
	return rc ? rc : deliver(job, e);
}

static int run(const struct options *o, struct err *e)
{
	struct job job = {.o = o};
	int rc = work(&job, e);
	evictions_free(job.evictions);
	comparison_free(job.comparison);
	live_close(job.live);
	capture_unref(job.capture);
	lookahead_free(job.modules);
	model_close(job.model);
	free(job.response);
	prompt_free(&job.prompt);
	return rc;
}

const struct command command_run = {.check = check, .run = run};

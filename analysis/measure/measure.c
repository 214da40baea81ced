/* Measuring one prompt: prefill, lookahead rows, response. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/measure/live.h"
#include "analysis/measure/run.h"

/* ---- progress ---- */

static int relay_report(void *user, const char *stage, int64_t done, int64_t total)
{
	struct relay *relay = user;
	int stop = progress_report(relay->to, relay->stage ? relay->stage : stage, relay->before + done,
		relay->total ? relay->total : total);
	relay->asked |= stop != 0;
	return relay->defer ? 0 : stop;
}

static const struct progress *progress_of(const struct run *r)
{
	return r->o->watch ? r->o->watch->progress : NULL;
}

/* ---- the model's hash, meanwhile ---- */

static void *hash_model(void *user)
{
	struct hasher *h = user;
	if (model_sha256(h->model, &h->sha256, NULL))
		h->sha256 = NULL;
	return NULL;
}

static void hasher_begin(struct run *r)
{
	r->hasher = (struct hasher){.model = r->model};
	r->hasher.begun = !pthread_create(&r->hasher.thread, NULL, hash_model, &r->hasher);
	if (!r->hasher.begun)
		hash_model(&r->hasher);
}

static void hasher_end(struct run *r)
{
	if (r->hasher.begun)
		pthread_join(r->hasher.thread, NULL);
	r->sha256 = r->hasher.sha256;
}

/* ---- prefill ---- */

static void scale(struct block *b, double by)
{
	float *x = block_floats(b), factor = (float)by;
	for (size_t i = 0; i < b->n_bytes / sizeof *x; i++)
		x[i] *= factor;
}

static void add_to(struct block *to, const struct block *from)
{
	float *x = block_floats(to);
	const float *y = from->data;
	for (size_t i = 0; i < to->n_bytes / sizeof *x; i++)
		x[i] += y[i];
}

/* Sums of rows that only one window has become sums of whole windows, then means. */
static int finish_windows(struct run *r, struct err *e)
{
	for (int i = 1; i < r->n_window; i++) {
		add_to(r->win[i].block, r->win[i - 1].block);
		r->win[i].row_error = fmax(r->win[i].row_error, r->win[i - 1].row_error);
	}
	for (int i = 0; i < r->n_window; i++)
		scale(r->win[i].block, 1.0 / r->win[i].size);
	return plan_name_windows(r, e);
}

static int measure_score(struct run *r, const char *name, enum value_norm kind, bool keys, struct err *e)
{
	struct block *b = run_wants(r, name) ? block_zero(run_map_bytes(r, MAP_SCORE)) : NULL;
	if (!run_wants(r, name))
		return 0;
	if (!b)
		return err_set(e, ERR_MEMORY, "no memory for score.%s", name);
	float *x = block_floats(b);
	int rc = keys ? session_key_norms(r->session, r->n_prompt, x, e)
		: session_value_norms(r->session, kind, r->n_prompt, x, e);
	if (!rc && keys)
		scale(b, -1); /* small keys are kept first */
	if (!rc)
		rc = run_add_slot(r, name, &(struct slot){.kind = MAP_SCORE, .block = b, .row_error = NAN}, e);
	block_unref(b);
	return rc;
}

static int prefill(struct run *r, struct err *e)
{
	struct colsum_request request[MAX_WINDOW];
	int inner = 0;
	for (int i = 0; i < r->n_window; i++) {
		struct window *w = &r->win[i];
		request[i] = (struct colsum_request){.first = r->n_prompt - w->size, .count = w->size - inner, .step = 1,
			.n_key = r->n_prompt, .sum = block_floats(w->block), .row_error = &w->row_error};
		inner = w->size;
	}
	const struct run_request prompt = {.ids = r->prompt.id, .n = r->n_prompt, .colsum = request,
		.n_colsum = r->n_window, .stage = "prefill", .progress = progress_of(r)};
	double began = clock_ms();
	int rc = session_run(r->session, &prompt, e);
	r->timings->prefill = clock_ms() - began;
	if (!rc)
		rc = finish_windows(r, e);
	if (!rc)
		rc = measure_score(r, "keynorm", VALUE_L2, true, e);
	if (!rc)
		rc = measure_score(r, "value_l2", VALUE_L2, false, e);
	if (!rc)
		rc = measure_score(r, "value_l1_wo", VALUE_L1_WO, false, e);
	if (!rc)
		rc = measure_score(r, "value_l2_wo", VALUE_L2_WO, false, e);
	return rc ? rc : run_publish(r, e);
}

/* ---- lookahead rows ---- */

static int measure_rows(struct run *r, const struct lookahead *modules, const char *name, double *ms, struct err *e)
{
	struct block *b = block_zero(run_map_bytes(r, MAP_ROWS));
	if (!b)
		return err_set(e, ERR_MEMORY, "no memory for rows.%s", name);
	double row_error = 0, began = clock_ms();
	struct relay relay = {.to = progress_of(r), .stage = name};
	const struct progress progress = {relay_report, &relay};
	const struct lookahead_request request = {.modules = modules, .sum = block_floats(b), .row_error = &row_error,
		.progress = &progress};
	int rc = session_lookahead(r->session, &request, e);
	*ms = clock_ms() - began;
	if (!rc) {
		scale(b, 1.0 / modules->n_lookahead);
		rc = run_add_slot(r, name, &(struct slot){.kind = MAP_ROWS, .block = b, .n_rows = modules->n_lookahead, .row_error = row_error}, e);
	}
	block_unref(b);
	return rc ? rc : run_publish(r, e);
}

/* The control: the modules themselves when they are untrained ones, else soft tokens drawn here, as many. */
static int measure_control(struct run *r, struct err *e)
{
	const struct lookahead *modules = r->o->modules;
	double ms;
	if (!run_wants(r, "untrained"))
		return 0;
	if (modules && !modules->path && !strcmp(modules->name, "untrained")) {
		if (run_wants(r, "lookahead"))
			return run_add_slot(r, "untrained", &r->slot[r->n_slot - 1], e);
		return measure_rows(r, modules, "untrained", &ms, e);
	}
	struct lookahead *control;
	int rc = lookahead_untrained(&control, r->model, modules ? modules->n_lookahead : N_LOOKAHEAD, 0, 0, r->o->seed, e);
	if (rc)
		return rc;
	rc = measure_rows(r, control, "untrained", &ms, e);
	lookahead_free(control);
	return rc;
}

static int lookahead(struct run *r, struct err *e)
{
	int rc = 0;
	if (r->o->modules && run_wants(r, "lookahead"))
		rc = measure_rows(r, r->o->modules, "lookahead", &r->timings->lookahead, e);
	return rc ? rc : measure_control(r, e);
}

/* ---- response ---- */

/* Requests for even and odd response rows; together they are truth. */
static void truth_requests(struct run *r, struct colsum_request out[2])
{
	out[0] = (struct colsum_request){.first = r->n_prompt, .count = (r->n_rows_due + 1) / 2, .step = 2,
		.n_key = r->n_prompt, .sum = block_floats(r->even), .row_error = &r->truth_error};
	out[1] = (struct colsum_request){.first = r->n_prompt + 1, .count = r->n_rows_due / 2, .step = 2, .n_key = r->n_prompt,
		.sum = block_floats(r->odd), .row_error = &r->truth_error};
}

struct writing {
	struct run *r;
	struct relay relay;
	struct err e;
	int rc;
};

/* After every token: show what is known, and stop here if that was asked for, so that sums are whole rows. */
static int token_done(void *user, int i, int32_t id)
{
	struct writing *w = user;
	(void)id; /* in r->response already */
	w->r->n_response = i + 1;
	if (clock_ms() >= w->r->next_publish_ms) {
		w->rc = session_collect(w->r->session, &w->e);
		w->rc = w->rc ? w->rc : run_publish(w->r, &w->e);
	}
	return w->rc || w->relay.asked;
}

static int generate(struct run *r, struct writing *w, const struct colsum_request *truth, struct err *e)
{
	const struct progress progress = {relay_report, &w->relay};
	const struct generate_options options = {.n_max = r->n_rows_due, .temperature = r->o->temperature,
		.seed = r->o->seed, .colsum = truth, .n_colsum = 2, .on_token = token_done, .user = w, .progress = &progress};
	int n;
	bool stopped = false;
	int rc = session_generate(r->session, &options, r->response, &n, &stopped, e);
	if (stopped)
		r->response_end = "end token";
	else if (!w->relay.asked)
		r->response_end = r->n_rows_due < r->o->n_response ? "context" : "limit";
	return rc;
}

static int feed_given(struct run *r, struct writing *w, const struct colsum_request *truth, struct err *e)
{
	const struct progress progress = {relay_report, &w->relay};
	w->relay.total = r->given.n;
	while (r->n_response < r->given.n && !w->relay.asked && !w->rc) {
		int left = r->given.n - r->n_response, n = left < RESPONSE_BATCH ? left : RESPONSE_BATCH;
		const struct run_request batch = {.ids = r->given.id + r->n_response, .n = n, .colsum = truth,
			.n_colsum = 2, .stage = "decode", .progress = &progress};
		w->relay.before = r->n_response;
		int rc = session_run(r->session, &batch, e);
		if (rc)
			return rc;
		memcpy(r->response + r->n_response, batch.ids, (size_t)n * sizeof *batch.ids);
		r->n_response += n;
		if (r->n_response < r->given.n && clock_ms() >= r->next_publish_ms)
			w->rc = run_publish(r, &w->e);
	}
	if (!w->relay.asked)
		r->response_end = "given";
	return 0;
}

static int respond(struct run *r, struct err *e)
{
	if (r->n_rows_due == 0)
		return 0;
	struct writing w = {.r = r, .relay = {.to = progress_of(r), .stage = "decode", .defer = true}};
	struct colsum_request truth[2];
	r->even = block_zero(run_map_bytes(r, MAP_ROWS));
	r->odd = block_zero(run_map_bytes(r, MAP_ROWS));
	r->response = malloc((size_t)r->n_rows_due * sizeof *r->response);
	if (!r->even || !r->odd || !r->response)
		return err_set(e, ERR_MEMORY, "no memory for truth over %d tokens", r->n_prompt);
	truth_requests(r, truth);
	double began = clock_ms();
	int rc = r->o->response ? feed_given(r, &w, truth, e) : generate(r, &w, truth, e);
	r->timings->decode = clock_ms() - began;
	if (!rc && w.rc) {
		if (e)
			*e = w.e;
		return w.rc;
	}
	/* a stop that came with the last token comes too late */
	if (!rc && w.relay.asked && r->n_response < r->n_rows_due && !r->response_end) {
		r->response_end = "stopped";
		return err_set(e, ERR_CANCELLED, "stopped after %d response tokens", r->n_response);
	}
	return rc;
}

/* ---- the whole ---- */

static int read_tokens(struct run *r, const char *text, size_t n_bytes, struct err *e)
{
	r->mode = r->o->conversation ? PROMPT_CHAT : r->o->mode;
	int rc = r->o->conversation ? model_conversation(r->model, r->o->conversation, r->o->n_message, &r->prompt, e)
	                            : model_prompt(r->model, text, n_bytes, &r->mode, &r->prompt, e);
	if (!rc && r->o->response && r->o->response_bytes)
		rc = model_encode(r->model, r->o->response, r->o->response_bytes, &r->given, e);
	if (rc)
		return rc;
	r->n_prompt = r->prompt.n;
	int room = r->info->n_ctx - r->n_prompt;
	if (room < 0)
		return err_set(e, ERR_LIMIT, "the prompt has %d tokens, the model's context %d", r->n_prompt, r->info->n_ctx);
	if (r->given.n > room)
		return err_set(e, ERR_LIMIT, "prompt and response have %d + %d tokens, the model's context %d", r->n_prompt,
			r->given.n, r->info->n_ctx);
	int most = r->o->n_response > 0 ? r->o->n_response : 0;
	r->n_rows_due = r->o->response ? r->given.n : most < room ? most : room;
	return 0;
}

/* Rows behind the prompt: the response's, or the lookahead rows', which are forgotten before it. */
static int session_tokens(const struct measure_options *o, int n_prompt, int n_response)
{
	int rows = o->modules && o->modules->n_lookahead > N_LOOKAHEAD ? o->modules->n_lookahead : N_LOOKAHEAD;
	return n_prompt + (n_response > rows ? n_response : rows);
}

static int check_memory(const struct run *r, struct err *e)
{
	struct memory_estimate m;
	const double mib = 1024.0 * 1024.0;
	model_estimate(r->model, session_tokens(r->o, r->n_prompt, r->n_rows_due), plan_count_maps(r), &m);
	if (!m.available || m.total <= m.available)
		return 0;
	return err_set(e, ERR_MEMORY,
		"%d tokens need %.0f MiB (weights %.0f, cache %.0f, scratch %.0f, maps %.0f), %.0f MiB are free", r->n_prompt,
		(double)m.total / mib, (double)m.weights / mib, (double)m.kv / mib, (double)m.scratch / mib,
		(double)m.maps / mib, (double)m.available / mib);
}

static int check_modules(const struct run *r, struct err *e)
{
	const struct lookahead *l = r->o->modules;
	if (!l || (l->n_embd == r->info->n_embd && l->n_layer == r->info->n_layer))
		return 0;
	return err_set(e, ERR_USE, "%s: modules for width %d and %d layers, the model has width %d and %d layers",
		l->name, l->n_embd, l->n_layer, r->info->n_embd, r->info->n_layer);
}

static int open_session(struct run *r, struct err *e)
{
	const struct session_options options = {.max_tokens = session_tokens(r->o, r->n_prompt, r->n_rows_due),
		.n_threads = r->o->n_threads};
	int rc = check_memory(r, e);
	if (!rc)
		rc = session_open(&r->session, r->model, &options, e);
	return rc ? rc : plan_windows(r, e);
}

static int measure(struct run *r, const char *text, size_t n_bytes, struct err *e)
{
	int rc = measure_check_methods(r->o, e);
	if (!rc)
		rc = check_modules(r, e);
	if (!rc)
		rc = read_tokens(r, text, n_bytes, e);
	if (!rc)
		rc = open_session(r, e);
	if (rc)
		return rc;
	hasher_begin(r);
	rc = prefill(r, e);
	if (!rc)
		rc = lookahead(r, e);
	if (!rc)
		rc = respond(r, e);
	hasher_end(r);
	return rc;
}

static void run_free(struct run *r)
{
	session_close(r->session);
	token_list_free(&r->prompt);
	token_list_free(&r->given);
	for (int i = 0; i < r->n_window; i++)
		block_unref(r->win[i].block);
	for (int i = 0; i < r->n_slot; i++)
		block_unref(r->slot[i].block);
	block_unref(r->even);
	block_unref(r->odd);
	free(r->response);
}

/* A session that cannot be kept is closed, and the result stands without it. */
static void keep_session(struct run *r, const struct capture *c)
{
	int max_tokens = session_tokens(r->o, r->n_prompt, r->n_rows_due);
	if (!live_make(r->o->keep, r->session, r->model, c, max_tokens, NULL))
		r->session = NULL;
}

int measure_prompt(const struct capture **out, const struct model *m, const char *text, size_t n_bytes,
	const struct measure_options *o, struct err *e)
{
	struct measure_timings unused = {0};
	struct run r = {.model = m, .info = model_info(m), .o = o, .timings = o->timings ? o->timings : &unused};
	*out = NULL;
	if (o->keep)
		*o->keep = NULL;
	r.window = o->window > 0 ? o->window : 32;
	r.timings->prefill = r.timings->lookahead = r.timings->decode = 0;
	int rc = measure(&r, text, n_bytes, e);
	r.complete = !rc;
	/* what was measured before a stop is kept, from the finished prompt on */
	if (!rc || (rc == ERR_CANCELLED && r.n_slot > 0)) {
		struct err why;
		int failed = run_capture(&r, out, &why);
		if (failed && e)
			*e = why;
		rc = failed ? failed : rc;
	}
	if (!rc && o->watch && o->watch->publish)
		o->watch->publish(o->watch->user, capture_ref(*out));
	if (*out && o->keep)
		keep_session(&r, *out);
	run_free(&r);
	return rc;
}

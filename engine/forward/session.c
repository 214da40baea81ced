/* Sessions: opening within memory, appending tokens chunk by chunk, forgetting, norms of what is cached. */
#include "engine/forward/session.h"

#include <stdlib.h>
#include <string.h>

#include "engine/cpu/threads.h"
#include "engine/cuda/device.h"

const struct backend_ops *backend_for(const struct model *m)
{
	return strncmp(m->info.device, "cuda:", 5) ? &backend_cpu : cuda_backend();
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static struct backend_config config_of(const struct model *m, const struct session_options *o)
{
	return (struct backend_config){.model = m, .max_tokens = o->max_tokens, .max_rows = o->chunk_rows,
		.n_threads = o->n_threads > 0 ? o->n_threads : threads_default_count()};
}

static void estimate(const struct backend_config *config, int n_maps, struct memory_estimate *out)
{
	const struct model_info *info = &config->model->info;
	*out = (struct memory_estimate){.weights = info->weight_bytes, .available = memory_available()};
	backend_for(config->model)->estimate(config, out);
	out->maps = (uint64_t)n_maps * (uint64_t)info->n_layer * (uint64_t)info->n_head * (uint64_t)config->max_tokens * sizeof(float);
	out->total = out->weights + out->kv + out->scratch + out->maps;
}

void model_estimate(const struct model *m, int max_tokens, int n_maps, struct memory_estimate *out)
{
	struct session_options o = {.max_tokens = max_tokens};
	struct backend_config config = config_of(m, &o);
	estimate(&config, n_maps, out);
}

static int check_memory(const struct backend_config *config, struct err *e)
{
	struct memory_estimate m;
	const double mib = 1024.0 * 1024.0;
	estimate(config, 0, &m);
	if (!m.available || m.total <= m.available)
		return 0;
	return err_set(e, ERR_MEMORY,
		"device %s: %d tokens need %.0f MiB (weights %.0f, cache %.0f, scratch %.0f), %.0f MiB are free: take a shorter prompt or a smaller model%s",
		config->model->info.device, config->max_tokens, (double)m.total / mib, (double)m.weights / mib, (double)m.kv / mib, (double)m.scratch / mib,
		(double)m.available / mib, backend_for(config->model) == &backend_cpu ? "" : ", or --device cpu");
}

int session_open(struct session **out, const struct model *m, const struct session_options *options, struct err *e)
{
	struct backend_config config = config_of(m, options);
	*out = NULL;
	if (options->max_tokens < 1 || options->chunk_rows < 0)
		return err_set(e, ERR_USE, "a session of %d tokens in chunks of %d rows", options->max_tokens, options->chunk_rows);
	int rc = check_memory(&config, e);
	if (rc)
		return rc;
	struct session *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "no memory for a session");
	*s = (struct session){.model = m, .ops = backend_for(m), .max_tokens = options->max_tokens};
	rc = s->ops->open(&s->backend, &config, e);
	if (rc) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	s->ops->close(s->backend);
	adapter_set_free(s->adapters);
	free(s);
}

int session_length(const struct session *s)
{
	return s->length;
}

int session_truncate(struct session *s, int length)
{
	if (length < 0 || length > s->length)
		return ERR_USE;
	if (length < s->length)
		s->has_logits = false;
	s->length = length;
	return 0;
}

const float *session_logits(const struct session *s)
{
	return s->has_logits ? s->ops->last_logits(s->backend) : NULL;
}

int session_collect(struct session *s, struct err *e)
{
	return s->ops->collect(s->backend, e);
}

int session_evict(struct session *s, const struct eviction *eviction, struct err *e)
{
	if (eviction && (eviction->n < 0 || eviction->n > s->length))
		return err_set(e, ERR_USE, "an eviction of %d positions, the cache holds %d", eviction->n, s->length);
	return s->ops->evict(s->backend, eviction, e);
}

/* ---- runs --------------------------------------------------------------------------------------------------------- */

int capture_from_request(struct capture *out, const struct colsum_request *r, struct err *e)
{
	if (r->first < 0 || r->count < 0 || r->step < 1 || r->n_key < 1 || !r->sum)
		return err_set(e, ERR_USE, "column sums of %d rows from %d in steps of %d over %d keys", r->count, r->first, r->step, r->n_key);
	*out = (struct capture){.first = r->first, .count = r->count, .step = r->step, .n_key = r->n_key, .sum = r->sum,
		.row_error = r->row_error};
	return 0;
}

static int check_run(const struct session *s, const struct run_request *r, struct err *e)
{
	if (r->n < 1)
		return err_set(e, ERR_USE, "%s: no tokens to run", r->stage);
	if (r->n > s->max_tokens - s->length)
		return err_set(e, ERR_LIMIT, "%s: %d tokens after %d do not fit a session of %d", r->stage, r->n, s->length, s->max_tokens);
	if (r->n > s->model->info.n_ctx - s->length)
		return err_set(e, ERR_LIMIT, "%s: %d tokens after %d, the model's context is %d", r->stage, r->n, s->length, s->model->info.n_ctx);
	for (int i = 0; i < r->n; i++)
		if (r->ids[i] < 0 || r->ids[i] >= s->model->info.n_vocab)
			return err_set(e, ERR_USE, "%s: token %d has id %d, the vocabulary %d entries", r->stage, i, (int)r->ids[i],
				s->model->info.n_vocab);
	return 0;
}

static int run_chunks(struct session *s, const struct run_request *r, const struct capture *capture, struct err *e)
{
	int chunk = s->ops->max_rows(s->backend);
	for (int at = 0; at < r->n; at += chunk) {
		int n = r->n - at < chunk ? r->n - at : chunk;
		struct pass p = {.position = s->length + at, .n_rows = n, .ids = r->ids + at, .capture = capture, .n_capture = r->n_colsum,
			.want_last = at + n == r->n, .logits = r->logits ? r->logits + (size_t)at * (size_t)s->model->info.n_vocab : NULL,
			.progress = r->progress, .stage = r->stage, .rows_before = at, .rows_total = r->n};
		int rc = forward_pass(s, &p, e);
		if (rc)
			return rc;
	}
	int changed = model_check(s->model, e);
	if (changed)
		return changed;
	if (s->ops->argmax(s->backend) < 0)
		return err_set(e, ERR_NUMBER, "%s: logits after position %d are not finite: damaged weights?", r->stage, s->length + r->n - 1);
	return 0;
}

int session_run(struct session *s, const struct run_request *r, struct err *e)
{
	struct run_request request = *r;
	if (!request.stage)
		request.stage = "run";
	int rc = check_run(s, &request, e);
	if (rc)
		return rc;
	struct capture *capture = calloc((size_t)r->n_colsum + 1, sizeof *capture);
	if (!capture)
		return err_set(e, ERR_MEMORY, "no memory for %d captures", r->n_colsum);
	for (int i = 0; i < r->n_colsum && !rc; i++)
		rc = capture_from_request(&capture[i], &r->colsum[i], e);
	if (!rc) {
		s->has_logits = false;
		rc = run_chunks(s, &request, capture, e);
	}
	free(capture);
	/* After a failure, too, the sums' owner may free them. */
	int collected = rc || !r->gather ? s->ops->collect(s->backend, rc ? NULL : e) : 0;
	if (rc || collected)
		return rc ? rc : collected;
	s->length += r->n;
	s->has_logits = true;
	/* A cancel that comes with the last report comes too late: the work is done. */
	progress_report(r->progress, request.stage, r->n, r->n);
	return 0;
}

/* ---- norms of what is cached ---------------------------------------------------------------------------------------- */

static int check_norms(const struct session *s, int n, struct err *e)
{
	if (n < 0 || n > s->length)
		return err_set(e, ERR_USE, "norms of %d positions, the cache holds %d", n, s->length);
	return 0;
}

int session_key_norms(struct session *s, int n, float *out, struct err *e)
{
	int rc = check_norms(s, n, e);
	for (int layer = 0; !rc && layer < s->model->info.n_layer; layer++)
		s->ops->key_norms(s->backend, layer, n, out + (size_t)layer * (size_t)s->model->info.n_kv_head * (size_t)n);
	return rc;
}

int session_value_norms(struct session *s, enum value_norm kind, int n, float *out, struct err *e)
{
	int rc = check_norms(s, n, e);
	for (int layer = 0; !rc && layer < s->model->info.n_layer; layer++)
		s->ops->value_norms(s->backend, &(struct value_norms_op){.layer = layer, .n = n, .kind = kind,
			.out = out + (size_t)layer * (size_t)s->model->info.n_kv_head * (size_t)n});
	return rc;
}

/* Continuing a session token by token. */
#include "engine/forward/session.h"

#include <math.h>
#include <stdlib.h>

#include "engine/random.h"

/* One draw from softmax(logits / temperature), in double and in id order, so that a seed gives the same text everywhere. */
static int32_t draw(const float *logits, int n, int32_t top, float temperature, struct rng *rng)
{
	double total = 0, most = logits[top];
	for (int i = 0; i < n; i++)
		total += exp(((double)logits[i] - most) / temperature);
	double left = rng_uniform(rng) * total;
	for (int i = 0; i < n; i++) {
		left -= exp(((double)logits[i] - most) / temperature);
		if (left < 0)
			return i;
	}
	return top;
}

static int feed(struct session *s, const struct generate_options *o, const struct capture *capture, int i, int32_t id, struct err *e)
{
	struct pass p = {.position = s->length, .n_rows = 1, .ids = &id, .capture = capture, .n_capture = o->n_colsum, .want_last = true,
		.progress = o->progress, .stage = "decode", .rows_before = i, .rows_total = o->n_max};
	s->has_logits = false;
	int rc = forward_pass(s, &p, e);
	if (rc)
		return rc;
	s->length++;
	s->has_logits = true;
	return 0;
}

static int generate(struct session *s, const struct generate_options *o, const struct capture *capture, int32_t *ids, int *n,
	bool *stopped, struct err *e)
{
	struct rng rng;
	rng_seed(&rng, o->seed);
	while (*n < o->n_max) {
		int32_t id = s->ops->argmax(s->backend);
		if (id < 0)
			return err_set(e, ERR_NUMBER, "decode: logits after position %d are not finite: damaged weights?", s->length - 1);
		if (o->temperature > 0)
			id = draw(s->ops->last_logits(s->backend), s->model->info.n_vocab, id, o->temperature, &rng);
		*stopped = s->model->tokenizer && model_is_end(s->model, id); /* models made in memory have no tokenizer */
		if (*stopped)
			return 0;
		int rc = feed(s, o, capture, *n, id, e);
		if (rc)
			return rc;
		ids[(*n)++] = id;
		if (o->on_token && o->on_token(o->user, *n - 1, id))
			return 0;
	}
	return 0;
}

int session_generate(struct session *s, const struct generate_options *o, int32_t *ids, int *n, bool *stopped, struct err *e)
{
	*n = 0;
	*stopped = false;
	if (!s->has_logits)
		return err_set(e, ERR_USE, "decode: no row has been run, so there are no logits to continue from");
	if (o->n_max < 0 || o->n_max > s->max_tokens - s->length)
		return err_set(e, ERR_LIMIT, "decode: %d tokens after %d do not fit a session of %d", o->n_max, s->length, s->max_tokens);
	if (o->n_max > s->model->info.n_ctx - s->length)
		return err_set(e, ERR_LIMIT, "decode: %d tokens after %d, the model's context is %d", o->n_max, s->length, s->model->info.n_ctx);
	struct capture *capture = calloc((size_t)o->n_colsum + 1, sizeof *capture);
	if (!capture)
		return err_set(e, ERR_MEMORY, "no memory for %d captures", o->n_colsum);
	int rc = 0;
	for (int i = 0; i < o->n_colsum && !rc; i++)
		rc = capture_from_request(&capture[i], &o->colsum[i], e);
	if (!rc)
		rc = generate(s, o, capture, ids, n, stopped, e);
	free(capture);
	int collected = s->ops->collect(s->backend, rc ? NULL : e);
	rc = rc ? rc : collected;
	if (!rc)
		progress_report(o->progress, "decode", *n, *n);
	return rc;
}

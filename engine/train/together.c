#include "engine/train/together.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/cpu.h"

struct chorus {
	const struct model *model;
	struct cpu *lead;               /* rows of all that still speak */
	struct together_voice **active; /* row -> voice */
	int n_active;
	int32_t *next; /* (n_active) token each feeds in this step */
	float *logits; /* (n_active, n_vocab) */
	int layer;
};

/* ---- a step ---- */

static void copy_row(const struct cpu *from, int from_row, const struct cpu *to, int to_row, enum row_buffer buffer)
{
	size_t width = (size_t)row_buffer_width(&from->model->info, buffer);
	memcpy(cpu_rows(to, buffer) + (size_t)to_row * width, cpu_rows(from, buffer) + (size_t)from_row * width, width * sizeof(float));
}

static void attend_piece(void *context, int row, int thread)
{
	(void)thread;
	struct chorus *c = context;
	struct session *s = c->active[row]->session;
	struct cpu *own = (struct cpu *)s->backend;
	const struct layer_weights *w = &c->model->layer[c->layer];
	static const enum row_buffer in[] = {ROWS_Q, ROWS_K, ROWS_V};
	struct row_range one = {0, 1};
	for (int i = 0; i < 3; i++)
		copy_row(c->lead, row, own, 0, in[i]);
	s->ops->rope(s->backend, &(struct rope_op){.q_norm = w->q_norm, .k_norm = w->k_norm, .q_rows = one, .k_rows = one});
	s->ops->append(s->backend, &(struct append_op){.layer = c->layer, .values = true});
	s->ops->attention(s->backend, &(struct attention_op){.layer = c->layer, .rows = one, .output = true});
	copy_row(own, 0, c->lead, row, ROWS_ATTENDED);
}

static void project(struct chorus *c, enum row_buffer in, const int *proj, const enum row_buffer *out, int n, bool add)
{
	const struct layer_weights *w = &c->model->layer[c->layer];
	struct matmul_part part[3];
	for (int i = 0; i < n; i++)
		part[i] = (struct matmul_part){.weight = &w->proj[proj[i]], .bias = w->bias[proj[i]], .out = out[i]};
	backend_cpu.matmul((struct backend *)c->lead, &(struct matmul_op){.in = in, .rows = {0, c->n_active}, .part = part, .n_part = n,
		.add = add});
}

static void normalise(struct chorus *c, const float *gain)
{
	backend_cpu.rmsnorm((struct backend *)c->lead, &(struct norm_op){.in = ROWS_HIDDEN, .out = ROWS_NORMED, .gain = gain,
		.rows = {0, c->n_active}});
}

static void run_layer(struct chorus *c)
{
	const struct layer_weights *w = &c->model->layer[c->layer];
	normalise(c, w->attn_norm);
	project(c, ROWS_NORMED, (int[]){PROJ_Q, PROJ_K, PROJ_V}, (enum row_buffer[]){ROWS_Q, ROWS_K, ROWS_V}, 3, false);
	threads_run(c->lead->threads, c->n_active, attend_piece, c);
	project(c, ROWS_ATTENDED, (int[]){PROJ_O}, (enum row_buffer[]){ROWS_HIDDEN}, 1, true);
	normalise(c, w->ffn_norm);
	project(c, ROWS_NORMED, (int[]){PROJ_GATE, PROJ_UP}, (enum row_buffer[]){ROWS_GATE, ROWS_UP}, 2, false);
	backend_cpu.swiglu((struct backend *)c->lead, (struct row_range){0, c->n_active});
	project(c, ROWS_GATE, (int[]){PROJ_DOWN}, (enum row_buffer[]){ROWS_HIDDEN}, 1, true);
}

/* Every active voice feeds its next token; logits of all afterwards. */
static int feed(struct chorus *c, struct err *e)
{
	struct backend *lead = (struct backend *)c->lead;
	backend_cpu.step_begin(lead, &(struct step){.position = 0, .n_rows = c->n_active});
	for (int i = 0; i < c->n_active; i++) {
		struct session *s = c->active[i]->session;
		s->ops->step_begin(s->backend, &(struct step){.position = s->length, .n_rows = 1, .capture = &c->active[i]->capture, .n_capture = 1});
	}
	backend_cpu.embed_ids(lead, c->next);
	for (c->layer = 0; c->layer < c->model->info.n_layer; c->layer++)
		run_layer(c);
	normalise(c, c->model->output_norm);
	backend_cpu.logits(lead, &(struct logits_op){.rows = {0, c->n_active}, .out = c->logits});
	int rc = backend_cpu.step_end(lead, e);
	for (int i = 0; i < c->n_active; i++) {
		struct session *s = c->active[i]->session;
		int own = s->ops->step_end(s->backend, rc ? NULL : e);
		rc = rc ? rc : own;
		s->has_logits = false;
		s->length++;
	}
	return rc;
}

/* ---- choosing ---- */

/* Lowest id among equals; -1 when one is not finite. */
static int32_t argmax(const float *logits, int n)
{
	int32_t best = 0;
	bool finite = true;
	for (int i = 0; i < n; i++) {
		finite &= isfinite(logits[i]) != 0;
		best = logits[i] > logits[best] ? i : best;
	}
	return finite ? best : -1;
}

/* The token a voice feeds next, or -1 when it has finished. */
static int choose(const struct chorus *c, const struct together_voice *v, const float *logits, int32_t *next, struct err *e)
{
	*next = -1;
	if (v->n == v->n_max)
		return 0;
	int32_t id = argmax(logits, c->model->info.n_vocab);
	if (id < 0)
		return err_set(e, ERR_NUMBER, "responses: logits after position %d are not finite: damaged weights?", v->session->length - 1);
	if (!model_is_end(c->model, id))
		*next = id;
	return 0;
}

/* Keeps the voices that go on, in order; logits_of(i) are those of the i-th of them so far. */
static int advance(struct chorus *c, bool first, struct err *e)
{
	int kept = 0;
	for (int i = 0; i < c->n_active; i++) {
		struct together_voice *v = c->active[i];
		const float *logits = first ? session_logits(v->session) : c->logits + (size_t)i * (size_t)c->model->info.n_vocab;
		int32_t next;
		int rc = choose(c, v, logits, &next, e);
		if (rc)
			return rc;
		v->ended = next < 0;
		if (v->ended)
			continue;
		v->ids[v->n++] = next;
		c->active[kept] = v;
		c->next[kept++] = next;
	}
	c->n_active = kept;
	return 0;
}

static int sing(struct chorus *c, int64_t total, const struct progress *progress, struct err *e)
{
	int64_t done = 0;
	for (bool first = true;; first = false) {
		int rc = advance(c, first, e);
		if (rc || c->n_active == 0)
			return rc;
		if (progress_report(progress, "responses", done, total))
			return err_set(e, ERR_CANCELLED, "responses: cancelled");
		done += c->n_active;
		rc = feed(c, e);
		if (rc)
			return rc;
	}
}

int together_generate(const struct model *m, struct together_voice *voice, int n_voice, int n_threads, const struct progress *progress,
	struct err *e)
{
	struct chorus c = {.model = m, .n_active = n_voice};
	struct backend_config config = {.model = m, .max_tokens = n_voice, .max_rows = n_voice, .n_threads = n_threads};
	struct backend *lead = NULL;
	int rc = backend_cpu.open(&lead, &config, e);
	if (rc)
		return rc;
	c.lead = (struct cpu *)lead;
	c.active = malloc((size_t)n_voice * sizeof *c.active);
	c.next = malloc((size_t)n_voice * sizeof *c.next);
	c.logits = malloc((size_t)n_voice * (size_t)m->info.n_vocab * sizeof *c.logits);
	int64_t total = 0;
	for (int i = 0; c.active && i < n_voice; i++) {
		c.active[i] = &voice[i];
		voice[i].n = 0;
		total += voice[i].n_max;
	}
	if (c.active && c.next && c.logits)
		rc = sing(&c, total, progress, e);
	else
		rc = err_set(e, ERR_MEMORY, "no memory for %d responses", n_voice);
	free(c.active);
	free(c.next);
	free(c.logits);
	backend_cpu.close(lead);
	return rc;
}

/* ---- side by side ---- */

struct each_job {
	together_work *work;
	void *context;
	pthread_mutex_t lock;
	int rc;
	struct err *e;
};

static void each_piece(void *context, int piece, int thread)
{
	(void)thread;
	struct each_job *job = context;
	struct err e = {0};
	pthread_mutex_lock(&job->lock);
	bool failed = job->rc != 0;
	pthread_mutex_unlock(&job->lock);
	if (failed)
		return;
	int rc = job->work(job->context, piece, &e);
	if (!rc)
		return;
	pthread_mutex_lock(&job->lock);
	if (!job->rc && job->e)
		*job->e = e;
	job->rc = job->rc ? job->rc : rc;
	pthread_mutex_unlock(&job->lock);
}

int together_each(int n, int n_threads, together_work *work, void *context, struct err *e)
{
	struct each_job job = {.work = work, .context = context, .lock = PTHREAD_MUTEX_INITIALIZER, .e = e};
	struct threads *threads;
	int rc = threads_open(&threads, n_threads, e);
	if (rc)
		return rc;
	threads_run(threads, n, each_piece, &job);
	threads_close(threads);
	return job.rc;
}

/* Modules beside the model's own weights. */
#include "engine/lookahead_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/threads.h"
#include "engine/model/model.h"

/* ---- norms of the weights -------------------------------------------------------------------------------------- */

struct norms_job {
	const struct model *model;
	float *row; /* (threads, widest) */
	size_t widest;
	int layer;
	double *out;
};

static double matrix_norm(const struct weight *w, float *row)
{
	size_t n_in = (size_t)w->n_in, row_bytes = tensor_type_bytes(w->type, n_in);
	double square = 0;
	for (int o = 0; o < w->n_out; o++) {
		tensor_unpack(w->type, w->data + (size_t)o * row_bytes, n_in, row);
		double sum[8] = {0}; /* lanes: one long chain of sums would be slow */
		for (size_t k = 0; k < n_in; k++)
			sum[k % 8] += (double)row[k] * (double)row[k];
		for (int i = 0; i < 8; i++)
			square += sum[i];
	}
	return sqrt(square);
}

static void norm_piece(void *context, int piece, int thread)
{
	struct norms_job *job = context;
	job->out[job->layer * N_PROJ + piece] = matrix_norm(&job->model->layer[job->layer].proj[piece],
		job->row + (size_t)thread * job->widest);
}

int model_weight_norms(const struct model *m, int n_threads, double *out, const struct progress *progress, struct err *e)
{
	struct threads *pool;
	struct norms_job job = {.model = m, .out = out};
	for (int i = 0; i < m->info.n_layer * N_PROJ; i++) {
		size_t n_in = (size_t)m->layer[i / N_PROJ].proj[i % N_PROJ].n_in;
		job.widest = n_in > job.widest ? n_in : job.widest;
	}
	int rc = threads_open(&pool, n_threads > 0 ? n_threads : threads_default_count(), e);
	if (rc)
		return rc;
	job.row = malloc((size_t)threads_count(pool) * job.widest * sizeof *job.row);
	if (!job.row)
		rc = err_set(e, ERR_MEMORY, "out of memory for rows of weights");
	for (; job.layer < m->info.n_layer && !rc; job.layer++) { /* a layer at a time: a stop takes effect between them */
		if (progress_report(progress, "weights", job.layer, m->info.n_layer))
			rc = err_set(e, ERR_CANCELLED, "stopped at the weights of layer %d", job.layer);
		else
			threads_run(pool, N_PROJ, norm_piece, &job);
	}
	if (!rc)
		progress_report(progress, "weights", job.layer, job.layer);
	free(job.row);
	threads_close(pool);
	return rc;
}

/* ---- soft tokens ----------------------------------------------------------------------------------------------- */

static double inverse_norm(const float *x, int n)
{
	double square = 0;
	for (int i = 0; i < n; i++)
		square += (double)x[i] * (double)x[i];
	return square > 0 && square < INFINITY ? 1 / sqrt(square) : NAN;
}

void lookahead_cosines(const struct lookahead *x, const struct lookahead *y, float *out)
{
	int n = x->n_embd;
	for (int i = 0; i < x->n_lookahead; i++)
		for (int j = 0; j < y->n_lookahead; j++) {
			const float *a = x->embedding + (size_t)i * (size_t)n, *b = y->embedding + (size_t)j * (size_t)n;
			double sum = 0;
			for (int k = 0; k < n; k++)
				sum += (double)a[k] * (double)b[k];
			out[(size_t)i * (size_t)y->n_lookahead + (size_t)j] = (float)(sum * inverse_norm(a, n) * inverse_norm(b, n));
		}
}

/* ---- nearest words --------------------------------------------------------------------------------------------- */

enum { GROUP = 32, BLOCK = 256 }; /* soft tokens at once; vocabulary rows a piece */

struct nearest_job {
	const struct model *model;
	const float *soft; /* (n_embd, GROUP): unit vectors of the group's soft tokens, as columns */
	float *row;        /* (threads, n_embd) */
	float *cosine;     /* (n_vocab, GROUP) */
	double *norm;      /* (n_vocab) */
};

static void cosine_row(const struct nearest_job *job, int id, float *row)
{
	const struct weight *w = &job->model->embedding;
	int n = w->n_in;
	float *out = job->cosine + (size_t)id * GROUP, sum[GROUP] = {0};
	tensor_unpack(w->type, w->data + (size_t)id * tensor_type_bytes(w->type, (uint64_t)n), (size_t)n, row);
	for (int k = 0; k < n; k++)
		for (int i = 0; i < GROUP; i++)
			sum[i] += row[k] * job->soft[(size_t)k * GROUP + (size_t)i];
	double inverse = inverse_norm(row, n);
	job->norm[id] = isnan(inverse) ? 0 : 1 / inverse;
	for (int i = 0; i < GROUP; i++)
		out[i] = sum[i] * (float)inverse;
}

static void nearest_piece(void *context, int piece, int thread)
{
	struct nearest_job *job = context;
	int end = (piece + 1) * BLOCK < job->model->info.n_vocab ? (piece + 1) * BLOCK : job->model->info.n_vocab;
	for (int id = piece * BLOCK; id < end; id++)
		cosine_row(job, id, job->row + (size_t)thread * (size_t)job->model->info.n_embd);
}

/* Unit vectors of soft tokens first, first + 1, ... as columns; columns beyond the last one are zero. */
static void put_soft(const struct lookahead *l, int first, float *soft)
{
	for (int i = 0; i < GROUP; i++) {
		const float *x = l->embedding + (size_t)(first + i) * (size_t)l->n_embd;
		bool there = first + i < l->n_lookahead;
		double inverse = there ? inverse_norm(x, l->n_embd) : 0;
		for (int k = 0; k < l->n_embd; k++)
			soft[(size_t)k * GROUP + (size_t)i] = there ? (float)((double)x[k] * inverse) : 0;
	}
}

/* The best of one column; lower ids first among equals. NaN is never among them. */
static void choose_best(const struct nearest_job *job, int column, int n_near, struct near_token *out)
{
	for (int i = 0; i < n_near; i++)
		out[i] = (struct near_token){-1, -INFINITY};
	for (int id = 0; id < job->model->info.n_vocab; id++) {
		float cosine = job->cosine[(size_t)id * GROUP + (size_t)column];
		int at = n_near;
		while (at > 0 && cosine > out[at - 1].cosine)
			at--;
		if (at == n_near)
			continue;
		memmove(out + at + 1, out + at, (size_t)(n_near - at - 1) * sizeof *out);
		out[at] = (struct near_token){id, cosine};
	}
}

static double mean_of(const double *x, int n)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += x[i];
	return sum / n;
}

static int run_groups(struct nearest_job *job, const struct lookahead *l, struct threads *pool, const struct nearest_request *r,
	struct err *e)
{
	for (int first = 0; first < l->n_lookahead; first += GROUP) {
		if (progress_report(r->progress, "vocabulary", first, l->n_lookahead))
			return err_set(e, ERR_CANCELLED, "stopped while looking for the nearest words");
		put_soft(l, first, (float *)job->soft);
		threads_run(pool, (job->model->info.n_vocab + BLOCK - 1) / BLOCK, nearest_piece, job);
		for (int i = 0; i < GROUP && first + i < l->n_lookahead; i++)
			choose_best(job, i, r->n_near, r->out + (size_t)(first + i) * (size_t)r->n_near);
	}
	progress_report(r->progress, "vocabulary", l->n_lookahead, l->n_lookahead);
	return 0;
}

int lookahead_nearest(const struct lookahead *l, const struct model *m, const struct nearest_request *r, struct err *e)
{
	struct threads *pool;
	size_t n_embd = (size_t)m->info.n_embd, n_vocab = (size_t)m->info.n_vocab;
	if (l->n_embd != m->info.n_embd)
		return err_set(e, ERR_USE, "%s: soft tokens of width %d, the model's are %d wide", l->name, l->n_embd, m->info.n_embd);
	int rc = threads_open(&pool, r->n_threads > 0 ? r->n_threads : threads_default_count(), e);
	if (rc)
		return rc;
	float *soft = malloc(n_embd * GROUP * sizeof *soft);
	struct nearest_job job = {.model = m, .soft = soft, .row = malloc((size_t)threads_count(pool) * n_embd * sizeof *job.row),
		.cosine = malloc(n_vocab * GROUP * sizeof *job.cosine), .norm = malloc(n_vocab * sizeof *job.norm)};
	rc = soft && job.row && job.cosine && job.norm ? run_groups(&job, l, pool, r, e)
		: (int)err_set(e, ERR_MEMORY, "out of memory for cosines with %zu words", n_vocab);
	if (!rc && r->mean_norm)
		*r->mean_norm = mean_of(job.norm, m->info.n_vocab);
	free(soft);
	free(job.row);
	free(job.cosine);
	free(job.norm);
	threads_close(pool);
	return rc;
}

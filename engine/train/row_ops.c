#include "engine/train/step_cpu.h"

#include <math.h>
#include <string.h>

/* ---- products --------------------------------------------------------------------------------------------------- */

enum { STRIPE = 128 }; /* rows or columns of the result that one piece takes */

struct gemm_job {
	struct cpu *c;
	const struct gemm *g;
	bool by_row;
};

static void gemm_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct gemm_job *job = context;
	struct gemm g = *job->g;
	int first = piece * STRIPE;
	if (job->by_row) {
		g.m = g.m - first < STRIPE ? g.m - first : STRIPE;
		g.a += g.a_transposed ? (size_t)first : (size_t)first * (size_t)g.lda;
		g.c += (size_t)first * (size_t)g.ldc;
	} else {
		g.n = g.n - first < STRIPE ? g.n - first : STRIPE;
		g.b += g.b_transposed ? (size_t)first * (size_t)g.ldb : (size_t)first;
		g.c += first;
	}
	if (gemm_run(&g))
		atomic_store(&job->c->failure, ERR_MEMORY);
}

void row_gemm(struct step_device *d, const struct gemm *g)
{
	struct cpu *c = cpu_of(d);
	struct gemm_job job = {.c = c, .g = g, .by_row = g->m >= g->n};
	int side = job.by_row ? g->m : g->n;
	threads_run(c->threads, (side + STRIPE - 1) / STRIPE, gemm_piece, &job);
}

/* ---- norm ------------------------------------------------------------------------------------------------------- */

enum { ROWS_PER_PIECE = 16 };

struct norm_job {
	struct cpu *c;
	const struct norm_rows *norm;
	const float *dy;
	float *out;
};

static void norm_forward_row(const struct norm_job *job, int row)
{
	const struct norm_rows *norm = job->norm;
	size_t at = (size_t)row * (size_t)norm->n;
	job->c->simd->rows->rmsnorm(norm->x + at, norm->gain, norm->eps, norm->n, job->out + at);
}

/* With u = x / rms: dx = (gain dy - u mean(u gain dy)) / rms. */
static void norm_backward_row(const struct norm_job *job, int row)
{
	const struct norm_rows *norm = job->norm;
	const float *x = norm->x + (size_t)row * (size_t)norm->n, *dy = job->dy + (size_t)row * (size_t)norm->n;
	float *dx = job->out + (size_t)row * (size_t)norm->n;
	double square = 0, along = 0;
	for (int i = 0; i < norm->n; i++) {
		square += (double)x[i] * (double)x[i];
		along += (double)(x[i] * norm->gain[i] * dy[i]);
	}
	double inverse = 1 / sqrt(square / norm->n + (double)norm->eps);
	float scale = (float)inverse, back = (float)(along / norm->n * inverse * inverse * inverse);
	for (int i = 0; i < norm->n; i++)
		dx[i] += scale * norm->gain[i] * dy[i] - back * x[i];
}

static void norm_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct norm_job *job = context;
	int end = (piece + 1) * ROWS_PER_PIECE < job->norm->n_row ? (piece + 1) * ROWS_PER_PIECE : job->norm->n_row;
	for (int row = piece * ROWS_PER_PIECE; row < end; row++) {
		if (job->dy)
			norm_backward_row(job, row);
		else
			norm_forward_row(job, row);
	}
}

static void norm_run(struct step_device *d, const struct norm_rows *norm, const float *dy, float *out)
{
	struct cpu *c = cpu_of(d);
	struct norm_job job = {.c = c, .norm = norm, .dy = dy, .out = out};
	threads_run(c->threads, (norm->n_row + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, norm_piece, &job);
}

void row_norm(struct step_device *d, const struct norm_rows *op, float *y)
{
	norm_run(d, op, NULL, y);
}

void row_norm_back(struct step_device *d, const struct norm_rows *op, const float *dy, float *dx)
{
	norm_run(d, op, dy, dx);
}

/* ---- SwiGLU ----------------------------------------------------------------------------------------------------- */

enum { ELEMENTS_PER_PIECE = 8192 };

struct swiglu_job {
	struct cpu *c;
	const struct swiglu_rows *op;
	float *act;  /* forward: written; backward: d_act in, d_gate out */
	float *d_up; /* backward */
};

static size_t piece_elements(const struct swiglu_job *job, size_t first)
{
	return job->op->n - first < ELEMENTS_PER_PIECE ? job->op->n - first : ELEMENTS_PER_PIECE;
}

static void swiglu_forward_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct swiglu_job *job = context;
	size_t first = (size_t)piece * ELEMENTS_PER_PIECE, n = piece_elements(job, first);
	memcpy(job->act + first, job->op->gate + first, n * sizeof(float));
	job->c->simd->rows->swiglu(job->act + first, job->op->up + first, (int)n);
}

/* silu' = sigma + silu (1 - sigma); sigma comes from the vectorised exponential, in place of d_up. */
static void swiglu_backward_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct swiglu_job *job = context;
	size_t first = (size_t)piece * ELEMENTS_PER_PIECE, n = piece_elements(job, first);
	const float *gate = job->op->gate + first, *up = job->op->up + first;
	float *d_act = job->act + first, *d_up = job->d_up + first;
	for (size_t i = 0; i < n; i++)
		d_up[i] = -fabsf(gate[i]);
	job->c->simd->rows->exp_row(d_up, 0, (int)n, (int)n);
	for (size_t i = 0; i < n; i++) {
		float sigma = (gate[i] >= 0 ? 1 : d_up[i]) / (1 + d_up[i]), silu = gate[i] * sigma;
		d_up[i] = d_act[i] * silu;
		d_act[i] = d_act[i] * up[i] * (sigma + silu * (1 - sigma));
	}
}

static void swiglu_run(struct cpu *c, struct swiglu_job job, threads_work *piece)
{
	threads_run(c->threads, (int)((job.op->n + ELEMENTS_PER_PIECE - 1) / ELEMENTS_PER_PIECE), piece, &job);
}

void row_swiglu(struct step_device *d, const struct swiglu_rows *op, float *act)
{
	struct cpu *c = cpu_of(d);
	swiglu_run(c, (struct swiglu_job){.c = c, .op = op, .act = act}, swiglu_forward_piece);
}

void row_swiglu_back(struct step_device *d, const struct swiglu_rows *op, float *d_act, float *d_up)
{
	struct cpu *c = cpu_of(d);
	swiglu_run(c, (struct swiglu_job){.c = c, .op = op, .act = d_act, .d_up = d_up}, swiglu_backward_piece);
}

/* ---- RoPE ------------------------------------------------------------------------------------------------------- */

void row_rope(struct step_device *device, const struct rope_rows *r)
{
	(void)device;
	int d = r->model->info.head_dim, half = d / 2;
	int apart = r->model->rope_pairs == ROPE_HALVES ? half : 1, along = r->model->rope_pairs == ROPE_HALVES ? 1 : 2;
	for (int row = 0; row < r->n_row; row++) {
		float position = (float)(r->offset[row / r->period] + row % r->period);
		for (int i = 0; i < half; i++) {
			double angle = (double)(position * r->model->rope_inv_freq[i]);
			float cosine = (float)cos(angle), sine = (float)(r->inverse ? -sin(angle) : sin(angle));
			for (int head = 0; head < r->n_head; head++) {
				float *pair = r->x + ((size_t)row * (size_t)r->n_head + (size_t)head) * (size_t)d + (size_t)(i * along);
				float first = pair[0], second = pair[apart];
				pair[0] = first * cosine - second * sine;
				pair[apart] = second * cosine + first * sine;
			}
		}
	}
}

#include "engine/train/attention_grad.h"

#include <math.h>
#include <string.h>

#include "engine/cpu/gemm.h"

/* Scratch: probabilities and their gradients, (n_rep * T, n + T) each. */
size_t attention_scratch(const struct attention_block *b)
{
	return 2 * (size_t)b->n_rep * (size_t)b->n_row * (size_t)(b->n + b->n_row);
}

static int block_rows(const struct attention_block *b)
{
	return b->n_rep * b->n_row;
}

static int block_columns(const struct attention_block *b)
{
	return b->n + b->n_row;
}

/* rows (n_rep * T, n + T) = x . [key; look_key]^T, or the same with values: logits when x is the query, dP when x is d_out. */
static void rows_times_keys(const struct attention_block *b, const float *x, const float *key, const float *look_key, float *rows)
{
	int m = block_rows(b), width = block_columns(b), d = b->head_dim;
	gemm_run(&(struct gemm){.m = m, .n = b->n, .k = d, .a = x, .lda = d, .b = key, .ldb = d, .b_transposed = 1, .c = rows, .ldc = width});
	gemm_run(&(struct gemm){.m = m, .n = b->n_row, .k = d, .a = x, .lda = d, .b = look_key, .ldb = d, .b_transposed = 1,
		.c = rows + b->n, .ldc = width});
}

/* y (n_rep * T, d) = rows . [value; look_value], or with keys: outputs, or dQ. */
static void rows_into_values(const struct attention_block *b, const float *rows, const float *value, const float *look_value, float *y)
{
	int m = block_rows(b), width = block_columns(b), d = b->head_dim;
	gemm_run(&(struct gemm){.m = m, .n = d, .k = b->n, .a = rows, .lda = width, .b = value, .ldb = d, .c = y, .ldc = d});
	gemm_run(&(struct gemm){.m = m, .n = d, .k = b->n_row, .a = rows + b->n, .lda = width, .b = look_value, .ldb = d, .c = y, .ldc = d,
		.add = 1});
}

/* Gradient of the T lookahead keys or values: sum over the group's heads of rows[:, n:]^T . x. */
static void rows_onto_lookahead(const struct attention_block *b, const float *rows, const float *x, float *y)
{
	int width = block_columns(b), d = b->head_dim;
	gemm_run(&(struct gemm){.m = b->n_row, .n = d, .k = block_rows(b), .a = rows + b->n, .lda = width, .a_transposed = 1, .b = x,
		.ldb = d, .c = y, .ldc = d});
}

/* Row i of a head sees the prompt and lookahead keys 0..i. */
static int visible(const struct attention_block *b, int row)
{
	return b->n + row % b->n_row + 1;
}

void attention_forward(const struct attention_block *b, float *scratch, float *out, float *lse, float *mean)
{
	int width = block_columns(b);
	rows_times_keys(b, b->query, b->key, b->look_key, scratch);
	memset(mean, 0, (size_t)b->n_rep * (size_t)b->n * sizeof *mean);
	for (int row = 0; row < block_rows(b); row++) {
		float *p = scratch + (size_t)row * (size_t)width;
		float top = b->simd->largest(p, visible(b, row)), sum = b->simd->exp_row(p, top, visible(b, row), width);
		lse[row] = top + logf(sum);
		b->simd->scale(p, 1 / sum, visible(b, row));
		b->simd->axpy(mean + (size_t)(row / b->n_row) * (size_t)b->n, 1.0f / (float)b->n_row, p, b->n);
	}
	if (out)
		rows_into_values(b, scratch, b->value, b->look_value, out);
}

/* dS = P * (dP - sum_j P dP), in place over dP; nothing flows to keys that the row cannot see. */
static void softmax_backward_row(const float *p, float *dp, int n_visible, int width)
{
	float dot = 0;
	for (int j = 0; j < n_visible; j++)
		dot += p[j] * dp[j];
	for (int j = 0; j < n_visible; j++)
		dp[j] = p[j] * (dp[j] - dot);
	memset(dp + n_visible, 0, (size_t)(width - n_visible) * sizeof *dp);
}

void attention_backward(const struct attention_block *b, const struct attention_gradient *g, float *scratch)
{
	int m = block_rows(b), width = block_columns(b);
	float *p = scratch, *dp = scratch + (size_t)m * (size_t)width;
	rows_times_keys(b, b->query, b->key, b->look_key, p);
	for (int row = 0; row < m; row++)
		b->simd->exp_row(p + (size_t)row * (size_t)width, g->lse[row], visible(b, row), width);
	if (g->d_out) {
		rows_times_keys(b, g->d_out, b->value, b->look_value, dp);
		rows_onto_lookahead(b, p, g->d_out, g->d_value);
	} else {
		memset(dp, 0, (size_t)m * (size_t)width * sizeof *dp);
	}
	for (int row = 0; row < m; row++) {
		float *d_row = dp + (size_t)row * (size_t)width;
		b->simd->axpy(d_row, 1.0f / (float)b->n_row, g->d_mean + (size_t)(row / b->n_row) * (size_t)b->n, b->n);
		softmax_backward_row(p + (size_t)row * (size_t)width, d_row, visible(b, row), width);
	}
	rows_into_values(b, dp, b->key, b->look_key, g->d_query);
	rows_onto_lookahead(b, dp, b->query, g->d_key);
}

double objective_kl(const float *truth, const float *s, int n, double weight, float *d_s)
{
	const double tiny = 1e-12;
	double truth_sum = 0, s_sum = 0;
	for (int j = 0; j < n; j++) {
		truth_sum += (double)truth[j];
		s_sum += (double)s[j];
	}
	double kl = 0, pull = 0; /* pull = sum_j t_j s_j / (s_j + tiny), 1 but for the tiny */
	for (int j = 0; j < n; j++) {
		double t = (double)truth[j] / truth_sum, q = (double)s[j] / s_sum;
		kl += t * (log(t + tiny) - log(q + tiny));
		pull += t * q / (q + tiny);
	}
	for (int j = 0; d_s && j < n; j++) {
		double t = (double)truth[j] / truth_sum, q = (double)s[j] / s_sum;
		d_s[j] = (float)(weight * (pull - t / (q + tiny)) / s_sum);
	}
	return kl;
}

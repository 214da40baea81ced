#include "tests/support/reference_forward.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *zeros(size_t n)
{
	double *x = calloc(n ? n : 1, sizeof *x);
	if (!x) {
		fprintf(stderr, "tests: no memory for the reference\n");
		exit(2);
	}
	return x;
}

static void weight_row(const struct weight *w, int row, float *out)
{
	tensor_unpack(w->type, w->data + (size_t)row * tensor_type_bytes(w->type, (uint64_t)w->n_in), (size_t)w->n_in, out);
}

/* Row of the stored matrix that is Hugging Face row o: GGUF's Llama converter interleaves the two halves of every q and k head. */
static int file_row(const struct model *m, int proj, int o)
{
	int d = m->info.head_dim, head = o / d, i = o % d;
	if (m->rope_pairs == ROPE_HALVES || (proj != PROJ_Q && proj != PROJ_K))
		return o;
	return head * d + (i % (d / 2)) * 2 + i / (d / 2);
}

struct run {
	const struct reference_request *request;
	const struct model *m;
	struct reference *out;
	int n;
	double *hidden, *q, *k;
};

static double lora_scale(const struct run *r, int layer, int proj)
{
	const struct lookahead_switches *s = r->request->switches;
	if (s && ((s->layer_on && !s->layer_on[layer]) || (s->proj_off & 1u << proj)))
		return 0;
	return r->request->modules->scale * (s ? s->scale : 1);
}

/* out (n, n_out) in Hugging Face row order. */
static void project(const struct run *r, int layer, int proj, const double *in, double *out)
{
	const struct weight *w = &r->m->layer[layer].proj[proj];
	const float *bias = r->m->layer[layer].bias[proj];
	float *row = malloc((size_t)w->n_in * sizeof *row);
	for (int o = 0; o < w->n_out; o++) {
		weight_row(w, file_row(r->m, proj, o), row);
		for (int i = 0; i < r->n; i++) {
			double sum = bias ? bias[file_row(r->m, proj, o)] : 0;
			for (int k = 0; k < w->n_in; k++)
				sum += in[i * w->n_in + k] * row[k];
			out[i * w->n_out + o] = sum;
		}
	}
	free(row);
	for (int i = r->request->n_ids; i < r->n; i++) {
		const struct lora *l = &r->request->modules->lora[layer * N_PROJ + proj];
		double scale = lora_scale(r, layer, proj);
		for (int k = 0; l->a && k < l->r; k++) {
			double inner = 0;
			for (int c = 0; c < l->n_in; c++)
				inner += l->a[k * l->n_in + c] * in[i * l->n_in + c];
			for (int o = 0; o < l->n_out; o++)
				out[i * l->n_out + o] += scale * l->b[o * l->r + k] * inner;
		}
	}
}

static void norm(const double *x, const float *gain, double eps, int n, double *out)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (int i = 0; i < n; i++)
		out[i] = x[i] / sqrt(sum / n + eps) * gain[i];
}

static double *norm_rows(const struct run *r, const float *gain)
{
	int width = r->m->info.n_embd;
	double *out = zeros((size_t)r->n * (size_t)width);
	for (int i = 0; i < r->n; i++)
		norm(r->hidden + i * width, gain, r->m->norm_eps, width, out + i * width);
	return out;
}

/* Hugging Face's rotate_half, the angle rounded to float32 as there. `gain`: q/k norm, whose gains are in file order for a GGUF of
 * adjacent pairs, which no such model has. */
static void rotate_heads(const struct run *r, double *x, int n_head, const float *gain)
{
	int d = r->m->info.head_dim, half = d / 2;
	for (int i = 0; i < r->n; i++)
		for (int h = 0; h < n_head; h++) {
			double *v = x + ((size_t)i * (size_t)n_head + (size_t)h) * (size_t)d;
			if (gain)
				norm(v, gain, r->m->norm_eps, d, v);
			for (int k = 0; k < half; k++) {
				double angle = (float)i * r->m->rope_inv_freq[k], a = v[k], b = v[k + half];
				v[k] = a * cos(angle) - b * sin(angle);
				v[k + half] = b * cos(angle) + a * sin(angle);
			}
		}
}

/* Does query head h in row i see position j? */
static bool sees(const struct run *r, int layer, int h, int i, int j)
{
	const struct eviction *e = r->request->eviction;
	if (!e || i < e->n || j >= e->n)
		return j <= i;
	return e->kept[((size_t)layer * (size_t)r->m->info.n_head + (size_t)h) * (size_t)e->n + (size_t)j];
}

static void attend(const struct run *r, int layer, double *out)
{
	const struct model_info *info = &r->m->info;
	int d = info->head_dim, group = info->n_head / info->n_kv_head, n = r->n;
	for (int h = 0; h < info->n_head; h++)
		for (int i = 0; i < n; i++) {
			const double *q = r->q + ((size_t)i * (size_t)info->n_head + (size_t)h) * (size_t)d;
			double *p = r->out->attention + (((size_t)layer * (size_t)info->n_head + (size_t)h) * (size_t)n + (size_t)i) * (size_t)n;
			double most = -INFINITY, sum = 0;
			for (int j = 0; j <= i; j++) {
				const double *k = r->k + ((size_t)j * (size_t)info->n_kv_head + (size_t)(h / group)) * (size_t)d;
				for (int c = 0; c < d; c++)
					p[j] += q[c] * k[c] / sqrt(d);
				p[j] = sees(r, layer, h, i, j) ? p[j] : -INFINITY;
				most = fmax(most, p[j]);
			}
			for (int j = 0; j <= i; j++)
				sum += p[j] = exp(p[j] - most);
			for (int j = 0; j <= i; j++) {
				const double *v = r->out->value
					+ (((size_t)layer * (size_t)info->n_kv_head + (size_t)(h / group)) * (size_t)n + (size_t)j) * (size_t)d;
				p[j] /= sum;
				for (int c = 0; c < d; c++)
					out[((size_t)i * (size_t)info->n_head + (size_t)h) * (size_t)d + (size_t)c] += p[j] * v[c];
			}
		}
}

static void keep_keys_and_values(const struct run *r, int layer, const double *v)
{
	const struct model_info *info = &r->m->info;
	int d = info->head_dim;
	for (int g = 0; g < info->n_kv_head; g++)
		for (int j = 0; j < r->n; j++) {
			size_t at = ((size_t)layer * (size_t)info->n_kv_head + (size_t)g) * (size_t)r->n + (size_t)j;
			double sum = 0;
			for (int c = 0; c < d; c++) {
				double k = r->k[((size_t)j * (size_t)info->n_kv_head + (size_t)g) * (size_t)d + (size_t)c];
				sum += k * k;
				r->out->value[at * (size_t)d + (size_t)c] = v[((size_t)j * (size_t)info->n_kv_head + (size_t)g) * (size_t)d + (size_t)c];
			}
			r->out->key_norm[at] = sqrt(sum);
		}
}

static void run_layer(struct run *r, int layer)
{
	const struct model_info *info = &r->m->info;
	const struct layer_weights *w = &r->m->layer[layer];
	size_t n = (size_t)r->n, width = (size_t)info->n_embd, heads = (size_t)(info->n_head * info->head_dim), ff = (size_t)info->n_ff;
	double *x = norm_rows(r, w->attn_norm), *v = zeros(n * heads), *mixed = zeros(n * heads), *added = zeros(n * width);
	double *gate = zeros(n * ff), *up = zeros(n * ff);
	project(r, layer, PROJ_Q, x, r->q);
	project(r, layer, PROJ_K, x, r->k);
	project(r, layer, PROJ_V, x, v);
	rotate_heads(r, r->q, info->n_head, w->q_norm);
	rotate_heads(r, r->k, info->n_kv_head, w->k_norm);
	keep_keys_and_values(r, layer, v);
	attend(r, layer, mixed);
	project(r, layer, PROJ_O, mixed, added);
	for (size_t i = 0; i < n * width; i++)
		r->hidden[i] += added[i];
	free(x);
	x = norm_rows(r, w->ffn_norm);
	project(r, layer, PROJ_GATE, x, gate);
	project(r, layer, PROJ_UP, x, up);
	for (size_t i = 0; i < n * ff; i++)
		gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
	project(r, layer, PROJ_DOWN, gate, added);
	for (size_t i = 0; i < n * width; i++)
		r->hidden[i] += added[i];
	free(x), free(v), free(mixed), free(added), free(gate), free(up);
}

static void embed(struct run *r)
{
	int width = r->m->info.n_embd;
	float *row = malloc((size_t)width * sizeof *row);
	for (int i = 0; i < r->n; i++) {
		int soft = i - r->request->n_ids;
		if (soft < 0)
			weight_row(&r->m->embedding, r->request->ids[i], row);
		else
			memcpy(row, r->request->modules->embedding + (size_t)soft * (size_t)width, (size_t)width * sizeof *row);
		for (int c = 0; c < width; c++)
			r->hidden[i * width + c] = row[c];
	}
	free(row);
}

static void read_out(struct run *r)
{
	const struct weight *w = &r->m->output;
	double *x = norm_rows(r, r->m->output_norm);
	float *row = malloc((size_t)w->n_in * sizeof *row);
	for (int o = 0; o < w->n_out; o++) {
		weight_row(w, o, row);
		for (int i = 0; i < r->n; i++)
			for (int c = 0; c < w->n_in; c++)
				r->out->logits[(size_t)i * (size_t)w->n_out + (size_t)o] += x[i * w->n_in + c] * row[c];
	}
	free(row);
	free(x);
}

struct reference *reference_run(const struct reference_request *request)
{
	const struct model_info *info = &request->model->info;
	const struct lookahead_switches *s = request->switches;
	int n_soft = request->modules ? s && s->n_rows ? s->n_rows : request->modules->n_lookahead : 0;
	struct reference *out = calloc(1, sizeof *out);
	struct run r = {.request = request, .m = request->model, .out = out, .n = request->n_ids + n_soft};
	size_t n = (size_t)r.n, layers = (size_t)info->n_layer, d = (size_t)info->head_dim;
	out->n = r.n;
	out->logits = zeros(n * (size_t)info->n_vocab);
	out->attention = zeros(layers * (size_t)info->n_head * n * n);
	out->key_norm = zeros(layers * (size_t)info->n_kv_head * n);
	out->value = zeros(layers * (size_t)info->n_kv_head * n * d);
	r.hidden = zeros(n * (size_t)info->n_embd);
	r.q = zeros(n * (size_t)info->n_head * d);
	r.k = zeros(n * (size_t)info->n_kv_head * d);
	embed(&r);
	for (int layer = 0; layer < info->n_layer; layer++)
		run_layer(&r, layer);
	read_out(&r);
	free(r.hidden), free(r.q), free(r.k);
	return out;
}

void reference_free(struct reference *r)
{
	if (!r)
		return;
	free(r->logits), free(r->attention), free(r->key_norm), free(r->value);
	free(r);
}

double reference_colsum(const struct reference *r, const struct model *m, int layer, int head, struct reference_rows rows, int j)
{
	double sum = 0;
	for (int k = 0; k < rows.count; k++)
		sum += r->attention[(((size_t)layer * (size_t)m->info.n_head + (size_t)head) * (size_t)r->n + (size_t)(rows.first + k * rows.step))
			* (size_t)r->n + (size_t)j];
	return sum;
}

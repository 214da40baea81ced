/* What a run knows so far, as a capture. */
#include "analysis/measure/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

size_t run_map_bytes(const struct run *r, enum map_kind kind)
{
	size_t heads = (size_t)(kind == MAP_SCORE ? r->info->n_kv_head : r->info->n_head);
	return (size_t)r->info->n_layer * heads * (size_t)r->n_prompt * sizeof(float);
}

/* ---- tokens ---- */

struct pieces {
	int32_t *id, *offset;
	uint8_t *part;
	char *text;
};

static void free_pieces(struct pieces *p)
{
	free(p->id);
	free(p->offset);
	free(p->part);
	free(p->text);
}

static bool make_pieces(struct pieces *p, const struct run *r)
{
	size_t n_prompt = (size_t)r->n_prompt, n_response = (size_t)r->n_response, n = n_prompt + n_response, n_bytes;
	*p = (struct pieces){malloc(n * sizeof *p->id), malloc((n + 1) * sizeof *p->offset), malloc(n), NULL};
	if (!p->id || !p->offset || !p->part)
		return false;
	memcpy(p->id, r->prompt.id, n_prompt * sizeof *p->id);
	if (n_response)
		memcpy(p->id + n_prompt, r->response, n_response * sizeof *p->id);
	for (size_t i = 0; i < n; i++)
		p->part[i] = i >= n_prompt ? PART_RESPONSE : r->prompt.part ? r->prompt.part[i] : PART_USER;
	p->text = model_text(r->model, p->id, (int)n, p->offset, &n_bytes);
	return p->text;
}

/* ---- metadata ---- */

struct meta {
	struct capture_pair pair[MAX_META];
	int n;
	char seed[24], temperature[24];
};

static void add_meta(struct meta *m, const char *key, const char *value)
{
	if (value && *value)
		m->pair[m->n++] = (struct capture_pair){key, value};
}

static void make_meta(struct meta *m, const struct run *r)
{
	const struct lookahead *modules = r->o->modules;
	m->n = 0;
	snprintf(m->seed, sizeof m->seed, "%llu", (unsigned long long)r->o->seed);
	snprintf(m->temperature, sizeof m->temperature, "%g", (double)r->o->temperature);
	add_meta(m, "kvglass.program", "kvglass " KVGLASS_VERSION);
	add_meta(m, "kvglass.model_name", r->info->name);
	add_meta(m, "kvglass.model_sha256", r->sha256);
	add_meta(m, "kvglass.arch", r->info->arch_name);
	add_meta(m, "kvglass.weight_type", r->info->weight_type);
	add_meta(m, "kvglass.prompt_mode", r->mode == PROMPT_CHAT ? "chat" : "raw");
	add_meta(m, "kvglass.response_source", r->o->response ? "given" : r->o->temperature > 0 ? "sampled" : "greedy");
	add_meta(m, "kvglass.response_end", r->response_end);
	add_meta(m, "kvglass.temperature", r->o->response ? NULL : m->temperature);
	add_meta(m, "kvglass.seed", m->seed);
	add_meta(m, "kvglass.module_name", modules ? modules->name : NULL);
	add_meta(m, "kvglass.module_sha256", modules ? modules->sha256 : NULL);
	add_meta(m, "kvglass.device", r->info->device);
	add_meta(m, "kvglass.precision", r->info->precision);
}

/* ---- truth ---- */

struct block *block_scaled_sum(struct block *a, struct block *b, double scale)
{
	struct block *out = block_copy(a->data, a->n_bytes);
	if (!out)
		return NULL;
	float *x = block_floats(out);
	const float *y = b ? b->data : NULL;
	float by = (float)scale;
	for (size_t i = 0; i < a->n_bytes / sizeof *x; i++)
		x[i] = (x[i] + (y ? y[i] : 0)) * by;
	return out;
}

/* Truth's two means over the rows there are, as maps and the blocks they lie in. */
static int make_truth(const struct run *r, struct capture_map *map, struct block **block, struct err *e)
{
	int m = r->n_response, m_even = (m + 1) / 2, due = r->complete ? m : r->n_rows_due;
	block[0] = block_scaled_sum(r->even, r->odd, 1.0 / m);
	block[1] = block_scaled_sum(r->even, NULL, 1.0 / m_even);
	if (!block[0] || !block[1])
		return err_set(e, ERR_MEMORY, "no memory for truth over %d tokens", r->n_prompt);
	map[0] = (struct capture_map){"truth", MAP_ROWS, block[0]->data, m, due, r->truth_error};
	map[1] = (struct capture_map){"truth_even", MAP_ROWS, block[1]->data, m_even, (due + 1) / 2, r->truth_error};
	return 0;
}

/* ---- the capture ---- */

static int assemble(const struct run *r, const struct pieces *pieces, const struct capture **out, struct err *e)
{
	struct block *block[MAX_SLOT + 2] = {0};
	struct capture_map map[MAX_SLOT + 2];
	struct meta meta;
	int n = r->n_response > 0 && r->even ? 2 : 0, rc = 0;
	struct capture parts = {.n_layer = r->info->n_layer, .n_head = r->info->n_head, .n_kv_head = r->info->n_kv_head,
		.head_dim = r->info->head_dim, .n_prompt = r->n_prompt, .n_response = r->n_response, .token = pieces->id,
		.offset = pieces->offset, .text = pieces->text, .part = pieces->part, .window = r->window, .map = map,
		.complete = r->complete};
	if (n)
		rc = make_truth(r, map, block, e);
	for (int i = 0; i < n && !rc; i++)
		rc = capture_check_values(&parts, &map[i], e);
	for (int i = 0; i < r->n_slot; i++, n++) {
		const struct slot *s = &r->slot[i];
		map[n] = (struct capture_map){s->name, s->kind, s->block->data, s->n_rows, s->n_rows, s->row_error};
		block[n] = s->block;
	}
	make_meta(&meta, r);
	parts.n_map = n;
	parts.n_meta = meta.n;
	parts.meta = meta.pair;
	struct share share = {.block = block, .n_block = n, .checked = true};
	struct capture_box *box = NULL;
	if (!rc)
		rc = box_assemble(&box, &parts, &share, e);
	if (n > r->n_slot) {
		block_unref(block[0]);
		block_unref(block[1]);
	}
	*out = box ? &box->c : NULL;
	return rc;
}

int run_capture(const struct run *r, const struct capture **out, struct err *e)
{
	struct pieces pieces;
	*out = NULL;
	int rc = make_pieces(&pieces, r) ? assemble(r, &pieces, out, e) : (int)err_set(e, ERR_MEMORY, "no memory for the text");
	free_pieces(&pieces);
	return rc;
}

int run_publish(struct run *r, struct err *e)
{
	if (!r->o->watch || !r->o->watch->publish)
		return 0;
	double began = clock_ms();
	const struct capture *c;
	int rc = run_capture(r, &c, e);
	if (rc)
		return rc;
	r->o->watch->publish(r->o->watch->user, c);
	/* a snapshot may cost a twentieth of the time at most */
	double now = clock_ms(), pause = r->o->watch->publish_ms > 0 ? r->o->watch->publish_ms : 200;
	r->next_publish_ms = now + fmax(pause, 20 * (now - began));
	return 0;
}

#include "analysis/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/random.h"

struct synthetic_spec synthetic_default(void)
{
	return (struct synthetic_spec){.n_layer = 30, .n_head = 9, .n_kv_head = 3, .head_dim = 64, .n_prompt = 2000,
		.n_response = 97, .window = 32, .every_method = true, .seed = 1};
}

/* Normal enough for a map: four 16-bit uniforms of one draw, variance 1. */
static float quick_normal(struct rng *r)
{
	uint64_t x = rng_next(r);
	int sum = (int)(x & 0xffff) + (int)(x >> 16 & 0xffff) + (int)(x >> 32 & 0xffff) + (int)(x >> 48);
	return (float)(sum - 131070) * 2.6429e-5f; /* 1 / (65536 * sqrt(4 / 12)) */
}

/* ---- text ---- */

static const char *const word[] = {" the", " harbour", " office", " keeps", " a", " careful", " ledger", " of",
	" every", " boat", " that", " enters", " bay", " and", " its", " cargo", ",", " written", " in", " blue",
	" ink", ".", " On", " 3", "7", " cold", " mornings", " caf", "\xc3\xa9", " light", " falls", " on", " \xf0\x9f",
	"\x9a\xa2", "\n", " \xe6\xb5\xb7", "\xe6\xb8\xaf", " who", " reads", " it", "?", "\n\n"};
static const char *const before[] = {"<|im_start|>", "user", "\n"};
static const char *const after[] = {"<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"};
enum { N_WORD = sizeof word / sizeof *word, N_BEFORE = sizeof before / sizeof *before,
	N_AFTER = sizeof after / sizeof *after };

struct tokens {
	int32_t *token, *offset;
	uint8_t *part;
	char *text;
};

/* Runs of the word list, so that it reads like a text and characters that are split over two tokens stay together. */
static const char *word_at(const struct synthetic_spec *s, int i, int32_t *id)
{
	uint64_t run = s->seed * 31 + (uint64_t)(i / N_WORD);
	int k = i % N_WORD;
	*id = (int32_t)(100 + k + (run % 3 == 0 && k == 1 ? N_WORD : 0));
	return *id >= 100 + N_WORD ? " pilot" : word[k];
}

static const char *piece_at(const struct synthetic_spec *s, int i, uint8_t *part, int32_t *id)
{
	bool template = s->n_prompt > N_BEFORE + N_AFTER;
	*part = i >= s->n_prompt ? PART_RESPONSE : PART_USER;
	if (template && i < N_BEFORE) {
		*part = PART_TEMPLATE;
		*id = 1 + i;
		return before[i];
	}
	if (template && i < s->n_prompt && i >= s->n_prompt - N_AFTER) {
		*part = PART_TEMPLATE;
		*id = 10 + i - (s->n_prompt - N_AFTER);
		return after[i - (s->n_prompt - N_AFTER)];
	}
	return word_at(s, i, id);
}

static bool make_tokens(struct tokens *t, const struct synthetic_spec *s)
{
	int n = s->n_prompt + s->n_response;
	t->token = malloc((size_t)n * sizeof *t->token);
	t->offset = malloc(((size_t)n + 1) * sizeof *t->offset);
	t->part = malloc((size_t)n);
	t->text = malloc((size_t)n * 16);
	if (!t->token || !t->offset || !t->part || !t->text)
		return false;
	t->offset[0] = 0;
	for (int i = 0; i < n; i++) {
		const char *piece = piece_at(s, i, &t->part[i], &t->token[i]);
		size_t n_bytes = strlen(piece);
		memcpy(t->text + t->offset[i], piece, n_bytes);
		t->offset[i + 1] = t->offset[i] + (int32_t)n_bytes;
	}
	return true;
}

/* ---- maps ---- */

/* What one (layer, head) is about: log-importances that the methods see more or less well. */
struct head_plan {
	float depth;  /* 0 .. 1 */
	float *logit; /* (n) */
	float sink_share;
};

struct planner {
	const struct synthetic_spec *spec;
	float *phrase; /* (n) what the answer reads, for all heads */
	float *group;  /* (n) what the KV group shares */
	float *logit;  /* (n) */
	uint8_t *sink; /* (n) in-prompt sinks */
};

static void plan_phrases(struct planner *p, struct rng *r)
{
	int n = p->spec->n_prompt;
	for (int j = 0; j < n; j++) {
		p->phrase[j] = 0;
		p->sink[j] = 0;
	}
	for (int i = 0; i < 2 + n / 120; i++) {
		int length = 3 + (int)rng_below(r, 6), at = (int)rng_below(r, (uint32_t)n);
		float height = 2.0f + 1.5f * (float)rng_uniform(r);
		for (int j = at; j < at + length && j < n; j++)
			p->phrase[j] = fmaxf(p->phrase[j], height);
	}
	for (int i = 0; i < 12 && n > 100; i++)
		p->sink[8 + rng_below(r, (uint32_t)(n - 60))] = 1;
}

static void plan_head(struct planner *p, struct head_plan *plan, int layer, struct rng *r)
{
	const struct synthetic_spec *s = p->spec;
	plan->depth = s->n_layer > 1 ? (float)layer / (float)(s->n_layer - 1) : 1.0f;
	plan->sink_share = 0.2f + 0.5f * (float)rng_uniform(r);
	plan->logit = p->logit;
	bool sink_layer = plan->depth > 0.1f && plan->depth < 0.35f;
	float reads = 0.3f + plan->depth * (float)rng_uniform(r);
	for (int j = 0; j < s->n_prompt; j++) {
		float heat = 2.5f * expf((float)(j - s->n_prompt + 1) / 40.0f);
		p->logit[j] = 0.8f * p->group[j] + 0.6f * quick_normal(r) + reads * p->phrase[j] + heat;
		if (sink_layer && p->sink[j])
			p->logit[j] += 6.5f;
	}
}

/* A mean attention row: softmax of the plan under noise, sinks on top, the rest of the mass (1 - on_prompt) lying
 * elsewhere. */
static void fill_row(const struct head_plan *plan, int n, float noise, float heat, float on_prompt, struct rng *r,
	float *row)
{
	double sum = 0;
	for (int j = 0; j < n; j++) {
		float near = heat ? heat * expf((float)(j - n + 1) / 60.0f) : 0.0f;
		row[j] = expf(plan->logit[j] + noise * quick_normal(r) + near);
		sum += row[j];
	}
	float sinks = n > 8 ? plan->sink_share : 0.0f;
	float scale = on_prompt * (1.0f - sinks) / (float)sum;
	for (int j = 0; j < n; j++)
		row[j] *= scale;
	static const float share[4] = {0.9f, 0.05f, 0.02f, 0.03f};
	for (int j = 0; j < 4 && sinks > 0; j++)
		row[j] += on_prompt * sinks * share[j];
}

struct recipe {
	const char *name;
	float noise, noise_deep; /* standard deviation of the log at the first layer, added towards the last */
	float heat;
	int rows;
	bool extra; /* only with every_method */
};

/* truth and truth_even: the odd and the even response rows see the plan under independent noise that shrinks with
 * their number. */
static void fill_truth(const struct head_plan *plan, const struct synthetic_spec *s, struct rng *r, float *truth,
	float *even)
{
	int n = s->n_prompt, m = s->n_response, n_even = (m + 1) / 2;
	fill_row(plan, n, 1.6f / sqrtf((float)n_even), 0, 0.9f, r, even);
	memcpy(truth, even, (size_t)n * sizeof *truth);
	if (m < 2)
		return;
	fill_row(plan, n, 1.6f / sqrtf((float)(m - n_even)), 0, 0.9f, r, truth);
	for (int j = 0; j < n; j++) /* truth holds the odd rows here */
		truth[j] = ((float)n_even * even[j] + (float)(m - n_even) * truth[j]) / (float)m;
}

struct maps {
	struct capture_map map[16];
	float *data[16];
	const struct recipe *recipe[16]; /* NULL: truth, truth_even, keynorm */
	int n;
};

static bool add_map(struct maps *m, const struct synthetic_spec *s, const char *name, enum map_kind kind, int rows,
	const struct recipe *recipe)
{
	size_t heads = (size_t)(kind == MAP_SCORE ? s->n_kv_head : s->n_head);
	float *data = malloc((size_t)s->n_layer * heads * (size_t)s->n_prompt * sizeof *data);
	m->data[m->n] = data;
	m->recipe[m->n] = recipe;
	m->map[m->n++] = (struct capture_map){.name = name, .kind = kind, .data = data, .n_rows = rows, .n_rows_due = rows,
		.row_error = kind == MAP_SCORE ? NAN : 3.1e-7};
	return data;
}

static bool add_maps(struct maps *m, const struct synthetic_spec *s)
{
	static const struct recipe recipe[] = {
		{"snapkv", 0.35f, 1.3f, 1.5f, 0, false},
		{"lookahead", 0.25f, 0.6f, 0, 32, false},
		{"untrained", 1.6f, 1.5f, 1.0f, 32, true},
		{"tova", 0.9f, 1.6f, 1.0f, 1, true},
		{"h2o", 0.8f, 1.2f, -1.5f, -1, true},
		{"snapkv_w8", 0.6f, 1.5f, 1.8f, 8, true},
		{"snapkv_w64", 0.3f, 1.2f, 1.2f, 64, true},
	};
	bool ok = true;
	if (s->n_response > 0)
		ok = add_map(m, s, "truth", MAP_ROWS, s->n_response, NULL)
			&& add_map(m, s, "truth_even", MAP_ROWS, (s->n_response + 1) / 2, NULL);
	for (size_t i = 0; ok && i < sizeof recipe / sizeof *recipe; i++) {
		int rows = recipe[i].rows > 0 ? recipe[i].rows : recipe[i].rows < 0 ? s->n_prompt : s->window;
		if ((s->every_method || !recipe[i].extra) && rows <= s->n_prompt)
			ok = add_map(m, s, recipe[i].name, MAP_ROWS, rows, &recipe[i]);
	}
	return ok && (!s->every_method || add_map(m, s, "keynorm", MAP_SCORE, 0, NULL));
}

static void fill_head(const struct maps *m, const struct planner *p, const struct head_plan *plan, size_t row,
	uint64_t stream)
{
	const struct synthetic_spec *s = p->spec;
	size_t at = row * (size_t)s->n_prompt;
	struct rng r;
	if (s->n_response > 0) {
		rng_seed_stream(&r, s->seed, stream);
		fill_truth(plan, s, &r, m->data[0] + at, m->data[1] + at);
	}
	for (int i = 0; i < m->n; i++) {
		if (!m->recipe[i])
			continue;
		rng_seed_stream(&r, s->seed, stream + 1 + (uint64_t)i);
		float noise = m->recipe[i]->noise + plan->depth * m->recipe[i]->noise_deep;
		fill_row(plan, s->n_prompt, noise, m->recipe[i]->heat, 0.93f, &r, m->data[i] + at);
	}
}

/* Large keys are the important ones' opposite: what is read much tends to have a small norm (KNorm). */
static void fill_keynorm(const struct maps *m, const struct planner *p, size_t row, struct rng *r)
{
	int n = p->spec->n_prompt;
	float *out = m->data[m->n - 1] + row * (size_t)n;
	for (int j = 0; j < n; j++)
		out[j] = -(14.0f - 0.6f * p->group[j] + 1.2f * quick_normal(r) - (j == 0 ? 9.0f : 0.0f));
}

static void fill_maps(const struct maps *m, struct planner *p)
{
	const struct synthetic_spec *s = p->spec;
	int per_group = s->n_head / s->n_kv_head;
	struct rng r;
	rng_seed(&r, s->seed);
	plan_phrases(p, &r);
	for (int layer = 0; layer < s->n_layer; layer++)
		for (int head = 0; head < s->n_head; head++) {
			size_t row = (size_t)layer * (size_t)s->n_head + (size_t)head;
			size_t kv_row = (size_t)layer * (size_t)s->n_kv_head + (size_t)(head / per_group);
			rng_seed_stream(&r, s->seed, 1 + kv_row);
			for (int j = 0; j < s->n_prompt && head % per_group == 0; j++)
				p->group[j] = quick_normal(&r);
			if (head % per_group == 0 && s->every_method)
				fill_keynorm(m, p, kv_row, &r);
			struct head_plan plan;
			uint64_t stream = (1 + (uint64_t)row) << 32;
			rng_seed_stream(&r, s->seed, stream - 1);
			plan_head(p, &plan, layer, &r);
			fill_head(m, p, &plan, row, stream);
		}
}

/* ---- the capture ---- */

static int build(const struct capture **out, const struct synthetic_spec *s, const struct tokens *t,
	const struct maps *m, struct err *e)
{
	char seed[24];
	snprintf(seed, sizeof seed, "%llu", (unsigned long long)s->seed);
	const struct capture_pair meta[] = {
		{"kvglass.program", "kvglass " KVGLASS_VERSION},
		{"kvglass.model_name", "synthetic"},
		{"kvglass.model_sha256", "0000000000000000000000000000000000000000000000000000000000000000"},
		{"kvglass.arch", "llama"},
		{"kvglass.prompt_mode", "chat"},
		{"kvglass.response_source", "greedy"},
		{"kvglass.seed", seed},
		{"kvglass.module_name", "synthetic"},
		{"kvglass.device", "cpu"},
		{"kvglass.precision", "f32"},
	};
	const struct capture parts = {.n_layer = s->n_layer, .n_head = s->n_head, .n_kv_head = s->n_kv_head,
		.head_dim = s->head_dim, .n_prompt = s->n_prompt, .n_response = s->n_response, .token = t->token,
		.offset = t->offset, .text = t->text, .part = t->part, .window = s->window, .n_map = m->n, .map = m->map,
		.n_meta = sizeof meta / sizeof *meta, .meta = meta, .complete = true};
	return capture_build(out, &parts, e);
}

static int check_spec(const struct synthetic_spec *s, struct err *e)
{
	if (s->n_layer < 1 || s->n_head < 1 || s->n_kv_head < 1 || s->n_head % s->n_kv_head || s->n_prompt < 1
		|| s->n_response < 0 || s->window < 1)
		return err_set(e, ERR_USE, "synthetic capture: %d layers, %d heads on %d, %d + %d tokens, window %d",
			s->n_layer, s->n_head, s->n_kv_head, s->n_prompt, s->n_response, s->window);
	return 0;
}

int synthetic_capture(const struct capture **out, const struct synthetic_spec *spec, struct err *e)
{
	*out = NULL;
	int rc = check_spec(spec, e);
	if (rc)
		return rc;
	size_t n = (size_t)spec->n_prompt;
	struct tokens t = {0};
	struct maps m = {0};
	struct planner p = {.spec = spec, .phrase = malloc(n * sizeof(float)), .group = malloc(n * sizeof(float)),
		.logit = malloc(n * sizeof(float)), .sink = malloc(n)};
	if (p.phrase && p.group && p.logit && p.sink && make_tokens(&t, spec) && add_maps(&m, spec)) {
		fill_maps(&m, &p);
		rc = build(out, spec, &t, &m, e);
	} else {
		rc = err_set(e, ERR_MEMORY, "synthetic capture: out of memory for %d tokens", spec->n_prompt);
	}
	for (int i = 0; i < m.n; i++)
		free(m.data[i]);
	free(t.token);
	free(t.offset);
	free(t.part);
	free(t.text);
	free(p.phrase);
	free(p.group);
	free(p.logit);
	free(p.sink);
	return rc;
}

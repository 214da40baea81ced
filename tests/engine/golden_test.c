/* The engine against the reference implementations: token ids, logits, greedy responses, and every mean of every layer and head.
 *
 * The goldens' lookahead rows come from the paper's definition, one joint causal pass over [prompt; soft tokens] in which the LoRA acts
 * on the soft tokens' rows; the engine runs them apart, over the finished cache. Equal numbers are the proof that this is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/golden.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

struct measured { /* what one run of the engine gave; sums, not means */
	float *snapkv, *tova, *truth, *truth_even, *lookahead; /* (n_layer, n_head, n) */
	float *norms;                                          /* (n_layer, n_kv_head, n), of one kind at a time */
	float *logits;                                         /* (n, n_vocab) of the prompt */
	float *last;                                           /* (n_vocab) after the response */
	int32_t *response;
	int n_response;
	double row_error;
};

static void *zeroes(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	if (!p)
		abort();
	return p;
}

static struct measured measured_make(const struct model_info *info, const struct golden *g)
{
	size_t map = (size_t)info->n_layer * (size_t)info->n_head * (size_t)g->n_prompt;
	return (struct measured){
		.snapkv = zeroes(map, sizeof(float)),
		.tova = zeroes(map, sizeof(float)),
		.truth = zeroes(map, sizeof(float)),
		.truth_even = zeroes(map, sizeof(float)),
		.lookahead = zeroes(map, sizeof(float)),
		.norms = zeroes(map, sizeof(float)),
		.logits = zeroes((size_t)g->n_prompt * (size_t)info->n_vocab, sizeof(float)),
		.last = zeroes((size_t)info->n_vocab, sizeof(float)),
		.response = zeroes((size_t)g->n_margin + 1, sizeof(int32_t)),
	};
}

static void measured_free(struct measured *x)
{
	float *const arrays[] = {x->snapkv, x->tova, x->truth, x->truth_even, x->lookahead, x->norms, x->logits, x->last};
	for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
		free(arrays[i]);
	free(x->response);
}

static int run_prompt(struct session *s, const struct golden *g, struct measured *x, struct err *e)
{
	int n = g->n_prompt, window = n < 32 ? n : 32;
	const struct colsum_request colsum[] = {
		{.first = n - window, .count = window, .step = 1, .n_key = n, .sum = x->snapkv, .row_error = &x->row_error},
		{.first = n - 1, .count = 1, .step = 1, .n_key = n, .sum = x->tova, .row_error = &x->row_error},
	};
	return session_run(s, &(struct run_request){.ids = g->prompt, .n = n, .colsum = colsum, .n_colsum = 2, .logits = x->logits,
		.stage = "prefill"}, e);
}

/* The reference stopped at an end token or after a fixed count; either way the engine is asked for as many choices. */
static int run_response(struct session *s, const struct golden *g, struct measured *x, struct err *e)
{
	int n = g->n_prompt;
	bool stopped = false;
	const struct colsum_request colsum[] = {
		{.first = n, .count = g->n_margin, .step = 1, .n_key = n, .sum = x->truth, .row_error = &x->row_error},
		{.first = n, .count = (g->n_margin + 1) / 2, .step = 2, .n_key = n, .sum = x->truth_even, .row_error = &x->row_error},
	};
	const struct generate_options options = {.n_max = g->n_margin, .colsum = colsum, .n_colsum = 2};
	int rc = session_generate(s, &options, x->response, &x->n_response, &stopped, e);
	CHECK_INT(stopped, g->n_margin > g->n_response);
	return rc;
}

static void check_response(const struct golden *g, const struct measured *x)
{
	for (int i = 0; i < g->n_margin && g->margin[i] > TOL_MARGIN; i++) {
		int32_t want = i < g->n_response ? g->response[i] : -1, got = i < x->n_response ? x->response[i] : -1;
		if (want != got) {
			test_fail(__FILE__, __LINE__, "%s: response token %d is %d, not %d (margin %.4g)", g->name, i, (int)got, (int)want,
				(double)g->margin[i]);
			return;
		}
	}
}

static void check_logits(const struct golden *g, const struct measured *x, int n_vocab)
{
	int n_row = 0, n_id = 0;
	const int32_t *row = golden_ints(g, "logits.row", &n_row), *id = golden_ints(g, "logits.id", &n_id);
	const float *want = golden_floats(g, "logits.value", (size_t)n_id);
	if (!row || !id || !want || n_row == 0 || n_id % n_row) {
		test_fail(__FILE__, __LINE__, "%s: logits are missing", g->name);
		return;
	}
	int per_row = n_id / n_row, n_wrong = 0;
	for (int i = 0; i < n_id; i++) {
		int at = row[i / per_row];
		double got = (double)(at < g->n_prompt ? x->logits + (size_t)at * (size_t)n_vocab : x->last)[id[i]];
		if (!(fabs(got - (double)want[i]) <= TOL_LOGIT) && n_wrong++ == 0)
			test_fail(__FILE__, __LINE__, "%s: the logit of token %d after position %d is %.7g, not %.7g", g->name, (int)id[i], at, got,
				(double)want[i]);
	}
	if (n_wrong > 1)
		test_fail(__FILE__, __LINE__, "%s: %d of %d logits are wrong", g->name, n_wrong, n_id);
}

static void check_maps(struct golden *g, const struct measured *x, const struct model_info *info)
{
	const int window = g->n_prompt < 32 ? g->n_prompt : 32;
	const struct {
		const char *name;
		const float *sum;
		int n_row;
	} map[] = {
		{"rows.snapkv", x->snapkv, window},
		{"rows.tova", x->tova, 1},
		{"rows.truth", x->truth, g->n_response},
		{"rows.truth_even", x->truth_even, (g->n_response + 1) / 2},
		{"rows.lookahead", x->lookahead, 32},
	};
	int n_right = 0;
	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		n_right += golden_check_map(g, &(struct golden_map){.name = map[i].name, .got = map[i].sum, .scale = 1.0 / map[i].n_row,
			.n_layer = info->n_layer, .n_row = info->n_head, .n_key = g->n_prompt, .tol_abs = TOL_MEAN_ABS, .tol_rel = TOL_MEAN_REL});
	CHECK(n_right >= 3); /* truth, SnapKV and the lookahead rows are in every golden */
	CHECK(x->row_error <= TOL_ROW_SUM);
	printf("    %s: every mean within %.1e, %.1e of its row's largest; attention rows sum to 1 within %.1e\n", g->name, g->worst_abs,
		g->worst_rel, x->row_error);
}

static void check_norm(struct golden *g, const char *name, const float *norms, const struct model_info *info)
{
	golden_check_map(g, &(struct golden_map){.name = name, .got = norms, .scale = 1, .n_layer = info->n_layer, .n_row = info->n_kv_head,
		.n_key = g->n_prompt, .tol_abs = INFINITY, .tol_rel = TOL_NORM_REL});
}

static void check_norms(struct session *s, struct golden *g, struct measured *x, const struct model_info *info)
{
	static const struct {
		const char *name;
		enum value_norm kind;
	} value[] = {{"value.l2", VALUE_L2}, {"value.l1_wo", VALUE_L1_WO}, {"value.l2_wo", VALUE_L2_WO}};
	struct err e = {0};
	if (session_key_norms(s, g->n_prompt, x->norms, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	check_norm(g, "score.keynorm", x->norms, info);
	for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
		if (session_value_norms(s, value[i].kind, g->n_prompt, x->norms, &e))
			test_fail(__FILE__, __LINE__, "%s", e.text);
		check_norm(g, value[i].name, x->norms, info);
	}
}

/* Everything of one golden on an open model. */
static void check_golden(const struct model *m, struct golden *g, int chunk_rows)
{
	const struct model_info *info = model_info(m);
	struct measured x = measured_make(info, g);
	struct lookahead *modules = golden_modules(g, m);
	struct session *s = NULL;
	struct err e = {0};
	const struct session_options options = {.max_tokens = g->n_prompt + g->n_margin + 32, .chunk_rows = chunk_rows};
	if (modules && (session_open(&s, m, &options, &e) || run_prompt(s, g, &x, &e) ||
		session_lookahead(s, &(struct lookahead_request){.modules = modules, .sum = x.lookahead, .row_error = &x.row_error}, &e) ||
		run_response(s, g, &x, &e)))
		test_fail(__FILE__, __LINE__, "%s: %s", g->name, e.text);
	if (s && e.code == ERR_NONE) {
		memcpy(x.last, session_logits(s), (size_t)info->n_vocab * sizeof(float));
		check_response(g, &x);
		check_logits(g, &x, info->n_vocab);
		check_maps(g, &x, info);
		check_norms(s, g, &x, info);
	}
	session_close(s);
	lookahead_free(modules);
	measured_free(&x);
}

static void check_ids(const struct model *m, const struct golden *g, enum prompt_mode mode, const int32_t *want, int n_want)
{
	const struct st_tensor *text = st_find(&g->file, "text");
	struct token_list got = {0};
	struct err e = {0};
	if (!text || !want || model_prompt(m, (const char *)text->data, text->n_bytes, &mode, &got, &e)) {
		test_fail(__FILE__, __LINE__, "%s: %s", g->name, text && want ? e.text : "no text");
		return;
	}
	for (int i = 0; i < n_want || i < got.n; i++)
		if (i >= n_want || i >= got.n || got.id[i] != want[i]) {
			test_fail(__FILE__, __LINE__, "%s: %d tokens, not %d; the first that differs is number %d: %d, not %d", g->name, got.n, n_want,
				i, i < got.n ? (int)got.id[i] : -1, i < n_want ? (int)want[i] : -1);
			break;
		}
	token_list_free(&got);
}

static void check_sample(const char *path)
{
	const char *file = test_sample_model();
	struct golden g;
	if (!file) {
		test_skip("the sample model is not in the cache (make model)");
		return;
	}
	if (!golden_open(&g, path))
		return;
	struct model *m = test_model_open(file);
	if (m) {
		check_ids(m, &g, strcmp(golden_meta(&g, "mode"), "chat") ? PROMPT_RAW : PROMPT_CHAT, g.prompt, g.n_prompt);
		check_golden(m, &g, 0);
	}
	model_close(m);
	golden_close(&g);
}

static void check_tiny(const char *model, const char *golden)
{
	struct golden g;
	int n_id = 0;
	if (!golden_open(&g, golden))
		return;
	struct model *m = test_model_open(test_tree(model));
	if (m) {
		const int32_t *ids = golden_ints(&g, "text.ids", &n_id);
		check_ids(m, &g, PROMPT_RAW, ids, n_id);
		check_golden(m, &g, 0);
		check_golden(m, &g, 7); /* a prompt in small pieces: chunk borders inside the window and the key blocks */
	}
	model_close(m);
	golden_close(&g);
}

TEST(golden, sample_chat) { check_sample("tests/golden/smollm2/chat.safetensors"); }
TEST(golden, sample_raw) { check_sample("tests/golden/smollm2/raw.safetensors"); }
TEST(golden, sample_mixed_scripts) { check_sample("tests/golden/smollm2/mixed.safetensors"); }

#define TINY(case_, model_, golden_)                                                            \
	TEST(golden, case_)                                                                          \
	{                                                                                            \
		check_tiny("tests/golden/tiny/" model_, "tests/golden/tiny/" golden_ ".golden.safetensors"); \
	}
TINY(tiny_llama_folder, "llama-hf", "llama-hf")
TINY(tiny_llama_gguf, "llama.gguf", "llama-gguf")
TINY(tiny_qwen2_folder, "qwen2-hf", "qwen2-hf")
TINY(tiny_qwen2_gguf, "qwen2.gguf", "qwen2-gguf")
TINY(tiny_qwen3_folder, "qwen3-hf", "qwen3-hf")
TINY(tiny_qwen3_gguf, "qwen3.gguf", "qwen3-gguf")

/* Prompt rows do not know that modules exist: the same bits in the sums, the logits and the whole response. */
TEST(golden, modules_leave_the_prompt_untouched)
{
	const char *file = test_sample_model();
	struct golden g;
	struct err e = {0};
	if (!file) {
		test_skip("the sample model is not in the cache (make model)");
		return;
	}
	if (!golden_open(&g, "tests/golden/smollm2/chat.safetensors"))
		return;
	struct model *m = test_model_open(file);
	if (!m) {
		golden_close(&g);
		return;
	}
	const struct model_info *info = model_info(m);
	struct lookahead *modules = golden_modules(&g, m);
	struct measured x[2] = {measured_make(info, &g), measured_make(info, &g)};
	for (int with = 0; with < 2 && modules; with++) {
		struct session *s = NULL;
		const struct session_options options = {.max_tokens = g.n_prompt + g.n_margin + 32};
		const struct lookahead_request request = {.modules = modules, .sum = x[with].lookahead};
		if (session_open(&s, m, &options, &e) || run_prompt(s, &g, &x[with], &e) ||
			(with && session_lookahead(s, &request, &e)) || run_response(s, &g, &x[with], &e))
			test_fail(__FILE__, __LINE__, "%s", e.text);
		else
			memcpy(x[with].last, session_logits(s), (size_t)info->n_vocab * sizeof(float));
		session_close(s);
	}
	size_t map = (size_t)info->n_layer * (size_t)info->n_head * (size_t)g.n_prompt * sizeof(float);
	CHECK(memcmp(x[0].lookahead, x[1].lookahead, map) != 0); /* the modules did run */
	CHECK(memcmp(x[0].snapkv, x[1].snapkv, map) == 0);
	CHECK(memcmp(x[0].truth, x[1].truth, map) == 0);
	CHECK(memcmp(x[0].logits, x[1].logits, (size_t)g.n_prompt * (size_t)info->n_vocab * sizeof(float)) == 0);
	CHECK(memcmp(x[0].last, x[1].last, (size_t)info->n_vocab * sizeof(float)) == 0);
	CHECK_INT(x[0].n_response, x[1].n_response);
	measured_free(&x[0]);
	measured_free(&x[1]);
	lookahead_free(modules);
	model_close(m);
	golden_close(&g);
}

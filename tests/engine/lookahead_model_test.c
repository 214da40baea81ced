/* Lookahead modules beside the model they belong to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lookahead/parts.h"
#include "engine/lookahead_report.h"
#include "engine/model/model.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

static struct model *open_tiny(enum tiny_kind kind, enum tensor_type type, uint64_t seed)
{
	struct tiny_options o = {.kind = kind, .type = type, .seed = seed};
	char name[64];
	snprintf(name, sizeof name, "modules-%d-%d-%llu.gguf", (int)kind, (int)type, (unsigned long long)seed);
	tiny_model_gguf(test_scratch(name), &o);
	return test_model_open(test_scratch(name));
}

static double spread(const float *x, size_t n)
{
	double sum = 0, square = 0;
	for (size_t i = 0; i < n; i++) {
		sum += (double)x[i];
		square += (double)x[i] * (double)x[i];
	}
	return sqrt(square / (double)n - sum / (double)n * (sum / (double)n));
}

TEST(untrained, soft_tokens_have_the_embedding_s_scale)
{
	struct tiny_options o = {.kind = TINY_QWEN2, .type = TYPE_F32, .seed = 3};
	struct model *m = open_tiny(o.kind, o.type, o.seed);
	const struct tiny_shape *s = tiny_shape(o.kind);
	size_t n = (size_t)s->n_vocab * (size_t)s->n_embd;
	float *embedding = malloc(n * sizeof *embedding);
	struct lookahead *l = NULL;
	struct err e = {0};
	tiny_values(&o, "model.embed_tokens.weight", embedding, n);
	double want = spread(embedding, n);
	CHECK_INT(lookahead_untrained(&l, m, 512, 0, 32, test_seed(), &e), 0);
	size_t n_soft = 512 * (size_t)s->n_embd;
	CHECK_NEAR(spread(l->embedding, n_soft), want, 6 * want / sqrt(2. * (double)n_soft)); /* six standard errors */
	CHECK_STR(l->name, "untrained");
	CHECK_STR(l->base_name, "tiny-qwen2");
	CHECK(l->path == NULL && !*l->sha256 && l->base_sha256 == NULL);
	CHECK_INT(l->n_param, n_soft);
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		CHECK(l->lora[i].a == NULL);
	lookahead_free(l);
	model_close(m);
	free(embedding);
}

/* 49,152 rows, of which 4,096 are looked at: the estimate must still be the whole matrix's. */
TEST(untrained, a_large_vocabulary_is_sampled)
{
	const char *path = test_sample_model();
	struct model *m = NULL;
	struct lookahead *l = NULL;
	struct err e = {0};
	if (!path) {
		test_skip("the sample model is not in the cache");
		return;
	}
	CHECK_INT(model_open(&m, path, NULL, &e), 0);
	if (!m)
		return;
	const struct weight *w = &m->embedding;
	size_t n = (size_t)w->n_out * (size_t)w->n_in;
	float *all = malloc(n * sizeof *all);
	tensor_unpack(w->type, w->data, n, all);
	double want = spread(all, n);
	free(all);
	CHECK_INT(lookahead_untrained(&l, m, 1024, 0, 32, test_seed(), &e), 0);
	CHECK_NEAR(spread(l->embedding, 1024 * 576), want, 0.02 * want); /* rows of rare tokens are shorter: sampling is good to a percent */
	lookahead_free(l);
	model_close(m);
}

TEST(untrained, adapters_do_nothing_yet)
{
	struct model *m = open_tiny(TINY_QWEN3, TYPE_Q8_0, 1);
	struct lookahead *l = NULL, *again = NULL, *other = NULL;
	struct err e = {0};
	CHECK_INT(lookahead_untrained(&l, m, 32, 8, 32, 7, &e), 0);
	CHECK_INT(lookahead_untrained(&again, m, 32, 8, 32, 7, &e), 0);
	CHECK_INT(lookahead_untrained(&other, m, 32, 8, 32, 8, &e), 0);
	CHECK_NEAR(l->scale, 4, TOL_EXACT);
	struct module_shape shape;
	module_shape_of(&shape, model_info(m));
	for (int layer = 0; layer < l->n_layer; layer++)
		for (int p = 0; p < N_PROJ; p++) {
			const struct lora *lora = lora_at(l, layer, p);
			bool needed = layer < l->n_layer - 1 || p <= PROJ_K;
			CHECK_INT(lora->a != NULL, needed);
			if (!lora->a)
				continue;
			CHECK(lora->n_in == shape.n_in[p] && lora->n_out == shape.n_out[p] && lora->r == 8);
			size_t n_a = 8 * (size_t)lora->n_in, n_b = 8 * (size_t)lora->n_out;
			double bound = 1 / sqrt(lora->n_in);
			for (size_t i = 0; i < n_a; i++)
				CHECK(fabs((double)lora->a[i]) <= bound);
			CHECK_NEAR(spread(lora->a, n_a), bound / sqrt(3), 0.1 * bound);
			for (size_t i = 0; i < n_b; i++)
				CHECK(lora->b[i] >= 0 && lora->b[i] <= 0);
			CHECK(!memcmp(lora->a, lora_at(again, layer, p)->a, n_a * sizeof(float)));
			CHECK(memcmp(lora->a, lora_at(other, layer, p)->a, n_a * sizeof(float)) != 0);
		}
	CHECK(!memcmp(l->embedding, again->embedding, 32 * 256 * sizeof(float)));
	CHECK(memcmp(l->embedding, other->embedding, 32 * 256 * sizeof(float)) != 0);
	lookahead_free(again);
	CHECK_INT(lookahead_untrained(&again, m, 0, 8, 32, 7, &e), ERR_USE);
	CHECK_STR(e.text, "0 lookahead tokens of rank 8; 1 to 4096 tokens and ranks up to 4096 are possible");
	CHECK(again == NULL);
	lookahead_free(l);
	lookahead_free(other);
	model_close(m);
}

static char *copy(const char *text)
{
	char *result = strdup(text);
	if (!result)
		exit(2);
	return result;
}

TEST(lookahead_base, another_file_of_the_same_shape_is_refused)
{
	struct model *right = open_tiny(TINY_LLAMA, TYPE_Q8_0, 1), *wrong = open_tiny(TINY_LLAMA, TYPE_Q8_0, 2);
	struct lookahead *l = NULL, *back = NULL;
	struct err e = {0};
	const char *hex = NULL, *path = test_scratch("based.safetensors");
	CHECK_INT(lookahead_untrained(&l, right, 4, 2, 8, 1, &e), 0);
	CHECK_INT(model_sha256(right, &hex, &e), 0);
	l->base_sha256 = copy(hex);
	CHECK_INT(lookahead_save(l, path, false, &e), 0);
	CHECK_INT(lookahead_load(&back, right, path, NULL, &e), 0);
	CHECK_INT(back->n_param, l->n_param);
	CHECK_STR(back->base_sha256, hex);
	CHECK(back->warning == NULL);
	lookahead_free(back);
	CHECK_INT(lookahead_load(&back, wrong, path, NULL, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "based.safetensors: trained for another model file: tiny-llama (sha256 ") != NULL);
	CHECK(strstr(e.text, "--any-base") != NULL);
	CHECK(back == NULL);
	const struct lookahead_load_options any = {.alpha = 6, .ignore_base_hash = true};
	CHECK_INT(lookahead_load(&back, wrong, path, &any, &e), 0);
	CHECK_NEAR(back->scale, 3, TOL_EXACT); /* the option's alpha goes before the file's */
	lookahead_free(back);
	lookahead_free(l);
	model_close(right);
	model_close(wrong);
}

TEST(lookahead_base, another_shape_is_refused)
{
	struct model *llama = open_tiny(TINY_LLAMA, TYPE_Q8_0, 1), *qwen = open_tiny(TINY_QWEN3, TYPE_Q8_0, 1);
	struct lookahead *l = NULL, *back = NULL;
	struct err e = {0};
	char want[600];
	const char *path = test_scratch("shaped.safetensors");
	const struct lookahead_load_options any = {.ignore_base_hash = true};
	CHECK_INT(lookahead_untrained(&l, qwen, 4, 2, 8, 1, &e), 0);
	CHECK_INT(lookahead_save(l, path, true, &e), 0);
	CHECK_INT(lookahead_load(&back, llama, path, &any, &e), ERR_FORMAT);
	snprintf(want, sizeof want, "%s: tensor layers.0.q.lora_b (512, 2) does not fit q of this model: rank 2, 256 inputs, 256 outputs; ", path);
	CHECK(!strncmp(e.text, want, strlen(want)));
	CHECK_INT(lookahead_load(&back, llama, test_scratch("none"), &any, &e), ERR_SYSTEM);
	CHECK_INT(lookahead_load(&back, llama, test_tree("tests/golden/rope.safetensors"), &any, &e), ERR_FORMAT);
	lookahead_free(l);
	model_close(llama);
	model_close(qwen);
}

/* Models that open: both formats hold the same model, every stored type is read, rotary frequencies are transformers'. */
#include "engine/model/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

static void check_shape(const struct model *m, enum tiny_kind kind)
{
	const struct model_info *i = model_info(m);
	const struct tiny_shape *s = tiny_shape(kind);
	CHECK_INT(i->n_layer, s->n_layer);
	CHECK_INT(i->n_head, s->n_head);
	CHECK_INT(i->n_kv_head, s->n_kv_head);
	CHECK_INT(i->head_dim, s->head_dim);
	CHECK_INT(i->n_embd, s->n_embd);
	CHECK_INT(i->n_ff, s->n_ff);
	CHECK_INT(i->n_ctx, s->n_ctx);
	CHECK_INT(i->n_vocab, s->n_vocab);
	CHECK_INT(i->tied, s->tied);
	CHECK_INT(i->rope_llama3, kind == TINY_LLAMA3);
	CHECK_NEAR(i->rope_base, s->rope_base, TOL_EXACT);
	CHECK_NEAR(m->norm_eps, 1e-5f, TOL_EXACT);
	CHECK_INT(m->layer[0].bias[PROJ_Q] != NULL, kind == TINY_QWEN2);
	CHECK_INT(m->layer[0].q_norm != NULL, kind == TINY_QWEN3);
	CHECK(m->output.data == m->embedding.data || !s->tied);
	uint64_t bias = kind == TINY_QWEN2 ? (uint64_t)(s->n_head + 2 * s->n_kv_head) * (uint64_t)s->head_dim : 0;
	uint64_t norms = 2 * (uint64_t)s->n_embd + (kind == TINY_QWEN3 ? 2 * (uint64_t)s->head_dim : 0);
	uint64_t attention = (uint64_t)s->n_embd * 2 * (uint64_t)((s->n_head + s->n_kv_head) * s->head_dim);
	uint64_t layer = attention + 3 * (uint64_t)s->n_embd * (uint64_t)s->n_ff + norms + bias;
	uint64_t ends = (uint64_t)(s->n_vocab * (s->tied ? 1 : 2) + 1) * (uint64_t)s->n_embd;
	CHECK_INT(i->n_param, (uint64_t)s->n_layer * layer + ends);
}

/* Row r of a Hugging Face q or k matrix is row `stored` of the GGUF's. */
static int stored_row(const struct model *m, int proj, int r)
{
	int d = m->info.head_dim, within = r % d;
	if (m->rope_pairs == ROPE_HALVES || proj > PROJ_K)
		return r;
	return r - within + 2 * (within % (d / 2)) + within / (d / 2);
}

static void check_values(const struct model *m, const struct tiny_options *o)
{
	static const char *const name[N_PROJ] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
		"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};
	for (int p = 0; p < N_PROJ; p++) {
		const struct weight *w = &m->layer[1].proj[p];
		size_t n = (size_t)w->n_out * (size_t)w->n_in, row = tensor_type_bytes(w->type, (uint64_t)w->n_in);
		float *want = malloc(n * sizeof *want), *got = malloc((size_t)w->n_in * sizeof *got);
		char full[64];
		snprintf(full, sizeof full, "model.layers.1.%s.weight", name[p]);
		tiny_values(o, full, want, n);
		int n_wrong = 0;
		for (int r = 0; r < w->n_out; r++) {
			tensor_unpack(w->type, w->data + (size_t)stored_row(m, p, r) * row, (size_t)w->n_in, got);
			n_wrong += memcmp(got, want + (size_t)r * (size_t)w->n_in, (size_t)w->n_in * sizeof *got) != 0;
		}
		CHECK_INT(n_wrong, 0);
		free(want);
		free(got);
	}
}

static void check_norms(const struct model *m, const struct tiny_options *o)
{
	float want[512];
	const struct model_info *i = model_info(m);
	tiny_values(o, "model.layers.1.post_attention_layernorm.weight", want, (size_t)i->n_embd);
	CHECK(!memcmp(want, m->layer[1].ffn_norm, (size_t)i->n_embd * sizeof *want));
	tiny_values(o, "model.norm.weight", want, (size_t)i->n_embd);
	CHECK(!memcmp(want, m->output_norm, (size_t)i->n_embd * sizeof *want));
	if (o->kind == TINY_QWEN3) {
		tiny_values(o, "model.layers.0.self_attn.k_norm.weight", want, (size_t)i->head_dim);
		CHECK(!memcmp(want, m->layer[0].k_norm, (size_t)i->head_dim * sizeof *want));
	}
	if (o->kind == TINY_QWEN2) {
		tiny_values(o, "model.layers.0.self_attn.v_proj.bias", want, (size_t)(i->n_kv_head * i->head_dim));
		CHECK(!memcmp(want, m->layer[0].bias[PROJ_V], (size_t)(i->n_kv_head * i->head_dim) * sizeof *want));
	}
}

TEST(model, both_formats_hold_the_same_model)
{
	for (int kind = 0; kind < N_TINY; kind++) {
		struct tiny_options o = {.kind = (enum tiny_kind)kind, .type = TYPE_F32, .seed = test_seed(), .n_shard = kind,
			.older_words = kind % 2};
		const char *file = test_scratch("same.gguf"), *folder = test_scratch(tiny_shape(o.kind)->name);
		tiny_model_gguf(file, &o);
		tiny_model_folder(folder, &o);
		struct model *a = test_model_open(file), *b = test_model_open(folder);
		if (!a || !b)
			return;
		check_shape(a, o.kind);
		check_shape(b, o.kind);
		check_values(a, &o);
		check_values(b, &o);
		check_norms(a, &o);
		check_norms(b, &o);
		CHECK_INT(a->rope_pairs, kind <= TINY_LLAMA3 ? ROPE_ADJACENT : ROPE_HALVES);
		CHECK_INT(b->rope_pairs, ROPE_HALVES);
		for (int i = 0; i < a->info.head_dim / 2; i++) /* divisors are float32 in the GGUF: one rounding more */
			CHECK_NEAR(a->rope_inv_freq[i], (double)b->rope_inv_freq[i], 3e-7 * (double)b->rope_inv_freq[i]);
		CHECK_STR(a->info.format, "gguf v3");
		CHECK_STR(b->info.format, kind < 2 ? "safetensors" : kind == 2 ? "safetensors x 2" : "safetensors x 3");
		CHECK_STR(a->info.name, tiny_shape(o.kind)->name);
		CHECK_STR(b->info.name, tiny_shape(o.kind)->name);
		model_close(a);
		model_close(b);
	}
}

TEST(model, every_stored_type)
{
	for (int type = 0; type < N_TENSOR_TYPE; type++) {
		struct tiny_options o = {.kind = TINY_QWEN3, .type = (enum tensor_type)type, .seed = 1};
		tiny_model_gguf(test_scratch("typed.gguf"), &o);
		struct model *m = test_model_open(test_scratch("typed.gguf"));
		if (!m)
			return;
		CHECK_STR(m->info.weight_type, tensor_type_info(o.type)->name);
		check_shape(m, TINY_QWEN3);
		check_norms(m, &o);
		model_close(m);
	}
}

TEST(model, opens_the_sample_model)
{
	const char *path = test_sample_model();
	if (!path) {
		test_skip("the sample model is not in the cache");
		return;
	}
	struct model *m = test_model_open(path);
	const struct model_info *i = m ? model_info(m) : NULL;
	if (!i)
		return;
	CHECK(i->n_layer == 30 && i->n_head == 9 && i->n_kv_head == 3 && i->head_dim == 64 && i->n_embd == 576 && i->n_ctx == 8192);
	CHECK(i->tied && i->rope_base == 1e5f && i->n_vocab == 49152);
	CHECK_STR(i->weight_type, "Q4_1");
	CHECK_INT(i->n_param, 134515008);
	model_close(m);
}

static bool rope_of_name(const char *name, struct rope_config *c, int *head_dim)
{
	int base = 0, factor = 0, low = 0, high = 0, context = 0;
	bool llama3 = !strncmp(name, "llama3.", 7);
	int n = sscanf(strchr(name, '.'), ".%d.%d.%d.%d.%d.%d", head_dim, &base, &factor, &low, &high, &context);
	*c = (struct rope_config){.base = base, .llama3 = llama3, .factor = factor, .low_freq_factor = low, .high_freq_factor = high,
		.original_context = context};
	return n == (llama3 ? 6 : 2);
}

TEST(model, rope_frequencies_as_transformers)
{
	struct file_map map;
	struct st_file golden;
	struct err e;
	CHECK_INT(file_map_open(&map, test_tree("tests/golden/rope.safetensors"), &e), 0);
	CHECK_INT(st_parse(&golden, map.data, map.size, map.path, &e), 0);
	CHECK_INT(golden.n_tensor, 19);
	int n_equal = 0, n = 0;
	for (int i = 0; i < golden.n_tensor; i++) {
		struct rope_config c;
		int head_dim = 0;
		float got[64], want[64];
		CHECK(rope_of_name(golden.tensor[i].name, &c, &head_dim));
		rope_frequencies(&c, head_dim, got);
		CHECK_INT(st_read_f32(&golden.tensor[i], 0, (size_t)head_dim / 2, want, &e), 0);
		for (int k = 0; k < head_dim / 2; k++, n++) {
			CHECK_NEAR(got[k], (double)want[k], TOL_ROPE * (double)want[k]);
			n_equal += got[k] == want[k];
		}
	}
	CHECK(n_equal > n * 98 / 100);
	st_free(&golden);
	file_map_close(&map);
}

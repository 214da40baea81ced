/* Modules of other programs: their types, their names, and what stands beside their tensors. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/lookahead_report.h"
#include "tests/support/module_draft.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#define BEFORE "base_model.model.model.layers.1.self_attn.k_proj."

static void write_config(const char *folder, const char *text)
{
	char path[600];
	mkdir(folder, 0777);
	snprintf(path, sizeof path, "%s/adapter_config.json", folder);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0);
	if (f)
		fclose(f);
}

static const char *file_in(const char *folder)
{
	static char path[600];
	snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
	return path;
}

/* PEFT's names but for the soft tokens: q of layer 0 and k of layer 1. */
static void write_peft_with(const char *soft_tokens, const char *folder, const struct st_pair *meta, int n_meta)
{
	struct draft d = {.seed = test_seed()};
	draft_add(&d, soft_tokens, DRAFT_ROWS, draft_shape.n_embd);
	draft_add_pair(&d, "base_model.model.model.layers.0.self_attn.q_proj.", "lora_A.weight", "lora_B.weight", PROJ_Q, false);
	draft_add_pair(&d, BEFORE, "lora_A.weight", "lora_B.weight", PROJ_K, false);
	draft_write(&d, file_in(folder), meta, n_meta);
}

static void write_peft(const char *folder, const struct st_pair *meta, int n_meta)
{
	write_peft_with("base_model.model.lookahead_embeddings.weight", folder, meta, n_meta);
}

static struct lookahead *load(const char *folder, float alpha)
{
	struct lookahead *l = NULL;
	struct err e = {0};
	if (lookahead_load(&l, NULL, file_in(folder), &(struct lookahead_load_options){.alpha = alpha}, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return l;
}

static void check_scale(const char *config, float alpha, double want, const char *base)
{
	const char *folder = test_scratch("peft");
	write_config(folder, config);
	write_peft(folder, NULL, 0);
	struct lookahead *l = load(folder, alpha);
	if (!l)
		return;
	CHECK_NEAR((double)l->scale, want, 1e-6); /* one float32 division */
	CHECK(l->warning == NULL);
	if (base)
		CHECK_STR(l->base_name, base);
	lookahead_free(l);
}

TEST(lookahead_foreign, settings_of_peft)
{
	check_scale("{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 12, \"base_model_name_or_path\": \"org/model\"}", 0, 4, "org/model");
	check_scale("{\"r\": 3, \"lora_alpha\": 7.5, \"use_rslora\": true, \"alpha_pattern\": {}, \"rank_pattern\": {}}", 0, 7.5 / sqrt(3), NULL);
	check_scale("{\"r\": 3, \"lora_alpha\": 12}", 6, 2, NULL);
}

/* Soft tokens under our name do not make a file ours: it is its metadata that says everything. */
TEST(lookahead_foreign, soft_tokens_under_our_name_leave_peft_s_settings_in_force)
{
	const char *folder = test_scratch("named");
	write_config(folder, "{\"r\": 3, \"lora_alpha\": 7.5}");
	write_peft_with("lookahead.embedding", folder, NULL, 0);
	struct lookahead *l = load(folder, 0);
	if (!l)
		return;
	CHECK_NEAR((double)l->scale, 2.5, 1e-6);
	CHECK(l->warning == NULL);
	lookahead_free(l);
}

TEST(lookahead_foreign, files_own_metadata_wins)
{
	const struct st_pair meta[] = {{"format", "pt"}, {"lora_alpha", "6"}, {"r", "3"}};
	const char *folder = test_scratch("meta");
	write_config(folder, "{\"r\": 8, \"lora_alpha\": 99}");
	write_peft(folder, meta, 3);
	struct lookahead *l = load(folder, 0);
	CHECK(l && l->scale >= 2 && l->scale <= 2);
	lookahead_free(l);
}

static void check_refused(const char *config, const char *want)
{
	const char *folder = test_scratch("refused");
	struct lookahead *l = NULL;
	struct err e = {0};
	write_config(folder, config);
	write_peft(folder, NULL, 0);
	CHECK(lookahead_load(&l, NULL, file_in(folder), NULL, &e) != 0);
	if (!strstr(e.text, want))
		CHECK_STR(e.text, want);
	lookahead_free(l);
}

TEST(lookahead_foreign, bad_settings_say_what)
{
	check_refused("[1]", "adapter_config.json: not JSON: no object");
	check_refused("{\"r\": ", "adapter_config.json: not JSON: ");
	check_refused("{\"r\": 0}", "adapter_config.json: r is no rank from 1 to 4096");
	check_refused("{\"lora_alpha\": \"x\"}", "adapter_config.json: lora_alpha is no alpha");
	check_refused("{\"lora_alpha\": -1}", "adapter_config.json: lora_alpha is no alpha");
	check_refused("{\"peft_type\": \"IA3\"}", "adapter_config.json: peft_type IA3 is not LORA");
	check_refused("{\"use_dora\": true}", "adapter_config.json: DoRA rescales the base weights");
	check_refused("{\"lora_alpha\": 12, \"alpha_pattern\": {\"^model.*q_proj\": 3}}", "alpha_pattern: \"^model.*q_proj\" does not name one projection");
	check_refused("{\"lora_alpha\": 12, \"alpha_pattern\": {\"k_proj\": 0}}", "an adapter's alpha gives the scale 0");
	check_refused("{\"r\": 4, \"lora_alpha\": 12}", "does not fit q of the other layers: rank 4");
	check_refused("{\"r\": 3, \"rank_pattern\": {\"k_proj\": 2}}", "does not fit k of the other layers: rank 2");
	check_refused("{\"r\": 3, \"rank_pattern\": {\"k_proj\": 0}}", "adapter_config.json: k_proj is no rank from 1 to 4096");
	check_refused("{\"r\": 3, \"rank_pattern\": {\"norm\": 2}}", "rank_pattern: \"norm\" does not name one projection");
}

static bool has_scale_fault(const struct lookahead *l, const char *text)
{
	struct lookahead_report *r = NULL;
	struct err e;
	bool found = false;
	CHECK_INT(lookahead_report_make(&r, l, NULL, &e), 0);
	for (int i = 0; r && i < r->n_listed; i++)
		found |= r->fault[i].kind == LOOKAHEAD_FAULT_SCALE && !strcmp(r->fault[i].text, text);
	lookahead_report_free(r);
	return found;
}

/* An adapter with an alpha of its own: what it adds is what its own scale says, and the report names it. */
static void check_own_scale(const struct lookahead *l, const struct lookahead *plain, double factor)
{
	const struct lora *k = &l->lora[N_PROJ + PROJ_K], *k_plain = &plain->lora[N_PROJ + PROJ_K];
	const struct lora *q = &l->lora[PROJ_Q], *q_plain = &plain->lora[PROJ_Q];
	for (int i = 0; i < k->n_out * k->r; i++)
		CHECK_NEAR((double)(l->scale * k->b[i]), factor * (double)(plain->scale * k_plain->b[i]), 1e-5); /* float32 of magnitude 16 */
	for (int i = 0; i < q->n_out * q->r; i++)
		CHECK_NEAR((double)(l->scale * q->b[i]), (double)(plain->scale * q_plain->b[i]), 1e-5);
}

TEST(lookahead_foreign, unequal_alphas)
{
	const char *folder = test_scratch("unequal");
	write_config(folder, "{\"r\": 3, \"lora_alpha\": 12}");
	write_peft(folder, NULL, 0);
	struct lookahead *plain = load(folder, 0);
	write_config(folder, "{\"r\": 3, \"lora_alpha\": 12, \"alpha_pattern\": {\"layers.1.self_attn.k_proj\": 3, \"layers.0.v_proj\": 1}}");
	struct lookahead *l = load(folder, 0);
	if (l && plain) {
		check_own_scale(l, plain, 0.25);
		CHECK(has_scale_fault(l, "layer 1 k: scale 1, the module's is 4"));
		CHECK(!has_scale_fault(plain, "layer 1 k: scale 1, the module's is 4"));
	}
	lookahead_free(l);
	lookahead_free(plain);
}

/* Soft tokens, q of layer 0 with rank 3 and k of layer 1 with rank 2. */
static void write_two_ranks(const char *folder)
{
	struct draft d = {.seed = test_seed()};
	draft_add(&d, "base_model.model.lookahead_embeddings.weight", DRAFT_ROWS, draft_shape.n_embd);
	draft_add_pair(&d, "base_model.model.model.layers.0.self_attn.q_proj.", "lora_A.weight", "lora_B.weight", PROJ_Q, false);
	draft_add(&d, BEFORE "lora_A.weight", 2, draft_shape.n_in[PROJ_K]);
	draft_add(&d, BEFORE "lora_B.weight", draft_shape.n_out[PROJ_K], 2);
	draft_write(&d, file_in(folder), NULL, 0);
}

static float product_at(const struct lookahead *l, int place, int out, int in)
{
	const struct lora *k = &l->lora[place];
	float sum = 0;
	for (int i = 0; i < k->r; i++)
		sum += k->b[out * k->r + i] * k->a[i * k->n_in + in];
	return l->scale * sum;
}

static void check_same_products(const struct lookahead *x, const struct lookahead *y, double factor)
{
	static const int places[] = {PROJ_Q, N_PROJ + PROJ_K};
	for (int p = 0; p < 2; p++)
		for (int out = 0; out < x->lora[places[p]].n_out; out++)
			for (int in = 0; in < x->lora[places[p]].n_in; in++)
				CHECK_NEAR((double)product_at(x, places[p], out, in), factor * (double)product_at(y, places[p], out, in), 1e-4); /* of magnitude 50 */
}

/* A folder as PEFT leaves it, named as such; ranks that differ, each with the scale that PEFT gives it; saved padded to one rank. */
TEST(lookahead_foreign, folder_of_two_ranks)
{
	const char *folder = test_scratch("ranks");
	struct lookahead *l = NULL, *back = NULL, *twice = NULL;
	struct err e = {0};
	write_config(folder, "{\"r\": 3, \"lora_alpha\": 12, \"rank_pattern\": {\"layers.1.self_attn.k_proj\": 2}}");
	write_two_ranks(folder);
	CHECK_INT(lookahead_load(&l, NULL, folder, NULL, &e), 0);
	CHECK_INT(lookahead_load(&twice, NULL, folder, &(struct lookahead_load_options){.alpha = 24}, &e), 0);
	char path[600];
	snprintf(path, sizeof path, "%s/padded.safetensors", folder);
	if (!l || !twice)
		return;
	CHECK_INT(l->lora[PROJ_Q].r, 3);
	CHECK_INT(l->lora[N_PROJ + PROJ_K].r, 2);
	CHECK_NEAR((double)l->scale, 4, 1e-6);
	CHECK(has_scale_fault(l, "layer 1 k: scale 6, the module's is 4"));
	check_same_products(twice, l, 2);
	CHECK_INT(lookahead_save(l, path, false, &e), 0);
	CHECK_INT(lookahead_load(&back, NULL, path, NULL, &e), 0);
	if (back) {
		CHECK_INT(back->lora[N_PROJ + PROJ_K].r, 3);
		check_same_products(back, l, 1);
	}
	lookahead_free(l);
	lookahead_free(back);
	lookahead_free(twice);
}

/* Without settings each adapter's rank is its shorter side, and the scale is the published one. */
TEST(lookahead_foreign, two_ranks_without_settings)
{
	const char *folder = test_scratch("bare");
	struct lookahead *l = NULL;
	struct err e = {0};
	mkdir(folder, 0777);
	write_two_ranks(folder);
	CHECK_INT(lookahead_load(&l, NULL, folder, NULL, &e), 0);
	if (!l)
		return;
	CHECK_INT(l->lora[N_PROJ + PROJ_K].r, 2);
	CHECK_NEAR((double)l->scale, 4, 1e-6);
	CHECK(l->warning != NULL);
	lookahead_free(l);
	folder = test_scratch("folder-without-adapters");
	mkdir(folder, 0777);
	CHECK_INT(lookahead_load(&l, NULL, folder, NULL, &e), ERR_FORMAT);
	CHECK(strstr(e.text, ": a folder without adapter_model.safetensors"));
}

TEST(lookahead_foreign, alpha_as_a_tensor)
{
	const char *folder = test_scratch("alpha");
	struct draft d = {.seed = test_seed()};
	write_config(folder, "{}");
	write_peft(folder, NULL, 0);
	struct lookahead *plain = load(folder, 12);
	draft_add(&d, "soft_tokens", DRAFT_ROWS, draft_shape.n_embd);
	draft_add_pair(&d, "lora_unet_layers_0_self_attn_q_proj.", "lora_down.weight", "lora_up.weight", PROJ_Q, false);
	draft_add_pair(&d, "lora_unet_layers_1_self_attn_k_proj.", "lora_down.weight", "lora_up.weight", PROJ_K, false);
	draft_add_scalar(&d, "lora_unet_layers_0_self_attn_q_proj.alpha", 12);
	draft_add_scalar(&d, "lora_unet_layers_1_self_attn_k_proj.alpha", 6);
	draft_write(&d, file_in(folder), NULL, 0);
	struct lookahead *l = load(folder, 0);
	if (l && plain) {
		CHECK(l->scale >= 4 && l->scale <= 4 && !l->warning);
		CHECK_INT(l->n_param, plain->n_param);
		check_own_scale(l, plain, 0.5);
		CHECK(has_scale_fault(l, "layer 1 k: scale 2, the module's is 4"));
	}
	lookahead_free(l);
	lookahead_free(plain);
}

TEST(lookahead_foreign, alpha_without_its_pair)
{
	const char *folder = test_scratch("lonely");
	struct draft d = {.seed = test_seed()};
	struct lookahead *l = NULL;
	struct err e = {0};
	mkdir(folder, 0777);
	draft_add(&d, "soft_tokens", DRAFT_ROWS, draft_shape.n_embd);
	draft_add_pair(&d, "layers.0.k_proj.", "lora_A", "lora_B", PROJ_K, false);
	draft_add_scalar(&d, "layers.0.v_proj.alpha", 12);
	draft_write(&d, file_in(folder), NULL, 0);
	CHECK_INT(lookahead_load(&l, NULL, file_in(folder), NULL, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "tensor layers.0.v_proj.alpha () has no pair beside it"));
	draft_add(&d, "soft_tokens", DRAFT_ROWS, draft_shape.n_embd);
	draft_add_pair(&d, "layers.0.k_proj.", "lora_A", "lora_B", PROJ_K, false);
	draft_add(&d, "layers.0.k_proj.alpha", 2, 1);
	draft_write(&d, file_in(folder), NULL, 0);
	CHECK_INT(lookahead_load(&l, NULL, file_in(folder), NULL, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "tensor layers.0.k_proj.alpha (2, 1) is no single number"));
}

TEST(lookahead_foreign, every_stored_type)
{
	static const enum st_dtype types[] = {ST_F32, ST_F16, ST_BF16};
	struct lookahead *first = NULL;
	for (size_t i = 0; i < 3; i++) {
		struct draft d = {.seed = test_seed(), .dtype = types[i]};
		struct lookahead *l = NULL;
		struct err e = {0};
		const char *path = test_scratch("typed.safetensors");
		draft_add_whole(&d);
		draft_write(&d, path, NULL, 0);
		CHECK_INT(lookahead_load(&l, NULL, path, NULL, &e), 0);
		if (first && l)
			for (int k = 0; k < 2 * N_PROJ; k++)
				CHECK(!first->lora[k].a || !memcmp(first->lora[k].b, l->lora[k].b, (size_t)l->lora[k].n_out * DRAFT_RANK * sizeof(float)));
		if (first && l)
			CHECK(!memcmp(first->embedding, l->embedding, DRAFT_ROWS * 6 * sizeof(float)));
		if (first)
			lookahead_free(l);
		else
			first = l;
	}
	lookahead_free(first);
}

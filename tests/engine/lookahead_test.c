#include "engine/lookahead.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/lookahead/parts.h"
#include "engine/lookahead_report.h"
#include "tests/support/module_draft.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static int load_draft(struct draft *d, const struct st_pair *meta, int n_meta, struct lookahead **out, struct err *e)
{
	const char *path = test_scratch("modules.safetensors");
	struct file_map map;
	struct st_file file;
	draft_write(d, path, meta, n_meta);
	CHECK_INT(file_map_open(&map, path, e), 0);
	CHECK_INT(st_parse(&file, map.data, map.size, "m", e), 0);
	int rc = lookahead_from_file(out, &(struct load_source){.file = &file, .known = &draft_shape, .path = "m"}, e);
	st_free(&file);
	file_map_close(&map);
	return rc;
}

static void check_refused(struct draft *d, const char *want)
{
	struct lookahead *l = NULL;
	struct err e = {0};
	CHECK_INT(load_draft(d, NULL, 0, &l, &e), ERR_FORMAT);
	if (strncmp(e.text, want, strlen(want)))
		CHECK_STR(e.text, want);
	CHECK(l == NULL);
	lookahead_free(l);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

TEST(lookahead, names_are_read_without_guessing)
{
	static const struct {
		const char *name;
		int layer, proj, role;
		bool doubt;
	} cases[] = {
		{"layers.3.q.lora_a", 3, PROJ_Q, ROLE_A, false},
		{"layers.0.down.lora_b", 0, PROJ_DOWN, ROLE_B, false},
		{"lookahead.embedding", -1, -1, ROLE_NONE, false},
		{"base_model.model.model.layers.31.self_attn.q_proj.lora_A.weight", 31, PROJ_Q, ROLE_A, false},
		{"base_model.model.model.layers.3.self_attn.o_proj.lora_B.default.weight", 3, PROJ_O, ROLE_B, false},
		{"model.layers.3.mlp.up_proj.lora_b", 3, PROJ_UP, ROLE_B, false},
		{"model.layers.3.mlp.gate_proj.lora_A.0.weight", 3, PROJ_GATE, ROLE_A, false},
		{"layer12.kproj.loraB", 12, PROJ_K, ROLE_B, false},
		{"lora_unet_layers_7_mlp_up_proj.lora_down.weight", 7, PROJ_UP, ROLE_A, false},
		{"layers.7.mlp.down_proj.lora_up.weight", 7, PROJ_DOWN, ROLE_B, false},
		{"layers.7.v_proj.weight", 7, PROJ_V, ROLE_NONE, false},
		{"layers.7.mlp.gate_up_proj.lora_a", 7, PROJ_UP, ROLE_A, true},
		{"layers.7.layers.8.q.lora_a", 8, PROJ_Q, ROLE_A, true},
		{"layers.7.q.lora_a.lora_b", 7, PROJ_Q, ROLE_B, true},
		{"layers.7.qkv_proj.lora_a", 7, -1, ROLE_A, false},
		{"layers.99999999999.q.lora_a", 2147483647, PROJ_Q, ROLE_A, false},
		{"", -1, -1, ROLE_NONE, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct name_facts f;
		name_read(cases[i].name, &f);
		if (f.layer != cases[i].layer || f.proj != cases[i].proj || f.role != (enum role)cases[i].role || !!f.doubt != cases[i].doubt)
			test_fail(__FILE__, __LINE__, "%s: layer %d, projection %d, role %d, doubt %s", cases[i].name, f.layer, f.proj, f.role,
				f.doubt ? f.doubt : "none");
	}
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

TEST(lookahead, written_names_and_metadata)
{
	struct draft d = {.seed = test_seed()};
	struct lookahead *l = NULL;
	struct err e = {0};
	float first_b[24];
	const struct st_pair meta[] = {{"kvglass.r", "3"}, {"kvglass.alpha", "12"}, {"kvglass.n_lookahead", "5"},
		{"kvglass.base_name", "small"}, {"kvglass.base_sha256", "ab"}, {"kvglass.training", "{\"step\":40}"}};
	draft_add_whole(&d);
	memcpy(first_b, d.tensor[2].data, sizeof first_b);
	CHECK_INT(load_draft(&d, meta, 6, &l, &e), 0);
	if (!l) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	CHECK_INT(l->n_lookahead, 5);
	CHECK_INT(l->n_layer, 2);
	CHECK_NEAR(l->scale, 4, TOL_EXACT);
	CHECK_STR(l->base_name, "small");
	CHECK_STR(l->training, "{\"step\":40}");
	CHECK(l->warning == NULL);
	const struct lora *q = lora_at(l, 0, PROJ_Q);
	CHECK(q->r == 3 && q->n_in == 6 && q->n_out == 8);
	CHECK(!memcmp(q->b, first_b, sizeof first_b));
	CHECK(lora_at(l, 1, PROJ_V)->a == NULL);
	CHECK_INT(l->n_param, 5 * 6 + 3 * (14 + 10 + 10 + 14 + 16 + 16 + 16) + 3 * (14 + 10));
	lookahead_free(l);
}

TEST(lookahead, foreign_names_either_way_round)
{
	struct draft d = {.seed = test_seed()};
	struct lookahead *l = NULL;
	struct err e = {0};
	float a[18], b[12], embedding[30];
	draft_add(&d, "model.lookahead_embeddings.weight", 6, 5); /* turned */
	draft_add_pair(&d, "base_model.model.model.layers.1.self_attn.k_proj.", "lora_A.default.weight", "lora_B.default.weight", PROJ_K, true);
	memcpy(embedding, d.tensor[0].data, sizeof embedding);
	memcpy(a, d.tensor[1].data, sizeof a);
	memcpy(b, d.tensor[2].data, sizeof b);
	CHECK_INT(load_draft(&d, NULL, 0, &l, &e), 0);
	if (!l) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	const struct lora *k = lora_at(l, 1, PROJ_K);
	CHECK(l->n_lookahead == 5 && k->r == 3);
	for (int i = 0; i < 5; i++)
		CHECK_NEAR(l->embedding[i * 6 + 4], embedding[4 * 5 + i], TOL_EXACT);
	for (int i = 0; i < 3; i++) {
		CHECK_NEAR(k->a[i * 6 + 2], a[2 * 3 + i], TOL_EXACT);
		CHECK_NEAR(k->b[3 * 3 + i], b[i * 4 + 3], TOL_EXACT);
	}
	CHECK_NEAR(l->scale, 4, TOL_EXACT);
	CHECK_STR(l->warning, "m does not say its alpha: scale 4 is used, as published (alpha 12 for rank 3)");
	lookahead_free(l);
}

TEST(lookahead, shape_tells_a_from_b_where_it_can)
{
	struct draft d = {.seed = test_seed()};
	struct lookahead *l = NULL;
	struct err e = {0};
	draft_add(&d, "tokens", 5, 6);
	draft_add(&d, "layers.0.k.first", 3, 6);
	draft_add(&d, "layers.0.k.second", 3, 4);
	CHECK_INT(load_draft(&d, NULL, 0, &l, &e), 0);
	CHECK(l && lora_at(l, 0, PROJ_K)->n_out == 4);
	lookahead_free(l);
}

TEST(lookahead, saved_modules_read_back)
{
	struct draft d = {.seed = test_seed()};
	struct lookahead *l = NULL, *back = NULL;
	struct err e = {0};
	const struct st_pair meta[] = {{"kvglass.alpha", "7.5"}, {"kvglass.training", "x"}};
	draft_add_whole(&d);
	CHECK_INT(load_draft(&d, meta, 2, &l, &e), 0);
	if (!l) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	for (int bf16 = 0; bf16 < 2; bf16++) {
		const char *path = test_scratch("saved.safetensors");
		CHECK_INT(lookahead_save(l, path, bf16, &e), 0);
		CHECK_INT(lookahead_load(&back, NULL, path, NULL, &e), 0);
		CHECK_INT(strlen(back->sha256), 64);
		CHECK_STR(back->name, "saved.safetensors");
		CHECK_NEAR(back->scale, l->scale, 1e-7);
		CHECK_INT(back->n_param, l->n_param);
		CHECK(!memcmp(back->embedding, l->embedding, 30 * sizeof(float)));
		for (int i = 0; i < 2 * N_PROJ; i++) {
			CHECK_INT(back->lora[i].a != NULL, l->lora[i].a != NULL);
			if (l->lora[i].a)
				CHECK(!memcmp(back->lora[i].b, l->lora[i].b, (size_t)l->lora[i].n_out * 3 * sizeof(float)));
		}
		lookahead_free(back);
	}
	CHECK_INT(lookahead_save(l, "/dev/full", false, &e), ERR_SYSTEM);
	lookahead_free(l);
}

TEST(lookahead, refusals_say_what_was_found)
{
	struct draft d = {.seed = 1};
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.0.norm.weight", 3, 6);
	check_refused(&d, "m: tensor layers.0.norm.weight (3, 6) names no projection; found 2 tensors: ");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "q_proj.lora_a", 3, 6);
	check_refused(&d, "m: tensor q_proj.lora_a (3, 6) names no layer; found 2 tensors: lookahead.embedding (5, 6), q_proj.lora_a (3, 6)");
	draft_add(&d, "lookahead.embedding", 5, 7);
	check_refused(&d, "m: tensor lookahead.embedding (5, 7) is of no layer and projection and no embedding of 6 dimensions");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.0.q.lora_a", 3, 7);
	check_refused(&d, "m: tensor layers.0.q.lora_a (3, 7) does not fit q of this model: rank 3, 6 inputs, 8 outputs");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.2.q.lora_a", 3, 6);
	check_refused(&d, "m: tensor layers.2.q.lora_a (3, 6) is for layer 2, this model has 2");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.0.q.lora_a", 3, 6);
	check_refused(&d, "m: tensor layers.0.q.lora_a (3, 6) has no B beside it");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.0.q.lora_b", 8, 3);
	check_refused(&d, "m: tensor layers.0.q.lora_b (8, 3) has no A beside it");
	draft_add_pair(&d, "layers.0.q.", "lora_a", "lora_b", PROJ_Q, false);
	check_refused(&d, "m: no embedding of the lookahead tokens among its 2 tensors");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "other.embedding", 5, 6);
	check_refused(&d, "m: tensor other.embedding (5, 6) goes where lookahead.embedding goes");
}

TEST(lookahead, refusals_of_doubtful_tensors)
{
	struct draft d = {.seed = 1};
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add_pair(&d, "layers.0.q.", "lora_a", "lora_b", PROJ_Q, false);
	draft_add(&d, "model.layers.0.q_proj.lora_A", 3, 6);
	check_refused(&d, "m: tensor model.layers.0.q_proj.lora_A (3, 6) goes where layers.0.q.lora_a goes");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.0.gate_up.lora_a", 3, 6);
	check_refused(&d, "m: tensor layers.0.gate_up.lora_a (3, 6) names two projections");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add_pair(&d, "layers.0.q.", "lora_a", "lora_b", PROJ_Q, false);
	draft_add(&d, "layers.0.k.lora_a", 2, 6);
	draft_add(&d, "layers.0.k.lora_b", 4, 3);
	check_refused(&d, "m: tensor layers.0.k.lora_b (4, 3) has rank 3, its A has 2");
	draft_add(&d, "lookahead.embedding", 5, 6);
	draft_add(&d, "layers.0.o.x", 6, 3); /* would be B of o; as A it has 8 inputs: one place */
	draft_add(&d, "layers.0.o.y", 8, 3);
	draft_add(&d, "layers.1.down.x", 6, 6); /* square, rank 6 */
	check_refused(&d, "m: tensor layers.1.down.x (6, 6) is square: it could lie either way");
	draft_add(&d, "embedding", 6, 6);
	check_refused(&d, "m: tensor embedding (6, 6) is square: it could lie either way");
}

TEST(lookahead, bad_metadata_is_refused)
{
	static const struct {
		struct st_pair meta;
		const char *want;
	} cases[] = {
		{{"kvglass.r", "x"}, "m: metadata kvglass.r is \"x\", a count up to 4096 is needed"},
		{{"kvglass.r", "-3"}, "m: metadata kvglass.r is \"-3\", a count up to 4096 is needed"},
		{{"kvglass.n_lookahead", "32"}, "m: metadata kvglass.n_lookahead is 32, the embedding has 5 rows"},
		{{"kvglass.alpha", "nan"}, "m: metadata kvglass.alpha is \"nan\", a number is needed"},
		{{"kvglass.alpha", ""}, "m: metadata kvglass.alpha is \"\", a number is needed"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct draft d = {.seed = 1};
		struct lookahead *l = NULL;
		struct err e = {0};
		draft_add_whole(&d);
		CHECK_INT(load_draft(&d, &cases[i].meta, 1, &l, &e), ERR_FORMAT);
		CHECK_STR(e.text, cases[i].want);
	}
}

/* ---- sizes of the paper's models ------------------------------------------------------------------------------------- */

struct base_model {
	const char *name;
	int n_layer, n_embd, n_ff, n_q, n_kv;
	uint64_t n_param; /* 32 rows, rank 8 on every projection, in the last layer on q and k alone */
};

/* A file of zeros that takes no room: header, then a hole. */
static void write_sparse(const char *path, const struct base_model *p)
{
	const int n_in[N_PROJ] = {p->n_embd, p->n_embd, p->n_embd, p->n_q, p->n_embd, p->n_embd, p->n_ff};
	const int n_out[N_PROJ] = {p->n_q, p->n_kv, p->n_kv, p->n_embd, p->n_ff, p->n_ff, p->n_embd};
	static const char *const module[N_PROJ] = {"self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"};
	char *header = NULL;
	size_t n_header = 0;
	FILE *text = open_memstream(&header, &n_header);
	uint64_t at = 2 * 32 * (uint64_t)p->n_embd;
	fprintf(text, "{\"lookahead_embeddings\":{\"dtype\":\"BF16\",\"shape\":[32,%d],\"data_offsets\":[0,%llu]}", p->n_embd,
		(unsigned long long)at);
	for (int l = 0; l < p->n_layer; l++)
		for (int k = 0; k < N_PROJ; k++)
			for (int b = 0; b < 2 && (l < p->n_layer - 1 || k <= PROJ_K); b++) {
				int rows = b ? n_out[k] : 8, columns = b ? 8 : n_in[k];
				uint64_t end = at + 2 * (uint64_t)rows * (uint64_t)columns;
				fprintf(text, ",\"model.layers.%d.%s_proj.lora_%c.weight\":{\"dtype\":\"BF16\",\"shape\":[%d,%d],\"data_offsets\":[%llu,%llu]}", l,
					module[k], b ? 'B' : 'A', rows, columns, (unsigned long long)at, (unsigned long long)end);
				at = end;
			}
	fputc('}', text);
	fclose(text);
	FILE *f = fopen(path, "wb");
	uint64_t n = n_header;
	fwrite(&n, sizeof n, 1, f);
	fwrite(header, 1, n_header, f);
	fflush(f);
	CHECK_INT(ftruncate(fileno(f), (off_t)(8 + n_header + at)), 0);
	fclose(f);
	free(header);
}

TEST(lookahead, parameter_counts_of_the_paper_s_models)
{
	static const struct base_model model[] = {
		{"LLaMA3.2-1B", 16, 2048, 8192, 2048, 512, 5402624},
		{"LLaMA3.2-3B", 28, 3072, 8192, 3072, 1024, 11902976},
		{"LLaMA3.1-8B", 32, 4096, 14336, 4096, 1024, 20553728}, /* 20.6 M in the paper */
		{"Qwen3-1.7B", 28, 2048, 6144, 2048, 1024, 8527872},
		{"Qwen3-4B", 36, 2560, 9728, 4096, 1024, 16220160},
		{"Qwen3-8B", 36, 4096, 12288, 4096, 1024, 21454848},
	};
	for (size_t i = 0; i < sizeof model / sizeof *model; i++) {
		struct lookahead *l = NULL;
		struct err e = {0};
		const char *path = test_scratch("published.safetensors");
		write_sparse(path, &model[i]);
		CHECK_INT(lookahead_load(&l, NULL, path, NULL, &e), 0);
		if (!l) {
			test_fail(__FILE__, __LINE__, "%s: %s", model[i].name, e.text);
			return;
		}
		CHECK_INT(l->n_layer, model[i].n_layer);
		CHECK_INT(l->n_lookahead, 32);
		CHECK_INT(l->n_param, model[i].n_param);
		lookahead_free(l);
		remove(path);
	}
}

/* ---- report ------------------------------------------------------------------------------------------------------- */

static double brute_force_norm(const struct lora *lora)
{
	double square = 0;
	for (int o = 0; o < lora->n_out; o++)
		for (int i = 0; i < lora->n_in; i++) {
			double sum = 0;
			for (int k = 0; k < lora->r; k++)
				sum += (double)lora->b[o * lora->r + k] * (double)lora->a[k * lora->n_in + i];
			square += sum * sum;
		}
	return sqrt(square);
}

static struct lookahead *sound_module(void)
{
	struct draft d = {.seed = test_seed()};
	struct lookahead *l = NULL;
	struct err e = {0};
	draft_add_whole(&d);
	CHECK_INT(load_draft(&d, NULL, 0, &l, &e), 0);
	return l;
}

static bool has_fault(const struct lookahead_report *r, enum lookahead_fault_kind kind, int layer, int proj, int row, const char *text)
{
	for (int i = 0; i < r->n_listed; i++) {
		const struct lookahead_fault *f = &r->fault[i];
		if (f->kind == kind && f->layer == layer && f->proj == proj && f->row == row && !strncmp(f->text, text, strlen(text)))
			return true;
	}
	return false;
}

TEST(lookahead_report, norms_against_the_whole_product)
{
	struct lookahead *l = sound_module();
	struct lookahead_report *r = NULL;
	struct err e;
	CHECK_INT(lookahead_report_make(&r, l, NULL, &e), 0);
	CHECK_INT(r->n_fault, 0);
	for (int p = 0; p < N_PROJ; p++) {
		double want = brute_force_norm(lora_at(l, 0, p));
		CHECK_NEAR(r->lora[p].ba, want, 1e-12 * want);
		CHECK_NEAR(r->lora[p].delta, 4 * want, 4e-12 * want);
	}
	CHECK(!r->lora[N_PROJ + PROJ_O].present);
	lookahead_report_free(r);
	lookahead_free(l);
}

TEST(lookahead_report, faults_are_found)
{
	struct lookahead *l = sound_module();
	struct lookahead_report *r = NULL;
	struct err e;
	for (int i = 0; i < 12; i++)
		lora_at(l, 1, PROJ_K)->b[i] *= 1e-4f;
	lora_at(l, 0, PROJ_V)->a[7] = NAN;
	lora_at(l, 0, PROJ_O)->b[2] = INFINITY;
	memset(lora_at(l, 1, PROJ_Q)->b, 0, 24 * sizeof(float));
	memset(l->embedding + 6, 0, 6 * sizeof(float));
	l->embedding[13] = NAN;
	for (int i = 18; i < 24; i++)
		l->embedding[i] *= 1e4f;
	CHECK_INT(lookahead_report_make(&r, l, NULL, &e), 0);
	CHECK(has_fault(r, LOOKAHEAD_FAULT_TINY, 1, PROJ_K, -1, "layer 1 k: norm of BA is "));
	CHECK(has_fault(r, LOOKAHEAD_FAULT_NOT_FINITE, 0, PROJ_V, -1, "layer 0 v: 1 numbers are NaN or infinite"));
	CHECK(has_fault(r, LOOKAHEAD_FAULT_NOT_FINITE, 0, PROJ_O, -1, "layer 0 o: 1 numbers are NaN or infinite"));
	CHECK(has_fault(r, LOOKAHEAD_FAULT_ZERO, 1, PROJ_Q, -1, "layer 1 q: B is all zero, the adapter does nothing"));
	CHECK(has_fault(r, LOOKAHEAD_FAULT_ZERO, -1, -1, 1, "soft token 1 is all zero"));
	CHECK(has_fault(r, LOOKAHEAD_FAULT_NOT_FINITE, -1, -1, 2, "soft token 2: 1 numbers are NaN or infinite"));
	CHECK(has_fault(r, LOOKAHEAD_FAULT_EXPLODING, -1, -1, 3, "soft token 3: its norm is "));
	CHECK_INT(r->n_fault, 7);
	lookahead_report_free(r);
	lookahead_free(l);
}

TEST(lookahead_report, untrained_and_missing)
{
	struct lookahead *l = sound_module();
	struct lookahead_report *r = NULL;
	struct err e;
	for (int i = 0; i < 2 * N_PROJ; i++)
		if (l->lora[i].b)
			memset(l->lora[i].b, 0, (size_t)l->lora[i].n_out * 3 * sizeof(float));
	CHECK_INT(lookahead_report_make(&r, l, NULL, &e), 0);
	CHECK_INT(r->n_fault, 1);
	CHECK(has_fault(r, LOOKAHEAD_FAULT_UNTRAINED, -1, -1, -1, "every B is zero"));
	lookahead_report_free(r);
	lookahead_free(l);

	struct lookahead *three = NULL; /* three layers, the middle one without k; the last without anything but q and k */
	CHECK_INT(lookahead_new(&three, 1, 2, 3, &e), 0);
	three->embedding[0] = three->embedding[1] = 1;
	for (int layer = 0; layer < 3; layer++)
		for (int p = PROJ_Q; p <= PROJ_V; p++) {
			if ((layer == 1 && p == PROJ_K) || (layer == 2 && p == PROJ_V))
				continue;
			struct lora *lora = lora_at(three, layer, p);
			*lora = (struct lora){.r = 1, .n_in = 1, .n_out = 1, .a = malloc(sizeof(float)), .b = malloc(sizeof(float))};
			*lora->a = *lora->b = 1;
		}
	CHECK_INT(lookahead_report_make(&r, three, NULL, &e), 0);
	CHECK_INT(r->n_fault, 1);
	CHECK(has_fault(r, LOOKAHEAD_FAULT_MISSING, 1, PROJ_K, -1, "layer 1 k: no adapter, 2 of 3 layers have one"));
	lookahead_report_free(r);
	lookahead_free(three);
}

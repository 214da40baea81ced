/* What a session on a device does beyond numbers that are right: stops in the middle and begins again, keeps adapters between passes and sees
 * when they change, gathers sums over runs, makes random weights by itself; weights as their files have them; the yardstick. */
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/cuda.h"
#include "engine/machine.h"
#include "tests/cuda/on_device.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

enum { N_PROMPT = 75, CHUNK = 32, N_SOFT = 3, N_ROW = 2 * 4 };

static const struct loose_model_options shape = {.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 64, .n_embd = 64, .n_ff = 96,
	.n_vocab = 100, .type = TYPE_BF16, .rope_pairs = ROPE_ADJACENT, .seed = 5};

struct fixture {
	struct loose_model *owner;
	struct model *model;
	struct session *session;
	int32_t *ids;
	float *sum; /* (N_ROW, N_PROMPT) */
	struct err e;
};

static void begin(struct fixture *f, const struct loose_model_options *o)
{
	*f = (struct fixture){.owner = loose_model_make(o)};
	f->model = loose_model_get(f->owner);
	f->model->info.device = "cuda:0";
	f->model->info.precision = "bf16";
	f->ids = loose_ids(f->model, N_PROMPT + 8, 3);
	f->sum = calloc(N_ROW * N_PROMPT, sizeof *f->sum);
	CHECK_INT(session_open(&f->session, f->model, &(struct session_options){.max_tokens = N_PROMPT + 8, .chunk_rows = CHUNK, .n_threads = 2},
		&f->e), 0);
}

static void end(struct fixture *f)
{
	session_close(f->session);
	free(f->ids), free(f->sum);
	loose_model_free(f->owner);
}

static int prefill(struct fixture *f, const struct progress *progress)
{
	struct colsum_request window = {.first = CHUNK - 1, .count = N_PROMPT - CHUNK, .step = 1, .n_key = N_PROMPT, .sum = f->sum};
	return session_run(f->session, &(struct run_request){.ids = f->ids, .n = N_PROMPT, .colsum = &window, .n_colsum = 1, .progress = progress},
		&f->e);
}

/* ---- stopping ------------------------------------------------------------------------------------------------------------- */

static int stop_at(void *rows, const char *stage, int64_t done, int64_t total)
{
	(void)stage, (void)total;
	return done >= *(const int64_t *)rows;
}

/* In every chunk and layer: an error that says so, a session as before, and then the same run to the bit as one that nobody stopped. */
TEST(cuda_sessions, prefill_is_stopped_and_begun_again)
{
	struct fixture f, whole;
	if (!device_is_there())
		return;
	begin(&f, &shape);
	begin(&whole, &shape);
	CHECK_INT(prefill(&whole, NULL), 0);
	for (int64_t rows = 0; rows < N_PROMPT; rows += CHUNK / 2) {
		CHECK_INT(prefill(&f, &(struct progress){stop_at, &rows}), ERR_CANCELLED);
		CHECK_INT(session_length(f.session), 0);
		CHECK(session_logits(f.session) == NULL);
		memset(f.sum, 0, sizeof(float) * N_ROW * N_PROMPT);
	}
	f.e = (struct err){0};
	CHECK_INT(prefill(&f, NULL), 0);
	CHECK_STR(f.e.text, "");
	CHECK(!memcmp(f.sum, whole.sum, sizeof(float) * N_ROW * N_PROMPT));
	const float *a = session_logits(f.session), *b = session_logits(whole.session);
	CHECK(a && b && !memcmp(a, b, (size_t)shape.n_vocab * sizeof *a));
	end(&f), end(&whole);
}

/* ---- adapters --------------------------------------------------------------------------------------------------------------- */

static void measure_rows(struct fixture *f, const struct lookahead *modules, const struct lookahead_switches *sw, float *sum)
{
	memset(sum, 0, sizeof(float) * N_ROW * N_PROMPT);
	CHECK_INT(session_lookahead(f->session, &(struct lookahead_request){.modules = modules, .switches = sw, .sum = sum}, &f->e), 0);
}

static bool same(const float *a, const float *b)
{
	return !memcmp(a, b, sizeof(float) * N_ROW * N_PROMPT);
}

/* Modules with a number of their own are taken over once; other switches, other modules and modules without a number are seen. */
TEST(cuda_sessions, adapters_stay_until_something_changes)
{
	struct fixture f;
	if (!device_is_there())
		return;
	begin(&f, &shape);
	CHECK_INT(prefill(&f, NULL), 0);
	struct lookahead *modules = loose_modules(f.model, N_SOFT, 4, 11);
	float *first = calloc(N_ROW * N_PROMPT, sizeof *first), *now = calloc(N_ROW * N_PROMPT, sizeof *now);
	const struct lookahead_switches without_q = {.scale = 1, .proj_off = 1 << PROJ_Q}, half = {.scale = 0.5f};
	modules->identity = 1;
	measure_rows(&f, modules, NULL, first);
	modules->lora[PROJ_Q].b[0] += 1; /* nobody is told: what is kept goes on */
	measure_rows(&f, modules, NULL, now);
	CHECK(same(first, now));
	measure_rows(&f, modules, &without_q, now);
	CHECK(!same(first, now));
	measure_rows(&f, modules, &half, now);
	CHECK(!same(first, now));
	modules->lora[PROJ_Q].b[0] -= 1;
	measure_rows(&f, modules, NULL, now);
	CHECK(same(first, now));
	modules->lora[PROJ_K].a[1] += 1;
	modules->identity = 2;
	measure_rows(&f, modules, NULL, now);
	CHECK(!same(first, now));
	modules->lora[PROJ_K].a[1] -= 1;
	modules->identity = 0;
	measure_rows(&f, modules, NULL, now);
	CHECK(same(first, now));
	modules->lora[PROJ_K].a[1] += 1;
	measure_rows(&f, modules, NULL, now);
	CHECK(!same(first, now));
	free(first), free(now);
	lookahead_free(modules);
	end(&f);
}

/* ---- sums over runs ------------------------------------------------------------------------------------------------------------ */

TEST(cuda_sessions, sums_are_gathered_over_runs)
{
	struct fixture f;
	float *sum[2] = {calloc(N_ROW * N_PROMPT, sizeof(float)), calloc(N_ROW * N_PROMPT, sizeof(float))};
	if (device_is_there()) {
		begin(&f, &shape);
		CHECK_INT(prefill(&f, NULL), 0);
		for (int gather = 0; gather < 2; gather++) {
			struct colsum_request truth = {.first = N_PROMPT, .count = 4, .step = 1, .n_key = N_PROMPT, .sum = sum[gather]};
			CHECK_INT(session_truncate(f.session, N_PROMPT), 0);
			for (int i = 0; i < 4; i++)
				CHECK_INT(session_run(f.session, &(struct run_request){.ids = f.ids + N_PROMPT + i, .n = 1, .colsum = &truth, .n_colsum = 1,
					.gather = gather}, &f.e), 0);
			CHECK_NEAR(sum[gather][0] == 0, gather, TOL_EXACT);
			CHECK_INT(session_collect(f.session, &f.e), 0);
		}
		for (int i = 0; i < N_ROW * N_PROMPT; i++)
			CHECK_NEAR(sum[0][i], sum[1][i], TOL_MEAN_ABS);
		end(&f);
	}
	free(sum[0]), free(sum[1]);
}

/* ---- weights -------------------------------------------------------------------------------------------------------------------- */

static void check_matrix(const struct cuda_weights *on_device, const struct weight *w, bool half, const char *what)
{
	size_t n = (size_t)w->n_out * (size_t)w->n_in;
	float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
	struct cuda_rows rows = {.data = (void *)cuda_weight_at(on_device, w->data), .ld = w->n_in, .half = half};
	tensor_unpack(w->type, w->data, n, want);
	device_get_rows(got, rows, w->n_out, w->n_in);
	size_t wrong = 0;
	for (size_t i = 0; i < n; i++)
		wrong += !(fabs((double)got[i] - (half ? bf16_rounded(want[i]) : want[i])) <= TOL_EXACT);
	if (wrong)
		test_fail(__FILE__, __LINE__, "%s: %zu of %zu elements differ", what, wrong, n);
	free(want), free(got);
}

static void check_weights(const struct model *m)
{
	struct cuda_device d;
	const struct cuda_weights *w = NULL;
	struct err e = {0};
	bool half = !strcmp(m->info.precision, "bf16");
	CHECK_INT(cuda_device_open(&d, m, &e), 0);
	CHECK_INT(cuda_weights_of(&w, m, &d, &e), 0);
	CHECK_STR(e.text, "");
	if (w) {
		check_matrix(w, &m->embedding, half, "embedding");
		check_matrix(w, &m->output, half, "output");
		for (int i = 0; i < m->info.n_layer * N_PROJ; i++)
			check_matrix(w, &m->layer[i / N_PROJ].proj[i % N_PROJ], half, projection_name(i % N_PROJ));
	}
	cuda_device_close(&d);
}

/* A GGUF of every stored type, opened as every file is: each matrix on the device is what the file says, to the bit. */
TEST(cuda_sessions, weights_of_every_stored_type_from_their_file)
{
	for (int type = 0; device_is_there() && type < N_TENSOR_TYPE; type++) {
		const char *path = test_scratch(tensor_type_info((enum tensor_type)type)->name);
		struct model *m = NULL;
		struct err e = {0};
		tiny_model_gguf(path, &(struct tiny_options){.kind = type % 2 ? TINY_LLAMA : TINY_QWEN3, .type = (enum tensor_type)type, .seed = 1});
		CHECK_INT(model_open(&m, path, &(struct model_options){.device = DEVICE_CUDA,
			.precision = type % 3 ? PRECISION_BF16 : PRECISION_F32}, &e), 0);
		CHECK_STR(e.text, "");
		if (m)
			check_weights(m);
		model_close(m);
	}
}

/* A matrix that does not fit one half of the pinned memory, and does not end where a half does. */
TEST(cuda_sessions, weights_longer_than_the_pinned_memory)
{
	struct loose_model_options o = shape;
	struct fixture f;
	if (!device_is_there())
		return;
	o.n_embd = 1024, o.n_vocab = UPLOAD_BYTES / 2 / 1024 + 77, o.n_layer = 1, o.type = TYPE_F16;
	f.owner = loose_model_make(&o);
	f.model = loose_model_get(f.owner);
	f.model->info.device = "cuda:0";
	f.model->info.precision = "bf16";
	check_weights(f.model);
	loose_model_free(f.owner);
}

/* Made on the device: the same every time, not what the host has, and nothing that a model chokes on. */
TEST(cuda_sessions, random_weights_are_made_on_the_device)
{
	struct fixture f[3];
	for (int i = 0; device_is_there() && i < 3; i++) {
		begin(&f[i], &shape);
		session_close(f[i].session);
		f[i].model->random_deviation = i < 2 ? 0.02f : 0;
		model_shared_free(f[i].model->shared);
		f[i].model->shared = model_shared_new();
		CHECK_INT(session_open(&f[i].session, f[i].model, &(struct session_options){.max_tokens = N_PROMPT + 8, .n_threads = 1}, &f[i].e), 0);
		CHECK_INT(prefill(&f[i], NULL), 0);
		CHECK_STR(f[i].e.text, "");
		if (i == 2) {
			const float *a = session_logits(f[0].session), *b = session_logits(f[1].session), *c = session_logits(f[2].session);
			CHECK(!memcmp(a, b, (size_t)shape.n_vocab * sizeof *a));
			CHECK(memcmp(a, c, (size_t)shape.n_vocab * sizeof *a));
			end(&f[0]), end(&f[1]), end(&f[2]);
		}
	}
}

/* ---- the yardstick ---------------------------------------------------------------------------------------------------------------- */

TEST(cuda_sessions, yardstick)
{
	enum { SIZE = 96, BYTES = 1 << 20 };
	struct fixture f;
	struct machine_rates rates = {0};
	if (!device_is_there())
		return;
	begin(&f, &shape);
	for (int half = 0; half < 2; half++) {
		f.model->info.precision = half ? "bf16" : "f32";
		CHECK_INT(cuda_measure_with(&rates, f.model, SIZE, BYTES, &f.e), 0);
		CHECK_STR(f.e.text, "");
		CHECK_INT(rates.product_size, SIZE);
		CHECK_STR(rates.product_type, half ? "bfloat16" : "float32");
		CHECK(rates.gflops > 0 && isfinite(rates.gflops) && rates.read_gbs > 0 && isfinite(rates.read_gbs));
	}
	end(&f);
}

/* What a lookahead pass asks of the device, counted: it is over in milliseconds, so every launch and every byte on the bus is a share of it.
 *
 * Its floor for an 8B model is one sweep over 14 GB of weights (3 ms on an H200, 2.2 % of the prefill of 4K tokens). What comes on top:
 * some twenty launches a layer, two microseconds each where nothing overlaps, and the sums' way back, four bytes a layer, head and token. */
#include <stdlib.h>

#include "engine/engine.h"
#include "tests/cudaemu/control.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"

enum { N_PROMPT = 40, N_SOFT = 10 /* more than the kernels of few rows take */ };

struct count {
	int kernels, products, copies;
};

/* Of the second pass with the same modules. */
static struct count count_pass(int n_layer)
{
	const struct loose_model_options o = {.n_layer = n_layer, .n_head = 4, .n_kv_head = 2, .head_dim = 64, .n_embd = 64, .n_ff = 96,
		.n_vocab = 50, .type = TYPE_BF16, .rope_pairs = ROPE_HALVES};
	struct loose_model *owner = loose_model_make(&o);
	struct model *m = loose_model_get(owner);
	struct session *s = NULL;
	struct err e = {0};
	struct count before, after = {0};
	cudaemu_reset(&cudaemu_usual_machine);
	m->info.device = "cuda:0";
	m->info.precision = "bf16";
	struct lookahead *modules = loose_modules(m, N_SOFT, 4, 1);
	int32_t *ids = loose_ids(m, N_PROMPT, 2);
	float *sum = calloc((size_t)(n_layer * o.n_head * N_PROMPT), sizeof *sum);
	modules->identity = 1;
	CHECK_INT(session_open(&s, m, &(struct session_options){.max_tokens = N_PROMPT + N_SOFT, .n_threads = 1}, &e), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = ids, .n = N_PROMPT}, &e), 0);
	for (int pass = 0; pass < 2; pass++) {
		before = (struct count){cudaemu_calls("kernel"), cudaemu_calls("cublasGemmEx"), cudaemu_calls("cudaMemcpyAsync")};
		CHECK_INT(session_lookahead(s, &(struct lookahead_request){.modules = modules, .sum = sum}, &e), 0);
		after = (struct count){cudaemu_calls("kernel"), cudaemu_calls("cublasGemmEx"), cudaemu_calls("cudaMemcpyAsync")};
	}
	session_close(s);
	free(ids), free(sum);
	lookahead_free(modules);
	loose_model_free(owner);
	return (struct count){after.kernels - before.kernels, after.products - before.products, after.copies - before.copies};
}

TEST(cuda_launches, lookahead_pass)
{
	struct count two = count_pass(2), three = count_pass(3);
	CHECK_INT(three.copies, two.copies); /* nothing is moved layer by layer */
	CHECK(two.copies <= 7);              /* position, captures, captured rows, soft tokens; result, sums */
	CHECK(three.products - two.products <= 4);
	CHECK(three.kernels - two.kernels <= 17);
	cudaemu_reset(&cudaemu_usual_machine);
}

/* The way back through a product with stored weights, for training: d_in += d_out W.
 *
 * A piece is a stripe of inputs: the stripe of every weight row is unpacked, a stretch of outputs at a time, and multiplied by oneDNN. The
 * sum over outputs is in one piece and in order, so the result does not depend on the number of threads.
 */
#include "engine/cpu/cpu.h"

enum {
	STRIPE = 96,        /* inputs of a piece: narrow, so that few threads share a narrow matrix evenly, */
	WIDE_STRIPE = 256,  /* but a multiple of the type's block */
	STRETCH = 256,      /* outputs unpacked at once: at most 256 KiB, within cpu_product_scratch() */
};

struct back_job {
	struct cpu *c;
	const struct product_back *p;
};

static int stripe_of(const struct weight *w)
{
	return STRIPE % tensor_type_info(w->type)->block_elements ? WIDE_STRIPE : STRIPE;
}

static void back_piece(void *context, int piece, int thread)
{
	const struct back_job *job = context;
	const struct product_back *p = job->p;
	const struct weight *w = p->weight;
	int stripe = stripe_of(w), first_in = piece * stripe, n_in = w->n_in - first_in < stripe ? w->n_in - first_in : stripe;
	size_t row_bytes = tensor_type_bytes(w->type, (uint64_t)w->n_in), skip = tensor_type_bytes(w->type, (uint64_t)first_in);
	float *panel = cpu_scratch(job->c, thread);
	for (int first = 0; first < w->n_out; first += STRETCH) {
		int n_out = w->n_out - first < STRETCH ? w->n_out - first : STRETCH;
		for (int o = 0; o < n_out; o++)
			job->c->simd->unpack->unpack[w->type](w->data + (size_t)(first + o) * row_bytes + skip, n_in, panel + (size_t)o * (size_t)stripe);
		struct gemm g = {.m = p->n_row, .n = n_in, .k = n_out, .a = p->d_out + first, .lda = w->n_out, .b = panel, .ldb = stripe,
			.c = p->d_in + first_in, .ldc = w->n_in, .add = 1};
		if (gemm_run(&g))
			atomic_store(&job->c->failure, ERR_MEMORY);
	}
}

void cpu_product_back(struct cpu *c, const struct product_back *p)
{
	struct back_job job = {.c = c, .p = p};
	threads_run(c->threads, (p->weight->n_in + stripe_of(p->weight) - 1) / stripe_of(p->weight), back_piece, &job);
}

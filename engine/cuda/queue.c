/* Steps of one row look alike: their operations are kept until the step ends, and when they are those of the step before, they are recorded
 * as a graph, which serves as long as steps repeat; the position and what is captured lie in device memory. The first of its kind runs as
 * it comes: kernels are loaded when they are first launched, which a recording may not allow. All other steps run as they come.
 *
 * Neighbours that one kernel can do are joined: rotation and append, and in steps that are kept gate and up and their activation.
 */
#include <stdlib.h>

#include "engine/cuda/cuda.h"

struct list {
	struct cuda_op *op; /* (room) */
	int n;
};

struct kind_of_step {
	struct list last;      /* of the step before that was kept whole */
	cudaGraphExec_t graph; /* of that, or NULL */
};

struct cuda_queue {
	struct list kept;
	struct kind_of_step kind[2]; /* without captures, and with some: a response is decoded with them and went on from one without */
	int room;
	bool keeping;
	struct cuda_op held;   /* of a step that runs as it comes: a rotation that waits for what follows */
	bool holds;
};

bool cuda_queue_open(struct cuda *c)
{
	enum { OF_A_LAYER = 16, OTHERS = 8 };
	struct cuda_queue *q = c->queue = calloc(1, sizeof *q);
	if (q) {
		q->room = c->model->info.n_layer * OF_A_LAYER + OTHERS;
		q->kept.op = calloc((size_t)q->room, sizeof *q->kept.op);
		for (int i = 0; i < 2; i++)
			q->kind[i].last.op = calloc((size_t)q->room, sizeof *q->kept.op);
	}
	if (!q || !q->kept.op || !q->kind[0].last.op || !q->kind[1].last.op)
		err_set(&c->device.failure, ERR_MEMORY, "no memory for a step's operations");
	return !c->device.failure.code;
}

void cuda_queue_close(struct cuda *c)
{
	struct cuda_queue *q = c->queue;
	if (!q)
		return;
	cuda_queue_forget(c);
	free(q->kept.op);
	for (int i = 0; i < 2; i++)
		free(q->kind[i].last.op);
	free(q);
	c->queue = NULL;
}

static void forget(struct kind_of_step *k)
{
	if (k->graph)
		cudaGraphExecDestroy(k->graph);
	k->graph = NULL;
}

void cuda_queue_forget(struct cuda *c)
{
	forget(&c->queue->kind[0]);
	forget(&c->queue->kind[1]);
}

/* ---- doing --------------------------------------------------------------------------------------------------------- */

static bool is_feed(const struct cuda_op *op)
{
	return op->kind == OP_MATMUL && op->matmul.n_part == 2 && op->part[0].out == ROWS_GATE && op->part[1].out == ROWS_UP &&
		op->matmul.rows.n <= MATVEC_ROWS;
}

static bool same_rows(struct row_range a, struct row_range b)
{
	return a.first == b.first && a.n == b.n;
}

/* Does an operation, and the next with it where both are one kernel; how many were done. */
static int run(struct cuda *c, const struct cuda_op *op, const struct cuda_op *next)
{
	struct matmul_op matmul = op->matmul;
	switch (op->kind) {
	case OP_EMBED:
		cuda_do_embed(c, NULL);
		break;
	case OP_NORM:
		cuda_do_norm(c, &op->norm);
		break;
	case OP_MATMUL:
		matmul.part = op->part;
		if (next && next->kind == OP_SWIGLU && is_feed(op) && same_rows(op->matmul.rows, next->swiglu)) {
			cuda_do_matmul(c, &matmul, true);
			return 2;
		}
		cuda_do_matmul(c, &matmul, false);
		break;
	case OP_ROPE:
		if (next && next->kind == OP_APPEND) {
			cuda_do_rope(c, &op->rope, &next->append);
			return 2;
		}
		cuda_do_rope(c, &op->rope, NULL);
		break;
	case OP_APPEND:
		cuda_do_rope(c, NULL, &op->append);
		break;
	case OP_ATTENTION:
		cuda_do_attention(c, &op->attention);
		break;
	case OP_SWIGLU:
		cuda_do_swiglu(c, op->swiglu);
		break;
	case OP_LOGITS:
		cuda_do_logits(c, &op->logits);
		break;
	}
	return 1;
}

/* As it comes. */
static void run_now(struct cuda *c, const struct cuda_op *op)
{
	struct cuda_queue *q = c->queue;
	if (q->holds) {
		q->holds = false;
		if (run(c, &q->held, op) == 2)
			return;
	}
	q->holds = op->kind == OP_ROPE;
	if (q->holds)
		q->held = *op;
	else
		run(c, op, NULL);
}

static void run_held(struct cuda *c)
{
	if (c->queue->holds)
		run(c, &c->queue->held, NULL);
	c->queue->holds = false;
}

static void run_list(struct cuda *c, const struct list *list)
{
	for (int i = 0; i < list->n && !c->device.failure.code;)
		i += run(c, &list->op[i], i + 1 < list->n ? &list->op[i + 1] : NULL);
}

/* ---- keeping ------------------------------------------------------------------------------------------------------- */

void cuda_queue_begin(struct cuda *c)
{
	struct cuda_queue *q = c->queue;
	q->kept.n = 0;
	q->holds = false;
	q->keeping = c->step.n_rows == 1;
	for (int i = 0; i < c->step.n_capture; i++) /* whose rows go to the host layer by layer */
		q->keeping &= !c->step.capture[i].per_row;
}

void cuda_submit(struct cuda *c, const struct cuda_op *op)
{
	struct cuda_queue *q = c->queue;
	if (c->device.failure.code)
		return;
	if (q->keeping && q->kept.n == q->room)
		cuda_queue_flush(c);
	if (q->keeping)
		q->kept.op[q->kept.n++] = *op;
	else
		run_now(c, op);
}

void cuda_queue_flush(struct cuda *c)
{
	struct cuda_queue *q = c->queue;
	run_held(c);
	if (!q->keeping)
		return;
	q->keeping = false;
	run_list(c, &q->kept);
	q->kept.n = 0;
}

/* ---- the graph ------------------------------------------------------------------------------------------------------ */

static bool same_matmul(const struct cuda_op *a, const struct cuda_op *b)
{
	const struct matmul_op *x = &a->matmul, *y = &b->matmul;
	bool same = x->in == y->in && same_rows(x->rows, y->rows) && x->n_part == y->n_part && x->add == y->add;
	for (int i = 0; same && i < x->n_part; i++)
		same = a->part[i].weight == b->part[i].weight && a->part[i].bias == b->part[i].bias && a->part[i].out == b->part[i].out;
	return same;
}

static bool same_op(const struct cuda_op *a, const struct cuda_op *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case OP_NORM:
		return a->norm.in == b->norm.in && a->norm.out == b->norm.out && a->norm.gain == b->norm.gain &&
			same_rows(a->norm.rows, b->norm.rows);
	case OP_MATMUL:
		return same_matmul(a, b);
	case OP_ROPE:
		return a->rope.q_norm == b->rope.q_norm && a->rope.k_norm == b->rope.k_norm && same_rows(a->rope.q_rows, b->rope.q_rows) &&
			same_rows(a->rope.k_rows, b->rope.k_rows);
	case OP_APPEND:
		return a->append.layer == b->append.layer && a->append.values == b->append.values;
	case OP_ATTENTION:
		return a->attention.layer == b->attention.layer && a->attention.output == b->attention.output &&
			same_rows(a->attention.rows, b->attention.rows);
	case OP_SWIGLU:
		return same_rows(a->swiglu, b->swiglu);
	case OP_LOGITS:
		return same_rows(a->logits.rows, b->logits.rows) && a->logits.out == b->logits.out;
	default:
		return true;
	}
}

static bool is_last_again(const struct list *kept, const struct list *last)
{
	bool same = kept->n == last->n;
	for (int i = 0; same && i < kept->n; i++)
		same = same_op(&kept->op[i], &last->op[i]);
	return same;
}

static void run_first(struct cuda *c, struct kind_of_step *k)
{
	struct cuda_queue *q = c->queue;
	struct list list = k->last;
	forget(k);
	run_list(c, &q->kept);
	k->last = q->kept;
	q->kept = list;
	if (c->device.failure.code)
		k->last.n = 0;
}

static void record(struct cuda *c, struct kind_of_step *k)
{
	cudaGraph_t graph = NULL;
	if (!CUDA_TRY(&c->device, cudaStreamBeginCapture(c->device.stream, cudaStreamCaptureModeThreadLocal)))
		return;
	run_list(c, &k->last);
	/* The end must come whatever happened in between. */
	cudaError_t rc = cudaStreamEndCapture(c->device.stream, &graph);
	if (cuda_note(&c->device, rc, "cudaStreamEndCapture", __FILE__, __LINE__))
		CUDA_TRY(&c->device, cudaGraphInstantiate(&k->graph, graph, 0));
	if (graph)
		cudaGraphDestroy(graph);
}

void cuda_queue_end(struct cuda *c)
{
	struct cuda_queue *q = c->queue;
	struct kind_of_step *k = &q->kind[c->step.n_capture > 0];
	bool whole = q->keeping && q->kept.n && q->kept.op[q->kept.n - 1].kind == OP_LOGITS;
	if (!whole) {
		cuda_queue_flush(c);
		return;
	}
	q->keeping = false;
	if (!is_last_again(&q->kept, &k->last)) {
		run_first(c, k);
		return;
	}
	if (!k->graph)
		record(c, k);
	if (!c->device.failure.code)
		CUDA_TRY(&c->device, cudaGraphLaunch(k->graph, c->device.stream));
}

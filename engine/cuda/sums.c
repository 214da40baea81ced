/* Column sums between the device and their owner. A capture's sums are gathered on the device over all steps of a run and added to the
 * caller's when the run ends (or somebody wants to see them); rows that are kept one by one go to the host layer by layer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/threads.h"
#include "engine/cuda/cuda.h"

enum { MAX_SLOTS = 2 * MAX_CAPTURES, MOST_THREADS = 8 /* add as fast as a bus brings more */ };

struct slot {
	float *host;   /* whose sums; NULL: nobody's, the memory is free for others */
	float *device; /* (n) */
	size_t n, room;
};

struct cuda_sums {
	struct slot slot[MAX_SLOTS];
	int n;
	float *rows; /* of one layer, for captures that keep every row */
	size_t rows_room;
	struct threads *threads; /* that add to what the caller has */
};

bool cuda_sums_open(struct cuda *c, int n_threads)
{
	c->sums = calloc(1, sizeof *c->sums);
	if (!c->sums)
		err_set(&c->device.failure, ERR_MEMORY, "no memory for captures");
	return c->sums && !threads_open(&c->sums->threads, n_threads < MOST_THREADS ? n_threads : MOST_THREADS, &c->device.failure);
}

void cuda_sums_close(struct cuda *c)
{
	if (!c->sums)
		return;
	for (int i = 0; i < c->sums->n; i++)
		cuda_release(&c->device, c->sums->slot[i].device);
	cuda_release(&c->device, c->sums->rows);
	threads_close(c->sums->threads);
	free(c->sums);
	c->sums = NULL;
}

static size_t map_floats(const struct cuda *c, const struct capture *capture)
{
	return (size_t)c->model->info.n_layer * (size_t)c->model->info.n_head * (size_t)capture->n_key;
}

/* The slot that gathers for `host`, else a free one that is large enough, else a new one, else a free one to be made larger. */
static struct slot *find_slot(struct cuda_sums *s, const float *host, size_t n)
{
	struct slot *best = NULL;
	for (int i = 0; i < s->n; i++)
		if (s->slot[i].host == host && s->slot[i].n == n)
			return &s->slot[i];
	for (int i = 0; i < s->n; i++)
		if (!s->slot[i].host && (!best || s->slot[i].room >= n))
			best = &s->slot[i];
	if ((!best || best->room < n) && s->n < MAX_SLOTS)
		best = &s->slot[s->n++];
	return best;
}

static float *sums_for(struct cuda *c, const struct capture *capture)
{
	size_t n = map_floats(c, capture);
	struct slot *slot = find_slot(c->sums, capture->sum, n);
	if (!slot) {
		err_set(&c->device.failure, ERR_LIMIT, "device %s: more than %d maps of column sums in one run", c->device.name, MAX_SLOTS);
		return NULL;
	}
	if (slot->host == capture->sum)
		return slot->device;
	if (slot->room < n) {
		cuda_release(&c->device, slot->device);
		slot->room = 0;
		slot->device = cuda_take(&c->device, n * sizeof(float), "a map of column sums");
		slot->room = slot->device ? n : 0;
	}
	if (!slot->device)
		return NULL;
	CUDA_TRY(&c->device, cudaMemsetAsync(slot->device, 0, n * sizeof(float), c->device.stream));
	slot->host = capture->sum;
	slot->n = n;
	return slot->device;
}

/* ---- a step --------------------------------------------------------------------------------------------------------- */

/* The capture's rows that the step has: they follow one another. */
static void find_rows(const struct cuda *c, const struct capture *capture, struct cuda_capture *out)
{
	out->row_first = out->row_count = 0;
	for (int row = 0; row < c->step.n_rows; row++) {
		int at = capture_row(capture, c->step.position + row);
		if (at < 0)
			continue;
		if (!out->row_count)
			out->row_first = at;
		out->row_count++;
	}
}

static void list_captured(struct cuda *c)
{
	c->n_captured = 0;
	for (int row = 0; row < c->step.n_rows; row++)
		for (int i = 0; i < c->step.n_capture; i++)
			if (capture_row(&c->step.capture[i], c->step.position + row) >= 0) {
				c->captured[c->n_captured++] = row;
				break;
			}
}

/* Room for one layer's rows of every capture that keeps them. */
static void place_rows(struct cuda *c)
{
	struct cuda_sums *s = c->sums;
	size_t floats = 0, at = 0;
	for (int i = 0; i < c->step.n_capture; i++)
		if (c->step.capture[i].per_row)
			floats += (size_t)c->model->info.n_head * (size_t)c->pinned->capture[i].row_count * (size_t)c->step.capture[i].n_key;
	if (floats > s->rows_room) {
		cuda_release(&c->device, s->rows);
		s->rows = cuda_take(&c->device, floats * sizeof(float), "the captured rows of a layer");
		s->rows_room = s->rows ? floats : 0;
	}
	for (int i = 0; s->rows && i < c->step.n_capture; i++) {
		struct cuda_capture *k = &c->pinned->capture[i];
		if (!c->step.capture[i].per_row)
			continue;
		k->per_row = s->rows + at;
		at += (size_t)c->model->info.n_head * (size_t)k->row_count * (size_t)k->n_key;
	}
}

void cuda_sums_begin(struct cuda *c)
{
	struct cuda_result *result = c->area[CUDA_RESULT];
	c->n_captured = 0;
	if (c->step.n_capture > MAX_CAPTURES)
		err_set(&c->device.failure, ERR_LIMIT, "device %s: %d captures in one step, %d are possible", c->device.name, c->step.n_capture,
			MAX_CAPTURES);
	if (!c->step.n_capture || c->device.failure.code)
		return;
	for (int i = 0; i < c->step.n_capture; i++) {
		const struct capture *from = &c->step.capture[i];
		struct cuda_capture *to = &c->pinned->capture[i];
		*to = (struct cuda_capture){.first = from->first, .count = from->count, .step = from->step, .n_key = from->n_key,
			.error = &result->row_error[i]};
		find_rows(c, from, to);
		if (from->sum && to->row_count)
			to->sum = sums_for(c, from);
	}
	list_captured(c);
	place_rows(c);
	CUDA_TRY(&c->device, cudaMemcpyAsync(c->area[CUDA_CAPTURES], c->pinned->capture, (size_t)c->step.n_capture * sizeof *c->pinned->capture,
		cudaMemcpyHostToDevice, c->device.stream));
	if (c->n_captured)
		CUDA_TRY(&c->device, cudaMemcpyAsync(c->area[CUDA_CAPTURED], c->captured, (size_t)c->n_captured * sizeof *c->captured,
			cudaMemcpyHostToDevice, c->device.stream));
}

void cuda_sums_layer(struct cuda *c, int layer)
{
	size_t n_head = (size_t)c->model->info.n_head;
	for (int i = 0; i < c->step.n_capture; i++) {
		const struct capture *to = &c->step.capture[i];
		const struct cuda_capture *from = &c->pinned->capture[i];
		if (!to->per_row || !from->row_count)
			continue;
		size_t n_key = (size_t)to->n_key, count = (size_t)to->count;
		float *host = to->per_row + ((size_t)layer * n_head * count + (size_t)from->row_first) * n_key;
		size_t width = (size_t)from->row_count * n_key * sizeof(float);
		CUDA_TRY(&c->device, cudaMemcpy2DAsync(host, count * n_key * sizeof(float), from->per_row, width, width, n_head,
			cudaMemcpyDeviceToHost, c->device.stream));
	}
}

/* The larger; a NaN stays. */
static void raise_to(double *worst, float error)
{
	if (!isnan(*worst) && !((double)error <= *worst))
		*worst = (double)error;
}

void cuda_sums_end(struct cuda *c)
{
	for (int i = 0; i < c->step.n_capture; i++) {
		float error;
		memcpy(&error, &c->pinned->result.row_error[i], sizeof error);
		if (c->step.capture[i].row_error && c->pinned->capture[i].row_count)
			raise_to(c->step.capture[i].row_error, error);
	}
}

/* ---- to their owner -------------------------------------------------------------------------------------------------- */

static bool fetch(struct cuda *c, const struct slot *slot, size_t at, size_t n, int half)
{
	return CUDA_TRY(&c->device, cudaMemcpyAsync(c->upload.pinned[half], slot->device + at, n * sizeof(float), cudaMemcpyDeviceToHost,
		c->device.stream)) && CUDA_TRY(&c->device, cudaEventRecord(c->upload.sent[half], c->device.stream));
}

struct addition {
	float *to;
	const float *from;
	size_t n;
};
enum { ADD_FLOATS = 1 << 17 }; /* of a piece */

static void add_piece(void *context, int piece, int thread)
{
	const struct addition *a = context;
	size_t first = (size_t)piece * ADD_FLOATS, end = a->n - first < ADD_FLOATS ? a->n : first + ADD_FLOATS;
	(void)thread;
	for (size_t i = first; i < end; i++)
		a->to[i] += a->from[i];
}

/* While one half of the pinned memory is added the other is filled. One thread alone would take longer than the lookahead rows that were
 * measured: at 32K tokens of an 8B model a map is 134 MB, which the bus brings in 3 to 5 ms and which is read, read and written here. */
static void add_slot(struct cuda *c, const struct slot *slot)
{
	enum { STRETCH = UPLOAD_BYTES / sizeof(float) };
	size_t first = slot->n < STRETCH ? slot->n : STRETCH;
	bool well = fetch(c, slot, 0, first, 0);
	for (size_t at = 0, n = first, next; well && at < slot->n; at += n, n = next) {
		int half = (int)(at / STRETCH % 2);
		next = slot->n - at - n < STRETCH ? slot->n - at - n : STRETCH;
		if (next)
			well = fetch(c, slot, at + n, next, !half);
		well = CUDA_TRY(&c->device, cudaEventSynchronize(c->upload.sent[half])) && well;
		struct addition a = {.to = slot->host + at, .from = (const float *)c->upload.pinned[half], .n = n};
		if (well)
			threads_run(c->sums->threads, (int)((n + ADD_FLOATS - 1) / ADD_FLOATS), add_piece, &a);
	}
}

int cuda_collect(struct backend *b, struct err *e)
{
	struct cuda *c = (struct cuda *)b;
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	for (int i = 0; i < c->sums->n; i++) {
		if (c->sums->slot[i].host)
			add_slot(c, &c->sums->slot[i]);
		c->sums->slot[i].host = NULL;
	}
	return cuda_failure(&c->device, e);
}

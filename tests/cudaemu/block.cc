/* One kernel: its blocks one after the other, the threads of a block as fibers, barriers and warp collectives as the places where
 * they change. Whoever waits for what can never come is reported. */
#include <string.h>

#include "tests/cudaemu/emulator.h"
#include "tests/cudaemu/fiber.h"
#include "tests/cudaemu/include/cudaemu_shared.h"
#include "tests/cudaemu/include/cudaemu_warp.h"

enum state { READY, AT_BARRIER, IN_COLLECTIVE, DONE };

struct thread {
	uint3 index; /* threadIdx */
	state is;
	bool awaited; /* what ran before this kernel */
	cudaemu_site site; /* of what it waits for */
	cudaemu_vote vote;
	bool value;
	unsigned mask;
	void *record;
	cudaemu_resolve *resolve;
};

enum { MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / 32 };
static struct {
	thread at[MAX_THREADS];
	int n;
	uint32_t warp_time[MAX_WARPS];
	int result; /* of the last barrier's vote */
	const cudaemu_launch_request *kernel;
	bool in_kernel;
} block;

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;
__thread cudaemu_order cudaemu_now;

bool cudaemu_in_kernel(void)
{
	return block.in_kernel;
}

static void become(int i)
{
	threadIdx = block.at[i].index;
	cudaemu_now.thread = (uint16_t)i;
	cudaemu_now.warp_time = block.warp_time[i / 32];
	cudaemu_now.now = cudaemu_clock();
}

static int current(void)
{
	return cudaemu_now.thread;
}

static bool same_site(const cudaemu_site &a, const cudaemu_site &b)
{
	return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file));
}

/* ---- barriers of the block ---------------------------------------------------------------------------------------- */

int cudaemu_barrier(cudaemu_vote vote, bool value, cudaemu_site site)
{
	thread &t = block.at[current()];
	t.is = AT_BARRIER;
	t.site = site;
	t.vote = vote;
	t.value = value;
	fiber_leave();
	return block.result;
}

static int count_votes(void)
{
	int n_true = 0;
	for (int i = 0; i < block.n; i++)
		n_true += block.at[i].value;
	switch (block.at[0].vote) {
	case CUDAEMU_VOTE_COUNT:
		return n_true;
	case CUDAEMU_VOTE_AND:
		return n_true == block.n;
	case CUDAEMU_VOTE_OR:
		return n_true > 0;
	default:
		return 0;
	}
}

static void release_barrier(void)
{
	const thread *first = NULL;
	for (int i = 0; i < block.n; i++)
		if (block.at[i].is == AT_BARRIER && !first)
			first = &block.at[i];
	for (int i = 0; i < block.n; i++) {
		const thread &t = block.at[i];
		if (t.is == AT_BARRIER && same_site(t.site, first->site))
			continue;
		become(i);
		if (t.is == DONE)
			cudaemu_fault("divergent-barrier", "has ended while others wait at %s:%d", first->site.file, first->site.line);
		cudaemu_fault("divergent-barrier", "waits at %s:%d, others at %s:%d", t.site.file, t.site.line, first->site.file, first->site.line);
	}
	block.result = count_votes();
	cudaemu_now.barrier_time = cudaemu_clock_advance();
	for (int i = 0; i < block.n; i++)
		block.at[i].is = READY;
}

void cudaemu_await_previous(void)
{
	block.at[current()].awaited = true;
}

/* ---- collectives of a warp ---------------------------------------------------------------------------------------- */

int cudaemu_lane(void)
{
	return current() % 32;
}

static thread *lane_at(int lane)
{
	int i = current() / 32 * 32 + lane;
	return i < block.n ? &block.at[i] : NULL;
}

static bool is_complete(const thread &mine)
{
	for (int lane = 31; lane >= 0; lane--) { /* lanes run in ascending order: the last are missing first */
		const thread *t = mine.mask >> lane & 1 ? lane_at(lane) : &mine;
		if (!t || t->is != IN_COLLECTIVE || t->mask != mine.mask || t->resolve != mine.resolve || !same_site(t->site, mine.site))
			return false;
	}
	return true;
}

void cudaemu_collective(unsigned mask, void *record, cudaemu_resolve *resolve, cudaemu_site site)
{
	thread &t = block.at[current()];
	if (!(mask >> cudaemu_lane() & 1))
		cudaemu_fault("mask", "calls %s:%d with mask 0x%08x, which does not name its own lane %d", site.file, site.line, mask, cudaemu_lane());
	t.is = IN_COLLECTIVE;
	t.site = site;
	t.mask = mask;
	t.record = record;
	t.resolve = resolve;
	if (!is_complete(t)) {
		fiber_leave();
		return;
	}
	void *records[32] = {};
	for (int lane = 0; lane < 32; lane++)
		if (mask >> lane & 1)
			records[lane] = lane_at(lane)->record;
	resolve(records, mask);
	for (int lane = 0; lane < 32; lane++)
		if (mask >> lane & 1)
			lane_at(lane)->is = READY;
	become(current()); /* a warp barrier has moved time */
}

static void pass_time(void *const record[32], unsigned mask)
{
	(void)record, (void)mask;
	block.warp_time[current() / 32] = cudaemu_clock_advance();
}

void cudaemu_warp_barrier(unsigned mask, cudaemu_site site)
{
	cudaemu_collective(mask, NULL, pass_time, site);
}

static void report_stuck(int first)
{
	const thread &waits = block.at[first];
	become(first);
	for (int lane = 0; lane < 32; lane++) {
		const thread *t = waits.mask >> lane & 1 ? lane_at(lane) : &waits;
		const char *what = !t ? "does not exist" : t->is == DONE ? "has ended" : t->is == AT_BARRIER ? "waits at a barrier of the block" :
			!same_site(t->site, waits.site) ? "waits elsewhere" : t->mask != waits.mask ? "waits with another mask" : NULL;
		if (what)
			cudaemu_fault("mask", "waits at %s:%d with mask 0x%08x, but lane %d %s%s%s", waits.site.file, waits.site.line, waits.mask, lane, what,
				t && t->is != DONE ? ", " : "", t && t->is != DONE ? t->site.file : "");
	}
	cudaemu_fault("mask", "waits at %s:%d for ever", waits.site.file, waits.site.line);
}

/* ---- the matrix instruction ------------------------------------------------------------------------------------------ */

struct mma {
	float *d;
	const unsigned *a, *b;
};

static float bf16_half(unsigned pair, int which)
{
	return cudaemu_bits<float>(which ? pair & 0xffff0000u : pair << 16);
}

/* PTX ISA, "Matrix fragments for mma.m16n8k16": lane = 4 g + t. */
static void resolve_mma(void *const record[32], unsigned)
{
	float a[16][16], b[16][8];
	for (int lane = 0; lane < 32; lane++) {
		const mma *m = (const mma *)record[lane];
		int g = lane / 4, t = lane % 4;
		for (int i = 0; i < 4; i++)
			for (int half = 0; half < 2; half++)
				a[g + i % 2 * 8][2 * t + i / 2 * 8 + half] = bf16_half(m->a[i], half);
		for (int i = 0; i < 2; i++)
			for (int half = 0; half < 2; half++)
				b[2 * t + i * 8 + half][g] = bf16_half(m->b[i], half);
	}
	for (int lane = 0; lane < 32; lane++) {
		mma *m = (mma *)record[lane];
		int g = lane / 4, t = lane % 4;
		for (int i = 0; i < 4; i++) {
			int row = g + i / 2 * 8, column = 2 * t + i % 2;
			float sum = 0;
			for (int k = 0; k < 16; k++)
				sum += a[row][k] * b[k][column];
			m->d[i] += sum;
		}
	}
}

void cudaemu_mma_bf16(float d[4], const unsigned a[4], const unsigned b[2], const char *file, int line)
{
	mma m = {d, a, b};
	cudaemu_collective(0xffffffffu, &m, resolve_mma, {file, line});
}

/* ---- a block -------------------------------------------------------------------------------------------------------- */

static void run_thread(void)
{
	block.kernel->thread();
	if (block.kernel->awaits && !block.at[current()].awaited)
		cudaemu_fault("overlap", "ends without having waited for what ran before its kernel");
	block.at[current()].is = DONE;
	fiber_leave();
}

static void run_warp(int first, int end)
{
	bool moved = true;
	while (moved) {
		moved = false;
		for (int i = first; i < end; i++) {
			if (block.at[i].is != READY)
				continue;
			become(i);
			fiber_resume(i);
			moved = true;
		}
	}
	for (int i = first; i < end; i++)
		if (block.at[i].is == IN_COLLECTIVE)
			report_stuck(i);
}

static void run_block(void)
{
	cudaemu_shared_begin_block(block.kernel->shared_bytes);
	for (int w = 0; w < MAX_WARPS; w++)
		block.warp_time[w] = cudaemu_clock();
	for (int i = 0; i < block.n; i++) {
		block.at[i].is = READY;
		block.at[i].awaited = false;
		fiber_prepare(i, run_thread);
	}
	for (;;) {
		int n_done = 0;
		for (int i = 0; i < block.n; i += 32)
			run_warp(i, i + 32 < block.n ? i + 32 : block.n);
		for (int i = 0; i < block.n; i++)
			n_done += block.at[i].is == DONE;
		if (n_done == block.n)
			return;
		release_barrier();
	}
}

void cudaemu_run_kernel(const cudaemu_launch_request &k)
{
	block.kernel = &k;
	block.n = (int)(k.block.x * k.block.y * k.block.z);
	block.in_kernel = true;
	fiber_reserve(block.n);
	for (unsigned i = 0; i < (unsigned)block.n; i++)
		block.at[i].index = {i % k.block.x, i / k.block.x % k.block.y, i / k.block.x / k.block.y};
	blockDim = {k.block.x, k.block.y, k.block.z};
	gridDim = {k.grid.x, k.grid.y, k.grid.z};
	for (unsigned z = 0; z < k.grid.z; z++)
		for (unsigned y = 0; y < k.grid.y; y++)
			for (unsigned x = 0; x < k.grid.x; x++) {
				blockIdx = {x, y, z};
				run_block();
			}
	block.in_kernel = false;
}

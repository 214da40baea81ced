/* The block's shared memory: where its arrays lie, and which rule an access broke. */
#include <algorithm>
#include <stdlib.h>
#include <vector>

#include "tests/cudaemu/emulator.h"
#include "tests/cudaemu/include/cudaemu_shared.h"

enum { ARENA_BYTES = 228 << 10, STATIC_BYTES = 48 << 10, MAX_ARRAYS = 32, ALIGNMENT = 128 };

static struct {
	const void *declaration;
	uint32_t begin;
} arrays[MAX_ARRAYS];
static int n_array;
static uint32_t n_static, n_dynamic; /* bytes of arrays declared, bytes of the launch */
static uint32_t used;                /* where the next array may begin: the launch's part lies first */
static uint32_t clock_now = 1;

__thread cudaemu_arena cudaemu_shared_memory;

uint32_t cudaemu_clock(void)
{
	return clock_now;
}

uint32_t cudaemu_clock_advance(void)
{
	if (++clock_now == UINT32_MAX)
		cudaemu_fault("limit", "more barriers than one process of the emulator can count");
	return clock_now;
}

/* ---- asynchronous copies ------------------------------------------------------------------------------------------------- */

struct copy {
	const char *name;
	uint32_t at, n_bytes;
	const void *from; /* NULL: zeros */
	uint16_t thread;
	int group; /* of its thread; the one that is not committed yet has the thread's next number */
};
static std::vector<copy> copies; /* under way in this block */
static int n_group[1024];

static void settle(const copy &c)
{
	for (uint32_t i = c.at; i < c.at + c.n_bytes; i += CUDAEMU_CELL)
		cudaemu_shared_memory.cell[i / CUDAEMU_CELL].coming = false;
}

void cudaemu_copy_begin(const char *name, uint32_t at, const void *from, uint32_t n_bytes)
{
	cudaemu_touch<CUDAEMU_WRITE>(name, at, n_bytes);
	for (uint32_t i = at; i < at + n_bytes; i += CUDAEMU_CELL)
		cudaemu_shared_memory.cell[i / CUDAEMU_CELL].coming = true;
	copies.push_back({name, at, n_bytes, from, cudaemu_now.thread, n_group[cudaemu_now.thread]});
}

void cudaemu_copy_commit(void)
{
	n_group[cudaemu_now.thread]++;
}

void cudaemu_copy_wait(int n_under_way)
{
	int end = n_group[cudaemu_now.thread] - n_under_way;
	auto arrives = [=](const copy &c) {
		if (c.thread != cudaemu_now.thread || c.group >= end)
			return false;
		settle(c);
		cudaemu_touch<CUDAEMU_WRITE>(c.name, c.at, c.n_bytes);
		if (c.from)
			memcpy(cudaemu_shared_memory.data + c.at, c.from, c.n_bytes);
		else
			memset(cudaemu_shared_memory.data + c.at, 0, c.n_bytes);
		return true;
	};
	copies.erase(std::remove_if(copies.begin(), copies.end(), arrives), copies.end());
}

/* ---- arrays ------------------------------------------------------------------------------------------------------------------ */

void cudaemu_shared_begin_block(size_t dynamic_bytes)
{
	static uint8_t *data;
	static cudaemu_cell *cell;
	if (!data) {
		data = (uint8_t *)aligned_alloc(ALIGNMENT, ARENA_BYTES);
		cell = (cudaemu_cell *)calloc(ARENA_BYTES / CUDAEMU_CELL, sizeof *cell);
		if (!data || !cell)
			cudaemu_fault("limit", "no memory for the emulator");
	}
	cudaemu_shared_memory = {data, cell};
	for (size_t i = 0; i < copies.size(); i++) /* nobody waited for them in the last block */
		settle(copies[i]);
	copies.clear();
	n_array = 0;
	n_static = 0;
	used = n_dynamic = (uint32_t)dynamic_bytes;
	cudaemu_now.block_time = cudaemu_now.barrier_time = cudaemu_clock_advance();
}

uint32_t cudaemu_shared_dynamic(uint32_t *n_bytes)
{
	*n_bytes = n_dynamic;
	return 0;
}

uint32_t cudaemu_shared_declare(const void *declaration, const char *name, size_t n_bytes, size_t alignment)
{
	for (int i = 0; i < n_array; i++)
		if (arrays[i].declaration == declaration)
			return arrays[i].begin;
	if (alignment > ALIGNMENT || n_array == MAX_ARRAYS)
		cudaemu_fault("limit", "%s: more than %d arrays of a block, or an alignment above %d", name, MAX_ARRAYS, ALIGNMENT);
	uint32_t begin = (used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	n_static += (uint32_t)n_bytes;
	if (n_static > STATIC_BYTES || begin + n_bytes > ARENA_BYTES)
		cudaemu_fault("shared-size", "%s: %u bytes of the block's own arrays, %u of the launch", name, n_static, n_dynamic);
	arrays[n_array].declaration = declaration;
	arrays[n_array++].begin = begin;
	used = begin + (uint32_t)n_bytes;
	return begin;
}

void cudaemu_shared_fault(const char *name, uint32_t at, cudaemu_access access)
{
	const cudaemu_cell &c = cudaemu_shared_memory.cell[at / CUDAEMU_CELL];
	const char *verb = access == CUDAEMU_READ ? "reads" : access == CUDAEMU_WRITE ? "writes" : "changes";
	if (c.coming)
		cudaemu_fault("shared-async", "%s byte %u of shared memory (%s), to which a copy of thread %d is under way", verb, at, name, c.writer);
	if (access != CUDAEMU_WRITE && c.write_time < cudaemu_now.block_time)
		cudaemu_fault("shared-uninitialised", "%s byte %u of shared memory (%s), which nobody wrote", verb, at, name);
	if (!cudaemu_in_order(c.write_time, c.writer))
		cudaemu_fault("shared-race", "%s byte %u of shared memory (%s), which thread %d wrote with no barrier between", verb, at, name, c.writer);
	if (c.reader < CUDAEMU_WARP_READ)
		cudaemu_fault("shared-race", "%s byte %u of shared memory (%s), which thread %d read with no barrier between", verb, at, name, c.reader);
	cudaemu_fault("shared-race", "%s byte %u of shared memory (%s), which several threads read with no barrier between", verb, at, name);
}

/* Device memory: every allocation ends at a page that nobody may touch, begins with NaN in every byte, and is out of reach while the
 * device does nothing. Addresses are never used twice, so that an old pointer stays a bad one. What lies before an allocation reads as
 * NaN, and its writing is found when the allocation is freed. Pinned host memory is known by range. */
#include <errno.h>
#include <map>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "tests/cudaemu/control.h"
#include "tests/cudaemu/emulator.h"

static const size_t RANGE_BYTES = (size_t)1 << 40, PIECE_BYTES = (size_t)4 << 20;
static const size_t FRONT_BYTES = (size_t)1 << 32; /* nobody's: where an index that is far below zero leads */
enum { PAGE = 64 << 10 /* no smaller than any machine's */, ALIGNMENT = 16, FILL = 0xff };

struct allocation {
	size_t n_bytes, n_mapped; /* the mapping ends where the allocation ends, but for its alignment */
	char *mapped;
	int number;
	bool live;
};
static std::map<uintptr_t, allocation> allocations; /* by first byte; freed ones stay, for reports */
static std::map<uintptr_t, size_t> pinned;
static char *range, *unused;
static size_t used_bytes;
static int n_live, n_made, n_open;

/* ---- the range ----------------------------------------------------------------------------------------------------- */

static void reserve_range(void)
{
	void *p = mmap(NULL, RANGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		perror("cudaemu: addresses of the device");
		exit(2);
	}
	range = (char *)p;
	unused = (char *)(((uintptr_t)p + FRONT_BYTES) / PAGE * PAGE);
}

bool cudaemu_is_device(const void *address)
{
	return range && (const char *)address >= range && (const char *)address < range + RANGE_BYTES;
}

bool cudaemu_was_allocated(const void *address)
{
	return range && (const char *)address >= range + FRONT_BYTES && (const char *)address < unused;
}

/* The last allocation that begins at or before the address. */
static std::map<uintptr_t, allocation>::iterator before(const void *address)
{
	auto it = allocations.upper_bound((uintptr_t)address);
	return it == allocations.begin() ? allocations.end() : --it;
}

bool cudaemu_is_live(const void *address, size_t n_bytes)
{
	auto it = before(address);
	if (it == allocations.end() || !it->second.live)
		return false;
	size_t at = (uintptr_t)address - it->first;
	return at <= it->second.n_bytes && n_bytes <= it->second.n_bytes - at;
}

std::string cudaemu_describe(const void *address)
{
	char text[200];
	auto it = before(address);
	if (it == allocations.end()) {
		snprintf(text, sizeof text, "%p, below every allocation", address);
		return text;
	}
	const allocation &a = it->second;
	size_t at = (uintptr_t)address - it->first;
	auto next = std::next(it);
	if (next != allocations.end() && next->first - (uintptr_t)address < PAGE && at > a.n_mapped)
		snprintf(text, sizeof text, "the byte %zu before allocation %d of %zu bytes", (size_t)(next->first - (uintptr_t)address),
			next->second.number, next->second.n_bytes);
	else if (at < a.n_bytes)
		snprintf(text, sizeof text, "byte %zu of allocation %d of %zu bytes%s", at, a.number, a.n_bytes, a.live ? "" : ", which is freed");
	else
		snprintf(text, sizeof text, "the byte %zu past the end of allocation %d of %zu bytes%s", at - a.n_bytes, a.number, a.n_bytes,
			a.live ? "" : ", which is freed");
	return text;
}

/* ---- filled pages -------------------------------------------------------------------------------------------------- */

/* A file of nothing but the fill: large allocations map it piece by piece and cost only the pages that are written. */
static int fill_file(void)
{
	static int file = -1;
	if (file >= 0)
		return file;
	std::vector<char> piece(PIECE_BYTES, (char)FILL);
	file = memfd_create("cudaemu", MFD_CLOEXEC);
	if (file < 0 || write(file, piece.data(), PIECE_BYTES) != (ssize_t)PIECE_BYTES) {
		perror("cudaemu: filled pages");
		exit(2);
	}
	return file;
}

static bool map_filled(char *at, size_t n_bytes)
{
	for (size_t done = 0; done < n_bytes; done += PIECE_BYTES) {
		size_t n = n_bytes - done < PIECE_BYTES ? n_bytes - done : PIECE_BYTES;
		if (mmap(at + done, n, n_open ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fill_file(), 0) == MAP_FAILED)
			return false;
	}
	return true;
}

static void *take(size_t n_bytes)
{
	size_t n_used = (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, n_mapped = (n_used + PAGE - 1) / PAGE * PAGE;
	if (!range)
		reserve_range();
	if (n_bytes > cudaemu_properties()->totalGlobalMem - used_bytes || unused + n_mapped + 2 * PAGE > range + RANGE_BYTES)
		return NULL;
	char *mapped = unused + PAGE, *first = mapped + n_mapped - n_used;
	if (!map_filled(mapped, n_mapped))
		return NULL;
	unused = mapped + n_mapped;
	allocations[(uintptr_t)first] = {n_bytes, n_mapped, mapped, ++n_made, true};
	used_bytes += n_bytes;
	n_live++;
	return first;
}

/* The few bytes around an allocation that lie in its pages must be as they were. */
static void check_margins(uintptr_t first, const allocation &a)
{
	const unsigned char *begin = (const unsigned char *)a.mapped, *end = begin + a.n_mapped;
	cudaemu_open_memory();
	for (const unsigned char *p = (const unsigned char *)first + a.n_bytes; p < end; p++)
		if (*p != FILL)
			cudaemu_fault("bounds", "found %s written", cudaemu_describe(p).c_str());
	for (const unsigned char *p = (const unsigned char *)first - 1; p >= begin && p >= (const unsigned char *)first - 256; p--)
		if (*p != FILL)
			cudaemu_fault("bounds", "found the byte %zu before allocation %d of %zu bytes written", (size_t)(first - (uintptr_t)p), a.number,
				a.n_bytes);
	cudaemu_close_memory();
}

static bool give_back(void *p)
{
	auto it = allocations.find((uintptr_t)p);
	if (it == allocations.end() || !it->second.live)
		return false;
	allocation &a = it->second;
	check_margins(it->first, a);
	a.live = false;
	used_bytes -= a.n_bytes;
	n_live--;
	mmap(a.mapped, a.n_mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	return true;
}

static void protect_all(int how)
{
	for (const auto &one : allocations)
		if (one.second.live)
			mprotect(one.second.mapped, one.second.n_mapped, how);
}

void cudaemu_open_memory(void)
{
	if (!n_open++)
		protect_all(PROT_READ | PROT_WRITE);
}

void cudaemu_close_memory(void)
{
	if (!--n_open)
		protect_all(PROT_NONE);
}

size_t cudaemu_used(void)
{
	return used_bytes;
}

size_t cudaemu_allocated_bytes(void)
{
	cudaemu_guard guard(cudaemu_lock);
	return used_bytes;
}

int cudaemu_allocations(void)
{
	cudaemu_guard guard(cudaemu_lock);
	return n_live;
}

void cudaemu_memory_forget(void)
{
	for (auto &one : allocations)
		if (one.second.live)
			give_back((void *)one.first);
	allocations.clear();
	pinned.clear();
	n_made = 0;
}

/* ---- host memory ------------------------------------------------------------------------------------------------------ */

bool cudaemu_is_pinned(const void *address)
{
	auto it = pinned.upper_bound((uintptr_t)address);
	if (it == pinned.begin())
		return false;
	--it;
	return (uintptr_t)address - it->first < it->second;
}

bool cudaemu_is_host(const void *address)
{
	static const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned char resident;
	if ((uintptr_t)address < page || cudaemu_is_device(address) || cudaemu_is_pinned(address))
		return false;
	return mincore((void *)((uintptr_t)address / page * page), 1, &resident) == 0; /* ENOMEM: not mapped */
}

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

static cudaError_t allocate(const char *call, void **out, size_t n_bytes)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter(call);
	if (error)
		return error;
	*out = NULL;
	if (n_bytes)
		*out = take(n_bytes);
	return cudaemu_return(*out || !n_bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaMalloc(void **out, size_t n_bytes)
{
	return allocate("cudaMalloc", out, n_bytes);
}

cudaError_t cudaMallocAsync(void **out, size_t n_bytes, cudaStream_t)
{
	return allocate("cudaMallocAsync", out, n_bytes);
}

cudaError_t cudaFree(void *p)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaFree");
	if (!error && p)
		cudaemu_finish_all();
	bool freed = !p || give_back(p); /* also on a lost device: a real one loses its memory with it */
	return error ? error : cudaemu_return(freed ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaFreeAsync(void *p, cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaFreeAsync");
	if (error)
		return error;
	cudaemu_queue(stream, "cudaFreeAsync", [=] {
		if (!give_back(p))
			cudaemu_fault("free", "%p is no live allocation", p);
	});
	return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **out, size_t n_bytes, unsigned)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaHostAlloc");
	if (error)
		return error;
	*out = aligned_alloc(PAGE, (n_bytes + PAGE - 1) / PAGE * PAGE);
	if (!*out)
		return cudaemu_return(cudaErrorMemoryAllocation);
	memset(*out, FILL, n_bytes);
	pinned[(uintptr_t)*out] = n_bytes;
	return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t n_bytes)
{
	return cudaHostAlloc(out, n_bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *p)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaFreeHost");
	if (!error)
		cudaemu_finish_all();
	if (!p)
		return error;
	if (!pinned.erase((uintptr_t)p))
		return error ? error : cudaemu_return(cudaErrorInvalidValue);
	free(p);
	return error;
}

cudaError_t cudaHostRegister(void *p, size_t n_bytes, unsigned)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaHostRegister");
	if (!error)
		pinned[(uintptr_t)p] = n_bytes;
	return error;
}

cudaError_t cudaHostUnregister(void *p)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaHostUnregister");
	if (error)
		return error;
	cudaemu_finish_all();
	return cudaemu_return(pinned.erase((uintptr_t)p) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaMemGetInfo");
	if (error)
		return error;
	*total = cudaemu_properties()->totalGlobalMem;
	*free_bytes = *total - used_bytes;
	return cudaSuccess;
}

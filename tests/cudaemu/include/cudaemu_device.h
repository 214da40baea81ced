/* The device side of CUDA C++ for the CPU: qualifiers, built-in variables, barriers, launches, faults.
 *
 * Every thread of a block is a fiber (../fiber.h); barriers and warp collectives are where they change. Blocks run one after the other
 * in ascending order, warps and lanes too, so every run does the same. What a GPU would get wrong silently is a fault here: one report
 * that names kernel, block, thread and line, and the end of the process (tests fork to see one).
 */
#ifndef KVGLASS_CUDAEMU_DEVICE_H
#define KVGLASS_CUDAEMU_DEVICE_H

#include <functional>
#include <tuple>

#include "cuda_runtime_api.h"

#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;
static constexpr int warpSize = 32;

/* Reports and ends the process with CUDAEMU_FAULT_STATUS. The kind is the word that tests look for. */
enum { CUDAEMU_FAULT_STATUS = 86 };
[[noreturn]] void cudaemu_fault(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct cudaemu_site { /* where in the source a barrier or collective was called */
	const char *file;
	int line;
};

/* ---- barriers ---- */

enum cudaemu_vote { CUDAEMU_VOTE_NONE, CUDAEMU_VOTE_COUNT, CUDAEMU_VOTE_AND, CUDAEMU_VOTE_OR };
int cudaemu_barrier(cudaemu_vote vote, bool value, cudaemu_site site);

inline void __syncthreads(const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	cudaemu_barrier(CUDAEMU_VOTE_NONE, false, {file, line});
}
inline int __syncthreads_count(int value, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	return cudaemu_barrier(CUDAEMU_VOTE_COUNT, value != 0, {file, line});
}
inline int __syncthreads_and(int value, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	return cudaemu_barrier(CUDAEMU_VOTE_AND, value != 0, {file, line});
}
inline int __syncthreads_or(int value, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	return cudaemu_barrier(CUDAEMU_VOTE_OR, value != 0, {file, line});
}
/* Order of one thread's own writes as others see them: fibers have no other order. */
inline void __threadfence_block() {}
inline void __threadfence() {}
inline void __threadfence_system() {}
[[noreturn]] inline void __trap() { cudaemu_fault("trap", "the kernel ended itself"); }

/* ---- launches ---- */

struct cudaemu_launch_request {
	const char *name;
	const void *kernel;
	dim3 grid, block;
	size_t shared_bytes;
	cudaStream_t stream;
	const void *arguments; /* where the captured arguments lie: searched for host pointers */
	size_t n_argument_bytes;
	bool awaits;                  /* every thread must call cudaemu_await_previous() */
	std::function<void()> thread; /* runs one thread */
};
void cudaemu_queue_kernel(const cudaemu_launch_request &request);

/* Bytes between members hold whatever was there, which the search could take for an address. GCC 12 clears the wrong bytes where there is an
 * array of structs, so no kernel's arguments have one. */
template <class T> void cudaemu_clear_padding(T &argument)
{
#if __has_builtin(__builtin_clear_padding)
	__builtin_clear_padding(&argument);
#else
	(void)argument;
#endif
}

/* Kernels of one stream may overlap on a device (engine/cuda/launch.h). Here they do not, but one that never waits is found. */
void cudaemu_await_previous(void);

/* A launch without that rule, for kernels of tests. */
#define CUDAEMU_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                            \
	cudaemu_launch(#kernel, false, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

/* What CUDA_LAUNCH becomes. Arguments become the kernel's parameters now, as a launch does it. Errors are found by cudaGetLastError(). */
template <class... P, class... A>
void cudaemu_launch(const char *name, bool awaits, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A &&...argument)
{
	std::tuple<P...> arguments(static_cast<P>(argument)...);
	std::apply([](P &...p) { (cudaemu_clear_padding(p), ...); }, arguments);
	cudaemu_queue_kernel({name, (const void *)kernel, grid, block, shared_bytes, stream, &arguments, sizeof arguments,
		awaits, [=] { std::apply(kernel, arguments); }});
}

/* ---- symbols ---- */

cudaError_t cudaemu_copy_to_symbol(void *symbol, size_t size, const void *from, size_t n_bytes, size_t offset, cudaMemcpyKind kind,
	cudaStream_t stream, bool wait);
template <class T>
cudaError_t cudaMemcpyToSymbol(T &symbol, const void *from, size_t n, size_t offset = 0, cudaMemcpyKind kind = cudaMemcpyHostToDevice)
{
	return cudaemu_copy_to_symbol((void *)&symbol, sizeof symbol, from, n, offset, kind, nullptr, true);
}
template <class T>
cudaError_t cudaMemcpyToSymbolAsync(T &symbol, const void *from, size_t n, size_t offset, cudaMemcpyKind kind, cudaStream_t stream)
{
	return cudaemu_copy_to_symbol((void *)&symbol, sizeof symbol, from, n, offset, kind, stream, false);
}

/* ---- atomics on global memory (on shared: cudaemu_shared.h); blocks run one after the other, so plain arithmetic is atomic ---- */

template <class T> T atomicAdd(T *at, T value) { T old = *at; *at = (T)(old + value); return old; }
template <class T> T atomicMax(T *at, T value) { T old = *at; *at = value > old ? value : old; return old; }
template <class T> T atomicMin(T *at, T value) { T old = *at; *at = value < old ? value : old; return old; }
template <class T> T atomicOr(T *at, T value) { T old = *at; *at = old | value; return old; }
template <class T> T atomicAnd(T *at, T value) { T old = *at; *at = old & value; return old; }
template <class T> T atomicExch(T *at, T value) { T old = *at; *at = value; return old; }
template <class T> T atomicCAS(T *at, T compare, T value) { T old = *at; *at = old == compare ? value : old; return old; }
inline unsigned atomicAdd(unsigned *at, int value) { return atomicAdd<unsigned>(at, (unsigned)value); }

#endif

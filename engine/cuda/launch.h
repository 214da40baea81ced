/* How kernels are launched and how they name shared memory: one spelling for nvcc and for the emulator of tests/cudaemu, which runs the
 * same sources on a CPU and checks every access.
 *
 *     CUDA_LAUNCH((kernel<64, true>), grid, block, shared_bytes, stream, arguments...)
 *     CUDA_SHARED(float, sum, 32);                 an array of a block, its size a constant
 *     CUDA_SHARED_DYNAMIC(uint4, pool);            the launch's shared_bytes
 *     CUDA_SHARED_AS(float, pool) + offset         the same storage as another type, offset in that type
 *     CUDA_SHARED_OF(float)                        how a device function takes such an array
 *     CUDA_SHARED_POINTER(name, offset, extent)    for what needs a raw pointer
 *
 *     cuda_await_previous()                        the first thing that a kernel does
 *
 * Arrays are read and written by [] alone. No kernel uses anything of the CUDA language beyond this, threadIdx and its like, barriers,
 * warp shuffles and votes, atomics, and the few instructions of tile.h and number.h.
 *
 * From compute capability 9.0 on a kernel is brought onto the device while the one before it ends (programmatic dependent launch): in a
 * decode step, with nine kernels a layer of some microseconds each, what lies between kernels would else be a fifth of the time. So every
 * thread of every kernel calls cuda_await_previous() before it reads or writes what another kernel may have written or read; before that
 * call it may read what no kernel of a step writes: its arguments and the weights. The emulator ends a kernel whose threads do not call it.
 */
#ifndef KVGLASS_ENGINE_CUDA_LAUNCH_H
#define KVGLASS_ENGINE_CUDA_LAUNCH_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#ifdef KVGLASS_CUDAEMU

#define CUDA_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                                  \
	cudaemu_launch(#kernel, true, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
#define CUDA_SHARED(type, name, count) cudaemu_shared<type> name = CUDAEMU_SHARED(type, count)
#define CUDA_SHARED_DYNAMIC(type, name) cudaemu_shared<type> name = CUDAEMU_SHARED_DYNAMIC(type)
#define CUDA_SHARED_AS(type, name) ((name).as<type>())
#define CUDA_SHARED_OF(type) cudaemu_shared<type>
#define CUDA_SHARED_POINTER(name, offset, extent) ((name).part(offset, extent))

inline void cuda_await_previous()
{
	cudaemu_await_previous();
}

#else

__device__ inline void cuda_await_previous()
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;" : : : "memory"); /* the next kernel may be brought, and wait as this one does: */
	asm volatile("griddepcontrol.wait;" : : : "memory");              /* until all before it has ended and its writes are there */
#endif
}

enum { CUDA_OVERLAP_VERSION = 12030 }; /* recorded graphs keep the overlap from CUDA 12.3 on; before, a recording refuses it */

/* Would a device of capability 9.0 or later run code of this build that awaits? It runs the newest it can: code or PTX below 9.0 only
 * where there is nothing else. */
inline constexpr bool cuda_code_awaits()
{
	constexpr int built[] = {__CUDA_ARCH_LIST__}; /* ascending */
	return CUDART_VERSION >= CUDA_OVERLAP_VERSION && built[sizeof built / sizeof *built - 1] >= 900;
}

template <class... P, class... A>
inline void cuda_launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, const A &...argument)
{
	int driver = 0, device = 0, major = 0;
	cudaLaunchAttribute overlap = {};
	cudaLaunchConfig_t config = {};
	config.gridDim = grid;
	config.blockDim = block;
	config.dynamicSmemBytes = shared_bytes;
	config.stream = stream;
	bool may_overlap = cuda_code_awaits() && !cudaDriverGetVersion(&driver) && driver >= CUDA_OVERLAP_VERSION && !cudaGetDevice(&device) &&
		!cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) && major >= 9;
	if (may_overlap) {
		overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
		overlap.val.programmaticStreamSerializationAllowed = 1;
		config.attrs = &overlap;
		config.numAttrs = 1;
	}
	cudaLaunchKernelEx(&config, kernel, argument...); /* its error is cudaGetLastError()'s */
}

#define CUDA_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) cuda_launch(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
#define CUDA_SHARED(type, name, count) __shared__ type name[count]
#define CUDA_SHARED_DYNAMIC(type, name)                                                                                              \
	extern __shared__ __align__(128) unsigned char kvglass_dynamic_shared[];                                                          \
	type *name = reinterpret_cast<type *>(kvglass_dynamic_shared)
#define CUDA_SHARED_AS(type, name) (reinterpret_cast<type *>(name))
#define CUDA_SHARED_OF(type) type *
#define CUDA_SHARED_POINTER(name, offset, extent) ((name) + (offset))

#endif

#endif

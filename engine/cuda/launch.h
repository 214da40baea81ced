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
 * Arrays are read and written by [] alone. No kernel uses anything of the CUDA language beyond this, threadIdx and its like, barriers,
 * warp shuffles and votes, atomics, and the two instructions of tile.h.
 */
#ifndef KVGLASS_ENGINE_CUDA_LAUNCH_H
#define KVGLASS_ENGINE_CUDA_LAUNCH_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#ifdef KVGLASS_CUDAEMU

#define CUDA_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                                  \
	cudaemu_launch(#kernel, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
#define CUDA_SHARED(type, name, count) cudaemu_shared<type> name = CUDAEMU_SHARED(type, count)
#define CUDA_SHARED_DYNAMIC(type, name) cudaemu_shared<type> name = CUDAEMU_SHARED_DYNAMIC(type)
#define CUDA_SHARED_AS(type, name) ((name).as<type>())
#define CUDA_SHARED_OF(type) cudaemu_shared<type>
#define CUDA_SHARED_POINTER(name, offset, extent) ((name).part(offset, extent))

#else

#define CUDA_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) (kernel)<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)
#define CUDA_SHARED(type, name, count) __shared__ type name[count]
#define CUDA_SHARED_DYNAMIC(type, name)                                                                                              \
	extern __shared__ __align__(128) unsigned char kvglass_dynamic_shared[];                                                          \
	type *name = reinterpret_cast<type *>(kvglass_dynamic_shared)
#define CUDA_SHARED_AS(type, name) (reinterpret_cast<type *>(name))
#define CUDA_SHARED_OF(type) type *
#define CUDA_SHARED_POINTER(name, offset, extent) ((name) + (offset))

#endif

#endif

/* What a .cu file sees when it is compiled for the CPU: the host interface, and the language's device side as C++ (cudaemu_*.h). */
#ifndef KVGLASS_CUDAEMU_CUDA_RUNTIME_H
#define KVGLASS_CUDAEMU_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"
#ifdef __cplusplus
#include "cudaemu_device.h"
#include "cudaemu_math.h"
#include "cudaemu_shared.h"
#include "cudaemu_warp.h"
#endif

#endif

/* The few functions of cuBLAS that products need, found when they are first needed: the program starts on machines without the library. */
#ifndef KVGLASS_ENGINE_CUDA_CUBLAS_H
#define KVGLASS_ENGINE_CUDA_CUBLAS_H

#include <cublas_v2.h>

#include "engine/err.h"

struct cublas {
	cublasStatus_t (*create)(cublasHandle_t *handle);
	cublasStatus_t (*destroy)(cublasHandle_t handle);
	cublasStatus_t (*set_stream)(cublasHandle_t handle, cudaStream_t stream);
	cublasStatus_t (*set_workspace)(cublasHandle_t handle, void *workspace, size_t n_bytes);
	cublasStatus_t (*gemm)(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
		const void *a, cudaDataType type_a, int lda, const void *b, cudaDataType type_b, int ldb, const void *beta, void *c,
		cudaDataType type_c, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algo);
	/* n_batch products, the matrices of the next one `stride` elements further */
	cublasStatus_t (*gemm_batch)(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
		const void *a, cudaDataType type_a, int lda, long long stride_a, const void *b, cudaDataType type_b, int ldb, long long stride_b,
		const void *beta, void *c, cudaDataType type_c, int ldc, long long stride_c, int n_batch, cublasComputeType_t compute,
		cublasGemmAlgo_t algo);
	const char *(*status)(cublasStatus_t status);
};
/* NULL, with the reason in e, when the library is not there. Loaded once for the process, which it outlives. */
const struct cublas *cublas_find(struct err *e);

#endif

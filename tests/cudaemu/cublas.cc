/* cuBLAS's products, in the plainest way: column-major, sums in double precision, c written in its own type. */
#include <stdlib.h>
#include <vector>

#include "tests/cudaemu/emulator.h"
#include "tests/cudaemu/include/cublas_v2.h"
#include "tests/cudaemu/include/cuda_bf16.h"
#include "tests/cudaemu/include/cuda_fp16.h"

struct cublasContext {
	cudaStream_t stream;
	cublasMath_t math;
};

struct operand {
	const void *data;
	cudaDataType type;
	int ld;
	long long stride; /* elements from one product of a batch to the next */
};
struct product {
	const char *call;
	cublasOperation_t op_a, op_b;
	int m, n, k, n_batch;
	float alpha, beta;
	operand a, b, c;
};

static bool is_known(cudaDataType type)
{
	return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF;
}

static float read_as_float(const operand &o, size_t i)
{
	switch (o.type) {
	case CUDA_R_16BF:
		return cudaemu_bf16_to(((const unsigned short *)o.data)[i]);
	case CUDA_R_16F:
		return cudaemu_half_to(((const unsigned short *)o.data)[i]);
	default:
		return ((const float *)o.data)[i];
	}
}

static void write_float(const operand &o, size_t i, float value)
{
	void *data = (void *)o.data;
	switch (o.type) {
	case CUDA_R_16BF:
		((unsigned short *)data)[i] = cudaemu_bf16_from(value);
		break;
	case CUDA_R_16F:
		((unsigned short *)data)[i] = cudaemu_half_from(value);
		break;
	default:
		((float *)data)[i] = value;
	}
}

/* op(x) as (outer, inner) rows of floats: element (i, p) of op(a), or (p, j) of op(b) with j outer. */
static std::vector<float> gather(const operand &o, bool inner_is_contiguous, int n_outer, int n_inner, long long base)
{
	std::vector<float> out((size_t)n_outer * (size_t)n_inner);
	for (int i = 0; i < n_outer; i++)
		for (int p = 0; p < n_inner; p++) {
			long long at = inner_is_contiguous ? (long long)i * o.ld + p : (long long)p * o.ld + i;
			out[(size_t)i * (size_t)n_inner + (size_t)p] = read_as_float(o, (size_t)(base + at));
		}
	return out;
}

static void multiply(const product &g)
{
	for (int batch = 0; batch < g.n_batch; batch++) {
		std::vector<float> a = gather(g.a, g.op_a == CUBLAS_OP_T, g.m, g.k, batch * g.a.stride);
		std::vector<float> b = gather(g.b, g.op_b == CUBLAS_OP_N, g.n, g.k, batch * g.b.stride);
		for (int j = 0; j < g.n; j++)
			for (int i = 0; i < g.m; i++) {
				const float *x = &a[(size_t)i * (size_t)g.k], *y = &b[(size_t)j * (size_t)g.k];
				double lane[4] = {};
				for (int p = 0; p < g.k; p++)
					lane[p % 4] += (double)x[p] * (double)y[p];
				size_t at = (size_t)(batch * g.c.stride + (long long)j * g.c.ld + i);
				double sum = (lane[0] + lane[1] + lane[2] + lane[3]) * g.alpha;
				if (g.beta != 0)
					sum += (double)g.beta * read_as_float(g.c, at);
				write_float(g.c, at, (float)sum);
			}
	}
}

static cublasStatus_t queue_product(cublasHandle_t handle, const product &g)
{
	cudaemu_guard guard(cudaemu_lock);
	int rows_a = g.op_a == CUBLAS_OP_N ? g.m : g.k, rows_b = g.op_b == CUBLAS_OP_N ? g.k : g.n;
	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (g.m < 0 || g.n < 0 || g.k < 0 || g.n_batch < 0 || g.a.ld < (rows_a > 1 ? rows_a : 1) || g.b.ld < (rows_b > 1 ? rows_b : 1) ||
		g.c.ld < (g.m > 1 ? g.m : 1))
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!is_known(g.a.type) || g.a.type != g.b.type || !(g.c.type == CUDA_R_32F || g.c.type == g.a.type))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (cudaemu_enter(g.call))
		return CUBLAS_STATUS_EXECUTION_FAILED;
	for (const operand *o : {&g.a, &g.b, &g.c})
		if (g.m && g.n && (cudaemu_is_host(o->data) || !cudaemu_is_live(o->data, 1)))
			cudaemu_fault("host-pointer", "%s is given %p, which is not the device's", g.call, o->data);
	product kept = g;
	cudaemu_queue(handle->stream, g.call, [=] { multiply(kept); });
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *out)
{
	cudaemu_guard guard(cudaemu_lock);
	if (cudaemu_enter("cublasCreate"))
		return CUBLAS_STATUS_NOT_INITIALIZED;
	*out = (cublasHandle_t)calloc(1, sizeof **out);
	return *out ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
	free(handle);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
	handle->stream = stream;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
	handle->math = mode;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t, cublasPointerMode_t mode)
{
	return mode == CUBLAS_POINTER_MODE_HOST ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *workspace, size_t n_bytes)
{
	cudaemu_guard guard(cudaemu_lock);
	return !n_bytes || cudaemu_is_live(workspace, n_bytes) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version)
{
	*version = 130000;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
	*value = type == MAJOR_VERSION ? 13 : 0;
	return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusName(cublasStatus_t status)
{
	return status ? "CUBLAS_STATUS_EXECUTION_FAILED" : "CUBLAS_STATUS_SUCCESS";
}

const char *cublasGetStatusString(cublasStatus_t status)
{
	return status ? "the function failed to launch on the GPU" : "success";
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc)
{
	return queue_product(handle, {"cublasSgemm", op_a, op_b, m, n, k, 1, *alpha, *beta, {a, CUDA_R_32F, lda, 0}, {b, CUDA_R_32F, ldb, 0},
		{c, CUDA_R_32F, ldc, 0}});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	const float *alpha, const float *a, int lda, long long stride_a, const float *b, int ldb, long long stride_b, const float *beta,
	float *c, int ldc, long long stride_c, int n_batch)
{
	return queue_product(handle, {"cublasSgemmStridedBatched", op_a, op_b, m, n, k, n_batch, *alpha, *beta, {a, CUDA_R_32F, lda, stride_a},
		{b, CUDA_R_32F, ldb, stride_b}, {c, CUDA_R_32F, ldc, stride_c}});
}

/* Both compute types hold sums in float32; TF32 would not be what was asked for. */
static bool is_float32(cublasComputeType_t compute)
{
	return compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
	const void *a, cudaDataType a_type, int lda, const void *b, cudaDataType b_type, int ldb, const void *beta, void *c,
	cudaDataType c_type, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t)
{
	if (!is_float32(compute))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	return queue_product(handle, {"cublasGemmEx", op_a, op_b, m, n, k, 1, *(const float *)alpha, *(const float *)beta, {a, a_type, lda, 0},
		{b, b_type, ldb, 0}, {c, c_type, ldc, 0}});
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	const void *alpha, const void *a, cudaDataType a_type, int lda, long long stride_a, const void *b, cudaDataType b_type, int ldb,
	long long stride_b, const void *beta, void *c, cudaDataType c_type, int ldc, long long stride_c, int n_batch,
	cublasComputeType_t compute, cublasGemmAlgo_t)
{
	if (!is_float32(compute))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	return queue_product(handle, {"cublasGemmStridedBatchedEx", op_a, op_b, m, n, k, n_batch, *(const float *)alpha, *(const float *)beta,
		{a, a_type, lda, stride_a}, {b, b_type, ldb, stride_b}, {c, c_type, ldc, stride_c}});
}

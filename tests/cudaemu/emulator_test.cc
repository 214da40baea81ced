/* The emulator itself: right programs run and give what a GPU gives. Wrong ones: faults_test.cc. */
#include <stdlib.h>
#include <string.h>
#include <vector>

#include "engine/cuda/launch.h"
#include "tests/cudaemu/control.h"
#include "tests/cudaemu/include/cublas_v2.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"
extern "C" {
#include "engine/random.h"
}

template <class T> struct device_array { /* n numbers on the device, 0xff at first */
	T *data = NULL;
	size_t n;
	explicit device_array(size_t n_) : n(n_) { CHECK_INT(cudaMalloc(&data, n * sizeof(T)), cudaSuccess); }
	device_array(const device_array &) = delete;
	~device_array() { cudaFree(data); }
	std::vector<T> get() const
	{
		std::vector<T> out(n);
		CHECK_INT(cudaMemcpy(out.data(), data, n * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
		return out;
	}
	void put(const std::vector<T> &in) { CHECK_INT(cudaMemcpy(data, in.data(), n * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess); }
};

/* ---- a block -------------------------------------------------------------------------------------------------------------- */

__global__ void sum_by_tree(const int *in, int *out)
{
	CUDA_SHARED(int, part, 256);
	int t = (int)threadIdx.x;
	part[t] = in[blockIdx.x * 256 + threadIdx.x];
	__syncthreads();
	for (int step = 128; step; step /= 2) {
		if (t < step)
			part[t] += part[t + step];
		__syncthreads();
	}
	if (!t)
		out[blockIdx.x] = part[0];
}

__global__ void sum_by_shuffles(const int *in, int *out)
{
	CUDA_SHARED(int, part, 8);
	int value = in[blockIdx.x * 256 + threadIdx.x], lane = threadIdx.x % 32, warp = threadIdx.x / 32;
	for (int bits = 16; bits; bits /= 2)
		value += __shfl_xor_sync(0xffffffffu, value, bits);
	if (!lane)
		part[warp] = value;
	__syncthreads();
	if (warp == 0) {
		value = lane < 8 ? (int)part[lane] : 0;
		for (int by = 4; by; by /= 2)
			value += __shfl_down_sync(0xffffffffu, value, (unsigned)by);
		if (!lane)
			out[blockIdx.x] = value;
	}
}

__global__ void sum_by_atomics(const int *in, int *out)
{
	CUDA_SHARED(int, sum, 1);
	if (!threadIdx.x)
		sum[0] = 0;
	__syncthreads();
	atomicAdd(&sum[0], in[blockIdx.x * 256 + threadIdx.x]);
	__syncthreads();
	if (!threadIdx.x)
		atomicAdd(&out[blockIdx.x], (int)sum[0]);
}

TEST(cudaemu, sums_of_a_block)
{
	cudaemu_reset(&cudaemu_usual_machine);
	device_array<int> in(1024), out(4);
	std::vector<int> numbers(1024);
	for (int i = 0; i < 1024; i++)
		numbers[(size_t)i] = i * i % 1000;
	in.put(numbers);
	for (int way = 0; way < 3; way++) {
		out.put({0, 0, 0, 0});
		if (way == 0)
			CUDAEMU_LAUNCH(sum_by_tree, 4, 256, 0, 0, in.data, out.data);
		else if (way == 1)
			CUDAEMU_LAUNCH(sum_by_shuffles, 4, 256, 0, 0, in.data, out.data);
		else
			CUDAEMU_LAUNCH(sum_by_atomics, 4, 256, 0, 0, in.data, out.data);
		CHECK_INT(cudaGetLastError(), cudaSuccess);
		std::vector<int> got = out.get();
		for (int b = 0; b < 4; b++) {
			int want = 0;
			for (int i = 0; i < 256; i++)
				want += numbers[(size_t)(b * 256 + i)];
			CHECK_INT(got[(size_t)b], want);
		}
	}
}

__global__ void where_am_i(int *out)
{
	unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
	unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
	out[block * blockDim.x * blockDim.y * blockDim.z + thread] = (int)(blockIdx.z * 1000 + blockIdx.y * 100 + threadIdx.z * 10 + threadIdx.y);
}

TEST(cudaemu, three_dimensions)
{
	cudaemu_reset(&cudaemu_usual_machine);
	device_array<int> out(2 * 3 * 2 * 5 * 3 * 2);
	CUDAEMU_LAUNCH(where_am_i, dim3(2, 3, 2), dim3(5, 3, 2), 0, 0, out.data);
	std::vector<int> got = out.get();
	for (int i = 0; i < (int)got.size(); i++)
		CHECK_INT(got[(size_t)i], i / 30 / 6 * 1000 + i / 30 / 2 % 3 * 100 + i % 30 / 15 * 10 + i % 30 / 5 % 3);
}

/* Shared memory one launch wide, seen as two types; lanes of a warp in turn by __syncwarp alone. */
__global__ void rotate_in_warps(float *out, int n)
{
	CUDA_SHARED_DYNAMIC(float4, pool);
	CUDA_SHARED_OF(float) value = CUDA_SHARED_AS(float, pool);
	int t = (int)threadIdx.x, lane = t % 32;
	for (int i = 0; i < n; i++) {
		value[t] = (float)(t + i);
		__syncwarp();
		float next = value[t - lane + (lane + 1) % 32];
		__syncwarp();
		out[t] = i ? out[t] + next : next;
	}
	__syncthreads();
	if (t < (int)blockDim.x / 4) {
		float4 v = pool[t];
		out[blockDim.x + threadIdx.x] = v.x + v.y + v.z + v.w;
	}
}

TEST(cudaemu, shared_memory_of_the_launch)
{
	cudaemu_reset(&cudaemu_usual_machine);
	device_array<float> out(64 + 16);
	CUDAEMU_LAUNCH(rotate_in_warps, 1, 64, 64 * sizeof(float), 0, out.data, 3);
	std::vector<float> got = out.get();
	for (int t = 0; t < 64; t++)
		CHECK_NEAR(got[(size_t)t], 3 * (t / 32 * 32 + (t + 1) % 32) + 3, TOL_EXACT);
	for (int t = 0; t < 16; t++)
		CHECK_NEAR(got[(size_t)(64 + t)], 16 * t + 6 + 8, TOL_EXACT);
}

__global__ void votes(unsigned *out)
{
	int t = (int)threadIdx.x, lane = t % 32;
	unsigned odd = __ballot_sync(0xffffffffu, lane & 1);
	int any = __any_sync(0xffffffffu, t == 40), all = __all_sync(0xffffffffu, t < 32);
	unsigned eight = 0;
	if (lane < 16)
		eight = __shfl_sync(0x0000ffffu, (unsigned)t, 3, 8); /* in groups of eight */
	unsigned up = __shfl_up_sync(0xffffffffu, (unsigned)t, 2);
	int count = __syncthreads_count(t % 3 == 0);
	out[t * 6] = odd, out[t * 6 + 1] = (unsigned)any, out[t * 6 + 2] = (unsigned)all, out[t * 6 + 3] = eight, out[t * 6 + 4] = up;
	out[t * 6 + 5] = (unsigned)(count * 4 + __syncthreads_or(t == 63) * 2 + __syncthreads_and(t < 64));
}

TEST(cudaemu, votes_and_shuffles)
{
	cudaemu_reset(&cudaemu_usual_machine);
	device_array<unsigned> out(64 * 6);
	CUDAEMU_LAUNCH(votes, 1, 64, 0, 0, out.data);
	std::vector<unsigned> got = out.get();
	for (int t = 0; t < 64; t++) {
		const unsigned *v = &got[(size_t)t * 6];
		CHECK_INT(v[0], 0xaaaaaaaau);
		CHECK_INT(v[1], t >= 32);
		CHECK_INT(v[2], t < 32);
		CHECK_INT(v[3], t % 32 < 16 ? t / 8 * 8 + 3 : 0);
		CHECK_INT(v[4], t % 32 < 2 ? t : t - 2);
		CHECK_INT(v[5], 22 * 4 + 3);
	}
}

__global__ void one_tile(const unsigned *a, const unsigned *b, float *d)
{
	int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4; /* a (16, 16) and b^T (8, 16), pairs of columns; d (16, 8) */
	unsigned x[4] = {a[g * 8 + t], a[(g + 8) * 8 + t], a[g * 8 + t + 4], a[(g + 8) * 8 + t + 4]};
	unsigned y[2] = {b[g * 8 + t], b[g * 8 + t + 4]};
	float z[4] = {1, 1, 1, 1};
	cudaemu_mma_bf16(z, x, y);
	d[g * 8 + 2 * t] = z[0], d[g * 8 + 2 * t + 1] = z[1], d[(g + 8) * 8 + 2 * t] = z[2], d[(g + 8) * 8 + 2 * t + 1] = z[3];
}

TEST(cudaemu, matrix_instruction)
{
	cudaemu_reset(&cudaemu_usual_machine);
	device_array<unsigned> a(16 * 8), b(8 * 8);
	device_array<float> d(16 * 8);
	std::vector<__nv_bfloat16> x(256), y(128);
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (__nv_bfloat16 &v : x)
		v = (float)rng_normal(&rng);
	for (__nv_bfloat16 &v : y)
		v = (float)rng_normal(&rng);
	CHECK_INT(cudaMemcpy(a.data, x.data(), 512, cudaMemcpyHostToDevice), cudaSuccess);
	CHECK_INT(cudaMemcpy(b.data, y.data(), 256, cudaMemcpyHostToDevice), cudaSuccess);
	CUDAEMU_LAUNCH(one_tile, 1, 32, 0, 0, a.data, b.data, d.data);
	std::vector<float> got = d.get();
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 8; j++) {
			double sum = 1, size = 1;
			for (int k = 0; k < 16; k++) {
				double p = (double)(float)x[(size_t)(i * 16 + k)] * (double)(float)y[(size_t)(j * 16 + k)];
				sum += p;
				size += fabs(p);
			}
			CHECK_NEAR(got[(size_t)(i * 8 + j)], sum, TOL_SUM_REL * size);
		}
}

/* ---- numbers ----------------------------------------------------------------------------------------------------------- */

TEST(cudaemu, half_precision)
{
	for (unsigned u = 0; u < 0x10000; u++) { /* every number comes back, except NaN's many ways to be written */
		float h = cudaemu_half_to((unsigned short)u), b = cudaemu_bf16_to((unsigned short)u);
		if (h == h)
			CHECK_INT(cudaemu_half_from(h), u);
		if (b == b)
			CHECK_INT(cudaemu_bf16_from(b), u);
	}
	/* ties go to the even neighbour, the largest number and infinity part at 65520 */
	CHECK_INT(cudaemu_half_from(1 + 0x1p-11f), 0x3c00);
	CHECK_INT(cudaemu_half_from(1 + 3 * 0x1p-11f), 0x3c02);
	CHECK_INT(cudaemu_half_from(65519.996f), 0x7bff);
	CHECK_INT(cudaemu_half_from(-65520), 0xfc00);
	CHECK_INT(cudaemu_half_from(0x1p-25f), 0);
	CHECK_INT(cudaemu_half_from(0x1.8p-24f), 2);
	CHECK_INT(cudaemu_half_from(0x1.ffcp-15f), 0x0400 - 1 + 1);
	CHECK_INT(cudaemu_bf16_from(1 + 0x1p-8f), 0x3f80);
	CHECK_INT(cudaemu_bf16_from(1 + 3 * 0x1p-8f), 0x3f82);
	CHECK_INT(cudaemu_bf16_from(3.4e38f), 0x7f80);
}

/* ---- streams --------------------------------------------------------------------------------------------------------------- */

__global__ void add_one(int *x, int n)
{
	int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	if (i < n)
		x[i]++;
}

TEST(cudaemu, work_waits_until_it_is_waited_for)
{
	cudaemu_reset(&cudaemu_usual_machine);
	cudaStream_t a, b;
	cudaEvent_t half_way;
	int *pinned, *x;
	CHECK_INT(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking), cudaSuccess);
	CHECK_INT(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking), cudaSuccess);
	CHECK_INT(cudaEventCreate(&half_way), cudaSuccess);
	CHECK_INT(cudaMallocHost(&pinned, sizeof *pinned), cudaSuccess);
	CHECK_INT(cudaMalloc(&x, sizeof *x), cudaSuccess);
	*pinned = 4;
	CHECK_INT(cudaMemcpyAsync(x, pinned, sizeof *x, cudaMemcpyHostToDevice, a), cudaSuccess);
	CUDAEMU_LAUNCH(add_one, 1, 32, 0, a, x, 1);
	CHECK_INT(cudaEventRecord(half_way, a), cudaSuccess);
	CUDAEMU_LAUNCH(add_one, 1, 32, 0, a, x, 1);
	CHECK_INT(cudaStreamWaitEvent(b, half_way, 0), cudaSuccess);
	CHECK_INT(cudaMemcpyAsync(pinned, x, sizeof *x, cudaMemcpyDeviceToHost, b), cudaSuccess);
	CHECK_INT(*pinned, 4); /* nobody has waited */
	CHECK_INT(cudaStreamSynchronize(b), cudaSuccess);
	CHECK_INT(*pinned, 5); /* no more of a than the event stands for */
	CHECK_INT(cudaStreamQuery(a), cudaSuccess);
	CHECK_INT(cudaMemcpyAsync(pinned, x, sizeof *x, cudaMemcpyDeviceToHost, a), cudaSuccess);
	CHECK_INT(cudaDeviceSynchronize(), cudaSuccess);
	CHECK_INT(*pinned, 6);
	cudaFree(x), cudaFreeHost(pinned), cudaEventDestroy(half_way), cudaStreamDestroy(a), cudaStreamDestroy(b);
	CHECK_INT(cudaemu_allocations(), 0);
}

TEST(cudaemu, graphs_repeat_what_was_recorded)
{
	cudaemu_reset(&cudaemu_usual_machine);
	cudaStream_t s;
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	int *x, got = 0;
	CHECK_INT(cudaStreamCreate(&s), cudaSuccess);
	CHECK_INT(cudaMalloc(&x, sizeof *x), cudaSuccess);
	CHECK_INT(cudaMemset(x, 0, sizeof *x), cudaSuccess);
	CHECK_INT(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
	CUDAEMU_LAUNCH(add_one, 1, 32, 0, s, x, 1);
	CUDAEMU_LAUNCH(add_one, 1, 32, 0, s, x, 1);
	CHECK_INT(cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
	CHECK_INT(cudaStreamEndCapture(s, &graph), cudaSuccess);
	CHECK_INT(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
	CHECK_INT(cudaGraphDestroy(graph), cudaSuccess);
	for (int i = 0; i < 3; i++)
		CHECK_INT(cudaGraphLaunch(exec, s), cudaSuccess);
	CHECK_INT(cudaMemcpy(&got, x, sizeof got, cudaMemcpyDeviceToHost), cudaSuccess);
	CHECK_INT(got, 6);
	cudaGraphExecDestroy(exec), cudaFree(x), cudaStreamDestroy(s);
}

/* ---- failures ----------------------------------------------------------------------------------------------------------------- */

TEST(cudaemu, failures_come_as_planned)
{
	cudaemu_machine small = cudaemu_usual_machine, old = small, none = small;
	void *p;
	int n = -1;
	small.memory = 1000;
	cudaemu_reset(&small);
	CHECK_INT(cudaMalloc(&p, 1001), cudaErrorMemoryAllocation);
	CHECK_INT(cudaGetLastError(), cudaErrorMemoryAllocation);
	CHECK_INT(cudaGetLastError(), cudaSuccess);
	CHECK_INT(cudaMalloc(&p, 1000), cudaSuccess);
	CHECK_INT(cudaMalloc(&p, 1), cudaErrorMemoryAllocation);
	old.driver = 11080;
	cudaemu_reset(&old);
	CHECK_INT(cudaGetDeviceCount(&n), cudaErrorInsufficientDriver);
	none.n_device = 0;
	cudaemu_reset(&none);
	CHECK_INT(cudaGetDeviceCount(&n), cudaErrorNoDevice);
	cudaemu_reset(&cudaemu_usual_machine);
	cudaemu_plan_failure("cudaMalloc", 2, cudaErrorMemoryAllocation);
	CHECK_INT(cudaMalloc(&p, 8), cudaSuccess);
	CHECK_INT(cudaMalloc(&p, 8), cudaErrorMemoryAllocation);
	CHECK_INT(cudaMalloc(&p, 8), cudaSuccess);
	cudaemu_lose_device(2, cudaErrorIllegalAddress);
	CHECK_INT(cudaMemset(p, 0, 8), cudaSuccess);
	CUDAEMU_LAUNCH(add_one, 1, 32, 0, 0, (int *)p, 1);
	CHECK_INT(cudaDeviceSynchronize(), cudaSuccess);
	CUDAEMU_LAUNCH(add_one, 1, 32, 0, 0, (int *)p, 1);
	CHECK_INT(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
	CHECK_INT(cudaMalloc(&p, 8), cudaErrorIllegalAddress);
	cudaemu_reset(&cudaemu_usual_machine);
	CUDAEMU_LAUNCH(add_one, 1, 1025, 0, 0, (int *)NULL, 0);
	CHECK_INT(cudaGetLastError(), cudaErrorInvalidConfiguration);
	CUDAEMU_LAUNCH(add_one, dim3(1, 65536), 32, 0, 0, (int *)NULL, 0);
	CHECK_INT(cudaGetLastError(), cudaErrorInvalidConfiguration);
	CUDAEMU_LAUNCH(add_one, 1, 32, 49153, 0, (int *)NULL, 0);
	CHECK_INT(cudaGetLastError(), cudaErrorInvalidValue);
	CHECK_INT(cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000), cudaSuccess);
	CUDAEMU_LAUNCH(add_one, 1, 32, 49153, 0, (int *)NULL, 0);
	CHECK_INT(cudaGetLastError(), cudaSuccess);
	CHECK_INT(cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize, 99 * 1024 + 1), cudaErrorInvalidValue);
}

/* ---- products ------------------------------------------------------------------------------------------------------------------ */

/* c (n, m) row by row = b (n, k) a (m, k)^T, as kvglass stores weights; then onto itself; transposed; NaN in c does not matter. */
TEST(cudaemu, products)
{
	enum { M = 5, N = 3, K = 7, LD_A = 8, LD_B = 9, LD_C = 6 };
	cudaemu_reset(&cudaemu_usual_machine);
	device_array<float> a(M * LD_A), b(N * LD_B), c(N * LD_C);
	std::vector<float> x(a.n), y(b.n);
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (float &v : x)
		v = (float)rng_normal(&rng);
	for (float &v : y)
		v = (float)rng_normal(&rng);
	a.put(x), b.put(y);
	cublasHandle_t handle;
	const float one = 1, zero = 0;
	CHECK_INT(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
	for (int times = 1; times <= 2; times++) {
		CHECK_INT(cublasSgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, M, N, K, &one, a.data, LD_A, b.data, LD_B, times == 1 ? &zero : &one, c.data, LD_C),
			CUBLAS_STATUS_SUCCESS);
		std::vector<float> got = c.get();
		for (int j = 0; j < N; j++)
			for (int i = 0; i < M; i++) {
				double want = 0;
				for (int k = 0; k < K; k++)
					want += (double)x[(size_t)(i * LD_A + k)] * y[(size_t)(j * LD_B + k)];
				CHECK_NEAR(got[(size_t)(j * LD_C + i)], times * want, 1e-5);
			}
		CHECK(isnan(got[M])); /* what lies between the columns is nobody's */
	}
	CHECK_INT(cublasSgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, M, N, K, &one, a.data, K - 1, b.data, LD_B, &zero, c.data, LD_C),
		CUBLAS_STATUS_INVALID_VALUE);
	cublasDestroy(handle);
}

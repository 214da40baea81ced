/* Every kind of fault that the emulator is there to find, planted once: it must be found, in a process of its own, by its name and at
 * its place. What it must not find stands in emulator_test.cc. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/cuda/launch.h"
#include "tests/cudaemu/control.h"
#include "tests/support/test.h"

/* ---- one kernel a fault ------------------------------------------------------------------------------------------------ */

__global__ void write_past_shared(int n)
{
	CUDA_SHARED(float, sum, 32);
	sum[threadIdx.x + n] = 1;
}

__global__ void read_past_part(float *out)
{
	CUDA_SHARED(float, both, 64);
	CUDA_SHARED_OF(float) first = CUDA_SHARED_POINTER(both, 0, 32);
	both[threadIdx.x] = 0, both[32 + threadIdx.x] = 1;
	__syncthreads();
	out[threadIdx.x] = first[threadIdx.x + 1];
}

__global__ void read_uninitialised(float *out)
{
	CUDA_SHARED(float, sum, 32);
	if (threadIdx.x != 7)
		sum[threadIdx.x] = 1;
	__syncthreads();
	out[threadIdx.x] = sum[threadIdx.x];
}

__global__ void read_another_blocks(float *out)
{
	CUDA_SHARED(float, sum, 32);
	if (blockIdx.x == 0)
		sum[threadIdx.x] = 1;
	__syncthreads();
	out[threadIdx.x] = sum[threadIdx.x];
}

__global__ void read_before_barrier(float *out)
{
	CUDA_SHARED(float, sum, 64);
	sum[threadIdx.x] = 1;
	out[threadIdx.x] = threadIdx.x ? (float)sum[threadIdx.x - 1] : 0;
}

__global__ void write_before_barrier(float *out)
{
	CUDA_SHARED(float, sum, 64);
	sum[threadIdx.x] = 1;
	__syncthreads();
	out[threadIdx.x] = sum[63 - threadIdx.x];
	sum[threadIdx.x] = 2; /* another thread of the same time reads it */
}

__global__ void warp_barrier_between_warps(float *out)
{
	CUDA_SHARED(float, sum, 64);
	sum[threadIdx.x] = 0;
	__syncthreads();
	sum[threadIdx.x] = 1;
	__syncwarp();
	out[threadIdx.x] = sum[63 - threadIdx.x];
}

__global__ void atomic_and_plain(int *out)
{
	CUDA_SHARED(int, count, 1);
	if (threadIdx.x == 0)
		count[0] = 0;
	__syncthreads();
	atomicAdd(&count[0], 1);
	out[threadIdx.x] = count[0];
}

__global__ void leave_before_barrier(int n)
{
	if ((int)threadIdx.x >= n)
		return;
	__syncthreads();
}

__global__ void two_barriers(int n)
{
	if ((int)threadIdx.x >= n)
		__syncthreads();
	else
		__syncthreads();
}

__global__ void leave_before_shuffle(int *out)
{
	if (threadIdx.x == 31)
		return;
	out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
}

__global__ void half_a_mask(int *out)
{
	if (threadIdx.x < 16)
		out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
}

__global__ void not_in_the_mask(int *out)
{
	out[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, (int)threadIdx.x, 1);
}

__global__ void read_outside_the_mask(int *out)
{
	if (threadIdx.x < 16)
		out[threadIdx.x] = __shfl_sync(0x0000ffffu, (int)threadIdx.x, 20);
}

__global__ void short_warp(int *out) /* launched with 20 threads */
{
	out[threadIdx.x] = (int)__ballot_sync(0xffffffffu, 1);
}

__global__ void write_at(float *out, long long i)
{
	if (threadIdx.x == 5)
		out[i] = 1;
}

__global__ void read_at(const float *in, float *out, long long i)
{
	out[threadIdx.x] = in[i];
}

struct inside {
	int n;
	const float *data;
};
__global__ void read_struct(struct inside s, float *out)
{
	out[threadIdx.x] = s.data[0];
}

__global__ void deep(float *out, int depth)
{
	volatile float much[4096];
	for (int i = 0; i < 4096; i++)
		much[i] = (float)(depth + i);
	out[0] = much[depth];
	if (depth < 100)
		deep(out, depth + 1);
	out[0] += much[depth];
}

__global__ void misaligned(float *out)
{
	CUDA_SHARED(float, sum, 36);
	sum[threadIdx.x] = 1;
	__syncthreads();
	float4 v = CUDA_SHARED_AS(float4, sum + 1)[0];
	out[threadIdx.x] = v.x;
}

__global__ void read_on_its_way(const float4 *from, float *out)
{
	CUDA_SHARED(float4, tile, 32);
	cudaemu_copy_async(tile + threadIdx.x, from + threadIdx.x % 16, true);
	cudaemu_copy_commit();
	cudaemu_copy_wait(1); /* one group may still be under way, and is */
	float4 v = tile[threadIdx.x];
	out[threadIdx.x] = v.x;
}

__global__ void read_anothers_copy(const float4 *from, float *out)
{
	CUDA_SHARED(float4, tile, 32);
	cudaemu_copy_async(tile + threadIdx.x, from + threadIdx.x % 16, true);
	cudaemu_copy_commit();
	cudaemu_copy_wait(0);
	float4 v = tile[31 - threadIdx.x];
	out[threadIdx.x] = v.x;
}

__global__ void copy_over_readers(const float4 *from, float *out)
{
	CUDA_SHARED(float4, tile, 32);
	tile[threadIdx.x] = make_float4(1, 2, 3, 4);
	__syncthreads();
	float4 v = tile[31 - threadIdx.x];
	cudaemu_copy_async(tile + threadIdx.x, from + threadIdx.x % 16, true);
	cudaemu_copy_commit();
	cudaemu_copy_wait(0);
	__syncthreads();
	out[threadIdx.x] = v.x;
}

__global__ void too_much_shared(float *out)
{
	CUDA_SHARED(float, a, 8192);
	CUDA_SHARED(float, b, 8192);
	a[threadIdx.x] = b[threadIdx.x] = 0;
	out[threadIdx.x] = a[threadIdx.x];
}

/* ---- what a child does -------------------------------------------------------------------------------------------------- */

static float *device_floats(int n)
{
	float *p = NULL;
	if (cudaMalloc(&p, (size_t)n * sizeof *p))
		_exit(1);
	return p;
}

static float host_floats[64] __attribute__((aligned(256)));

#define PLANT(name, threads, ...)                                                                                \
	static void plant_##name(void)                                                                               \
	{                                                                                                            \
		float *out = device_floats(64);                                                                          \
		(void)out;                                                                                               \
		CUDAEMU_LAUNCH(name, 2, threads, 0, 0, __VA_ARGS__);                                                     \
		cudaDeviceSynchronize();                                                                                 \
	}
PLANT(write_past_shared, 32, 1)
PLANT(read_past_part, 32, out)
PLANT(read_uninitialised, 32, out)
PLANT(read_another_blocks, 32, out)
PLANT(read_before_barrier, 64, out)
PLANT(write_before_barrier, 64, out)
PLANT(warp_barrier_between_warps, 64, out)
PLANT(atomic_and_plain, 32, (int *)out)
PLANT(leave_before_barrier, 64, 40)
PLANT(two_barriers, 64, 32)
PLANT(leave_before_shuffle, 32, (int *)out)
PLANT(half_a_mask, 32, (int *)out)
PLANT(not_in_the_mask, 32, (int *)out)
PLANT(read_outside_the_mask, 32, (int *)out)
PLANT(short_warp, 20, (int *)out)
PLANT(write_at, 32, out, 64)
PLANT(read_at, 32, out, out, -(1 << 20))
PLANT(read_struct, 32, inside{1, host_floats + 1}, out)
PLANT(deep, 1, out, 0)
PLANT(misaligned, 36, out)
PLANT(read_on_its_way, 32, (const float4 *)out, out)
PLANT(read_anothers_copy, 32, (const float4 *)out, out)
PLANT(copy_over_readers, 32, (const float4 *)out, out)
PLANT(too_much_shared, 32, out)

static void plant_write_just_past_the_end(void)
{
	float *p = device_floats(1); /* 12 more bytes of its alignment */
	CUDAEMU_LAUNCH(write_at, 1, 32, 0, 0, p, 1LL);
	cudaFree(p);
}

static void plant_write_before(void)
{
	float *p = device_floats(64);
	CUDAEMU_LAUNCH(write_at, 1, 32, 0, 0, p, -1LL);
	cudaFree(p);
}

static void plant_use_after_free(void)
{
	float *p = device_floats(60);
	CUDAEMU_LAUNCH(write_at, 1, 32, 0, 0, p, 1LL);
	cudaFree(p);
	CUDAEMU_LAUNCH(write_at, 1, 32, 0, 0, p, 1LL);
}

static void plant_host_argument(void)
{
	CUDAEMU_LAUNCH(write_at, 1, 32, 0, 0, host_floats + 1, 1LL);
}

static void plant_host_reads_device(void)
{
	float *p = device_floats(64);
	cudaMemset(p, 0, 256);
	cudaDeviceSynchronize();
	if (p[3] == 0)
		_exit(1);
}

static void plant_copy_too_much(void)
{
	float *p = device_floats(60);
	cudaMemcpy(host_floats, p, sizeof host_floats, cudaMemcpyDeviceToHost);
}

static void plant_copy_the_wrong_way(void)
{
	float *p = device_floats(64);
	cudaMemcpy(p, host_floats, sizeof host_floats, cudaMemcpyDeviceToHost);
}

static void plant_never_waits(void)
{
	CUDA_LAUNCH(write_at, 1, 32, 0, 0, device_floats(64), 1LL);
	cudaDeviceSynchronize();
}

static void plant_stream_after_destroy(void)
{
	cudaStream_t s;
	cudaStreamCreate(&s);
	cudaStreamDestroy(s);
	cudaMemsetAsync(device_floats(64), 0, 256, s);
}

static const struct fault {
	const char *name;
	void (*plant)(void);
	const char *kind, *place; /* both must be in the report */
} faults[] = {
	{"write past a shared array", plant_write_past_shared, "shared-bounds", "block (0, 0, 0), thread (31, 0, 0)"},
	{"read past a part of one", plant_read_past_part, "shared-bounds", "thread (31, 0, 0)"},
	{"read shared memory nobody wrote", plant_read_uninitialised, "shared-uninitialised", "thread (7, 0, 0)"},
	{"read what an earlier block wrote", plant_read_another_blocks, "shared-uninitialised", "block (1, 0, 0)"},
	{"read before the barrier", plant_read_before_barrier, "shared-race", "thread 0 wrote"},
	{"write before the barrier", plant_write_before_barrier, "shared-race", "thread (32, 0, 0)"},
	{"a warp's barrier between warps", plant_warp_barrier_between_warps, "shared-race", "thread (32, 0, 0)"},
	{"plain read beside atomics", plant_atomic_and_plain, "shared-race", "atomic_and_plain"},
	{"leave before the barrier", plant_leave_before_barrier, "divergent-barrier", "thread (40, 0, 0)"},
	{"wait at another barrier", plant_two_barriers, "divergent-barrier", "faults_test.cc"},
	{"leave before a shuffle", plant_leave_before_shuffle, "mask", "lane 31 has ended"},
	{"shuffle with half of the mask", plant_half_a_mask, "mask", "lane 16 has ended"},
	{"shuffle outside of the mask", plant_not_in_the_mask, "mask", "does not name its own lane 16"},
	{"read a lane outside of the mask", plant_read_outside_the_mask, "shuffle-lane", "reads lane 20"},
	{"vote of a short warp", plant_short_warp, "mask", "lane 20 does not exist"},
	{"write past an allocation", plant_write_at, "bounds", "the byte 0 past the end of allocation 1 of 256 bytes"},
	{"write before an allocation", plant_write_before, "bounds", "before allocation 1 of 256 bytes"},
	{"read far before an allocation", plant_read_at, "bounds", "read_at"},
	{"write into an allocation's alignment", plant_write_just_past_the_end, "bounds", "past the end of allocation 1 of 4 bytes"},
	{"use after free", plant_use_after_free, "argument", "which is freed"},
	{"a host pointer", plant_host_argument, "host-pointer", "write_at"},
	{"a host pointer inside a struct", plant_read_struct, "host-pointer", "read_struct"},
	{"local memory without end", plant_deep, "stack", "deep"},
	{"a misaligned vector in shared memory", plant_misaligned, "shared-alignment", "misaligned"},
	{"read a copy on its way", plant_read_on_its_way, "shared-async", "read_on_its_way"},
	{"read another thread's copy without a barrier", plant_read_anothers_copy, "shared-uninitialised", "thread (0, 0, 0)"},
	{"copy over what others still read", plant_copy_over_readers, "shared-race", "thread (16, 0, 0)"},
	{"more shared memory than there is", plant_too_much_shared, "shared-size", "too_much_shared"},
	{"host code reads device memory", plant_host_reads_device, "host-access", "byte 12 of allocation 1"},
	{"copy more than there is", plant_copy_too_much, "copy", "cudaMemcpy"},
	{"copy the wrong way", plant_copy_the_wrong_way, "copy", "is said to be"},
	{"a kernel that does not wait for the one before", plant_never_waits, "overlap", "thread (0, 0, 0)"},
	{"a stream after its end", plant_stream_after_destroy, "stream", "destroyed"},
};

/* Runs a fault in a child and takes its report. */
static int run_child(void (*plant)(void), char *report, size_t capacity)
{
	int pipes[2], status = -1;
	if (pipe(pipes))
		return -1;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		dup2(pipes[1], STDERR_FILENO);
		cudaemu_reset(&cudaemu_usual_machine);
		plant();
		_exit(0);
	}
	close(pipes[1]);
	size_t n = 0;
	ssize_t got;
	while (n + 1 < capacity && (got = read(pipes[0], report + n, capacity - 1 - n)) > 0)
		n += (size_t)got;
	report[n] = 0;
	close(pipes[0]);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status;
}

TEST(cudaemu_faults, every_planted_fault_is_found)
{
	for (const fault &f : faults) {
		char report[2000], kind[64];
		int status = run_child(f.plant, report, sizeof report);
		snprintf(kind, sizeof kind, " %s: ", f.kind);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != CUDAEMU_FAULT_STATUS || !strstr(report, kind) || !strstr(report, f.place))
			test_fail(__FILE__, __LINE__, "%s: status 0x%x, wanted %s and \"%s\", it said: %s", f.name, (unsigned)status, f.kind, f.place, report);
	}
}

/* Which kernels this machine can run. */
#include "engine/cpu/simd/simd.h"

static const struct simd_kernels avx512 = {"avx512", &simd_unpack_avx512, &simd_dot_avx512, &simd_rows_avx512};
static const struct simd_kernels avx2 = {"avx2", &simd_unpack_avx2, &simd_dot_avx2, &simd_rows_avx2};
static const struct simd_kernels baseline = {"baseline", &simd_unpack_baseline, &simd_dot_baseline, &simd_rows_baseline};

const struct simd_kernels *const *simd_available(void)
{
	static const struct simd_kernels *const all[] = {&avx512, &avx2, &baseline, NULL};
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
		&& __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
		return all;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
		return all + 1;
	return all + 2;
}

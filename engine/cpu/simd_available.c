/* Which kernels this machine can run. */
#include "engine/cpu/simd/simd.h"

static const struct simd_kernels baseline = {"baseline", false, &simd_unpack_baseline, &simd_dot_baseline, &simd_rows_baseline};

#ifdef __x86_64__
#include <cpuid.h>

static const struct simd_kernels avx512_bf16 = {"avx512_bf16", true, &simd_unpack_avx512_bf16, &simd_dot_avx512_bf16,
	&simd_rows_avx512_bf16};
static const struct simd_kernels avx512 = {"avx512", false, &simd_unpack_avx512, &simd_dot_avx512, &simd_rows_avx512};
static const struct simd_kernels avx2 = {"avx2", false, &simd_unpack_avx2, &simd_dot_avx2, &simd_rows_avx2};

/* Asked of the processor, because Clang 14's __builtin_cpu_supports() does not know the word. AVX2 being usable, so are its registers. */
static bool has_f16c(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* Every processor with AMX's bfloat16 tiles has these instructions too. */
static bool has_avx512_bf16(void)
{
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

const struct simd_kernels *const *simd_available(void)
{
	static const struct simd_kernels *const all[] = {&avx512_bf16, &avx512, &avx2, &baseline, NULL};
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
		return all + 3;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq")
		|| !__builtin_cpu_supports("avx512vl"))
		return all + 2;
	return has_avx512_bf16() ? all : all + 1;
}
#else
const struct simd_kernels *const *simd_available(void)
{
	static const struct simd_kernels *const all[] = {&baseline, NULL};
	return all;
}
#endif

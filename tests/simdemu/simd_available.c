/* All four instruction sets, the two of AVX-512 emulated: in place of engine/cpu/simd_available.c. */
#include "engine/cpu/simd/simd.h"

const struct simd_kernels *const *simd_available(void)
{
	static const struct simd_kernels sets[] = {
		{"avx512_bf16", true, &simd_unpack_avx512_bf16, &simd_dot_avx512_bf16, &simd_rows_avx512_bf16},
		{"avx512", false, &simd_unpack_avx512, &simd_dot_avx512, &simd_rows_avx512},
		{"avx2", false, &simd_unpack_avx2, &simd_dot_avx2, &simd_rows_avx2},
		{"baseline", false, &simd_unpack_baseline, &simd_dot_baseline, &simd_rows_baseline},
	};
	static const struct simd_kernels *const all[] = {&sets[0], &sets[1], &sets[2], &sets[3], NULL};
	return all;
}

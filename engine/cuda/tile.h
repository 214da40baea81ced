/* Tiles of 16 x 16 for the tensor cores: the two instructions that kernels use beyond the CUDA language, and asynchronous copies.
 *
 * Fragments are laid out as PTX documents them for mma.m16n8k16 (lane = 4 g + t, two neighbours in a word, the first in the low half):
 *
 *     A (16 x 16)  a0: row g, columns 2t, 2t+1    a1: row g+8    a2: row g, columns 2t+8, 2t+9    a3: row g+8, the same columns
 *     B (16 x 8)   b0: rows 2t, 2t+1, column g    b1: rows 2t+8, 2t+9
 *     D (16 x 8)   d0, d1: row g, columns 2t, 2t+1    d2, d3: row g+8
 *
 * So a row of D lies in the four lanes of one g, and two neighbouring D tiles, packed, are an A fragment.
 */
#ifndef KVGLASS_ENGINE_CUDA_TILE_H
#define KVGLASS_ENGINE_CUDA_TILE_H

#include "engine/cuda/number.h"

typedef CUDA_SHARED_OF(bf16) shared_bf16;
typedef CUDA_SHARED_OF(uint4) shared_uint4;

#ifdef KVGLASS_CUDAEMU

__device__ inline void tile_multiply(float d[4], const unsigned a[4], const unsigned b[2])
{
	cudaemu_mma_bf16(d, a, b);
}

__device__ inline unsigned tile_pair(shared_bf16 tile, int first, int second)
{
	bf16 low = tile[first], high = tile[second];
	return (unsigned)__bfloat16_as_ushort(low) | (unsigned)__bfloat16_as_ushort(high) << 16;
}

/* What one lane receives of an 8 x 8 matrix at (row, column). */
__device__ inline unsigned tile_word(shared_bf16 tile, int ld, int row, int column, bool transposed)
{
	int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
	if ((row * ld + column) % 8 || ld % 8)
		cudaemu_fault("shared-alignment", "a row of a tile that begins at no multiple of 16 bytes");
	if (transposed)
		return tile_pair(tile, (row + 2 * t) * ld + column + g, (row + 2 * t + 1) * ld + column + g);
	return tile_pair(tile, (row + g) * ld + column + 2 * t, (row + g) * ld + column + 2 * t + 1);
}

__device__ inline void tile_load_a(unsigned a[4], shared_bf16 tile, int ld, int row, int column)
{
	for (int i = 0; i < 4; i++)
		a[i] = tile_word(tile, ld, row + i % 2 * 8, column + i / 2 * 8, false);
}

__device__ inline void tile_load_b(unsigned b[4], shared_bf16 tile, int ld, int row, int column)
{
	for (int i = 0; i < 4; i++)
		b[i] = tile_word(tile, ld, row + i / 2 * 8, column + i % 2 * 8, false);
}

__device__ inline void tile_load_b_transposed(unsigned b[4], shared_bf16 tile, int ld, int row, int column)
{
	for (int i = 0; i < 4; i++)
		b[i] = tile_word(tile, ld, row + i % 2 * 8, column + i / 2 * 8, true);
}

__device__ inline void tile_copy(shared_uint4 to, int at, const uint4 *from, bool valid)
{
	cudaemu_copy_async(to + at, from, valid);
}

__device__ inline void tile_copy_commit()
{
	cudaemu_copy_commit();
}

template <int LEFT> __device__ inline void tile_copy_wait()
{
	cudaemu_copy_wait(LEFT);
}

#else

/* d += a b */
__device__ inline void tile_multiply(float d[4], const unsigned a[4], const unsigned b[2])
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
				 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
				 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline void tile_load(unsigned x[4], const bf16 *p)
{
	unsigned address = (unsigned)__cvta_generic_to_shared(p);
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
				 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
				 : "r"(address)
				 : "memory");
}

__device__ inline void tile_load_transposed(unsigned x[4], const bf16 *p)
{
	unsigned address = (unsigned)__cvta_generic_to_shared(p);
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
				 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
				 : "r"(address)
				 : "memory");
}

/* An A fragment: 16 x 16 at (row, column) of a tile whose rows are ld apart (a multiple of 8). */
__device__ inline void tile_load_a(unsigned a[4], shared_bf16 tile, int ld, int row, int column)
{
	int lane = (int)threadIdx.x % 32;
	tile_load(a, tile + (row + lane % 16) * ld + column + lane / 16 * 8);
}

/* Two B fragments, b[0..1] and b[2..3], of a matrix stored (n, k): 16 of n from row, 16 of k from column. */
__device__ inline void tile_load_b(unsigned b[4], shared_bf16 tile, int ld, int row, int column)
{
	int lane = (int)threadIdx.x % 32;
	tile_load(b, tile + (row + lane / 16 * 8 + lane % 8) * ld + column + lane / 8 % 2 * 8);
}

/* Two B fragments of a matrix stored (k, n): 16 of k from row, 16 of n from column. */
__device__ inline void tile_load_b_transposed(unsigned b[4], shared_bf16 tile, int ld, int row, int column)
{
	int lane = (int)threadIdx.x % 32;
	tile_load_transposed(b, tile + (row + lane % 16) * ld + column + lane / 16 * 8);
}

/* 16 bytes on their way to shared memory, zeros when not valid. Everything before a commit is a group; wait returns when at most LEFT
 * groups are under way. */
__device__ inline void tile_copy(shared_uint4 to, int at, const uint4 *from, bool valid)
{
	unsigned address = (unsigned)__cvta_generic_to_shared(to + at);
	int n_bytes = valid ? 16 : 0;
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(address), "l"(from), "r"(n_bytes) : "memory");
}

__device__ inline void tile_copy_commit()
{
	asm volatile("cp.async.commit_group;" : : : "memory");
}

template <int LEFT> __device__ inline void tile_copy_wait()
{
	asm volatile("cp.async.wait_group %0;" : : "n"(LEFT) : "memory");
}

#endif

#endif

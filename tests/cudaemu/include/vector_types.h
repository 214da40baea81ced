/* CUDA's vector types, with its alignments: a misaligned float4 is undefined here too, and the sanitizer of the kernels' build says so. */
#ifndef KVGLASS_CUDAEMU_VECTOR_TYPES_H
#define KVGLASS_CUDAEMU_VECTOR_TYPES_H

#define CUDAEMU_VECTOR(type, name, align2, align4)                                                               \
	struct name##1 { type x; };                                                                                  \
	struct __attribute__((aligned(align2))) name##2 { type x, y; };                                              \
	struct name##3 { type x, y, z; };                                                                            \
	struct __attribute__((aligned(align4))) name##4 { type x, y, z, w; };                                        \
	typedef struct name##1 name##1;                                                                              \
	typedef struct name##2 name##2;                                                                              \
	typedef struct name##3 name##3;                                                                              \
	typedef struct name##4 name##4;

CUDAEMU_VECTOR(signed char, char, 2, 4)
CUDAEMU_VECTOR(unsigned char, uchar, 2, 4)
CUDAEMU_VECTOR(short, short, 4, 8)
CUDAEMU_VECTOR(unsigned short, ushort, 4, 8)
CUDAEMU_VECTOR(int, int, 8, 16)
CUDAEMU_VECTOR(unsigned, uint, 8, 16)
CUDAEMU_VECTOR(long long, longlong, 16, 16)
CUDAEMU_VECTOR(unsigned long long, ulonglong, 16, 16)
CUDAEMU_VECTOR(float, float, 8, 16)
CUDAEMU_VECTOR(double, double, 16, 16)
#undef CUDAEMU_VECTOR

#ifdef __cplusplus
#define CUDAEMU_MAKE(type, name)                                                                                 \
	static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                      \
	static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                           \
	static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

CUDAEMU_MAKE(signed char, char)
CUDAEMU_MAKE(unsigned char, uchar)
CUDAEMU_MAKE(short, short)
CUDAEMU_MAKE(unsigned short, ushort)
CUDAEMU_MAKE(int, int)
CUDAEMU_MAKE(unsigned, uint)
CUDAEMU_MAKE(long long, longlong)
CUDAEMU_MAKE(unsigned long long, ulonglong)
CUDAEMU_MAKE(float, float)
CUDAEMU_MAKE(double, double)
#undef CUDAEMU_MAKE
#endif

struct dim3 {
	unsigned x, y, z;
#ifdef __cplusplus
	constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
	constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
#endif
};
typedef struct dim3 dim3;

#endif

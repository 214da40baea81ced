/* Shared memory whose every access is checked: inside its array, written before it is read, and never touched by two threads, one of
 * them writing, without a barrier between them.
 *
 * Time in a block is a clock that every barrier advances. Every two bytes, the smallest element that kernels keep, remember their last write and last read, by whom and when; what
 * happened before the block's last barrier, or before the warp's last __syncwarp() for lanes of one warp, is in order.
 */
#ifndef KVGLASS_CUDAEMU_SHARED_H
#define KVGLASS_CUDAEMU_SHARED_H

#include <string.h>
#include <type_traits>

#include "cudaemu_device.h"

enum { CUDAEMU_CELL = 2 }; /* bytes */
struct cudaemu_cell { /* of so many of them */
	uint32_t write_time, read_time;
	uint16_t writer, reader; /* thread, or one of the following */
	bool atomic;             /* the last write was */
	bool coming;             /* an asynchronous copy is on its way here */
};
enum : uint16_t { CUDAEMU_WARP_READ = 1024 /* + warp: several lanes of it */, CUDAEMU_BLOCK_READ = 2048 /* several warps */ };

struct cudaemu_order { /* what the running thread has behind it */
	uint32_t now;
	uint32_t block_time;  /* when the block began: bytes written earlier are another block's */
	uint32_t barrier_time, warp_time;
	uint16_t thread;
};
struct cudaemu_arena {
	uint8_t *data;
	cudaemu_cell *cell;
};
extern __thread cudaemu_order cudaemu_now;
extern __thread cudaemu_arena cudaemu_shared_memory;

enum cudaemu_access { CUDAEMU_READ, CUDAEMU_WRITE, CUDAEMU_ATOMIC };
[[noreturn]] void cudaemu_shared_fault(const char *name, uint32_t at, cudaemu_access access); /* finds out which rule was broken */

inline bool cudaemu_in_order(uint32_t time, uint16_t who)
{
	const cudaemu_order &o = cudaemu_now;
	if (time < o.barrier_time || who == o.thread)
		return true;
	int warp = who < CUDAEMU_WARP_READ ? who / 32 : who < CUDAEMU_BLOCK_READ ? who - CUDAEMU_WARP_READ : -1;
	return warp == o.thread / 32 && time < o.warp_time;
}

inline bool cudaemu_may_read(const cudaemu_cell &c)
{
	return !c.coming && c.write_time >= cudaemu_now.block_time && cudaemu_in_order(c.write_time, c.writer);
}
inline bool cudaemu_may_write(const cudaemu_cell &c, bool atomic)
{
	bool after_write = cudaemu_in_order(c.write_time, c.writer) || (atomic && c.atomic);
	return !c.coming && after_write && cudaemu_in_order(c.read_time, c.reader);
}

inline void cudaemu_note_read(cudaemu_cell &c)
{
	const cudaemu_order &o = cudaemu_now;
	if (cudaemu_in_order(c.read_time, c.reader))
		c.reader = o.thread;
	else if (c.reader < CUDAEMU_WARP_READ ? c.reader / 32 == o.thread / 32 : c.reader == CUDAEMU_WARP_READ + o.thread / 32)
		c.reader = (uint16_t)(CUDAEMU_WARP_READ + o.thread / 32);
	else
		c.reader = CUDAEMU_BLOCK_READ;
	c.read_time = o.now;
}

template <cudaemu_access ACCESS> inline void cudaemu_touch(const char *name, uint32_t at, uint32_t n)
{
	const cudaemu_order &o = cudaemu_now;
	for (cudaemu_cell *i = cudaemu_shared_memory.cell + at / CUDAEMU_CELL, *end = i + n / CUDAEMU_CELL; i < end; i++) {
		cudaemu_cell &c = *i;
		if (ACCESS == CUDAEMU_READ) {
			if (__builtin_expect(!cudaemu_may_read(c), 0))
				cudaemu_shared_fault(name, CUDAEMU_CELL * (uint32_t)(i - cudaemu_shared_memory.cell), ACCESS);
			cudaemu_note_read(c);
		} else {
			bool written = ACCESS == CUDAEMU_WRITE || c.write_time >= o.block_time;
			if (__builtin_expect(!written || !cudaemu_may_write(c, ACCESS == CUDAEMU_ATOMIC), 0))
				cudaemu_shared_fault(name, CUDAEMU_CELL * (uint32_t)(i - cudaemu_shared_memory.cell), ACCESS);
			c.write_time = o.now;
			c.writer = o.thread;
			c.atomic = ACCESS == CUDAEMU_ATOMIC;
		}
	}
}

template <class T> struct cudaemu_shared;

template <class T> struct cudaemu_ref { /* one element */
	static_assert(sizeof(T) % CUDAEMU_CELL == 0 && alignof(T) % CUDAEMU_CELL == 0, "whole cells");
	typedef typename std::remove_const<T>::type value_type;
	const cudaemu_shared<T> *array;
	uint32_t at;

	value_type get() const
	{
		value_type v;
		cudaemu_touch<CUDAEMU_READ>(array->name, at, sizeof v);
		memcpy((void *)&v, cudaemu_shared_memory.data + at, sizeof v);
		return v;
	}
	void put(const value_type &v) const
	{
		cudaemu_touch<CUDAEMU_WRITE>(array->name, at, sizeof v);
		memcpy(cudaemu_shared_memory.data + at, (const void *)&v, sizeof v);
	}
	operator value_type() const { return get(); }
	const cudaemu_ref &operator=(const value_type &v) const { put(v); return *this; }
	const cudaemu_ref &operator=(const cudaemu_ref &other) const { put(other.get()); return *this; }
	template <class U> const cudaemu_ref &operator+=(const U &v) const { put((value_type)(get() + v)); return *this; }
	template <class U> const cudaemu_ref &operator-=(const U &v) const { put((value_type)(get() - v)); return *this; }
	template <class U> const cudaemu_ref &operator*=(const U &v) const { put((value_type)(get() * v)); return *this; }
	template <class U> const cudaemu_ref &operator/=(const U &v) const { put((value_type)(get() / v)); return *this; }
	template <class U> const cudaemu_ref &operator|=(const U &v) const { put((value_type)(get() | v)); return *this; }
	cudaemu_shared<T> operator&() const;
	cudaemu_ref(const cudaemu_shared<T> *array_, uint32_t at_) : array(array_), at(at_) {}
	cudaemu_ref(const cudaemu_ref &) = default;
};

/* An array in shared memory, or a pointer into one: offsets in bytes of the block's shared memory. */
template <class T> struct cudaemu_shared {
	const char *name;
	uint32_t begin, end; /* of the array */
	int64_t at;          /* of this pointer; may be outside until it is used */

	cudaemu_ref<T> operator[](long long i) const
	{
		int64_t byte = at + i * (int64_t)sizeof(T);
		if (__builtin_expect(byte < begin || byte + (int64_t)sizeof(T) > end, 0))
			cudaemu_fault("shared-bounds", "element %lld of %s, which has %d from here", i, name, (int)(((int64_t)end - at) / (int64_t)sizeof(T)));
		if (__builtin_expect(byte % (int64_t)alignof(T) != 0, 0))
			cudaemu_fault("shared-alignment", "%s at byte %lld of shared memory, read as a type aligned to %d", name, (long long)byte, (int)alignof(T));
		return cudaemu_ref<T>(this, (uint32_t)byte);
	}
	cudaemu_ref<T> operator*() const { return (*this)[0]; }
	cudaemu_shared operator+(long long i) const { return {name, begin, end, at + i * (int64_t)sizeof(T)}; }
	cudaemu_shared operator-(long long i) const { return *this + -i; }
	cudaemu_shared &operator+=(long long i) { at += i * (int64_t)sizeof(T); return *this; }

	/* n elements from here on, as an array of their own. */
	cudaemu_shared part(long long offset, long long n) const
	{
		int64_t first = at + offset * (int64_t)sizeof(T), last = first + n * (int64_t)sizeof(T);
		if (first < begin || last > end || n < 0)
			cudaemu_fault("shared-bounds", "elements %lld .. %lld of %s, which has %d", offset, offset + n, name,
				(int)((end - begin) / sizeof(T)));
		return {name, (uint32_t)first, (uint32_t)last, first};
	}
	/* The same bytes as elements of another type. */
	template <class U> cudaemu_shared<U> as() const { return {name, begin, end, at}; }
	operator cudaemu_shared<const T>() const { return {name, begin, end, at}; }
};

template <class T> cudaemu_shared<T> cudaemu_ref<T>::operator&() const
{
	cudaemu_shared<T> pointer = *array;
	pointer.at = at;
	return pointer;
}

/* The block's array of this declaration, made by the first thread that comes by. */
uint32_t cudaemu_shared_declare(const void *declaration, const char *name, size_t n_bytes, size_t alignment);
uint32_t cudaemu_shared_dynamic(uint32_t *n_bytes);

template <class T> cudaemu_shared<T> cudaemu_shared_static(const void *declaration, const char *name, size_t n)
{
	uint32_t begin = cudaemu_shared_declare(declaration, name, n * sizeof(T), alignof(T));
	return {name, begin, begin + (uint32_t)(n * sizeof(T)), begin};
}
template <class T> cudaemu_shared<T> cudaemu_shared_at_launch(const char *name)
{
	uint32_t n_bytes, begin = cudaemu_shared_dynamic(&n_bytes);
	return {name, begin, begin + n_bytes / (uint32_t)sizeof(T) * (uint32_t)sizeof(T), begin};
}
/* A closure's type is its own at every place in the source and in every instance of a template: its static is the declaration's key. */
#define CUDAEMU_SHARED(type, count)                                                                              \
	cudaemu_shared_static<type>([]() -> const void * { static const char key = 0; return &key; }(), #type "[" #count "]", (size_t)(count))
#define CUDAEMU_SHARED_DYNAMIC(type) cudaemu_shared_at_launch<type>("the launch's shared " #type "s")

/* ---- asynchronous copies (cp.async): their target is nobody's from their beginning until their thread has waited ---- */

void cudaemu_copy_begin(const char *name, uint32_t at, const void *from, uint32_t n_bytes);
void cudaemu_copy_commit(void);          /* what was begun since the last one is a group */
void cudaemu_copy_wait(int n_under_way); /* all groups of this thread but the last n are there */

template <class T> void cudaemu_copy_async(const cudaemu_shared<T> &to, const T *from, bool valid) /* zeros if not valid */
{
	static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16, "what cp.async copies");
	cudaemu_ref<T> ref = *to;
	cudaemu_copy_begin(to.name, ref.at, valid ? from : NULL, sizeof(T));
}

/* ---- atomics ---- */

template <class T, class F> T cudaemu_atomic(const cudaemu_shared<T> &p, F change)
{
	cudaemu_ref<T> ref = *p;
	cudaemu_touch<CUDAEMU_ATOMIC>(p.name, ref.at, sizeof(T));
	T old, value;
	memcpy(&old, cudaemu_shared_memory.data + ref.at, sizeof old);
	value = change(old);
	memcpy(cudaemu_shared_memory.data + ref.at, &value, sizeof value);
	return old;
}
template <class T, class V> T atomicAdd(const cudaemu_shared<T> &p, V v) { return cudaemu_atomic(p, [=](T old) { return (T)(old + (T)v); }); }
template <class T, class V> T atomicMax(const cudaemu_shared<T> &p, V v) { return cudaemu_atomic(p, [=](T old) { return (T)v > old ? (T)v : old; }); }
template <class T, class V> T atomicMin(const cudaemu_shared<T> &p, V v) { return cudaemu_atomic(p, [=](T old) { return (T)v < old ? (T)v : old; }); }
template <class T, class V> T atomicOr(const cudaemu_shared<T> &p, V v) { return cudaemu_atomic(p, [=](T old) { return old | (T)v; }); }
template <class T, class V> T atomicExch(const cudaemu_shared<T> &p, V v) { return cudaemu_atomic(p, [=](T) { return (T)v; }); }

#endif

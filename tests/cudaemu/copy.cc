/* Copies and fills: queued, and done when somebody waits. What CUDA promises about pageable host memory is kept: such a source may
 * change as soon as the call returns, such a target is written when it returns. Pinned memory waits for its turn. */
#include <string.h>
#include <vector>

#include "tests/cudaemu/emulator.h"

struct area { /* height lines of width bytes */
	void *to;
	const void *from;
	size_t to_pitch, from_pitch, width, height;
	cudaMemcpyKind kind;
};

static void check_side(const char *side, const void *p, size_t n_bytes, bool device)
{
	if (device && !cudaemu_is_device(p))
		cudaemu_fault("copy", "its %s %p is said to be the device's and is not", side, p);
	if (!device && cudaemu_is_device(p))
		cudaemu_fault("copy", "its %s %p is said to be the host's and is the device's", side, p);
	if (device && !cudaemu_is_live(p, n_bytes))
		cudaemu_fault("copy", "%zu bytes of its %s from %s on do not lie in one live allocation", n_bytes, side, cudaemu_describe(p).c_str());
}

static size_t reach(size_t pitch, size_t width, size_t height)
{
	return height ? pitch * (height - 1) + width : 0;
}

static void copy_lines(const area &a)
{
	check_side("target", a.to, reach(a.to_pitch, a.width, a.height), a.kind == cudaMemcpyHostToDevice || a.kind == cudaMemcpyDeviceToDevice);
	check_side("source", a.from, reach(a.from_pitch, a.width, a.height), a.kind == cudaMemcpyDeviceToHost || a.kind == cudaMemcpyDeviceToDevice);
	for (size_t i = 0; i < a.height; i++)
		memcpy((char *)a.to + i * a.to_pitch, (const char *)a.from + i * a.from_pitch, a.width);
}

static cudaMemcpyKind resolve(const area &a)
{
	if (a.kind != cudaMemcpyDefault)
		return a.kind;
	bool to = cudaemu_is_device(a.to), from = cudaemu_is_device(a.from);
	return to ? (from ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice) : from ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

static cudaError_t copy(const char *call, area a, cudaStream_t stream, bool wait)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter(call);
	if (!error && wait)
		error = cudaemu_may_wait(call, NULL);
	if (error)
		return error;
	if (a.width > a.to_pitch || a.width > a.from_pitch)
		return cudaemu_return(cudaErrorInvalidValue);
	if (!a.width || !a.height)
		return cudaSuccess;
	a.kind = resolve(a);
	bool pageable_source = a.kind == cudaMemcpyHostToDevice && !cudaemu_is_pinned(a.from);
	bool pageable_target = a.kind == cudaMemcpyDeviceToHost && !cudaemu_is_pinned(a.to);
	if (pageable_source && !cudaemu_capturing(stream)) { /* a recorded copy reads its source at every launch */
		std::vector<char> staged(a.width * a.height);
		for (size_t i = 0; i < a.height; i++)
			memcpy(staged.data() + i * a.width, (const char *)a.from + i * a.from_pitch, a.width);
		cudaemu_queue(stream, call, [=]() mutable {
			a.from = staged.data();
			a.from_pitch = a.width;
			copy_lines(a);
		});
	} else {
		cudaemu_queue(stream, call, [=] { copy_lines(a); });
	}
	if (wait || (pageable_target && !cudaemu_capturing(stream)))
		cudaemu_finish(stream);
	return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind kind)
{
	return copy("cudaMemcpy", {to, from, n, n, n, 1, kind}, NULL, true);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t stream)
{
	return copy("cudaMemcpyAsync", {to, from, n, n, n, 1, kind}, stream, false);
}

cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, cudaMemcpyKind kind)
{
	return copy("cudaMemcpy2D", {to, from, to_pitch, from_pitch, width, height, kind}, NULL, true);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
	cudaMemcpyKind kind, cudaStream_t stream)
{
	return copy("cudaMemcpy2DAsync", {to, from, to_pitch, from_pitch, width, height, kind}, stream, false);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t n_bytes, cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaMemsetAsync");
	if (error || !n_bytes)
		return error;
	cudaemu_queue(stream, "cudaMemsetAsync", [=] {
		check_side("target", p, n_bytes, true);
		memset(p, value, n_bytes);
	});
	return cudaSuccess;
}

cudaError_t cudaMemset(void *p, int value, size_t n_bytes)
{
	return cudaMemsetAsync(p, value, n_bytes, NULL);
}

cudaError_t cudaemu_copy_to_symbol(void *symbol, size_t size, const void *from, size_t n_bytes, size_t offset, cudaMemcpyKind kind,
	cudaStream_t stream, bool wait)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaMemcpyToSymbol");
	if (error)
		return error;
	if (offset > size || n_bytes > size - offset || kind != cudaMemcpyHostToDevice)
		return cudaemu_return(cudaErrorInvalidValue);
	std::vector<char> staged((const char *)from, (const char *)from + n_bytes);
	cudaemu_queue(stream, "cudaMemcpyToSymbol", [=] { memcpy((char *)symbol + offset, staged.data(), n_bytes); });
	if (wait)
		cudaemu_finish(stream);
	return cudaSuccess;
}

/* Host to device through pinned memory in two halves: while one is on its way the other is filled. */
#include <string.h>

#include "engine/cuda/cuda.h"

bool cuda_upload_open(struct cuda_upload *u, struct cuda_device *d)
{
	*u = (struct cuda_upload){.device = d};
	for (int i = 0; i < 2; i++)
		if (!CUDA_TRY(d, cudaHostAlloc((void **)&u->pinned[i], UPLOAD_BYTES, cudaHostAllocDefault)) ||
			!CUDA_TRY(d, cudaEventCreateWithFlags(&u->sent[i], cudaEventDisableTiming)))
			return false;
	return true;
}

void cuda_upload_close(struct cuda_upload *u)
{
	for (int i = 0; i < 2; i++) {
		if (u->sent[i]) {
			cudaEventSynchronize(u->sent[i]);
			cudaEventDestroy(u->sent[i]);
		}
		if (u->pinned[i])
			cudaFreeHost(u->pinned[i]);
		cuda_release(u->device, u->packed[i]);
	}
	*u = (struct cuda_upload){0};
}

/* The half whose turn it is, when what it carried last has arrived. */
static uint8_t *next_half(struct cuda_upload *u)
{
	u->turn ^= 1;
	return CUDA_TRY(u->device, cudaEventSynchronize(u->sent[u->turn])) ? u->pinned[u->turn] : NULL;
}

static void send(struct cuda_upload *u, void *to, const void *from, size_t n_bytes)
{
	uint8_t *half = next_half(u);
	if (!half)
		return;
	memcpy(half, from, n_bytes);
	CUDA_TRY(u->device, cudaMemcpyAsync(to, half, n_bytes, cudaMemcpyHostToDevice, u->device->stream));
}

static void mark(struct cuda_upload *u)
{
	CUDA_TRY(u->device, cudaEventRecord(u->sent[u->turn], u->device->stream));
}

void cuda_upload_bytes(struct cuda_upload *u, void *to, const void *from, size_t n_bytes)
{
	for (size_t at = 0, n; at < n_bytes && !u->device->failure.code; at += n) {
		n = n_bytes - at < UPLOAD_BYTES ? n_bytes - at : UPLOAD_BYTES;
		send(u, (uint8_t *)to + at, (const uint8_t *)from + at, n);
		mark(u);
	}
}

/* Blocks travel as they are stored and are unpacked there: a quarter of the bytes, and none of the host's time. */
static void upload_packed(struct cuda_upload *u, void *to, bool half, const struct weight *w)
{
	const struct tensor_type_info *type = tensor_type_info(w->type);
	size_t n_block = (size_t)w->n_out * (size_t)w->n_in / (size_t)type->block_elements, most = UPLOAD_BYTES / (size_t)type->block_bytes;
	size_t element = half ? sizeof(uint16_t) : sizeof(float);
	for (int i = 0; i < 2; i++)
		if (!u->packed[i])
			u->packed[i] = cuda_take(u->device, UPLOAD_BYTES, "packed weights");
	for (size_t at = 0, n; at < n_block && !u->device->failure.code; at += n) {
		n = n_block - at < most ? n_block - at : most;
		uint8_t *packed = u->packed[u->turn ^ 1];
		send(u, packed, w->data + at * (size_t)type->block_bytes, n * (size_t)type->block_bytes);
		const struct unpack_args args = {.type = (int)w->type, .from = packed, .half = half, .n = n * (size_t)type->block_elements,
			.to = (uint8_t *)to + at * (size_t)type->block_elements * element};
		CUDA_TRY(u->device, cuda_unpack(&args, u->device->stream));
		mark(u);
	}
}

void cuda_upload_matrix(struct cuda_upload *u, void *to, bool half, const struct weight *w)
{
	if (w->type == (half ? TYPE_BF16 : TYPE_F32))
		cuda_upload_bytes(u, to, w->data, tensor_type_bytes(w->type, (uint64_t)w->n_in) * (size_t)w->n_out);
	else
		upload_packed(u, to, half, w);
}

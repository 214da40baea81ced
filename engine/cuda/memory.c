/* What a session takes of its device. */
#include <string.h>

#include "engine/cuda/cuda.h"

enum { DEFAULT_ROWS = 2048 }; /* rows of a prefill step: products of full waves */

int cuda_rows_max(const struct backend_config *config)
{
	int rows = config->max_rows ? config->max_rows : DEFAULT_ROWS;
	return rows < config->max_tokens ? rows : config->max_tokens;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t area_bytes(const struct backend_config *config, enum cuda_area area)
{
	const struct model_info *info = &config->model->info;
	size_t rows = (size_t)cuda_rows_max(config), tokens = (size_t)config->max_tokens, d = (size_t)info->head_dim;
	size_t n_head = (size_t)info->n_head, n_kv = (size_t)info->n_kv_head, embd = (size_t)info->n_embd;
	size_t element = strcmp(info->precision, "bf16") ? sizeof(float) : sizeof(uint16_t);
	size_t part_rows = least(PART_ROWS, rows * DECODE_PARTS);
	switch (area) {
	case CUDA_KEYS:
	case CUDA_VALUES:
		return (size_t)info->n_layer * n_kv * tokens * d * element;
	case CUDA_HIDDEN:
		return rows * embd * sizeof(float);
	case CUDA_NORMED:
		return rows * embd * element;
	case CUDA_KVQ:
		return rows * (n_head + 2 * n_kv) * d * sizeof(float);
	case CUDA_ATTENDED:
		return rows * n_head * d * element;
	case CUDA_FEED:
		return rows * 2 * (size_t)info->n_ff * element;
	case CUDA_ROPE:
		return rows * d * sizeof(float);
	case CUDA_LOGITS:
		return least(rows, LOGIT_ROWS) * (size_t)info->n_vocab * sizeof(float);
	case CUDA_IDS:
	case CUDA_CAPTURED:
		return rows * sizeof(int32_t);
	case CUDA_PART:
		return part_rows * n_head * 2 * sizeof(float);
	case CUDA_PART_OUT:
		return part_rows * n_head * d * sizeof(float);
	case CUDA_STAT:
		return rows * n_head * 2 * sizeof(float);
	case CUDA_SCORE:
		return n_head * tokens * sizeof(float);
	case CUDA_CHECK:
		return CAPTURE_SPANS * rows * n_head * sizeof(float);
	case CUDA_PLACE:
		return sizeof(struct cuda_place);
	case CUDA_CAPTURES:
		return MAX_CAPTURES * sizeof(struct cuda_capture);
	case CUDA_RESULT:
		return sizeof(struct cuda_result);
	default: /* CUDA_WORKSPACE */
		return WORKSPACE_BYTES;
	}
}

void cuda_estimate(const struct backend_config *config, struct memory_estimate *out)
{
	size_t available = 0, total;
	bool resident;
	struct cuda_device d;
	out->weights = cuda_weights_bytes(config->model, &resident);
	if (resident)
		out->weights = 0;
	out->kv = area_bytes(config, CUDA_KEYS) + area_bytes(config, CUDA_VALUES);
	out->scratch = 0;
	for (int i = 0; i < N_CUDA_AREA; i++)
		out->scratch += i == CUDA_KEYS || i == CUDA_VALUES ? 0 : area_bytes(config, (enum cuda_area)i);
	out->available = 0;
	if (!cuda_device_open(&d, config->model, NULL) && !cudaMemGetInfo(&available, &total))
		out->available = available;
	cuda_device_close(&d);
}

bool cuda_take_areas(struct cuda *c, const struct backend_config *config)
{
	for (int i = 0; i < N_CUDA_AREA; i++) {
		c->area[i] = cuda_take(&c->device, area_bytes(config, (enum cuda_area)i), i <= CUDA_VALUES ? "the KV cache" : "a session's buffers");
	}
	return !c->device.failure.code;
}

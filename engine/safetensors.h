/* Safetensors: the container of weights, lookahead modules and saved captures (.kvg).
 *
 * Layout: u64 little-endian N, then N bytes of JSON {"name": {"dtype", "shape", "data_offsets": [b, e]},
 * "__metadata__": {string: string}}, then the data; offsets count from the byte after the JSON.
 * The reader is pure over (bytes, size) and believes nothing: dtype, shape, offsets, overlaps, holes, overflow of products,
 * duplicate names, depth and length of the JSON are all checked before a tensor is handed out. As in the reference
 * implementation, tensors must cover the data exactly.
 */
#ifndef KVGLASS_ENGINE_SAFETENSORS_H
#define KVGLASS_ENGINE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

enum st_dtype { ST_F64, ST_F32, ST_F16, ST_BF16, ST_I64, ST_I32, ST_I16, ST_I8, ST_U64, ST_U32, ST_U16,
	ST_U8, ST_BOOL, ST_N_DTYPE };

#define ST_MAX_DIM 8

struct st_tensor {
	const char *name; /* owned by the container */
	enum st_dtype dtype;
	int n_dim;
	int64_t dim[ST_MAX_DIM]; /* row-major, dim[0] varies slowest */
	const uint8_t *data;     /* into the mapped bytes; alignment is that of the file, use memcpy for scalars */
	size_t n_bytes;
};

struct st_pair {
	const char *key, *value;
};

struct st_file {
	int n_tensor;
	struct st_tensor *tensor; /* in order of their offset in the file */
	int n_meta;
	struct st_pair *meta; /* in the file's order */
	void *strings;        /* private: what names, keys and values lie in */
};

/* Parses bytes [0, size); `name` is only for messages. The result points into data, which must outlive it. */
int st_parse(struct st_file *out, const uint8_t *data, size_t size, const char *name, struct err *e);
void st_free(struct st_file *f); /* safe on a zeroed struct */

const struct st_tensor *st_find(const struct st_file *f, const char *name); /* NULL if absent */
const char *st_meta(const struct st_file *f, const char *key);              /* NULL if absent */
size_t st_dtype_size(enum st_dtype t);
const char *st_dtype_name(enum st_dtype t);
/* "(30, 9, 53)"; size: ST_SHAPE_TEXT is always enough. */
enum { ST_SHAPE_TEXT = ST_MAX_DIM * 22 + 3 };
void st_shape_text(const struct st_tensor *t, char *out, size_t size);
/* Converts elements [first, first + n) of an F32, F16, BF16 or F64 tensor to float; ERR_FORMAT for another dtype. */
int st_read_f32(const struct st_tensor *t, size_t first, size_t n, float *out, struct err *e);

/* Writes a file atomically: data pointers are read while writing. Same input, same bytes. The header is padded with
 * spaces so that data starts at a multiple of 64; wide types come first in the file (in the given order among equals), so that every
 * tensor is aligned to its elements, which PyTorch's reader needs. */
int st_write(const char *path, const struct st_tensor *tensor, int n_tensor, const struct st_pair *meta, int n_meta,
	struct err *e);

#endif

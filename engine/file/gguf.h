/* GGUF v2 and v3 (little-endian): "GGUF", u32 version, u64 n_tensors, u64 n_kv; then n_kv typed key/value pairs, then n_tensors
 * records (name, u32 n_dims, u64 dims fastest first, u32 type, u64 offset), then data aligned to general.alignment (32).
 *
 * Pure over (bytes, size): every count, length and offset is checked before use and messages name field, value and limit.
 */
#ifndef KVGLASS_ENGINE_FILE_GGUF_H
#define KVGLASS_ENGINE_FILE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/file/tensor_type.h"

enum gguf_kind { GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY,
	GGUF_U64, GGUF_I64, GGUF_F64 };

struct gguf_string {
	const char *text; /* not NUL-terminated, into the file */
	size_t n;
};
struct gguf_value {
	struct gguf_string key;
	enum gguf_kind kind;
	enum gguf_kind element;        /* GGUF_ARRAY */
	uint64_t n;                    /* GGUF_ARRAY */
	const uint8_t *data;           /* scalar or packed array elements, unaligned */
	const struct gguf_string *strings; /* arrays of strings: n of them */
	struct gguf_string string;     /* GGUF_STRING */
};
struct gguf_tensor {
	char *name; /* NUL-terminated copy */
	enum tensor_type type;
	bool supported;      /* false: a type this program does not know; type_code then names it */
	uint32_t type_code;  /* as in the file */
	int n_dim;
	uint64_t dim[4];     /* dim[0] varies fastest: a matrix (n_out, n_in) has dim[0] = n_in; absent ones are 1 */
	const uint8_t *data; /* unaligned as far as C is concerned: general.alignment counts from the file's start */
	size_t n_bytes;      /* 0 when not even the size of the type's blocks is known */
};
struct gguf_file {
	uint32_t version;
	int n_value, n_tensor;
	struct gguf_value *value;           /* in the file's order, like the tensors */
	struct gguf_tensor *tensor;
	const struct gguf_value **by_key;   /* sorted, for gguf_find */
	const struct gguf_tensor **by_name; /* sorted, for gguf_find_tensor */
};

/* Parses bytes [0, size); `name` is only for messages. The result points into data, which must outlive it. Tensors that overlap
 * or reach past the end, duplicate names and keys, big-endian files and version 1 are refused. */
int gguf_parse(struct gguf_file *out, const uint8_t *data, size_t size, const char *name, struct err *e);
void gguf_free(struct gguf_file *g); /* safe on a zeroed struct */
/* "Q4_1", "IQ2_XS", ... for any published type code, "type 99" style text is the caller's for NULL. */
const char *gguf_type_name(uint32_t type_code);

const struct gguf_value *gguf_find(const struct gguf_file *g, const char *key);
const struct gguf_tensor *gguf_find_tensor(const struct gguf_file *g, const char *name);
/* Any integer kind, checked to fit; false when the key is absent or of another kind. */
bool gguf_get_int(const struct gguf_file *g, const char *key, int64_t *out);
bool gguf_get_float(const struct gguf_file *g, const char *key, double *out); /* F32, F64 or any integer */
bool gguf_get_bool(const struct gguf_file *g, const char *key, bool *out);
char *gguf_get_string(const struct gguf_file *g, const char *key); /* NUL-terminated copy (free) or NULL */

#endif

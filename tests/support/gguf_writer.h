/* Writes GGUF v3 byte by byte, for tests: what is written can also be made wrong on purpose. */
#ifndef KVGLASS_TESTS_GGUF_WRITER_H
#define KVGLASS_TESTS_GGUF_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/file/gguf.h"

struct byte_string { /* grows; out of memory ends the test program */
	uint8_t *data;
	size_t n, capacity;
};
void bytes_put(struct byte_string *b, const void *data, size_t n);
void bytes_free(struct byte_string *b);

struct gguf_writer {
	uint32_t version;
	uint64_t n_value, n_tensor;
	struct byte_string values, records, data;
};

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_put_string(struct gguf_writer *w, const char *key, const char *value);
/* n elements of a scalar kind, packed as in the file */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_kind element, const void *data, uint64_t n, size_t n_bytes);
void gguf_put_strings(struct gguf_writer *w, const char *key, const char *const *text, uint64_t n);
/* dim[0] varies fastest; data is copied and padded to 32 bytes */
void gguf_put_tensor(struct gguf_writer *w, const char *name, uint32_t type_code, int n_dim, const uint64_t *dim, const void *data,
	size_t n_bytes);
/* The whole file; frees the writer's own bytes. */
struct byte_string gguf_finish(struct gguf_writer *w);

#endif

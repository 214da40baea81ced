#include "tests/support/gguf_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_put(struct byte_string *b, const void *data, size_t n)
{
	if (b->n + n > b->capacity) {
		b->capacity = 2 * (b->n + n) + 64;
		b->data = realloc(b->data, b->capacity);
		if (!b->data) {
			fprintf(stderr, "tests: out of memory\n");
			exit(2);
		}
	}
	if (n)
		memcpy(b->data + b->n, data, n);
	b->n += n;
}

void bytes_free(struct byte_string *b)
{
	free(b->data);
	*b = (struct byte_string){0};
}

static void put_u32(struct byte_string *b, uint32_t value)
{
	bytes_put(b, &value, sizeof value);
}

static void put_u64(struct byte_string *b, uint64_t value)
{
	bytes_put(b, &value, sizeof value);
}

static void put_string(struct byte_string *b, const char *text)
{
	put_u64(b, strlen(text));
	bytes_put(b, text, strlen(text));
}

static void put_key(struct gguf_writer *w, const char *key, enum gguf_kind kind)
{
	w->n_value++;
	put_string(&w->values, key);
	put_u32(&w->values, kind);
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
	put_key(w, key, GGUF_U32);
	put_u32(&w->values, value);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float value)
{
	put_key(w, key, GGUF_F32);
	bytes_put(&w->values, &value, sizeof value);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool value)
{
	put_key(w, key, GGUF_BOOL);
	bytes_put(&w->values, &(uint8_t){value}, 1);
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *value)
{
	put_key(w, key, GGUF_STRING);
	put_string(&w->values, value);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_kind element, const void *data, uint64_t n, size_t n_bytes)
{
	put_key(w, key, GGUF_ARRAY);
	put_u32(&w->values, element);
	put_u64(&w->values, n);
	bytes_put(&w->values, data, n_bytes);
}

void gguf_put_strings(struct gguf_writer *w, const char *key, const char *const *text, uint64_t n)
{
	put_key(w, key, GGUF_ARRAY);
	put_u32(&w->values, GGUF_STRING);
	put_u64(&w->values, n);
	for (uint64_t i = 0; i < n; i++)
		put_string(&w->values, text[i]);
}

static void pad(struct byte_string *b)
{
	static const uint8_t zero[32];
	bytes_put(b, zero, (32 - b->n % 32) % 32);
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, uint32_t type_code, int n_dim, const uint64_t *dim, const void *data,
	size_t n_bytes)
{
	w->n_tensor++;
	put_string(&w->records, name);
	put_u32(&w->records, (uint32_t)n_dim);
	for (int i = 0; i < n_dim; i++)
		put_u64(&w->records, dim[i]);
	put_u32(&w->records, type_code);
	put_u64(&w->records, w->data.n);
	bytes_put(&w->data, data, n_bytes);
	pad(&w->data);
}

struct byte_string gguf_finish(struct gguf_writer *w)
{
	struct byte_string file = {0};
	bytes_put(&file, "GGUF", 4);
	put_u32(&file, w->version ? w->version : 3);
	put_u64(&file, w->n_tensor);
	put_u64(&file, w->n_value);
	bytes_put(&file, w->values.data, w->values.n);
	bytes_put(&file, w->records.data, w->records.n);
	pad(&file);
	bytes_put(&file, w->data.data, w->data.n);
	bytes_free(&w->values);
	bytes_free(&w->records);
	bytes_free(&w->data);
	return file;
}

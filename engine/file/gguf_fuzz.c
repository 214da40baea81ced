/* Whatever the bytes are, parsing neither reads outside them nor leaks, and what it hands out can be used. */
#include "engine/file/gguf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte a caller could read; the sum keeps the compiler from leaving it out. */
static uint64_t touch(const uint8_t *data, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += data[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gguf_file g;
	struct err e = {ERR_NONE, ""};
	if (gguf_parse(&g, data, size, "fuzz", &e)) {
		if (!e.code || !*e.text)
			abort();
		return 0;
	}
	volatile uint64_t sum = 0;
	(void)sum; /* clang calls a variable that is only written unused */
	for (int i = 0; i < g.n_tensor; i++) {
		const struct gguf_tensor *t = &g.tensor[i];
		sum += touch(t->data, t->n_bytes);
		if (gguf_find_tensor(&g, t->name) != t)
			abort();
		if (t->supported && tensor_type_info(t->type)->block_bytes <= (int)t->n_bytes) {
			float row[256];
			tensor_unpack(t->type, t->data, (size_t)tensor_type_info(t->type)->block_elements, row);
			sum += row[0] > 0;
		}
	}
	for (int i = 0; i < g.n_value; i++) {
		const struct gguf_value *v = &g.value[i];
		char key[128];
		if (v->key.n < sizeof key) {
			memcpy(key, v->key.text, v->key.n);
			key[v->key.n] = '\0';
			int64_t whole = 0;
			double real = 0;
			bool flag = false;
			if (gguf_find(&g, key) != v)
				abort();
			sum += gguf_get_int(&g, key, &whole) + gguf_get_float(&g, key, &real) + gguf_get_bool(&g, key, &flag);
			free(gguf_get_string(&g, key));
		}
		for (uint64_t k = 0; v->kind == GGUF_ARRAY && v->element == GGUF_STRING && k < v->n; k++)
			sum += touch((const uint8_t *)v->strings[k].text, v->strings[k].n);
	}
	gguf_free(&g);
	return 0;
}

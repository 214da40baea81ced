/* Whatever the bytes are, parsing neither reads outside them nor leaks, and what it hands out can be used. */
#include "engine/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_file f;
	struct err e = {ERR_NONE, ""};
	if (st_parse(&f, data, size, "fuzz", &e)) {
		if (!e.code || !*e.text)
			abort();
		return 0;
	}
	volatile double sum = 0;
	(void)sum; /* clang calls a variable that is only written unused */
	for (int i = 0; i < f.n_tensor; i++) {
		const struct st_tensor *t = &f.tensor[i];
		if (st_find(&f, t->name) != t)
			abort();
		for (size_t k = 0; k < t->n_bytes; k++)
			sum += t->data[k];
		float first;
		if (t->n_bytes && !st_read_f32(t, t->n_bytes / st_dtype_size(t->dtype) - 1, 1, &first, NULL))
			sum += (double)first;
	}
	for (int i = 0; i < f.n_meta; i++)
		if (st_meta(&f, f.meta[i].key) != f.meta[i].value)
			abort();
	st_free(&f);
	return 0;
}

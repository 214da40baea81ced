#include "engine/model/build.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct stored_tensor *)a)->name, ((const struct stored_tensor *)b)->name);
}

static int take_room(struct tensor_set *out, size_t n, const char *path, struct err *e)
{
	*out = (struct tensor_set){.path = path};
	out->tensor = calloc(n + 1, sizeof *out->tensor);
	return out->tensor ? 0 : (int)err_set(e, ERR_MEMORY, "%s: out of memory for %zu tensor records", path, n);
}

int tensor_set_from_gguf(struct tensor_set *out, const struct gguf_file *g, const char *path, struct err *e)
{
	int rc = take_room(out, (size_t)g->n_tensor, path, e);
	if (rc)
		return rc;
	for (int i = 0; i < g->n_tensor; i++) {
		const struct gguf_tensor *from = &g->tensor[i];
		struct stored_tensor *t = &out->tensor[out->n++];
		const char *type_name = gguf_type_name(from->type_code);
		*t = (struct stored_tensor){.name = from->name, .type_name = type_name ? type_name : "unknown", .supported = from->supported,
			.type = from->type, .n_dim = from->n_dim, .data = from->data, .n_bytes = from->n_bytes};
		for (int k = 0; k < t->n_dim; k++)
			t->dim[k] = from->dim[t->n_dim - 1 - k];
	}
	qsort(out->tensor, (size_t)out->n, sizeof *out->tensor, compare_names);
	return 0;
}

static bool weight_type(enum st_dtype dtype, enum tensor_type *out)
{
	switch (dtype) {
	case ST_F32: *out = TYPE_F32; return true;
	case ST_F16: *out = TYPE_F16; return true;
	case ST_BF16: *out = TYPE_BF16; return true;
	default: return false;
	}
}

int tensor_set_from_folder(struct tensor_set *out, const struct st_file *file, int n_file, const char *path, struct err *e)
{
	size_t n = 0;
	for (int i = 0; i < n_file; i++)
		n += (size_t)file[i].n_tensor;
	int rc = take_room(out, n, path, e);
	if (rc)
		return rc;
	for (int i = 0; i < n_file; i++)
		for (int k = 0; k < file[i].n_tensor; k++) {
			const struct st_tensor *from = &file[i].tensor[k];
			struct stored_tensor *t = &out->tensor[out->n++];
			*t = (struct stored_tensor){.name = from->name, .type_name = st_dtype_name(from->dtype), .data = from->data,
				.n_bytes = from->n_bytes, .n_dim = from->n_dim};
			/* More than four dimensions fit no matrix of these models: whoever asks for it will say so. */
			for (int d = 0; d < 4 && d < from->n_dim; d++)
				t->dim[d] = (uint64_t)from->dim[d];
			t->supported = weight_type(from->dtype, &t->type);
		}
	qsort(out->tensor, (size_t)out->n, sizeof *out->tensor, compare_names);
	for (int i = 1; i < out->n; i++)
		if (!strcmp(out->tensor[i - 1].name, out->tensor[i].name))
			return err_set(e, ERR_FORMAT, "%s: tensor %s is in two of its weight files", path, out->tensor[i].name);
	return 0;
}

void tensor_set_free(struct tensor_set *s)
{
	free(s->tensor);
	*s = (struct tensor_set){0};
}

struct stored_tensor *tensor_set_use(struct tensor_set *s, const char *name)
{
	struct stored_tensor wanted = {.name = name};
	struct stored_tensor *found = s->n ? bsearch(&wanted, s->tensor, (size_t)s->n, sizeof wanted, compare_names) : NULL;
	if (found)
		found->used = true;
	return found;
}

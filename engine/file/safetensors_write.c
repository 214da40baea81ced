#include "engine/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

enum { DATA_ALIGNMENT = 64 };

/* Adds value to object under key, which must be new. Takes the reference to value in every case. */
static int add_entry(json_t *object, const char *key, json_t *value, const char *path, struct err *e)
{
	if (!value) /* the library does not tell which of the two it was */
		return err_set(e, ERR_USE, "%s: entry %s: out of memory, or text that is not UTF-8", path, key);
	if (json_object_get(object, key)) {
		json_decref(value);
		return err_set(e, ERR_USE, "%s: entry %s twice", path, key);
	}
	if (json_object_set_new(object, key, value))
		return err_set(e, ERR_USE, "%s: entry %s: out of memory, or a name that is not UTF-8", path, key);
	return 0;
}

static int check_tensor(const struct st_tensor *t, const char *path, struct err *e)
{
	if (t->n_dim < 0 || t->n_dim > ST_MAX_DIM)
		return err_set(e, ERR_USE, "%s: tensor %s: %d dimensions, the limit is %d", path, t->name, t->n_dim, ST_MAX_DIM);
	size_t n_bytes = st_dtype_size(t->dtype);
	for (int i = 0; i < t->n_dim; i++)
		if (t->dim[i] < 0 || __builtin_mul_overflow(n_bytes, (size_t)t->dim[i], &n_bytes))
			return err_set(e, ERR_USE, "%s: tensor %s: dimension %d is %lld", path, t->name, i, (long long)t->dim[i]);
	if (n_bytes != t->n_bytes)
		return err_set(e, ERR_USE, "%s: tensor %s: %zu bytes given, its shape takes %zu", path, t->name, t->n_bytes, n_bytes);
	return 0;
}

static json_t *tensor_entry(const struct st_tensor *t, size_t begin)
{
	json_t *shape = json_array();
	for (int i = 0; shape && i < t->n_dim; i++)
		json_array_append_new(shape, json_integer(t->dim[i]));
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", st_dtype_name(t->dtype), "shape", shape, "data_offsets", (json_int_t)begin,
		(json_int_t)(begin + t->n_bytes));
}

static int build_header(json_t *root, const struct st_tensor *const *tensor, int n_tensor, const struct st_pair *meta, int n_meta,
	const char *path, struct err *e)
{
	int rc = 0;
	if (n_meta) {
		json_t *pairs = json_object();
		rc = add_entry(root, "__metadata__", pairs, path, e);
		for (int i = 0; i < n_meta && !rc; i++)
			rc = add_entry(pairs, meta[i].key, json_string(meta[i].value), path, e);
	}
	size_t at = 0;
	for (int i = 0; i < n_tensor && !rc; i++) {
		rc = check_tensor(tensor[i], path, e);
		if (!rc)
			rc = add_entry(root, tensor[i]->name, tensor_entry(tensor[i], at), path, e);
		at += tensor[i]->n_bytes;
	}
	return rc;
}

static int write_all(const char *path, const char *header, const struct st_tensor *const *tensor, int n_tensor, struct err *e)
{
	static const char spaces[DATA_ALIGNMENT + 1] = "                                                                ";
	size_t n = strlen(header), n_pad = (DATA_ALIGNMENT - (n + 8) % DATA_ALIGNMENT) % DATA_ALIGNMENT;
	uint64_t n_header = n + n_pad;
	struct file_writer *w;
	int rc = file_create(&w, path, e);
	if (rc)
		return rc;
	/* Failures stick to the writer: commit reports the first one. */
	file_write(w, &n_header, sizeof n_header, NULL);
	file_write(w, header, n, NULL);
	file_write(w, spaces, n_pad, NULL);
	for (int i = 0; i < n_tensor; i++)
		file_write(w, tensor[i]->data, tensor[i]->n_bytes, NULL);
	return file_commit(w, e);
}

int st_write(const char *path, const struct st_tensor *tensor, int n_tensor, const struct st_pair *meta, int n_meta,
	struct err *e)
{
	const struct st_tensor **order = calloc((size_t)n_tensor + 1, sizeof *order);
	json_t *root = json_object();
	char *header = NULL;
	int rc = order && root ? 0 : (int)err_set(e, ERR_MEMORY, "%s: out of memory for the header of %d tensors", path, n_tensor);
	int n_placed = 0;
	for (size_t size = 8; size && !rc; size /= 2)
		for (int i = 0; i < n_tensor; i++)
			if (st_dtype_size(tensor[i].dtype) == size)
				order[n_placed++] = &tensor[i];
	if (!rc)
		rc = build_header(root, order, n_tensor, meta, n_meta, path, e);
	if (!rc && !(header = json_dumps(root, JSON_COMPACT)))
		rc = err_set(e, ERR_MEMORY, "%s: out of memory for the header of %d tensors", path, n_tensor);
	if (!rc)
		rc = write_all(path, header, order, n_tensor, e);
	free(header);
	json_decref(root);
	free(order);
	return rc;
}

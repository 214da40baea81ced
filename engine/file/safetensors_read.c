#include "engine/safetensors.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file/tensor_type.h"

/* The largest real headers (tens of thousands of tensors) stay below 10 MB; parsed JSON takes some 30 times its text. */
#define MAX_HEADER_BYTES ((uint64_t)16 << 20)
enum { MAX_DEPTH = 3 }; /* file, tensor, shape */

static const struct {
	const char *name;
	size_t size;
} dtype_table[ST_N_DTYPE] = {
	[ST_F64] = {"F64", 8}, [ST_F32] = {"F32", 4}, [ST_F16] = {"F16", 2}, [ST_BF16] = {"BF16", 2}, [ST_I64] = {"I64", 8},
	[ST_I32] = {"I32", 4}, [ST_I16] = {"I16", 2}, [ST_I8] = {"I8", 1},   [ST_U64] = {"U64", 8},   [ST_U32] = {"U32", 4},
	[ST_U16] = {"U16", 2}, [ST_U8] = {"U8", 1},   [ST_BOOL] = {"BOOL", 1},
};

size_t st_dtype_size(enum st_dtype t)
{
	return dtype_table[t].size;
}

const char *st_dtype_name(enum st_dtype t)
{
	return dtype_table[t].name;
}

/* Nesting is counted before the JSON library, which recurses, sees the text. */
static bool too_deep(const char *text, size_t n)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > MAX_DEPTH)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

static int load_header(json_t **out, const uint8_t *data, size_t size, size_t *n_header, const char *name, struct err *e)
{
	uint64_t n;
	if (size < sizeof n)
		return err_set(e, ERR_FORMAT, "%s: not a safetensors file: %zu bytes, the header's length takes 8", name, size);
	if (!memcmp(data, "GGUF", 4))
		return err_set(e, ERR_FORMAT, "%s: not a safetensors file but a GGUF model", name);
	memcpy(&n, data, sizeof n);
	if (n > MAX_HEADER_BYTES)
		return err_set(e, ERR_FORMAT, "%s: not a safetensors file: a header of %llu bytes, the limit is %llu", name,
			(unsigned long long)n, (unsigned long long)MAX_HEADER_BYTES);
	if (n > size - sizeof n)
		return err_set(e, ERR_FORMAT, "%s: truncated: a header of %llu bytes, the file has %zu", name, (unsigned long long)n, size);
	const char *text = (const char *)data + sizeof n;
	if (n == 0 || *text != '{')
		return err_set(e, ERR_FORMAT, "%s: not a safetensors file: the header is no JSON object", name);
	if (too_deep(text, (size_t)n))
		return err_set(e, ERR_FORMAT, "%s: the header nests deeper than %d levels", name, MAX_DEPTH);
	json_error_t je;
	*out = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &je);
	if (!*out)
		return err_set(e, ERR_FORMAT, "%s: header, byte %d: %s", name, je.position, je.text);
	*n_header = sizeof n + (size_t)n;
	return 0;
}

static int read_metadata(struct st_file *f, json_t *meta, const char *name, struct err *e)
{
	if (!json_is_object(meta))
		return err_set(e, ERR_FORMAT, "%s: __metadata__ is no JSON object", name);
	f->meta = calloc(json_object_size(meta) + 1, sizeof *f->meta);
	if (!f->meta)
		return err_set(e, ERR_MEMORY, "%s: out of memory for %zu metadata entries", name, json_object_size(meta));
	const char *key;
	json_t *value;
	json_object_foreach(meta, key, value) {
		if (!json_is_string(value))
			return err_set(e, ERR_FORMAT, "%s: __metadata__: %s is no string", name, key);
		f->meta[f->n_meta++] = (struct st_pair){key, json_string_value(value)};
	}
	return 0;
}

static int read_shape(struct st_tensor *t, const json_t *shape, const char *name, struct err *e)
{
	size_t n_dim = json_array_size(shape);
	if (!json_is_array(shape) || n_dim > ST_MAX_DIM)
		return err_set(e, ERR_FORMAT, "%s: tensor %s: shape is no list of at most %d sizes", name, t->name, ST_MAX_DIM);
	t->n_dim = (int)n_dim;
	t->n_bytes = dtype_table[t->dtype].size;
	for (size_t i = 0; i < n_dim; i++) {
		const json_t *size = json_array_get(shape, i);
		t->dim[i] = json_integer_value(size);
		if (!json_is_integer(size) || t->dim[i] < 0)
			return err_set(e, ERR_FORMAT, "%s: tensor %s: size %zu of its shape is no count", name, t->name, i);
		if (__builtin_mul_overflow(t->n_bytes, (size_t)t->dim[i], &t->n_bytes))
			return err_set(e, ERR_FORMAT, "%s: tensor %s: its shape has more bytes than can be counted", name, t->name);
	}
	return 0;
}

/* data_offsets, checked against the shape and the bytes there are after the header. */
static int read_place(struct st_tensor *t, const json_t *offsets, const uint8_t *data, size_t n_data, const char *name, struct err *e)
{
	const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
	json_int_t begin = json_integer_value(first), end = json_integer_value(last);
	if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) || begin < 0 || end < begin)
		return err_set(e, ERR_FORMAT, "%s: tensor %s: data_offsets are not [begin, end]", name, t->name);
	if ((uint64_t)end > n_data)
		return err_set(e, ERR_FORMAT, "%s: truncated: tensor %s ends at byte %lld of the data, the file has %zu", name, t->name,
			(long long)end, n_data);
	if ((uint64_t)(end - begin) != t->n_bytes)
		return err_set(e, ERR_FORMAT, "%s: tensor %s: its shape takes %zu bytes of %s, its data_offsets span %lld", name, t->name,
			t->n_bytes, dtype_table[t->dtype].name, (long long)(end - begin));
	t->data = data + begin;
	return 0;
}

static int read_tensor(struct st_tensor *t, const char *key, json_t *entry, const uint8_t *data, size_t n_data, const char *name,
	struct err *e)
{
	t->name = key;
	const char *dtype = json_string_value(json_object_get(entry, "dtype"));
	if (!dtype)
		return err_set(e, ERR_FORMAT, "%s: tensor %s: no dtype", name, key);
	int kind = 0;
	while (kind < ST_N_DTYPE && strcmp(dtype, dtype_table[kind].name))
		kind++;
	if (kind == ST_N_DTYPE)
		return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s: dtype %s is not known", name, key, dtype);
	t->dtype = (enum st_dtype)kind;
	int rc = read_shape(t, json_object_get(entry, "shape"), name, e);
	return rc ? rc : read_place(t, json_object_get(entry, "data_offsets"), data, n_data, name, e);
}

static int compare_places(const void *a, const void *b)
{
	const struct st_tensor *x = a, *y = b;
	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	if (x->n_bytes != y->n_bytes)
		return x->n_bytes < y->n_bytes ? -1 : 1;
	return strcmp(x->name, y->name); /* empty tensors at one place: any fixed order */
}

/* Tensors cover the data without overlap or hole, as the reference demands: nothing can hide between them. */
static int check_cover(struct st_file *f, const uint8_t *data, size_t n_data, const char *name, struct err *e)
{
	qsort(f->tensor, (size_t)f->n_tensor, sizeof *f->tensor, compare_places);
	size_t at = 0;
	for (int i = 0; i < f->n_tensor; i++) {
		const struct st_tensor *t = &f->tensor[i];
		size_t begin = (size_t)(t->data - data);
		if (begin < at)
			return err_set(e, ERR_FORMAT, "%s: tensor %s begins at byte %zu of the data, inside tensor %s that ends at byte %zu", name,
				t->name, begin, f->tensor[i - 1].name, at);
		if (begin > at)
			return err_set(e, ERR_FORMAT, "%s: bytes %zu to %zu of the data belong to no tensor", name, at, begin);
		at = begin + t->n_bytes;
	}
	if (at < n_data)
		return err_set(e, ERR_FORMAT, "%s: bytes %zu to %zu of the data belong to no tensor", name, at, n_data);
	return 0;
}

static int read_entries(struct st_file *f, json_t *root, const uint8_t *data, size_t n_data, const char *name, struct err *e)
{
	f->tensor = calloc(json_object_size(root) + 1, sizeof *f->tensor);
	if (!f->tensor)
		return err_set(e, ERR_MEMORY, "%s: out of memory for %zu tensor records", name, json_object_size(root));
	const char *key;
	json_t *entry;
	json_object_foreach(root, key, entry) {
		int rc = !strcmp(key, "__metadata__") ? read_metadata(f, entry, name, e)
			: read_tensor(&f->tensor[f->n_tensor++], key, entry, data, n_data, name, e);
		if (rc)
			return rc;
	}
	return check_cover(f, data, n_data, name, e);
}

int st_parse(struct st_file *out, const uint8_t *data, size_t size, const char *name, struct err *e)
{
	*out = (struct st_file){0};
	json_t *root = NULL;
	size_t n_header = 0;
	int rc = load_header(&root, data, size, &n_header, name, e);
	if (rc)
		return rc;
	out->strings = root;
	rc = read_entries(out, root, data + n_header, size - n_header, name, e);
	if (rc)
		st_free(out);
	return rc;
}

void st_free(struct st_file *f)
{
	free(f->tensor);
	free(f->meta);
	json_decref(f->strings);
	*f = (struct st_file){0};
}

const struct st_tensor *st_find(const struct st_file *f, const char *name)
{
	for (int i = 0; i < f->n_tensor; i++)
		if (!strcmp(f->tensor[i].name, name))
			return &f->tensor[i];
	return NULL;
}

const char *st_meta(const struct st_file *f, const char *key)
{
	for (int i = 0; i < f->n_meta; i++)
		if (!strcmp(f->meta[i].key, key))
			return f->meta[i].value;
	return NULL;
}

void st_shape_text(const struct st_tensor *t, char *out, size_t size)
{
	size_t used = (size_t)snprintf(out, size, "(");
	for (int i = 0; i < t->n_dim && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
	if (used < size)
		snprintf(out + used, size - used, ")");
}

int st_read_f32(const struct st_tensor *t, size_t first, size_t n, float *out, struct err *e)
{
	size_t size = dtype_table[t->dtype].size, n_element = t->n_bytes / size;
	if (first > n_element || n > n_element - first)
		return err_set(e, ERR_USE, "tensor %s: elements %zu to %zu asked for, it has %zu", t->name, first, first + n, n_element);
	const uint8_t *from = t->data + first * size;
	switch (t->dtype) {
	case ST_F32: tensor_unpack(TYPE_F32, from, n, out); return 0;
	case ST_F16: tensor_unpack(TYPE_F16, from, n, out); return 0;
	case ST_BF16: tensor_unpack(TYPE_BF16, from, n, out); return 0;
	case ST_F64:
		for (size_t i = 0; i < n; i++) {
			double value;
			memcpy(&value, from + i * sizeof value, sizeof value);
			out[i] = (float)value;
		}
		return 0;
	default:
		return err_set(e, ERR_FORMAT, "tensor %s: dtype %s, a floating-point type is needed", t->name, dtype_table[t->dtype].name);
	}
}

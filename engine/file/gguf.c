#include "engine/file/gguf.h"

#include <stdlib.h>
#include <string.h>

/* Far above any model (dozens of keys, 15,000 tensors in the largest mixtures), low enough that a hostile file cannot make
 * the reader's own tables outgrow it. */
enum { MAX_VALUES = 1 << 16, MAX_TENSORS = 1 << 16 };

/* Published type codes; the ones without an engine type are known by name and size only. */
static const struct {
	uint32_t code;
	const char *name;
	int block_elements, block_bytes;
	int type; /* enum tensor_type or -1 */
} code_table[] = {
	{0, "F32", 1, 4, TYPE_F32},       {1, "F16", 1, 2, TYPE_F16},       {2, "Q4_0", 32, 18, TYPE_Q4_0},
	{3, "Q4_1", 32, 20, TYPE_Q4_1},   {6, "Q5_0", 32, 22, TYPE_Q5_0},   {7, "Q5_1", 32, 24, TYPE_Q5_1},
	{8, "Q8_0", 32, 34, TYPE_Q8_0},   {9, "Q8_1", 32, 40, -1},          {10, "Q2_K", 256, 84, -1},
	{11, "Q3_K", 256, 110, -1},       {12, "Q4_K", 256, 144, TYPE_Q4_K}, {13, "Q5_K", 256, 176, TYPE_Q5_K},
	{14, "Q6_K", 256, 210, TYPE_Q6_K}, {15, "Q8_K", 256, 292, -1},      {16, "IQ2_XXS", 256, 66, -1},
	{17, "IQ2_XS", 256, 74, -1},      {18, "IQ3_XXS", 256, 98, -1},     {19, "IQ1_S", 256, 50, -1},
	{20, "IQ4_NL", 32, 18, -1},       {21, "IQ3_S", 256, 110, -1},      {22, "IQ2_S", 256, 82, -1},
	{23, "IQ4_XS", 256, 136, -1},     {24, "I8", 1, 1, -1},             {25, "I16", 1, 2, -1},
	{26, "I32", 1, 4, -1},            {27, "I64", 1, 8, -1},            {28, "F64", 1, 8, -1},
	{29, "IQ1_M", 256, 56, -1},       {30, "BF16", 1, 2, TYPE_BF16},    {34, "TQ1_0", 256, 54, -1},
	{35, "TQ2_0", 256, 66, -1},       {39, "MXFP4", 32, 17, -1},
};
enum { N_CODE = sizeof code_table / sizeof *code_table };

static int code_index(uint32_t code)
{
	for (int i = 0; i < N_CODE; i++)
		if (code_table[i].code == code)
			return i;
	return -1;
}

const char *gguf_type_name(uint32_t type_code)
{
	int i = code_index(type_code);
	return i < 0 ? NULL : code_table[i].name;
}

/* ---- cursor ------------------------------------------------------------------------------------------------ */

struct cursor {
	const uint8_t *data;
	size_t size, at;
	const char *name; /* of the file */
	struct err *e;
};

static size_t left(const struct cursor *c)
{
	return c->size - c->at;
}

/* Steps over n bytes; NULL with the error set when the file ends before. */
static const uint8_t *take(struct cursor *c, uint64_t n, const char *what)
{
	if (n > left(c)) {
		err_set(c->e, ERR_FORMAT, "%s: truncated: %s at byte %zu takes %llu bytes, the file has %zu", c->name, what, c->at,
			(unsigned long long)n, c->size);
		return NULL;
	}
	const uint8_t *p = c->data + c->at;
	c->at += (size_t)n;
	return p;
}

static int take_u32(struct cursor *c, const char *what, uint32_t *out)
{
	const uint8_t *p = take(c, sizeof *out, what);
	if (!p)
		return ERR_FORMAT;
	memcpy(out, p, sizeof *out);
	return 0;
}

static int take_u64(struct cursor *c, const char *what, uint64_t *out)
{
	const uint8_t *p = take(c, sizeof *out, what);
	if (!p)
		return ERR_FORMAT;
	memcpy(out, p, sizeof *out);
	return 0;
}

static int take_string(struct cursor *c, const char *what, struct gguf_string *out)
{
	uint64_t n;
	const uint8_t *text;
	if (take_u64(c, what, &n) || !(text = take(c, n, what)))
		return ERR_FORMAT;
	*out = (struct gguf_string){(const char *)text, (size_t)n};
	return 0;
}

/* ---- keys and values --------------------------------------------------------------------------------------- */

static const uint8_t kind_bytes[] = {
	[GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
	[GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_STRING] = 0, [GGUF_ARRAY] = 0, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

static int shown_length(struct gguf_string s)
{
	return s.n < 80 ? (int)s.n : 80;
}

static int take_kind(struct cursor *c, struct gguf_string key, enum gguf_kind *out)
{
	uint32_t kind;
	if (take_u32(c, "a value's kind", &kind))
		return ERR_FORMAT;
	if (kind > GGUF_F64)
		return err_set(c->e, ERR_FORMAT, "%s: key %.*s: value of kind %u, kinds go to %d", c->name, shown_length(key), key.text,
			kind, GGUF_F64);
	*out = (enum gguf_kind)kind;
	return 0;
}

static int take_array(struct cursor *c, struct gguf_value *v)
{
	if (take_kind(c, v->key, &v->element) || take_u64(c, "an array's length", &v->n))
		return ERR_FORMAT;
	if (v->element == GGUF_ARRAY)
		return err_set(c->e, ERR_UNSUPPORTED, "%s: key %.*s: an array of arrays", c->name, shown_length(v->key), v->key.text);
	uint64_t least = v->element == GGUF_STRING ? 8 : kind_bytes[v->element]; /* bytes an element takes at least */
	if (v->n > left(c) / least)
		return err_set(c->e, ERR_FORMAT, "%s: key %.*s: array of %llu elements, the file has %zu bytes left", c->name,
			shown_length(v->key), v->key.text, (unsigned long long)v->n, left(c));
	if (v->element != GGUF_STRING) {
		v->data = take(c, v->n * least, "an array");
		return v->data ? 0 : ERR_FORMAT;
	}
	struct gguf_string *strings = calloc(v->n ? (size_t)v->n : 1, sizeof *strings);
	if (!strings)
		return err_set(c->e, ERR_MEMORY, "%s: out of memory for %llu strings", c->name, (unsigned long long)v->n);
	v->strings = strings;
	for (uint64_t i = 0; i < v->n; i++)
		if (take_string(c, "a string of an array", &strings[i]))
			return ERR_FORMAT;
	return 0;
}

static int take_value(struct cursor *c, struct gguf_value *v)
{
	if (take_string(c, "a key", &v->key))
		return ERR_FORMAT;
	if (v->key.n == 0 || memchr(v->key.text, '\0', v->key.n))
		return err_set(c->e, ERR_FORMAT, "%s: an empty key, or one with a NUL, before byte %zu", c->name, c->at);
	if (take_kind(c, v->key, &v->kind))
		return ERR_FORMAT;
	if (v->kind == GGUF_ARRAY)
		return take_array(c, v);
	if (v->kind == GGUF_STRING)
		return take_string(c, "a string value", &v->string);
	v->data = take(c, kind_bytes[v->kind], "a value");
	return v->data ? 0 : ERR_FORMAT;
}

static int compare_strings(struct gguf_string a, struct gguf_string b)
{
	int order = memcmp(a.text, b.text, a.n < b.n ? a.n : b.n);
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_keys(const void *a, const void *b)
{
	return compare_strings((*(const struct gguf_value *const *)a)->key, (*(const struct gguf_value *const *)b)->key);
}

static int take_values(struct cursor *c, struct gguf_file *g, uint64_t n_value)
{
	g->value = calloc(n_value ? (size_t)n_value : 1, sizeof *g->value);
	g->by_key = calloc(n_value ? (size_t)n_value : 1, sizeof *g->by_key);
	if (!g->value || !g->by_key)
		return err_set(c->e, ERR_MEMORY, "%s: out of memory for %llu keys", c->name, (unsigned long long)n_value);
	for (uint64_t i = 0; i < n_value; i++) {
		g->by_key[i] = &g->value[i];
		g->n_value = (int)i + 1; /* counted before it is whole, so that gguf_free finds its strings */
		int rc = take_value(c, &g->value[i]);
		if (rc)
			return rc;
	}
	qsort(g->by_key, (size_t)n_value, sizeof *g->by_key, compare_keys);
	for (int i = 1; i < g->n_value; i++)
		if (compare_strings(g->by_key[i - 1]->key, g->by_key[i]->key) == 0)
			return err_set(c->e, ERR_FORMAT, "%s: key %.*s appears twice", c->name, shown_length(g->by_key[i]->key),
				g->by_key[i]->key.text);
	return 0;
}

/* ---- tensors ----------------------------------------------------------------------------------------------- */

static int copy_name(struct cursor *c, struct gguf_tensor *t)
{
	struct gguf_string name;
	if (take_string(c, "a tensor's name", &name))
		return ERR_FORMAT;
	if (name.n == 0 || memchr(name.text, '\0', name.n))
		return err_set(c->e, ERR_FORMAT, "%s: an empty tensor name, or one with a NUL, before byte %zu", c->name, c->at);
	t->name = strndup(name.text, name.n);
	return t->name ? 0 : (int)err_set(c->e, ERR_MEMORY, "%s: out of memory for a tensor's name", c->name);
}

/* Dimensions, type and what follows from both: n_bytes. */
static int take_shape(struct cursor *c, struct gguf_tensor *t)
{
	uint32_t n_dim;
	if (take_u32(c, "a tensor's number of dimensions", &n_dim))
		return ERR_FORMAT;
	if (n_dim < 1 || n_dim > 4)
		return err_set(c->e, ERR_FORMAT, "%s: tensor %s has %u dimensions, 1 to 4 are possible", c->name, t->name, n_dim);
	t->n_dim = (int)n_dim;
	uint64_t n_element = 1;
	for (int i = 0; i < 4; i++) {
		t->dim[i] = 1;
		if (i < t->n_dim && take_u64(c, "a tensor's dimension", &t->dim[i]))
			return ERR_FORMAT;
		if (t->dim[i] == 0 || __builtin_mul_overflow(n_element, t->dim[i], &n_element) || n_element > INT64_MAX)
			return err_set(c->e, ERR_FORMAT, "%s: tensor %s: dimension %d is %llu: no or too many elements", c->name, t->name, i,
				(unsigned long long)t->dim[i]);
	}
	if (take_u32(c, "a tensor's type", &t->type_code))
		return ERR_FORMAT;
	int i = code_index(t->type_code);
	if (i < 0)
		return 0; /* an unknown type: refused by whoever needs this tensor */
	uint64_t per_block = (uint64_t)code_table[i].block_elements, n_bytes;
	if (t->dim[0] % per_block)
		return err_set(c->e, ERR_FORMAT, "%s: tensor %s: rows of %llu elements are no whole blocks of %s (%llu)", c->name, t->name,
			(unsigned long long)t->dim[0], code_table[i].name, (unsigned long long)per_block);
	if (__builtin_mul_overflow(n_element / per_block, (uint64_t)code_table[i].block_bytes, &n_bytes) || n_bytes > SIZE_MAX)
		return err_set(c->e, ERR_FORMAT, "%s: tensor %s: %llu elements are more bytes than can be counted", c->name, t->name,
			(unsigned long long)n_element);
	t->n_bytes = (size_t)n_bytes;
	t->supported = code_table[i].type >= 0;
	if (t->supported)
		t->type = (enum tensor_type)code_table[i].type;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct gguf_tensor *const *)a)->name, (*(const struct gguf_tensor *const *)b)->name);
}

static int compare_places(const void *a, const void *b)
{
	const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a, *y = *(const struct gguf_tensor *const *)b;
	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* Uses by_name as room to sort by place, then leaves it sorted by name. */
static int check_tensors(struct gguf_file *g, struct cursor *c)
{
	qsort(g->by_name, (size_t)g->n_tensor, sizeof *g->by_name, compare_places);
	for (int i = 1; i < g->n_tensor; i++) {
		const struct gguf_tensor *before = g->by_name[i - 1], *t = g->by_name[i];
		if (before->data + before->n_bytes > t->data)
			return err_set(c->e, ERR_FORMAT, "%s: tensor %s begins at byte %zu, inside tensor %s that ends at byte %zu", c->name,
				t->name, (size_t)(t->data - c->data), before->name, (size_t)(before->data - c->data) + before->n_bytes);
	}
	qsort(g->by_name, (size_t)g->n_tensor, sizeof *g->by_name, compare_names);
	for (int i = 1; i < g->n_tensor; i++)
		if (!strcmp(g->by_name[i - 1]->name, g->by_name[i]->name))
			return err_set(c->e, ERR_FORMAT, "%s: tensor %s appears twice", c->name, g->by_name[i]->name);
	return 0;
}

static int read_alignment(const struct gguf_file *g, struct cursor *c, size_t *out)
{
	int64_t value = 32;
	const struct gguf_value *v = gguf_find(g, "general.alignment");
	if (v && !gguf_get_int(g, "general.alignment", &value))
		return err_set(c->e, ERR_FORMAT, "%s: general.alignment is no integer", c->name);
	if (value < 1 || value > 1 << 20 || (value & (value - 1)))
		return err_set(c->e, ERR_FORMAT, "%s: general.alignment is %lld, it must be a power of two up to 1048576", c->name,
			(long long)value);
	*out = (size_t)value;
	return 0;
}

/* Offsets count from the first aligned byte after the records, so they wait in `offset` until all records are read. */
static int place_tensors(struct cursor *c, struct gguf_file *g, const uint64_t *offset)
{
	size_t alignment = 32;
	int rc = read_alignment(g, c, &alignment);
	if (rc)
		return rc;
	size_t base = c->at + (alignment - c->at % alignment) % alignment;
	if (g->n_tensor && base > c->size)
		return err_set(c->e, ERR_FORMAT, "%s: truncated: data begins at byte %zu, the file has %zu", c->name, base, c->size);
	for (int i = 0; i < g->n_tensor; i++) {
		struct gguf_tensor *t = &g->tensor[i];
		if (offset[i] % alignment)
			return err_set(c->e, ERR_FORMAT, "%s: tensor %s: offset %llu is no multiple of the alignment %zu", c->name, t->name,
				(unsigned long long)offset[i], alignment);
		if (offset[i] > c->size - base || t->n_bytes > c->size - base - offset[i])
			return err_set(c->e, ERR_FORMAT, "%s: truncated: tensor %s begins at byte %llu and has %zu bytes, the file has %zu", c->name,
				t->name, (unsigned long long)base + offset[i], t->n_bytes, c->size);
		t->data = c->data + base + offset[i];
	}
	return check_tensors(g, c);
}

static int take_tensors(struct cursor *c, struct gguf_file *g, uint64_t n_tensor)
{
	uint64_t *offset = calloc(n_tensor ? (size_t)n_tensor : 1, sizeof *offset);
	g->tensor = calloc(n_tensor ? (size_t)n_tensor : 1, sizeof *g->tensor);
	g->by_name = calloc(n_tensor ? (size_t)n_tensor : 1, sizeof *g->by_name);
	int rc = 0;
	if (!offset || !g->tensor || !g->by_name)
		rc = err_set(c->e, ERR_MEMORY, "%s: out of memory for %llu tensor records", c->name, (unsigned long long)n_tensor);
	for (uint64_t i = 0; i < n_tensor && !rc; i++) {
		struct gguf_tensor *t = &g->tensor[i];
		g->by_name[i] = t;
		g->n_tensor = (int)i + 1;
		rc = copy_name(c, t);
		if (!rc)
			rc = take_shape(c, t);
		if (!rc)
			rc = take_u64(c, "a tensor's offset", &offset[i]);
	}
	if (!rc)
		rc = place_tensors(c, g, offset);
	free(offset);
	return rc;
}

/* ---- file -------------------------------------------------------------------------------------------------- */

static int take_header(struct cursor *c, uint32_t *version, uint64_t *n_tensor, uint64_t *n_value)
{
	if (c->size < 4 || memcmp(c->data, "GGUF", 4))
		return err_set(c->e, ERR_FORMAT, "%s: not a GGUF file (it does not begin with GGUF)%s", c->name,
			c->size > 8 && c->data[8] == '{' ? " but a safetensors file: a capture or modules, perhaps" : "");
	c->at = 4;
	if (take_u32(c, "the version", version))
		return ERR_FORMAT;
	if (*version && *version << 16 == 0)
		return err_set(c->e, ERR_UNSUPPORTED, "%s: a big-endian GGUF file; only little-endian ones are read", c->name);
	if (*version != 2 && *version != 3)
		return err_set(c->e, ERR_UNSUPPORTED, "%s: GGUF version %u; versions 2 and 3 are read", c->name, *version);
	if (take_u64(c, "the number of tensors", n_tensor) || take_u64(c, "the number of keys", n_value))
		return ERR_FORMAT;
	/* The smallest record: a name of one byte, one dimension, type, offset; the smallest key: one byte, kind, one byte. */
	if (*n_tensor > MAX_TENSORS || *n_tensor > left(c) / (8 + 1 + 4 + 8 + 4 + 8))
		return err_set(c->e, ERR_FORMAT, "%s: %llu tensors announced; at most %d are read and the file has %zu bytes", c->name,
			(unsigned long long)*n_tensor, MAX_TENSORS, c->size);
	if (*n_value > MAX_VALUES || *n_value > left(c) / (8 + 1 + 4 + 1))
		return err_set(c->e, ERR_FORMAT, "%s: %llu keys announced; at most %d are read and the file has %zu bytes", c->name,
			(unsigned long long)*n_value, MAX_VALUES, c->size);
	return 0;
}

int gguf_parse(struct gguf_file *out, const uint8_t *data, size_t size, const char *name, struct err *e)
{
	*out = (struct gguf_file){0};
	struct cursor c = {.data = data, .size = size, .name = name, .e = e};
	uint64_t n_tensor, n_value;
	int rc = take_header(&c, &out->version, &n_tensor, &n_value);
	if (!rc)
		rc = take_values(&c, out, n_value);
	if (!rc)
		rc = take_tensors(&c, out, n_tensor);
	if (rc)
		gguf_free(out);
	return rc;
}

void gguf_free(struct gguf_file *g)
{
	for (int i = 0; i < g->n_value; i++)
		free((void *)g->value[i].strings);
	for (int i = 0; i < g->n_tensor; i++)
		free(g->tensor[i].name);
	free(g->value);
	free(g->tensor);
	free(g->by_key);
	free(g->by_name);
	*g = (struct gguf_file){0};
}

/* ---- look-up ----------------------------------------------------------------------------------------------- */

const struct gguf_value *gguf_find(const struct gguf_file *g, const char *key)
{
	struct gguf_value wanted = {.key = {key, strlen(key)}};
	const struct gguf_value *at = &wanted;
	const struct gguf_value **found =
		g->n_value ? bsearch(&at, g->by_key, (size_t)g->n_value, sizeof *g->by_key, compare_keys) : NULL;
	return found ? *found : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf_file *g, const char *name)
{
	struct gguf_tensor wanted = {.name = (char *)name};
	const struct gguf_tensor *at = &wanted;
	const struct gguf_tensor **found =
		g->n_tensor ? bsearch(&at, g->by_name, (size_t)g->n_tensor, sizeof *g->by_name, compare_names) : NULL;
	return found ? *found : NULL;
}

static bool value_int(const struct gguf_value *v, int64_t *out)
{
	uint64_t bits = 0;
	int n_bytes = kind_bytes[v->kind];
	memcpy(&bits, v->data, (size_t)n_bytes);
	switch (v->kind) {
	case GGUF_I8: *out = (int8_t)bits; return true;
	case GGUF_I16: *out = (int16_t)bits; return true;
	case GGUF_I32: *out = (int32_t)bits; return true;
	case GGUF_U64:
	case GGUF_U8:
	case GGUF_U16:
	case GGUF_U32:
	case GGUF_I64: *out = (int64_t)bits; return v->kind != GGUF_U64 || bits <= INT64_MAX;
	default: return false;
	}
}

bool gguf_get_int(const struct gguf_file *g, const char *key, int64_t *out)
{
	const struct gguf_value *v = gguf_find(g, key);
	int64_t value;
	if (!v || !v->data || v->kind == GGUF_ARRAY || !value_int(v, &value))
		return false;
	*out = value;
	return true;
}

bool gguf_get_float(const struct gguf_file *g, const char *key, double *out)
{
	const struct gguf_value *v = gguf_find(g, key);
	if (v && v->kind == GGUF_F32) {
		float value;
		memcpy(&value, v->data, sizeof value);
		*out = (double)value;
		return true;
	}
	if (v && v->kind == GGUF_F64) {
		memcpy(out, v->data, sizeof *out);
		return true;
	}
	int64_t whole;
	if (!gguf_get_int(g, key, &whole))
		return false;
	*out = (double)whole;
	return true;
}

bool gguf_get_bool(const struct gguf_file *g, const char *key, bool *out)
{
	const struct gguf_value *v = gguf_find(g, key);
	if (!v || v->kind != GGUF_BOOL)
		return false;
	*out = *v->data != 0;
	return true;
}

char *gguf_get_string(const struct gguf_file *g, const char *key)
{
	const struct gguf_value *v = gguf_find(g, key);
	return v && v->kind == GGUF_STRING ? strndup(v->string.text, v->string.n) : NULL;
}

#include "engine/contents.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/file.h"
#include "engine/file/gguf.h"
#include "engine/safetensors.h"

enum { SHORT_LIST = 8 }; /* elements of a list that are worth writing out */

/* Keeps what is being filled, and whether memory ran out on the way: asked once, at the end. */
struct builder {
	struct contents *c;
	int room_tensor, room_value, room_file;
	bool starved;
};

/* One more element at the end of an array; NULL when memory is out. */
static void *grow(struct builder *b, void *array, int n, int *room, size_t size)
{
	if (n < *room)
		return array;
	int wanted = *room ? 2 * *room : 64;
	void *larger = reallocarray(array, (size_t)wanted, size);
	if (!larger) {
		b->starved = true;
		return NULL;
	}
	memset((char *)larger + (size_t)n * size, 0, (size_t)(wanted - n) * size);
	*room = wanted;
	return larger;
}

static char *copy_text(struct builder *b, const char *text, size_t n)
{
	char *copy = malloc(n + 1);
	if (!copy) {
		b->starved = true;
		return NULL;
	}
	memcpy(copy, text, n);
	copy[n] = '\0';
	return copy;
}

static char *format_text(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static char *format_text(struct builder *b, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		b->starved = true;
		text = NULL;
	}
	va_end(args);
	return text;
}

static struct contents_tensor *add_tensor(struct builder *b, const char *name)
{
	struct contents *c = b->c;
	void *array = grow(b, c->tensor, c->n_tensor, &b->room_tensor, sizeof *c->tensor);
	if (!array)
		return NULL;
	c->tensor = array;
	struct contents_tensor *t = &c->tensor[c->n_tensor++];
	t->name = copy_text(b, name, strlen(name));
	t->file = c->n_file - 1;
	t->n_element = 1;
	return t;
}

static struct contents_value *add_value(struct builder *b, const char *key, size_t n)
{
	struct contents *c = b->c;
	void *array = grow(b, c->value, c->n_value, &b->room_value, sizeof *c->value);
	if (!array)
		return NULL;
	c->value = array;
	struct contents_value *v = &c->value[c->n_value++];
	v->key = copy_text(b, key, n);
	return v;
}

static void add_file(struct builder *b, const char *name, uint64_t n_bytes)
{
	struct contents *c = b->c;
	void *array = grow(b, c->file, c->n_file, &b->room_file, sizeof *c->file);
	if (!array)
		return;
	c->file = array;
	c->file[c->n_file++] = (struct contents_file){.name = copy_text(b, name, strlen(name)), .n_bytes = n_bytes};
	c->n_bytes += n_bytes;
}

static void set_text(struct builder *b, struct contents_value *v, const char *text, size_t n)
{
	v->kind = CONTENTS_TEXT;
	v->text = copy_text(b, text, n);
	v->n_bytes = n;
}

static void set_number(struct builder *b, struct contents_value *v, enum contents_value_kind kind, int64_t whole, double real)
{
	v->kind = kind;
	v->whole = whole;
	v->real = real;
	if (kind == CONTENTS_BOOL)
		v->text = format_text(b, "%s", whole ? "true" : "false");
	else if (kind == CONTENTS_WHOLE)
		v->text = format_text(b, "%" PRId64, whole);
	else
		v->text = format_text(b, "%.9g", real);
	v->n_bytes = v->text ? strlen(v->text) : 0;
}

/* ---- GGUF ---- */

static const struct {
	const char *plural;
	int n_bytes;
} kind_info[] = {
	[GGUF_U8] = {"u8", 1},   [GGUF_I8] = {"i8", 1},   [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
	[GGUF_U32] = {"u32", 4}, [GGUF_I32] = {"i32", 4}, [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
	[GGUF_STRING] = {"strings", 0}, [GGUF_ARRAY] = {"lists", 0},
	[GGUF_U64] = {"u64", 8}, [GGUF_I64] = {"i64", 8}, [GGUF_F64] = {"f64", 8},
};

struct number {
	enum contents_value_kind kind;
	int64_t whole;
	double real;
};

/* One scalar of a GGUF file, which is little-endian like every machine this runs on. */
static struct number read_scalar(enum gguf_kind kind, const uint8_t *data)
{
	union {
		uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32; uint64_t u64; int64_t i64; float f32; double f64;
	} x = {0};
	memcpy(&x, data, (size_t)kind_info[kind].n_bytes);
	switch (kind) {
	case GGUF_U8:   return (struct number){CONTENTS_WHOLE, x.u8, 0};
	case GGUF_I8:   return (struct number){CONTENTS_WHOLE, x.i8, 0};
	case GGUF_U16:  return (struct number){CONTENTS_WHOLE, x.u16, 0};
	case GGUF_I16:  return (struct number){CONTENTS_WHOLE, x.i16, 0};
	case GGUF_U32:  return (struct number){CONTENTS_WHOLE, x.u32, 0};
	case GGUF_I32:  return (struct number){CONTENTS_WHOLE, x.i32, 0};
	case GGUF_I64:  return (struct number){CONTENTS_WHOLE, x.i64, 0};
	case GGUF_BOOL: return (struct number){CONTENTS_BOOL, x.u8 != 0, 0};
	case GGUF_F32:  return (struct number){CONTENTS_REAL, 0, (double)x.f32};
	case GGUF_F64:  return (struct number){CONTENTS_REAL, 0, x.f64};
	case GGUF_U64:
		if (x.u64 <= INT64_MAX)
			return (struct number){CONTENTS_WHOLE, (int64_t)x.u64, 0};
		return (struct number){CONTENTS_REAL, 0, (double)x.u64};
	default:        return (struct number){CONTENTS_REAL, 0, 0};
	}
}

static void set_list(struct builder *b, struct contents_value *v, const struct gguf_value *g)
{
	bool scalars = g->element != GGUF_STRING && g->element != GGUF_ARRAY;
	if (!scalars || g->n > SHORT_LIST) {
		v->text = format_text(b, "%" PRIu64 " %s", g->n, kind_info[g->element].plural);
	} else {
		char text[SHORT_LIST * 32] = "";
		size_t used = 0;
		for (uint64_t i = 0; i < g->n; i++) {
			struct number x = read_scalar(g->element, g->data + i * (uint64_t)kind_info[g->element].n_bytes);
			const char *comma = i ? ", " : "";
			if (x.kind == CONTENTS_REAL)
				used += (size_t)snprintf(text + used, sizeof text - used, "%s%.9g", comma, x.real);
			else
				used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, comma, x.whole);
		}
		v->text = format_text(b, "%s", text);
	}
	v->kind = CONTENTS_LIST;
	v->n_bytes = v->text ? strlen(v->text) : 0;
}

static void add_gguf_value(struct builder *b, const struct gguf_value *g)
{
	struct contents_value *v = add_value(b, g->key.text, g->key.n);
	if (!v)
		return;
	if (g->kind == GGUF_STRING) {
		set_text(b, v, g->string.text, g->string.n);
	} else if (g->kind == GGUF_ARRAY) {
		set_list(b, v, g);
	} else {
		struct number x = read_scalar(g->kind, g->data);
		set_number(b, v, x.kind, x.whole, x.real);
	}
}

static void add_gguf_tensor(struct builder *b, const struct gguf_tensor *g)
{
	struct contents_tensor *t = add_tensor(b, g->name);
	if (!t)
		return;
	const char *type = gguf_type_name(g->type_code);
	t->type = type ? format_text(b, "%s", type) : format_text(b, "type %u", g->type_code);
	t->n_bytes = g->n_bytes;
	t->n_dim = g->n_dim;
	for (int i = 0; i < g->n_dim; i++) {
		t->dim[i] = (int64_t)g->dim[g->n_dim - 1 - i];
		t->n_element *= g->dim[i];
	}
}

static int read_gguf(struct builder *b, const struct file_map *map, struct err *e)
{
	struct gguf_file g;
	int rc = gguf_parse(&g, map->data, map->size, map->path, e);
	if (rc)
		return rc;
	b->c->kind = CONTENTS_GGUF;
	b->c->format = format_text(b, "gguf v%u", g.version);
	for (int i = 0; i < g.n_value; i++)
		add_gguf_value(b, &g.value[i]);
	for (int i = 0; i < g.n_tensor; i++)
		add_gguf_tensor(b, &g.tensor[i]);
	gguf_free(&g);
	return 0;
}

/* ---- safetensors ---- */

static void add_st_tensor(struct builder *b, const struct st_tensor *s)
{
	struct contents_tensor *t = add_tensor(b, s->name);
	if (!t)
		return;
	t->type = format_text(b, "%s", st_dtype_name(s->dtype));
	t->n_bytes = s->n_bytes;
	t->n_dim = s->n_dim;
	for (int i = 0; i < s->n_dim; i++) {
		t->dim[i] = s->dim[i];
		t->n_element *= (uint64_t)s->dim[i];
	}
}

static int read_safetensors(struct builder *b, const struct file_map *map, bool with_metadata, struct err *e)
{
	struct st_file s;
	int rc = st_parse(&s, map->data, map->size, map->path, e);
	if (rc)
		return rc;
	for (int i = 0; with_metadata && i < s.n_meta; i++) {
		struct contents_value *v = add_value(b, s.meta[i].key, strlen(s.meta[i].key));
		if (v)
			set_text(b, v, s.meta[i].value, strlen(s.meta[i].value));
	}
	for (int i = 0; i < s.n_tensor; i++)
		add_st_tensor(b, &s.tensor[i]);
	st_free(&s);
	return 0;
}

static int read_file(struct builder *b, const char *path, struct err *e)
{
	struct file_map map;
	int rc = file_map_open(&map, path, e);
	if (rc)
		return rc;
	add_file(b, path, map.size);
	if (map.size >= 4 && !memcmp(map.data, "GGUF", 4)) {
		rc = read_gguf(b, &map, e);
	} else if (map.size >= 9 && map.data[8] != '{') {
		rc = err_set(e, ERR_FORMAT, "%s: neither a GGUF file (its first bytes are not GGUF) nor a safetensors file (byte 8 is not {)",
			path);
	} else {
		b->c->kind = CONTENTS_SAFETENSORS;
		b->c->format = format_text(b, "safetensors");
		rc = read_safetensors(b, &map, true, e);
	}
	int changed = file_map_check(&map, e);
	file_map_close(&map);
	return changed ? changed : rc;
}

/* ---- Hugging Face folders ---- */

static void add_config(struct builder *b, const json_t *config)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)config, key, value) {
		if (json_is_object(value) || json_is_null(value))
			continue;
		struct contents_value *v = add_value(b, key, strlen(key));
		if (!v)
			return;
		if (json_is_string(value)) {
			set_text(b, v, json_string_value(value), json_string_length(value));
		} else if (json_is_array(value)) {
			v->kind = CONTENTS_LIST;
			v->text = format_text(b, "%zu values", json_array_size(value));
			v->n_bytes = v->text ? strlen(v->text) : 0;
		} else if (json_is_integer(value)) {
			set_number(b, v, CONTENTS_WHOLE, json_integer_value(value), 0);
		} else if (json_is_real(value)) {
			set_number(b, v, CONTENTS_REAL, 0, json_real_value(value));
		} else {
			set_number(b, v, CONTENTS_BOOL, json_is_true(value), 0);
		}
	}
}

static int read_config(struct builder *b, const char *folder, struct err *e)
{
	static const size_t limit = (size_t)16 << 20;
	char *path, *text;
	size_t n;
	if (asprintf(&path, "%s/config.json", folder) < 0)
		return err_set(e, ERR_MEMORY, "%s: no memory", folder);
	int rc = file_read_all(path, limit, &text, &n, e);
	if (rc) {
		free(path);
		return rc;
	}
	json_error_t at;
	json_t *config = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
	if (!json_is_object(config))
		rc = err_set(e, ERR_FORMAT, "%s: not a JSON object (line %d: %s)", path, at.line, config ? "another kind of value" : at.text);
	else
		add_config(b, config);
	json_decref(config);
	free(text);
	free(path);
	return rc;
}

static int is_weights(const struct dirent *d)
{
	static const char ending[] = ".safetensors";
	size_t n = strlen(d->d_name);
	return n > sizeof ending - 1 && !strcmp(d->d_name + n - (sizeof ending - 1), ending);
}

static int read_weights(struct builder *b, const char *folder, const char *name, struct err *e)
{
	struct file_map map;
	char *path;
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return err_set(e, ERR_MEMORY, "%s: no memory", folder);
	int rc = file_map_open(&map, path, e);
	free(path);
	if (rc)
		return rc;
	add_file(b, name, map.size);
	rc = read_safetensors(b, &map, false, e);
	int changed = file_map_check(&map, e);
	file_map_close(&map);
	return changed ? changed : rc;
}

static int read_folder(struct builder *b, const char *folder, struct err *e)
{
	int rc = read_config(b, folder, e);
	if (rc)
		return rc;
	struct dirent **entry;
	int n = scandir(folder, &entry, is_weights, alphasort);
	if (n < 0)
		return err_set(e, ERR_SYSTEM, "%s: %s", folder, strerror(errno));
	if (n == 0)
		rc = err_set(e, ERR_FORMAT, "%s: no .safetensors file in this folder", folder);
	for (int i = 0; i < n; i++) {
		if (!rc)
			rc = read_weights(b, folder, entry[i]->d_name, e);
		free(entry[i]);
	}
	free(entry);
	b->c->kind = CONTENTS_FOLDER;
	b->c->format = n == 1 ? format_text(b, "safetensors") : format_text(b, "safetensors x %d", n);
	return rc;
}

/* ---- open and close ---- */

int contents_open(struct contents **out, const char *path, struct err *e)
{
	struct stat st;
	struct builder b = {.c = calloc(1, sizeof *b.c)};
	*out = NULL;
	if (!b.c)
		return err_set(e, ERR_MEMORY, "%s: no memory", path);
	bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	int rc = folder ? read_folder(&b, path, e) : read_file(&b, path, e);
	if (!rc && b.starved)
		rc = err_set(e, ERR_MEMORY, "%s: no memory for %d tensors and %d values", path, b.c->n_tensor, b.c->n_value);
	if (rc)
		contents_close(b.c);
	else
		*out = b.c;
	return rc;
}

void contents_close(struct contents *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->n_tensor; i++) {
		free(c->tensor[i].name);
		free(c->tensor[i].type);
	}
	for (int i = 0; i < c->n_value; i++) {
		free(c->value[i].key);
		free(c->value[i].text);
	}
	for (int i = 0; i < c->n_file; i++)
		free(c->file[i].name);
	free(c->tensor);
	free(c->value);
	free(c->file);
	free(c->format);
	free(c);
}

const struct contents_tensor *contents_tensor(const struct contents *c, const char *name)
{
	for (int i = 0; i < c->n_tensor; i++)
		if (!strcmp(c->tensor[i].name, name))
			return &c->tensor[i];
	return NULL;
}

/* kvglass info --json */
#include <jansson.h>
#include <string.h>

#include "export/table.h"
#include "tui/command/info.h"

static json_t *value_json(const struct contents_value *v)
{
	switch (v->kind) {
	case CONTENTS_WHOLE:
		return json_integer(v->whole);
	case CONTENTS_REAL:
		return table_json_number(v->real);
	case CONTENTS_BOOL:
		return json_boolean(v->whole);
	default:
		return table_json_text(v->text, v->n_bytes);
	}
}

/* A key of the file need not be valid UTF-8, which jansson refuses; the text that replaces it always is. */
static int set_member(json_t *object, const char *key, json_t *value)
{
	json_t *valid = table_json_text(key, strlen(key));
	int rc = valid ? json_object_set_new(object, json_string_value(valid), value) : -1;
	json_decref(valid);
	return rc;
}

static json_t *metadata_json(const struct contents *c)
{
	json_t *object = json_object();
	for (int i = 0; i < c->n_value; i++)
		if (set_member(object, c->value[i].key, value_json(&c->value[i])))
			return NULL;
	return object;
}

static json_t *tensor_json(const struct contents *c, const struct contents_tensor *t)
{
	json_t *shape = json_array();
	for (int i = 0; i < t->n_dim; i++)
		if (json_array_append_new(shape, json_integer(t->dim[i])))
			return NULL;
	json_t *object = json_pack("{s:o, s:s, s:o, s:I}", "name", table_json_text(t->name, strlen(t->name)), "type", t->type, "shape",
		shape, "bytes", (json_int_t)t->n_bytes);
	if (object && c->kind == CONTENTS_FOLDER && set_member(object, "file", json_string(c->file[t->file].name)))
		return NULL;
	return object;
}

static json_t *tensors_json(const struct contents *c)
{
	json_t *list = json_array();
	for (int i = 0; i < c->n_tensor; i++)
		if (json_array_append_new(list, tensor_json(c, &c->tensor[i])))
			return NULL;
	return list;
}

static json_t *model_json(const struct info *info)
{
	if (!info->model)
		return json_pack("{s:b, s:o}", "runnable", 0, "refusal", table_json_text(info->refusal.text, strlen(info->refusal.text)));
	const struct model_info *m = model_info(info->model);
	return json_pack("{s:b, s:o, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:b, s:b, s:I, s:I, s:s, s:s?}",
		"runnable", 1,
		"name", table_json_text(m->name, strlen(m->name)),
		"architecture", m->arch_name,
		"n_layer", m->n_layer,
		"n_head", m->n_head,
		"n_kv_head", m->n_kv_head,
		"head_dim", m->head_dim,
		"n_embd", m->n_embd,
		"n_ff", m->n_ff,
		"n_vocab", m->n_vocab,
		"n_ctx", m->n_ctx,
		"rope_base", table_json_number((double)m->rope_base),
		"rope_llama3", m->rope_llama3,
		"tied", m->tied,
		"n_param", (json_int_t)m->n_param,
		"weight_bytes", (json_int_t)m->weight_bytes,
		"weight_type", m->weight_type,
		"chat_family", m->chat_family);
}

static json_t *maps_json(const struct capture *c)
{
	json_t *maps = json_array();
	for (int i = 0; i < c->n_map; i++) {
		const struct capture_map *map = &c->map[i];
		json_t *rows = map->n_rows > 0 ? json_integer(map->n_rows) : json_null();
		json_t *one = json_pack("{s:o, s:s, s:o, s:o}", "name", table_json_text(map->name, strlen(map->name)), "kind",
			map->kind == MAP_ROWS ? "rows" : "score", "n_rows", rows, "row_error", table_json_number(map->row_error));
		if (json_array_append_new(maps, one))
			return NULL;
	}
	return maps;
}

static json_t *set_aside_json(const struct capture *c)
{
	json_t *all = json_array();
	char why[256];
	for (int i = 0; capture_set_aside(c, i, why, sizeof why); i++)
		json_array_append_new(all, table_json_text(why, strlen(why)));
	return all;
}

static json_t *capture_json(const struct capture *c)
{
	json_t *window = c->window > 0 ? json_integer(c->window) : json_null();
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:b, s:o, s:o}",
		"n_layer", c->n_layer,
		"n_head", c->n_head,
		"n_kv_head", c->n_kv_head,
		"head_dim", c->head_dim,
		"n_prompt", c->n_prompt,
		"n_response", c->n_response,
		"window", window,
		"complete", c->complete,
		"maps", maps_json(c),
		"set_aside", set_aside_json(c));
}

static json_t *particulars(const struct info *info)
{
	switch (info->kind) {
	case INFO_MODEL:
		return model_json(info);
	case INFO_CAPTURE:
		return capture_json(info->capture);
	case INFO_MODULES:
		return info_modules_json(info);
	default:
		return NULL;
	}
}

int info_print_json(const struct info *info, struct err *e)
{
	const struct contents *c = info->contents;
	json_t *all = json_pack("{s:o, s:s, s:s, s:I, s:s?}", "path", table_json_text(info->path, strlen(info->path)), "kind",
		info_kind_name[info->kind], "format", c->format, "size_bytes", (json_int_t)c->n_bytes, "sha256",
		info->sha256[0] ? info->sha256 : NULL);
	int failed = 0;
	if (info->kind != INFO_WEIGHTS)
		failed |= json_object_set_new(all, info_kind_name[info->kind], particulars(info));
	failed |= json_object_set_new(all, "metadata", metadata_json(c));
	failed |= json_object_set_new(all, "tensors", tensors_json(c));
	int rc = ERR_MEMORY;
	if (all && !failed)
		rc = table_write_json(all, "-", e);
	else
		err_set(e, ERR_MEMORY, "no memory to describe %s", info->path);
	json_decref(all);
	return rc;
}

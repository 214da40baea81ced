#include "tui/command/info.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/lookahead_weights.h"
#include "tui/command/command.h"
#include "tui/command/config.h"

const char *const info_kind_name[] = {
	[INFO_MODEL] = "model",
	[INFO_MODULES] = "modules",
	[INFO_CAPTURE] = "capture",
	[INFO_WEIGHTS] = "weights",
};

static int check(const struct options *o, struct err *e)
{
	const char *instead = o->places ? "--places" : o->devices ? "--devices" : o->default_config ? "--default-config" : NULL;
	if (o->places + o->devices + o->default_config > 1)
		return err_set(e, ERR_USE, "--places, --devices and --default-config: one of them");
	if (instead && o->n_argument)
		return err_set(e, ERR_USE, "%s is about no file, and %.100s is one", instead, o->argument[0]);
	if (!instead && !o->n_argument)
		return err_set(e, ERR_USE, "the file is missing: kvglass info %s", command_table[COMMAND_INFO].arguments);
	if (instead && o->model)
		return err_set(e, ERR_USE, "%s is about no file, and -m %.100s is one", instead, o->model);
	return 0;
}

/* ---- what kind of file ---- */

static bool is_adapter(const struct contents_tensor *t)
{
	return strstr(t->name, "lora") != NULL;
}

static enum info_kind kind_of(const struct contents *c)
{
	if (c->kind != CONTENTS_SAFETENSORS)
		return INFO_MODEL;
	if (contents_tensor(c, "tokens.prompt"))
		return INFO_CAPTURE;
	if (contents_tensor(c, "lookahead.embedding"))
		return INFO_MODULES;
	for (int i = 0; i < c->n_tensor; i++)
		if (is_adapter(&c->tensor[i]))
			return INFO_MODULES;
	return INFO_WEIGHTS;
}

int info_n_adapter(const struct lookahead *l, int *r)
{
	int n = 0;
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		n += l->lora[i].a != NULL;
	*r = lookahead_rank(l);
	return n;
}

/* ---- gather and print ---- */

/* What cannot be used is still described, and why; what is damaged was refused before. */
static int describe_anyway(struct info *info, int rc, struct err *e)
{
	if (rc == ERR_UNSUPPORTED || (rc == ERR_FORMAT && info->kind == INFO_MODULES)) {
		info->refusal = *e;
		return 0;
	}
	return rc;
}

static int open_model(struct info *info, struct err *e)
{
	const struct model_options on_cpu = {.device = DEVICE_CPU};
	return describe_anyway(info, model_open(&info->model, info->path, &on_cpu, e), e);
}

/* Without a model shapes are checked against each other only. Another hash is a fault to be listed, not a reason to stop. */
static int open_modules(struct info *info, const char *base, struct err *e)
{
	const struct model_options on_cpu = {.device = DEVICE_CPU};
	const struct lookahead_load_options any_base = {.ignore_base_hash = true};
	int rc = base ? model_open(&info->model, base, &on_cpu, e) : 0;
	if (rc)
		return rc;
	rc = describe_anyway(info, lookahead_load(&info->modules, info->model, info->path, &any_base, e), e);
	if (rc || !info->modules)
		return rc;
	rc = lookahead_report_make(&info->report, info->modules, info->model, e);
	if (rc || !info->model)
		return rc;
	info->weight_norm = calloc((size_t)info->modules->n_layer * N_PROJ + 1, sizeof *info->weight_norm);
	return info->weight_norm ? model_weight_norms(info->model, 0, info->weight_norm, NULL, e)
		: (int)err_set(e, ERR_MEMORY, "no memory for norms");
}

static int hash_file(const char *path, char out[65], struct err *e)
{
	struct file_map map;
	int rc = file_map_open(&map, path, e);
	if (rc)
		return rc;
	sha256_hex(map.data, map.size, out);
	rc = file_map_check(&map, e);
	file_map_close(&map);
	return rc;
}

/* A model's own function remembers the hash; a folder that cannot be run has none. */
static int hash(struct info *info, struct err *e)
{
	const char *hex;
	if (info->kind != INFO_MODEL)
		return hash_file(info->path, info->sha256, e);
	if (!info->model && info->contents->kind == CONTENTS_FOLDER)
		return err_set(e, ERR_UNSUPPORTED, "%s: no hash of a folder that cannot be run: %s", info->path, info->refusal.text);
	if (!info->model)
		return hash_file(info->path, info->sha256, e);
	int rc = model_sha256(info->model, &hex, e);
	if (!rc)
		memcpy(info->sha256, hex, sizeof info->sha256);
	return rc;
}

static int gather(struct info *info, const struct options *o, struct err *e)
{
	int rc = contents_open(&info->contents, info->path, e);
	if (rc)
		return rc;
	info->kind = kind_of(info->contents);
	if (info->kind == INFO_MODEL)
		rc = open_model(info, e);
	else if (info->kind == INFO_CAPTURE)
		rc = capture_open(&info->capture, info->path, e);
	else if (info->kind == INFO_MODULES)
		rc = open_modules(info, o->model, e);
	if (!rc && (o->hash || info->kind == INFO_MODULES))
		rc = hash(info, e);
	if (!rc && info->capture)
		memcpy(info->sha256, capture_sha256(info->capture), sizeof info->sha256);
	return rc;
}

static int print_places(struct err *e)
{
	static const struct {
		enum file_place place;
		const char *name, *variable, *file;
	} places[] = {{FILE_PLACE_CACHE, "cache", "CACHE", ""}, {FILE_PLACE_CONFIG, "config", "CONFIG", "config"},
		{FILE_PLACE_STATE, "state", "STATE", ""}, {FILE_PLACE_STATE, "history", "STATE", "history"},
		{FILE_PLACE_STATE, "copied", "STATE", "copied"}};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char *path = file_place(places[i].place, places[i].file);
		if (!path)
			return err_set(e, ERR_SYSTEM, "no place for %s: neither XDG_%s_HOME nor HOME names a folder that can be used",
				places[i].name, places[i].variable);
		printf("%-8s%s\n", places[i].name, path);
		free(path);
	}
	return 0;
}

static int run(const struct options *o, struct err *e)
{
	if (o->places)
		return print_places(e);
	if (o->devices)
		return info_print_devices(o->json, e);
	if (o->default_config) {
		config_write_default(stdout);
		return 0;
	}
	char *path = lookahead_file(o->argument[0]); /* a folder of PEFT's is about the modules in it */
	if (!path)
		return err_set(e, ERR_MEMORY, "%s: out of memory", o->argument[0]);
	struct info info = {.path = path};
	int rc = gather(&info, o, e);
	if (!rc && o->json)
		rc = info_print_json(&info, e);
	else if (!rc)
		info_print_text(&info, o);
	model_close(info.model);
	lookahead_report_free(info.report);
	lookahead_free(info.modules);
	free(info.weight_norm);
	capture_unref(info.capture);
	contents_close(info.contents);
	free(path);
	return rc;
}

const struct command command_info = {.check = check, .run = run};

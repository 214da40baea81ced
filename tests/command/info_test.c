#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "engine/device.h"
#include "engine/engine.h"
#include "engine/file.h"
#include "engine/lookahead.h"
#include "engine/safetensors.h"
#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static json_t *info_json(const char *path)
{
	struct program_result r;
	program_run(&r, NULL, "info", "--json", path, NULL);
	json_t *all = PROGRAM_JSON(&r);
	CHECK_INT(r.n_err, 0);
	program_free(&r);
	return all;
}

static int whole(const json_t *object, const char *part, const char *key)
{
	const json_t *value = json_object_get(json_object_get(object, part), key);
	return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void check_model(const char *path, enum tiny_kind kind, const char *format)
{
	const struct tiny_shape *shape = tiny_shape(kind);
	json_t *all = info_json(path);
	CHECK_STR(text(all, "kind"), "model");
	CHECK_STR(text(all, "format"), format);
	CHECK(json_is_true(json_object_get(json_object_get(all, "model"), "runnable")));
	CHECK_INT(whole(all, "model", "n_layer"), shape->n_layer);
	CHECK_INT(whole(all, "model", "n_head"), shape->n_head);
	CHECK_INT(whole(all, "model", "n_kv_head"), shape->n_kv_head);
	CHECK_INT(whole(all, "model", "head_dim"), shape->head_dim);
	CHECK_INT(whole(all, "model", "n_ctx"), shape->n_ctx);
	const json_t *tensors = json_object_get(all, "tensors"), *tensor;
	size_t i;
	json_int_t sum = 0;
	json_array_foreach(tensors, i, tensor) {
		CHECK(text(tensor, "name") && text(tensor, "type") && json_array_size(json_object_get(tensor, "shape")) > 0);
		sum += json_integer_value(json_object_get(tensor, "bytes"));
	}
	CHECK(json_array_size(tensors) > (size_t)(9 * shape->n_layer));
	CHECK(sum > 0 && sum < json_integer_value(json_object_get(all, "size_bytes")));
	json_decref(all);
}

TEST(command_info, models_of_both_formats)
{
	const char *gguf = test_scratch("info.gguf"), *folder = test_scratch("info-folder");
	tiny_model_gguf(gguf, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q4_1, .seed = 1});
	check_model(gguf, TINY_LLAMA, "gguf v3");
	tiny_model_folder(folder, &(struct tiny_options){.kind = TINY_QWEN3, .type = TYPE_BF16, .seed = 1, .n_shard = 3});
	check_model(folder, TINY_QWEN3, "safetensors x 3");
	struct program_result r;
	program_run(&r, NULL, "info", "--tensors", gguf, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "3 layers, 4 query heads on 2 KV heads of 64"));
	CHECK(strstr(r.out, "\nmetadata\n") && strstr(r.out, "  llama.block_count = 3\n"));
	CHECK(strstr(r.out, "\ntensors\n") && strstr(r.out, "blk.2.ffn_down.weight\n"));
	program_free(&r);
}

TEST(command_info, hash_is_of_the_weights)
{
	char want[65];
	struct file_map map;
	struct err e;
	struct program_result r;
	const char *path = test_scratch("hash.gguf");
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 2});
	CHECK_INT(file_map_open(&map, path, &e), 0);
	sha256_hex(map.data, map.size, want);
	file_map_close(&map);
	program_run(&r, &(struct program_setting){.cache = test_scratch("hash-cache")}, "info", "--json", "--sha256", path, NULL);
	json_t *all = PROGRAM_JSON(&r);
	CHECK_STR(text(all, "sha256"), want);
	json_decref(all);
	program_free(&r);
}

TEST(command_info, capture)
{
	const struct capture *c;
	struct err e;
	struct synthetic_spec spec = synthetic_default();
	spec.n_layer = 2;
	spec.n_prompt = 60;
	spec.n_response = 5;
	const char *path = test_scratch("info.kvg");
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, path, &e), 0);
	json_t *all = info_json(path);
	CHECK_STR(text(all, "kind"), "capture");
	CHECK_INT(whole(all, "capture", "n_prompt"), 60);
	CHECK_INT(whole(all, "capture", "n_response"), 5);
	CHECK_INT(whole(all, "capture", "n_layer"), 2);
	CHECK_INT(whole(all, "capture", "n_head"), c->n_head);
	CHECK_INT(json_array_size(json_object_get(json_object_get(all, "capture"), "maps")), c->n_map);
	CHECK(text(all, "sha256") && strlen(text(all, "sha256")) == 64);
	json_decref(all);
	capture_unref(c);
}

static const char *write_modules(void)
{
	static const float zeros[16 * 8];
	const uint8_t *data = (const uint8_t *)zeros;
	const struct st_tensor tensors[] = {
		{.name = "lookahead.embedding", .dtype = ST_F32, .n_dim = 2, .dim = {4, 16}, .data = data, .n_bytes = 4 * 16 * 4},
		{.name = "layers.0.q.lora_a", .dtype = ST_F32, .n_dim = 2, .dim = {2, 16}, .data = data, .n_bytes = 2 * 16 * 4},
		{.name = "layers.0.q.lora_b", .dtype = ST_F32, .n_dim = 2, .dim = {16, 2}, .data = data, .n_bytes = 2 * 16 * 4},
		{.name = "layers.4.k.lora_a", .dtype = ST_F32, .n_dim = 2, .dim = {2, 16}, .data = data, .n_bytes = 2 * 16 * 4},
		{.name = "layers.4.k.lora_b", .dtype = ST_F32, .n_dim = 2, .dim = {8, 2}, .data = data, .n_bytes = 2 * 8 * 4},
	};
	const struct st_pair meta = {"kvglass.base_name", "some model"};
	const char *path = test_scratch("modules.safetensors");
	struct err e;
	CHECK_INT(st_write(path, tensors, (int)(sizeof tensors / sizeof *tensors), &meta, 1, &e), 0);
	return path;
}

TEST(command_info, modules)
{
	const char *path = write_modules();
	json_t *all = info_json(path);
	CHECK_STR(text(all, "kind"), "modules");
	CHECK_INT(whole(all, "modules", "n_lookahead"), 4);
	CHECK_INT(whole(all, "modules", "n_embd"), 16);
	CHECK_INT(whole(all, "modules", "r"), 2);
	CHECK_INT(whole(all, "modules", "n_layer"), 5);
	CHECK_INT(whole(all, "modules", "n_adapter"), 2);
	CHECK_INT(whole(all, "modules", "n_param"), 4 * 16 + 3 * 32 + 16);
	json_decref(all);
	struct program_result r;
	program_run(&r, NULL, "info", path, NULL);
	CHECK(strstr(r.out, "4 lookahead tokens of width 16\n"));
	CHECK(strstr(r.out, "2 LoRA pairs in 5 layers, r 2"));
	CHECK(strstr(r.out, "base          some model\n"));
	program_free(&r);
}

static bool lists_fault(const json_t *all, const char *kind)
{
	const json_t *fault;
	size_t i;
	json_array_foreach(json_object_get(json_object_get(all, "modules"), "faults"), i, fault)
		if (!strcmp(json_string_value(json_object_get(fault, "kind")), kind))
			return true;
	return false;
}

static json_t *info_against(const char *modules, const char *model, struct program_result *r)
{
	program_run(r, &(struct program_setting){.cache = test_scratch("cache")}, "info", "--json", "-m", model, modules, NULL);
	return PROGRAM_JSON(r);
}

/* Beside the model they are to serve: shares of its weights, and what is wrong with them for it. */
TEST(command_info, modules_beside_a_model)
{
	const char *own = test_scratch("own.gguf"), *other = test_scratch("other.gguf"), *path = test_scratch("beside.safetensors");
	struct lookahead *l = NULL;
	const char *hex = NULL;
	struct err e;
	struct program_result r;
	tiny_model_gguf(own, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 2});
	tiny_model_gguf(other, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
	struct model *m = test_model_open(own);
	CHECK_INT(model_sha256(m, &hex, &e), 0);
	CHECK_INT(lookahead_untrained(&l, m, 4, 2, 8, 1, &e), 0);
	l->base_sha256 = strdup(hex ? hex : "");
	for (int i = 0; i < 2 * N_PROJ; i++) /* the last layer stays as it was: zero */
		for (int k = 0; k < l->lora[i].n_out * 2; k++)
			l->lora[i].b[k] = 0.5f;
	l->lora[PROJ_V].b[0] = NAN;
	CHECK_INT(lookahead_save(l, path, false, &e), 0);
	json_t *all = info_against(path, own, &r);
	CHECK(lists_fault(all, "not finite") && lists_fault(all, "zero") && !lists_fault(all, "wrong base model"));
	const json_t *share = json_object_get(json_object_get(json_object_get(json_object_get(all, "modules"), "norms"), "up"), "delta_of_weight");
	CHECK_INT(json_array_size(share), 3);
	CHECK(json_real_value(json_array_get(share, 0)) > 0 && json_is_null(json_array_get(share, 2)));
	json_decref(all);
	program_free(&r);
	all = info_against(path, other, &r);
	CHECK(lists_fault(all, "wrong base model"));
	json_decref(all);
	program_free(&r);
	program_run(&r, &(struct program_setting){.cache = test_scratch("cache")}, "info", "-m", own, path, NULL);
	CHECK(strstr(r.out, "faults        layer 2 q: B is all zero, the adapter does nothing\n"));
	CHECK(strstr(r.out, "scale |BA| / |W| by layer\n"));
	program_free(&r);
	lookahead_free(l);
	model_close(m);
}

/* A sound file of a kind that cannot be run is described all the same. */
TEST(command_info, unknown_architecture)
{
	struct program_result r;
	struct gguf_writer w = {0};
	const uint64_t n = 4;
	const float values[4] = {0};
	gguf_put_string(&w, "general.architecture", "mamba");
	gguf_put_tensor(&w, "something", 0, 1, &n, values, sizeof values);
	struct byte_string file = gguf_finish(&w);
	const char *path = test_scratch("mamba.gguf");
	FILE *out = fopen(path, "wb");
	CHECK(out && fwrite(file.data, 1, file.n, out) == file.n);
	CHECK(out && !fclose(out));
	bytes_free(&file);
	program_run(&r, NULL, "info", path, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "not usable") && strstr(r.out, "mamba"));
	program_free(&r);
	program_run(&r, NULL, "tokenize", "-m", path, "-p", "x", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "architecture mamba is not supported");
	program_free(&r);
}

static void cut(const char *path, double share)
{
	struct stat st;
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(truncate(path, (off_t)((double)st.st_size * share)), 0);
}

TEST(command_info, damaged_files)
{
	struct program_result r;
	static const double shares[] = {0.999, 0.5, 0.01, 0};
	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
		const char *gguf = test_scratch("cut.gguf"), *modules = write_modules();
		tiny_model_gguf(gguf, &(struct tiny_options){.kind = TINY_QWEN2, .type = TYPE_F16, .seed = 1});
		cut(gguf, shares[i]);
		program_run(&r, NULL, "info", gguf, NULL);
		CHECK_PROGRAM_ERROR(&r, 1, "cut.gguf");
		program_free(&r);
		cut(modules, shares[i]);
		program_run(&r, NULL, "info", "--json", modules, NULL);
		CHECK_PROGRAM_ERROR(&r, 1, "modules.safetensors");
		program_free(&r);
	}
	program_run(&r, NULL, "info", test_tree("Makefile"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "neither a GGUF file");
	program_free(&r);
	program_run(&r, NULL, "info", test_tree("tests"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "config.json");
	program_free(&r);
	program_run(&r, NULL, "info", "/dev/null", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "/dev/null");
	program_free(&r);
}

TEST(command_info, places)
{
	struct program_result r;
	const char *cache = test_scratch("places");
	program_run(&r, &(struct program_setting){.cache = cache}, "info", "--places", NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "cache") == r.out && strstr(r.out, cache) && strstr(r.out, "/kvglass"));
	CHECK(strstr(r.out, "\nconfig") && strstr(r.out, "\nstate"));
	program_free(&r);
}

/* What the machine has: the CPU in any build; CUDA's devices, or in one line why there are none. */
TEST(command_info, devices)
{
	struct program_result r, json;
	struct device_list list;
	engine_devices(&list);
	program_run(&r, NULL, "info", "--devices", NULL);
	CHECK_INT(r.status, 0);
	CHECK_INT(r.n_err, 0);
	CHECK(!strncmp(r.out, "cpu     ", 8) && strstr(r.out, " GiB") && strstr(r.out, " threads\n"));
	CHECK(list.n > 1 ? strstr(r.out, "\ncuda:0  ") != NULL : strstr(r.out, list.problem) != NULL);
	CHECK_INT(list.n > 1, !*list.problem);
	if (!engine_build()->cuda)
		CHECK(strstr(list.problem, "this build of kvglass has no CUDA"));
	program_run(&json, NULL, "info", "--devices", "--json", NULL);
	CHECK_INT(json.status, 0);
	json_t *all = PROGRAM_JSON(&json);
	const json_t *devices = json_object_get(all, "devices");
	CHECK_INT(json_array_size(devices), list.n);
	CHECK_STR(text(json_array_get(devices, 0), "device"), "cpu");
	CHECK(json_integer_value(json_object_get(json_array_get(devices, 0), "memory_bytes")) > 0);
	CHECK_INT(json_is_null(json_object_get(all, "cuda")), !engine_build()->cuda);
	CHECK_INT(json_is_null(json_object_get(all, "problem")), !*list.problem);
	json_decref(all);
	program_free(&r);
	program_free(&json);
}

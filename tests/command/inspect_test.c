#include <string.h>

#include "engine/lookahead.h"
#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of the hour it leaves.";

static const char *write_model(void)
{
	const char *path = test_scratch("inspected.gguf");
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 2});
	return path;
}

static const char *write_modules(const char *model, const char *name, float size)
{
	struct model *m = test_model_open(model);
	struct lookahead *l = NULL;
	struct err e;
	const char *path = test_scratch(name);
	CHECK_INT(lookahead_untrained(&l, m, 4, 2, 8, 1, &e), 0);
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		for (int k = 0; l->lora[i].b && k < l->lora[i].n_out * 2; k++)
			l->lora[i].b[k] = size * (float)(k % 5 - 2);
	CHECK_INT(lookahead_save(l, path, false, &e), 0);
	lookahead_free(l);
	model_close(m);
	return path;
}

#define INSPECT(r, ...) program_run(r, &(struct program_setting){.cache = test_scratch("cache")}, "inspect", "--raw", "-n", "6", "--sink", "2", \
	"--window", "8", "--budget", "40", __VA_ARGS__, NULL)

static double mean_of(const json_t *all, const char *method)
{
	return json_real_value(json_object_get(json_object_get(json_object_get(all, "objective"), method), "mean"));
}

TEST(command_inspect, everything_in_json)
{
	struct program_result r;
	const char *model = write_model(), *modules = write_modules(model, "own.safetensors", 0.05f);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--json", "--per-head", "--worst", "4", "--against", "untrained");
	json_t *all = PROGRAM_JSON(&r);
	CHECK_INT(json_array_size(json_object_get(all, "worst")), 4);
	CHECK_INT(json_array_size(json_object_get(all, "rows")), 4);
	CHECK_INT(json_array_size(json_object_get(all, "rows_used")), 4);
	CHECK_INT(json_array_size(json_object_get(all, "gain")), 3);
	CHECK(mean_of(all, "lookahead") > 0 && mean_of(all, "snapkv") > 0 && mean_of(all, "untrained") > 0);
	const json_t *last = json_array_get(json_object_get(all, "rows_used"), 3);
	CHECK_NEAR(json_real_value(json_object_get(last, "kl")), mean_of(all, "lookahead"), 1e-6);
	const json_t *row = json_array_get(json_object_get(all, "rows"), 0);
	CHECK_INT(json_array_size(json_object_get(row, "nearest")), 5);
	CHECK(json_is_real(json_object_get(row, "gain")) && !json_object_get(row, "attention"));
	const json_t *q = json_object_get(json_object_get(all, "adapters"), "q");
	CHECK_INT(json_array_size(json_array_get(json_object_get(q, "singular_values"), 0)), 2);
	const json_t *against = json_object_get(all, "against");
	CHECK_NEAR(mean_of(against, "untrained"), mean_of(all, "untrained"), 0);
	json_decref(all);
	program_free(&r);
}

TEST(command_inspect, switches_change_what_is_measured)
{
	struct program_result r;
	const char *model = write_model(), *modules = write_modules(model, "own.safetensors", 0.05f);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--json", "--rows-used", "3", "--lora-off", "q,down", "--layers-off", "0,1",
		"--lora-scale", "0.5", "--layer", "1", "--head", "2");
	json_t *all = PROGRAM_JSON(&r);
	CHECK_STR(json_string_value(json_object_get(json_object_get(all, "modules"), "switches")),
		"LoRA off: q down, layers 0-1; alpha x 0.5; 3 of 4 rows");
	CHECK_INT(json_array_size(json_object_get(all, "rows")), 3);
	const json_t *row = json_array_get(json_object_get(all, "rows"), 2);
	CHECK_INT(json_array_size(json_object_get(row, "attention")), json_integer_value(json_object_get(all, "n_prompt")));
	json_decref(all);
	program_free(&r);
}

TEST(command_inspect, for_people)
{
	struct program_result r;
	const char *model = write_model(), *modules = write_modules(model, "own.safetensors", 0.05f);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--against", write_modules(model, "other.safetensors", -0.1f));
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "own.safetensors on the prompt: "));
	CHECK(strstr(r.out, "\nOBJECTIVE ") && strstr(r.out, "\nWORST HEADS\n") && strstr(r.out, "\nROWS USED\n") && strstr(r.out, "\nADAPTERS "));
	CHECK(strstr(r.out, "L 0      -1.00")); /* the other one points the other way */
	program_free(&r);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--tokens", "0");
	CHECK_INT(r.status, 2); /* -n is there already */
	program_free(&r);
	program_run(&r, NULL, "inspect", "--raw", "-n", "0", "-m", model, "-l", modules, "-p", prompt, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.err, "no response: nothing to judge the modules by"));
	program_free(&r);
}

TEST(command_inspect, wrong_use_and_wrong_modules)
{
	struct program_result r;
	const char *model = write_model(), *other = test_scratch("other.gguf");
	tiny_model_gguf(other, &(struct tiny_options){.kind = TINY_QWEN3, .type = TYPE_F32, .seed = 2});
	const char *foreign = write_modules(other, "foreign.safetensors", 0.1f), *modules = write_modules(model, "own.safetensors", 0.05f);
	INSPECT(&r, "-m", model, "-p", prompt);
	CHECK_PROGRAM_ERROR(&r, 2, "no modules: -l names a .safetensors file");
	program_free(&r);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--lora-off", "qkv");
	CHECK_PROGRAM_ERROR(&r, 2, "--lora-off qkv: not one of q, k, v, o, gate, up, down");
	program_free(&r);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--layer", "1");
	CHECK_PROGRAM_ERROR(&r, 2, "--layer and --head name one head together");
	program_free(&r);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--layers-off", "3");
	CHECK_PROGRAM_ERROR(&r, 1, "--layers-off 3: the model has layers 0 to 2");
	program_free(&r);
	INSPECT(&r, "-m", model, "-l", modules, "-p", prompt, "--rows-used", "5");
	CHECK_PROGRAM_ERROR(&r, 1, "lookahead: 5 rows asked for, own.safetensors has 4");
	program_free(&r);
	INSPECT(&r, "-m", model, "-l", foreign, "-p", prompt);
	CHECK_PROGRAM_ERROR(&r, 1, "foreign.safetensors: tensor ");
	program_free(&r);
}

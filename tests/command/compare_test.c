#include <string.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "tests/support/program.h"
#include "tests/support/test.h"

static const char *write_capture(const char *name, uint64_t seed, int n_prompt)
{
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	struct err e;
	const char *path = test_scratch(name);
	spec.n_layer = 3;
	spec.n_prompt = n_prompt;
	spec.n_response = 40;
	spec.seed = seed;
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, path, &e), 0);
	capture_unref(c);
	return path;
}

TEST(command_compare, one_capture_as_json)
{
	struct program_result r;
	program_run(&r, NULL, "compare", "--json", "--per-head", "--pool", "max", "--kernel", "5", "--sink", "2", "--window", "16",
		write_capture("one.kvg", 1, 300), NULL);
	json_t *all = PROGRAM_JSON(&r), *budgets = json_object_get(all, "budgets");
	CHECK_INT(json_integer_value(json_object_get(all, "sink")), 2);
	CHECK_INT(json_integer_value(json_object_get(all, "window")), 16);
	CHECK_STR(json_string_value(json_object_get(all, "pool")), "max");
	CHECK_INT(json_integer_value(json_object_get(all, "kernel")), 5);
	CHECK_INT(json_array_size(budgets), 3); /* 64, 128, 256 */
	json_t *oracle = json_object_get(json_object_get(json_array_get(budgets, 1), "methods"), "oracle");
	CHECK_NEAR(json_number_value(json_object_get(oracle, "mass_ratio")), 1, 1e-9);
	json_decref(all);
	program_free(&r);
}

TEST(command_compare, several_captures)
{
	struct program_result r;
	const char *a = write_capture("a.kvg", 1, 300), *b = write_capture("b.kvg", 2, 200), *c = write_capture("c.kvg", 3, 250);
	program_run(&r, NULL, "compare", "--csv", "--budget", "64,100", a, b, c, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "snapkv") && strstr(r.out, "ceiling"));
	CHECK(strstr(r.out, "a.kvg") && strstr(r.out, "c.kvg")); /* each prompt's own rows */
	program_free(&r);
	program_run(&r, NULL, "compare", "--budget", "64,100", a, b, c, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "SnapKV"));
	program_free(&r);
	program_run(&r, NULL, "compare", "--json", a, b, c, NULL);
	json_t *all = PROGRAM_JSON(&r);
	CHECK_INT(json_array_size(json_object_get(all, "budgets")), 2); /* below the shortest prompt: 64, 128 */
	json_decref(all);
	program_free(&r);
}

/* Shares of one division add up to everything. */
static double sum_of(const json_t *division, const char *number)
{
	double sum = 0;
	const char *name;
	json_t *one;
	json_object_foreach((json_t *)division, name, one)
		sum += json_number_value(json_object_get(one, number));
	return sum;
}

TEST(command_compare, regions)
{
	struct program_result r;
	const char *path = write_capture("regions.kvg", 1, 300);
	program_run(&r, NULL, "compare", "--json", "--regions", "--budget", "100", path, NULL);
	json_t *all = PROGRAM_JSON(&r), *regions = json_object_get(all, "regions");
	json_t *snapkv = json_object_get(json_object_get(json_array_get(json_object_get(all, "budgets"), 0), "methods"), "snapkv");
	json_t *kept = json_object_get(snapkv, "regions");
	static const char *const division[] = {"parts", "classes"};
	for (int i = 0; i < 2; i++) {
		CHECK_NEAR(sum_of(json_object_get(regions, division[i]), "tokens"), 300, 1e-6);
		CHECK_NEAR(sum_of(json_object_get(regions, division[i]), "truth"), 1, 1e-6);
		CHECK_NEAR(sum_of(json_object_get(kept, division[i]), "kept"), 100, 1e-6);
		CHECK_NEAR(sum_of(json_object_get(kept, division[i]), "share"), 1, 1e-6);
	}
	CHECK_NEAR(json_number_value(json_object_get(json_object_get(json_object_get(kept, "classes"), "sink"), "kept")), 4, 1e-9);
	json_decref(all);
	program_free(&r);
	program_run(&r, NULL, "compare", "--csv", "--regions", "--budget", "100", path, NULL);
	CHECK(!strncmp(r.out, "prompt,budget,method,division,region,", 37) && strstr(r.out, ",100,snapkv,class,window,32,32,"));
	program_free(&r);
	program_run(&r, NULL, "compare", "--regions", "--budget", "100", path, NULL);
	CHECK(strstr(r.out, "SHARE OF 100 KEPT TOKENS") && strstr(r.out, "\nword  "));
	program_free(&r);
}

TEST(command_compare, chosen_methods)
{
	struct program_result r;
	const char *path = write_capture("methods.kvg", 1, 300);
	program_run(&r, NULL, "compare", "--json", "--methods", "snapkv,random", path, NULL);
	json_t *all = PROGRAM_JSON(&r), *methods = json_object_get(all, "methods");
	CHECK(json_object_get(methods, "snapkv") && json_object_get(methods, "random") && !json_object_get(methods, "recency"));
	json_decref(all);
	program_free(&r);
	program_run(&r, NULL, "compare", "--methods", "snapvk", path, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "snapvk");
	program_free(&r);
}

TEST(command_compare, refusals)
{
	struct program_result r;
	const char *path = write_capture("refused.kvg", 1, 300);
	program_run(&r, NULL, "compare", "--budget", "36", path, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "36");
	program_free(&r);
	program_run(&r, NULL, "compare", test_scratch("absent.kvg"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "absent.kvg: No such file or directory");
	program_free(&r);
	program_run(&r, NULL, "compare", test_tree("Makefile"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "Makefile");
	program_free(&r);
	CHECK_INT(truncate(path, 100000), 0);
	program_run(&r, NULL, "compare", path, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "refused.kvg");
	program_free(&r);
}

TEST(command_compare, output_that_ends_early_is_quiet)
{
	struct program_result r;
	const char *path = write_capture("quiet.kvg", 1, 300);
	static const char *const forms[] = {"--json", "--csv", "--quiet"};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		program_run(&r, &(struct program_setting){.close_output = 1}, "compare", forms[i], path, NULL);
		CHECK_INT(r.status, 1);
		CHECK_STR(r.err, "");
		program_free(&r);
		program_run(&r, &(struct program_setting){.out_path = "/dev/full"}, "compare", forms[i], path, NULL);
		CHECK_PROGRAM_ERROR(&r, 1, "No space left on device");
		program_free(&r);
	}
}

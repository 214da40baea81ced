/* Tables: the JSON contract, CSV, text. */
#include "analysis/synthetic.h"
#include "engine/file.h"
#include "export/table.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static const struct capture *synthetic(int n_prompt, int n_response)
{
	struct synthetic_spec s = synthetic_default();
	s.n_layer = 3, s.n_head = 6, s.n_kv_head = 2, s.n_prompt = n_prompt, s.n_response = n_response;
	const struct capture *c = NULL;
	CHECK_INT(synthetic_capture(&c, &s, NULL), 0);
	return c;
}

static struct comparison *compare(int n_prompt, int n_response, int n, bool per_head, enum pool pool)
{
	const struct capture *c[3];
	static const char *const label[] = {"a.kvg", "b, \"quoted\".kvg", "c.kvg"};
	struct compare_options o = {.eval = {.protocol = protocol_default()}, .per_head = per_head};
	struct comparison *cmp = NULL;
	struct err e = {0};
	const int budget[] = {64, 100};
	o.eval.protocol.score.pool = pool;
	o.budget = budget, o.n_budget = 2;
	for (int i = 0; i < n; i++)
		c[i] = synthetic(n_prompt + 10 * i, n_response);
	if (compare_captures(&cmp, c, label, n, &o, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	for (int i = 0; i < n; i++)
		capture_unref(c[i]);
	return cmp;
}

static const json_t *at(const json_t *j, const char *path)
{
	char copy[200], *save = NULL;
	snprintf(copy, sizeof copy, "%s", path);
	for (char *key = strtok_r(copy, "/", &save); key; key = strtok_r(NULL, "/", &save))
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key)) : json_object_get(j, key);
	if (!j)
		test_fail(__FILE__, __LINE__, "%s is not there", path);
	return j;
}

TEST(table, json_keeps_the_contract)
{
	struct comparison *cmp = compare(200, 40, 1, true, POOL_MAX);
	json_t *j = table_compare_json(cmp);
	CHECK_INT(json_integer_value(at(j, "sink")), 4);
	CHECK_INT(json_integer_value(at(j, "window")), 32);
	CHECK_STR(json_string_value(at(j, "pool")), "max");
	CHECK_INT(json_integer_value(at(j, "kernel")), 7);
	CHECK_INT(json_array_size(at(j, "budgets")), 2);
	CHECK_INT(json_integer_value(at(j, "budgets/1/budget")), 100);
	CHECK_INT(json_integer_value(at(j, "budgets/1/chosen")), 64);
	const char *const methods[] = {"snapkv", "lookahead", "oracle", "random", "recency", "ceiling", "untrained",
		"keynorm", "tova", "h2o"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		char path[100];
		const char *const numbers[] = {"overlap", "mass", "mass_ratio"};
		for (int k = 0; k < 3; k++) {
			snprintf(path, sizeof path, "budgets/0/methods/%s/%s", methods[i], numbers[k]);
			CHECK(json_is_real(at(j, path)));
			snprintf(path, sizeof path, "budgets/0/methods/%s/per_head/%s", methods[i], numbers[k]);
			CHECK(json_array_size(at(j, path)) == 3 && json_array_size(json_array_get(at(j, path), 0)) == 2);
		}
	}
	CHECK(json_is_real(at(j, "methods/snapkv/kl")) && json_is_null(at(j, "methods/random/kl")));
	CHECK_NEAR(json_real_value(at(j, "methods/oracle/kl")), 0, 0);
	double sum = 0;
	for (size_t h = 0; h < 18; h++)
		sum += json_real_value(json_array_get(json_array_get(at(j, "methods/snapkv/per_head/kl_query_head"), h / 6),
			h % 6));
	CHECK_NEAR(sum / 18, json_real_value(at(j, "methods/snapkv/kl")), 1e-6);
	CHECK(json_array_size(at(j, "methods/snapkv/per_head/kl")) == 3);
	CHECK(json_is_array(at(j, "warnings")) && json_array_size(at(j, "checks")) == 6);
	CHECK(json_is_true(at(j, "checks/2/ok")));
	CHECK(!json_object_get(j, "prompts") && !json_object_get(at(j, "budgets/0/methods/snapkv"), "interval"));
	json_decref(j);
	comparison_free(cmp);
}

TEST(table, json_of_what_is_not_defined_is_null)
{
	struct comparison *cmp = compare(200, 0, 1, true, POOL_NONE);
	json_t *j = table_compare_json(cmp);
	CHECK(json_is_null(at(j, "budgets/0/methods/snapkv/overlap")));
	CHECK(json_is_null(at(j, "budgets/0/methods/snapkv/mass_ratio")));
	CHECK(json_is_null(at(j, "budgets/0/methods/snapkv/per_head/mass/2/1")));
	CHECK(json_is_null(at(j, "methods/lookahead/kl")));
	CHECK(json_is_null(at(j, "kernel")));
	CHECK(json_array_size(at(j, "warnings")) == 1);
	json_decref(j);
	comparison_free(cmp);
}

TEST(table, json_of_several_prompts)
{
	struct comparison *cmp = compare(200, 40, 3, false, POOL_NONE);
	json_t *j = table_compare_json(cmp);
	CHECK_INT(json_array_size(at(j, "prompts")), 3);
	CHECK_STR(json_string_value(at(j, "prompts/1/label")), "b, \"quoted\".kvg");
	CHECK_INT(json_integer_value(at(j, "prompts/2/candidates")), 184);
	double mean = 0;
	for (int i = 0; i < 3; i++) {
		char path[100];
		snprintf(path, sizeof path, "prompts/%d/budgets/1/methods/snapkv/mass", i);
		mean += json_real_value(at(j, path)) / 3;
	}
	CHECK_NEAR(mean, json_real_value(at(j, "budgets/1/methods/snapkv/mass")), 1e-9);
	CHECK(json_real_value(at(j, "budgets/1/methods/snapkv/interval/mass/0")) <= mean + 1e-9);
	CHECK(json_real_value(at(j, "budgets/1/methods/snapkv/interval/mass/1")) >= mean - 1e-9);
	json_decref(j);
	comparison_free(cmp);
}

TEST(table, text_becomes_valid_utf8)
{
	const struct {
		const char *bytes, *want;
	} text[] = {
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"\xf0\x9f", "\xef\xbf\xbd"},
		{"\x9a\xa2x", "\xef\xbf\xbd\xef\xbf\xbdx"},
		{"\xf0\x9f\x9a", "\xef\xbf\xbd"},
		{"a\xe6\xb5z", "a\xef\xbf\xbdz"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc0\xaf\xff", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
		json_t *j = table_json_text(text[i].bytes, strlen(text[i].bytes));
		CHECK_STR(json_string_value(j), text[i].want);
		json_decref(j);
	}
	json_t *j = table_json_text("a\0b", 3);
	CHECK_INT(json_string_length(j), 3);
	json_decref(j);
	CHECK(json_is_null(table_json_number(NAN)) && json_is_null(table_json_number(INFINITY)));
}

TEST(table, files_are_written_whole_and_alike)
{
	struct comparison *cmp = compare(200, 40, 2, false, POOL_NONE);
	json_t *j = table_compare_json(cmp), *back;
	json_error_t je;
	struct err e = {0};
	CHECK_INT(table_write_json(j, test_scratch("a.json"), &e), 0);
	back = json_load_file(test_scratch("a.json"), 0, &je);
	CHECK_INT(json_object_size(back), json_object_size(j));
	json_decref(back);
	json_decref(j);
	char *csv = NULL, *text = NULL;
	size_t n;
	CHECK_INT(table_compare_csv(cmp, test_scratch("a.csv"), &e), 0);
	CHECK_INT(file_read_all(test_scratch("a.csv"), 1 << 20, &csv, &n, &e), 0);
	int lines = 0;
	for (const char *c = csv; csv && *c; c++)
		lines += *c == '\n';
	CHECK_INT(lines, 1 + (1 + 2) * 2 * cmp->n_method); /* heading; all and each; budgets x methods */
	CHECK(csv && strstr(csv, "\nall,64,snapkv,0.") && strstr(csv, "\n\"b, \"\"quoted\"\".kvg\",100,random,"));
	const char *random = csv ? strstr(csv, "\na.kvg,64,random,") : NULL;
	CHECK(random && strstr(random, ",,,,,,")); /* no interval, no KL */
	free(csv);
	CHECK_INT(table_compare_text(cmp, test_scratch("a.txt"), &e), 0);
	CHECK_INT(file_read_all(test_scratch("a.txt"), 1 << 20, &text, &n, &e), 0);
	CHECK(text && strstr(text, "KEEP 64 per KV head = 4 first + 32 last + 28 chosen of the rest\n"));
	CHECK(text && strstr(text, "truth's picks") && strstr(text, " of 28 ["));
	CHECK(text && !strstr(text, "racle") && !strstr(text, "ecall")); /* words that stay off the screen */
	free(text);
	comparison_free(cmp);
	CHECK_INT(table_write_json(json_null(), test_scratch("no/such/folder.json"), &e), ERR_SYSTEM);
}

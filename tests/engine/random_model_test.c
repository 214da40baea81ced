#include "engine/random_model.h"

#include <math.h>
#include <string.h>

#include "tests/support/test.h"

/* Shapes are right when the number of parameters is the published one. */
TEST(random_model, shapes_are_the_published_ones)
{
	static const struct {
		const char *name, *arch, *type;
		uint64_t n_param;
		int n_layer, n_vocab;
	} want[] = {
		{"smollm2-135m:q4_1", "llama", "Q4_1", 134515008, 30, 49152},
		{"qwen3-0.6b:q4_0", "qwen3", "Q4_0", 596049920, 28, 151936},
		{"llama3.2-1b:q4_0", "llama", "Q4_0", 1235814400, 16, 128256},
	};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct model *m;
		struct err e = {0};
		if (random_model_open(&m, want[i].name, NULL, NULL, &e)) {
			test_fail(__FILE__, __LINE__, "%s: %s", want[i].name, e.text);
			continue;
		}
		const struct model_info *info = model_info(m);
		CHECK_INT(info->n_param, want[i].n_param);
		CHECK_INT(info->n_layer, want[i].n_layer);
		CHECK_INT(info->n_vocab, want[i].n_vocab);
		CHECK_STR(info->arch_name, want[i].arch);
		CHECK_STR(info->weight_type, want[i].type);
		model_close(m);
	}
}

/* Every stored type gives a model that computes: finite logits that differ. */
TEST(random_model, every_type_runs)
{
	static const char *const names[] = {"smollm2-135m", "smollm2-135m:f16", "smollm2-135m:q8_0", "smollm2-135m:q4_0", "smollm2-135m:q4_1"};
	static const int32_t ids[] = {97, 98, 99};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct model *m;
		struct session *s = NULL;
		struct err e = {0};
		const struct session_options options = {.max_tokens = 8};
		const struct run_request run = {.ids = ids, .n = 3, .stage = "test"};
		CHECK_INT(random_model_open(&m, names[i], NULL, NULL, &e), 0);
		if (!m)
			continue;
		CHECK_INT(session_open(&s, m, &options, &e), 0);
		if (s && session_run(s, &run, &e) == 0) {
			const float *logits = session_logits(s);
			double sum = 0, square = 0;
			int n = model_info(m)->n_vocab;
			for (int k = 0; k < n; k++) {
				sum += (double)logits[k];
				square += (double)logits[k] * (double)logits[k];
			}
			double deviation = sqrt(square / n - sum / n * (sum / n));
			CHECK(deviation > 0.1 && deviation < 10); /* width 576, weights of deviation 0.02: about 0.5 */
		} else {
			test_fail(__FILE__, __LINE__, "%s: %s", names[i], e.text);
		}
		session_close(s);
		model_close(m);
	}
}

static int stop(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)user, (void)stage, (void)done, (void)total;
	return 1;
}

TEST(random_model, refusals)
{
	struct model *m = NULL;
	struct err e = {0};
	const struct progress progress = {.report = stop};
	CHECK_INT(random_model_check("smollm2-135m:Q8_0", &e), 0);
	CHECK_INT(random_model_check("gpt-5", &e), ERR_USE);
	CHECK(strstr(e.text, "llama3-8b"));
	CHECK_INT(random_model_check("smollm2-135m:q3_k", &e), ERR_USE);
	CHECK_INT(random_model_open(&m, "smollm2-135m", NULL, &progress, &e), ERR_CANCELLED);
	CHECK(m == NULL);
	CHECK_INT(random_model_open(&m, "llama3-70b:f32", NULL, NULL, &e), ERR_MEMORY);
	CHECK(strstr(e.text, "282.2 GB"));
}

/* The curve of a training: from its log to paper and to numbers. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/figure.h"
#include "tests/support/evaluated.h"
#include "tests/support/picture.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

/* A training of 40 steps, judged before the first and after every tenth, or not at all. */
static struct training_log *log_of(const char *name, bool judged)
{
	const char *path = test_scratch(name);
	struct training_log *l = NULL;
	FILE *f = fopen(path, "w");
	for (int step = 0; f && step <= 40; step++) {
		if (step)
			fprintf(f, "{\"step\": %d, \"loss\": %.6f, \"norm\": 0.1, \"rate\": 0.001, \"seconds\": 1, \"tokens\": 10}\n", step, 0.5 / (1 + step) + 0.05);
		if (judged && step % 10 == 0)
			fprintf(f, "{\"step\": %d, \"held_out\": {\"snapkv\": {\"kl\": 0.6, \"overlap\": 0.5, \"mass_ratio\": 0.8}, \"untrained\": {\"kl\": 0.4, "
				"\"overlap\": 0.5, \"mass_ratio\": null}, \"lookahead\": {\"kl\": %.6f, \"overlap\": 0.7, \"mass_ratio\": 0.9}}}\n", step, 0.4 / (1 + step));
	}
	CHECK(f && fclose(f) == 0);
	CHECK_INT(training_log_open(&l, path, NULL), 0);
	return l;
}

static struct figure_spec training_spec(void)
{
	struct figure_spec spec = figure_spec_default();
	spec.kind = FIGURE_TRAINING;
	spec.dpi = 100;
	spec.command = "kvglass export x.log --figure training";
	return spec;
}

TEST(training_figure, same_log_same_bytes_in_every_format)
{
	static const char *const endings[] = {"png", "pdf", "svg", "csv", "json"};
	struct training_log *l = log_of("same.log", true);
	const struct figure_spec spec = training_spec();
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		char name[2][40];
		size_t n[2];
		uint8_t *bytes[2];
		for (int k = 0; k < 2; k++) {
			snprintf(name[k], sizeof name[k], "training-%d.%s", k, endings[i]);
			CHECK_INT(figure_write_training(l, &spec, test_scratch(name[k]), NULL), 0);
			bytes[k] = read_bytes(test_scratch(name[k]), &n[k]);
		}
		CHECK(n[0] > 100 && n[0] == n[1] && !memcmp(bytes[0], bytes[1], n[0]));
		free(bytes[0]);
		free(bytes[1]);
	}
	char *command, hash[65];
	CHECK_INT(figure_provenance(test_scratch("training-0.svg"), &command, hash, NULL), 0);
	CHECK_STR(command, spec.command);
	CHECK_STR(hash, l->sha256);
	free(command);
	training_log_free(l);
}

TEST(training_figure, numbers_are_those_of_the_log)
{
	struct training_log *l = log_of("numbers.log", true);
	const struct figure_spec spec = training_spec();
	CHECK_INT(figure_write_training(l, &spec, test_scratch("numbers.json"), NULL), 0);
	json_t *root = json_load_file(test_scratch("numbers.json"), 0, NULL), *held = json_object_get(root, "held_out");
	CHECK_INT(json_array_size(json_object_get(root, "loss")), 40);
	CHECK_INT(json_array_size(held), 5);
	CHECK_NEAR(json_number_value(json_array_get(json_object_get(root, "loss"), 39)), l->loss[39], 1e-8);
	json_t *last = json_array_get(held, 4);
	CHECK_INT(json_integer_value(json_object_get(last, "step")), 40);
	CHECK_NEAR(json_number_value(json_object_get(json_object_get(last, "lookahead"), "kl")), l->held[TRAINING_MODULES][4].kl, 1e-8);
	CHECK(json_is_null(json_object_get(json_object_get(last, "untrained"), "mass_ratio")));
	json_decref(root);
	training_log_free(l);
}

TEST(training_figure, nothing_is_cut_off_at_any_width)
{
	static const double widths[] = {2.65, 3.25, 4.7, 4.9, 5.5, 6.75, 9};
	struct training_log *logs[] = {log_of("alone.log", false), log_of("judged.log", true)};
	for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
		for (int i = 0; i < 2; i++) {
			struct figure_spec spec = training_spec();
			struct picture p;
			spec.width_in = widths[w];
			CHECK_INT(figure_write_training(logs[i], &spec, test_scratch("edge.png"), NULL), 0);
			CHECK(picture_read(&p, test_scratch("edge.png")));
			CHECK_INT(p.w, lround(widths[w] * 100));
			int edge = 0;
			for (int x = 0; x < p.w; x++)
				edge += (picture_pixel(&p, x, 0) != 0xffffff) + (picture_pixel(&p, x, p.h - 1) != 0xffffff);
			for (int y = 0; y < p.h; y++)
				edge += (picture_pixel(&p, 0, y) != 0xffffff) + (picture_pixel(&p, p.w - 1, y) != 0xffffff);
			if (edge)
				test_fail(__FILE__, __LINE__, "log %d, %g in: %d pixels at the edge", i, widths[w], edge);
			picture_free(&p);
		}
	training_log_free(logs[0]);
	training_log_free(logs[1]);
}

TEST(training_figure, what_cannot_be_drawn_is_refused)
{
	struct training_log *l = log_of("refused.log", true);
	struct evaluation *ev = evaluated(100, 20);
	struct figure_spec spec = training_spec();
	struct err e;
	CHECK_INT(figure_write(ev, &spec, test_scratch("no.png"), &e), ERR_USE);
	CHECK(strstr(e.text, "a training is drawn from its log"));
	CHECK_INT(figure_write_training(l, &spec, test_scratch("no.tex"), &e), ERR_USE);
	spec.width_in = 1;
	CHECK_INT(figure_write_training(l, &spec, test_scratch("no.png"), &e), ERR_USE);
	CHECK(strstr(e.text, "leaves no room for a training"));
	spec.kind = FIGURE_CURVES;
	CHECK_INT(figure_write_training(l, &spec, test_scratch("no.png"), &e), ERR_USE);
	CHECK(access(test_scratch("no.png"), F_OK) != 0);
	evaluation_close(ev);
	training_log_free(l);
}

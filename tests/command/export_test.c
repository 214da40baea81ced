#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/synthetic.h"
#include "engine/file.h"
#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tui/command/options.h"
#include "tui/figure_command.h"

static void write_capture(const char *path, uint64_t seed)
{
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	struct err e;
	spec.n_layer = 3;
	spec.n_prompt = 200;
	spec.n_response = 40;
	spec.seed = seed;
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, path, &e), 0);
	capture_unref(c);
}

static bool same_bytes(const char *one, const char *other)
{
	struct file_map a = {0}, b = {0};
	struct err e;
	bool same = file_map_open(&a, one, &e) == 0 && file_map_open(&b, other, &e) == 0 && a.size == b.size && a.size > 100 &&
	            !memcmp(a.data, b.data, a.size);
	file_map_close(&a);
	file_map_close(&b);
	return same;
}

static bool holds(const char *path, const char *text)
{
	struct file_map map;
	struct err e;
	if (file_map_open(&map, path, &e))
		return false;
	bool found = memmem(map.data, map.size, text, strlen(text)) != NULL;
	file_map_close(&map);
	return found;
}

static void done(struct program_result *r)
{
	CHECK_INT(r->status, 0);
	/* the prompt has a ship in it, for which this machine may lack a font */
	CHECK(!r->n_err || strstr(r->err, ": no font of this machine has U+1F6A2, drawn as a box with its code\n"));
	CHECK_INT(r->n_out, 0);
	program_free(r);
}

/* Drawn twice, and drawn again from itself, the bytes are the same. */
TEST(command_export, same_bytes_and_reproducible)
{
	static const char *const kinds[] = {"heatmap", "heatmap", "overlay", "curves"}, *const endings[] = {"png", "pdf", "svg", "svg"};
	const char *kvg = test_scratch("same.kvg");
	struct program_result r;
	write_capture(kvg, 1);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		char name[3][40];
		for (int i = 0; i < 3; i++)
			snprintf(name[i], sizeof name[i], "%s-%d.%s", kinds[k], i, endings[k]);
		const char *first = test_scratch(name[0]), *second = test_scratch(name[1]), *again = test_scratch(name[2]);
		program_run(&r, NULL, "export", kvg, "--figure", kinds[k], "--venue", "icml", "--dpi", "72", "-o", first, NULL);
		done(&r);
		program_run(&r, NULL, "export", "--dpi=72", "--width=3.25", kvg, "--figure", kinds[k], "--budget=128", "-o", second, NULL);
		done(&r);
		program_run(&r, NULL, "export", "--reproduce", first, "-o", again, NULL);
		done(&r);
		if (!same_bytes(first, second) || !same_bytes(first, again))
			test_fail(__FILE__, __LINE__, "%s as %s: not the same bytes", kinds[k], endings[k]);
	}
}

TEST(command_export, reproduction_needs_the_same_capture)
{
	const char *folder = test_scratch("figures"), *kvg = test_scratch("figures/essay.kvg"), *figure = test_scratch("figures/f.svg");
	const char *moved = test_scratch("elsewhere.kvg"), *again = test_scratch("again.svg");
	struct program_result r;
	struct stat st;
	mkdir(folder, 0700);
	write_capture(kvg, 1);
	program_run(&r, NULL, "export", kvg, "--figure", "curves", "-o", figure, NULL);
	done(&r);
	CHECK_INT(rename(kvg, moved), 0);
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "essay.kvg");
	program_free(&r);
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, moved, NULL);
	done(&r);
	CHECK(same_bytes(figure, again));
	CHECK_INT(remove(again), 0);
	write_capture(kvg, 2);
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "sha256");
	program_free(&r);
	CHECK(stat(again, &st) != 0);
	program_run(&r, NULL, "export", "--reproduce", kvg, "-o", again, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "essay.kvg");
	program_free(&r);
}

TEST(command_export, anonymous_figures_tell_no_path)
{
	const char *kvg = test_scratch("secret-name.kvg"), *figure = test_scratch("anonymous.svg"), *again = test_scratch("anonymous-2.svg");
	struct program_result r;
	write_capture(kvg, 1);
	program_run(&r, NULL, "export", kvg, "--figure", "heatmap", "--anonymous", "-o", figure, NULL);
	done(&r);
	CHECK(!holds(figure, "secret-name") && holds(figure, FIGURE_NO_CAPTURE));
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "does not tell the path of its capture");
	program_free(&r);
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, kvg, NULL);
	done(&r);
	CHECK(same_bytes(figure, again));
}

TEST(command_export, a_training_from_its_log)
{
	const char *log = test_scratch("module.safetensors.log"), *figure = test_scratch("training.svg"), *again = test_scratch("training-2.svg");
	struct program_result r;
	FILE *f = fopen(log, "w");
	CHECK(f && fputs("{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": 0.25}\n", f) >= 0 && fclose(f) == 0);
	program_run(&r, NULL, "export", log, "--figure", "training", "-o", figure, NULL);
	done(&r);
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, NULL);
	done(&r);
	CHECK(same_bytes(figure, again));
	f = fopen(log, "a");
	CHECK(f && fputs("{\"step\": 3, \"loss\": 0.2}\n", f) >= 0 && fclose(f) == 0);
	program_run(&r, NULL, "export", "--reproduce", figure, "-o", again, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "drawn from a log with sha256");
	program_free(&r);
	program_run(&r, NULL, "export", log, "--figure", "curves", "-o", again, NULL);
	CHECK_INT(r.status, 1);
	program_free(&r);
}

TEST(command_export, numbers_instead_of_pictures)
{
	const char *kvg = test_scratch("numbers.kvg"), *csv = test_scratch("n.csv"), *json = test_scratch("n.json");
	struct program_result r;
	write_capture(kvg, 1);
	program_run(&r, NULL, "export", kvg, "--figure", "heatmap", "--layer", "1", "-o", csv, NULL);
	done(&r);
	program_run(&r, NULL, "export", kvg, "--figure", "curves", "-o", json, NULL);
	done(&r);
	json_error_t error;
	json_t *value = json_load_file(json, 0, &error);
	CHECK(value != NULL);
	json_decref(value);
	CHECK(holds(csv, "\n") && holds(csv, "truth"));
}

TEST(command_export, refusals)
{
	const char *kvg = test_scratch("refused.kvg");
	struct program_result r;
	write_capture(kvg, 1);
	program_run(&r, NULL, "export", kvg, "--figure", "heatmap", "--layer", "3", "-o", test_scratch("x.png"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "3"); /* there are layers 0 to 2 */
	program_free(&r);
	program_run(&r, NULL, "export", kvg, "--figure", "heatmap", "-o", test_scratch("x.jpg"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "x.jpg");
	program_free(&r);
	program_run(&r, NULL, "export", kvg, "--figure", "overlay", "--budget", "20", "-o", test_scratch("x.png"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "20");
	program_free(&r);
	program_run(&r, NULL, "export", kvg, "--figure", "curves", "-o", test_scratch("no/folder.png"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "no/folder.png");
	program_free(&r);
}

/* ---- the line inside ---- */

/* Written, split and parsed, every switch comes back. */
TEST(command_export, command_line_round_trip)
{
	static const char *const methods[] = {"truth", "snapkv", "o'dd na,me"};
	struct figure_command f = {.capture = "-a dir/it's.kvg", .protocol = protocol_default(), .seed = 7, .spec = figure_spec_default()};
	f.protocol.select.sink = 2;
	f.protocol.score.pool = POOL_MAX;
	f.protocol.score.kernel = 5;
	f.spec.kind = FIGURE_HEATMAP;
	f.spec.layer = 1;
	f.spec.head = 3;
	f.spec.rows = FIGURE_ONE;
	f.spec.method = methods;
	f.spec.n_method = 2;
	f.spec.width_in = 3.25;
	f.spec.first = 10;
	f.spec.last = 90;
	f.spec.scale = RAMP_PERCENTILE;
	char *line, **words;
	int n;
	struct err e = {0};
	struct options o;
	CHECK_INT(figure_command_write(&line, &f, &e), 0);
	CHECK_STR(line, "kvglass export ./'-a dir/it'\\''s.kvg' --method truth,snapkv --seed 7 --sink 2 --pool max --kernel 5 --figure heatmap "
		"--layer 1 --head 3 --range 10:90 --scale percentile --width 3.25");
	CHECK_INT(figure_command_split(&words, &n, line, &e), 0);
	CHECK_STR(words[2], "./-a dir/it's.kvg");
	CHECK_INT(options_parse(&o, COMMAND_EXPORT, n, words, 2, &e), 0);
	CHECK_INT(o.head, 3);
	CHECK_INT(o.range.second, 90);
	CHECK_INT(o.seed, 7);
	CHECK_STR(o.method.item[1], "snapkv");
	options_free(&o);
	free(words);
	free(line);
	CHECK_INT(figure_command_split(&words, &n, "kvglass export 'x", &e), ERR_FORMAT);
	CHECK_INT(figure_command_split(&words, &n, "", &e), 0);
	CHECK_INT(n, 0);
	free(words);
}

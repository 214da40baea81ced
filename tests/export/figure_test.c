/* figure_write() and figure_provenance() as a whole: every kind in every format, same bytes, bad input, nothing
 * half-written. */
#include "export/figure.h"

#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/evaluated.h"
#include "tests/support/picture.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static const char *const endings[] = {"png", "pdf", "svg", "tex", "csv", "json"};
static const char *const kinds[] = {"heatmap", "overlay", "curves"};

static const char *path_of(const char *name, int kind, const char *ending)
{
	char file[80];
	snprintf(file, sizeof file, "%s-%s.%s", name, kinds[kind], ending);
	return test_scratch(file);
}

TEST(figure, same_input_same_bytes_in_every_format)
{
	struct evaluation *ev = evaluated(300, 40);
	for (int kind = 0; kind < 3; kind++)
		for (int i = 0; i < 6; i++) {
			struct figure_spec spec = figure_spec_default();
			struct err e = {0};
			spec.kind = (enum figure_kind)kind;
			spec.command = "kvglass export x.kvg -o whatever";
			if (i == 3 && kind != FIGURE_OVERLAY)
				continue;
			size_t n_a, n_b;
			CHECK_INT(figure_write(ev, &spec, path_of("a", kind, endings[i]), &e), 0);
			spec.command = "kvglass export x.kvg -o another";
			CHECK_INT(figure_write(ev, &spec, path_of("b", kind, endings[i]), &e), 0);
			uint8_t *a = read_bytes(path_of("a", kind, endings[i]), &n_a),
					*b = read_bytes(path_of("b", kind, endings[i]), &n_b);
			CHECK(n_a > 100 && n_a == n_b && !memcmp(a, b, n_a));
			if (i == 2)
				CHECK(xml_is_well_formed((const char *)a, n_a, NULL));
			free(a);
			free(b);
		}
	evaluation_close(ev);
}

TEST(figure, numbers_have_a_point_in_any_locale)
{
	static const char *const comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "nl_NL.UTF-8"};
	struct evaluation *ev = evaluated(120, 40);
	struct err e = {0};
	size_t n_a, n_b, i = 0;
	struct figure_spec spec = figure_spec_default();
	CHECK_INT(figure_write(ev, &spec, test_scratch("point.csv"), &e), 0);
	while (i < 4 && !setlocale(LC_NUMERIC, comma[i]))
		i++;
	CHECK_INT(figure_write(ev, &spec, test_scratch("comma.csv"), &e), 0);
	setlocale(LC_NUMERIC, "C");
	uint8_t *a = read_bytes(test_scratch("point.csv"), &n_a), *b = read_bytes(test_scratch("comma.csv"), &n_b);
	CHECK(n_a == n_b && !memcmp(a, b, n_a));
	free(a);
	free(b);
	evaluation_close(ev);
	if (i == 4)
		test_skip("no locale with a decimal comma on this machine");
}

/* Nothing touches the edge of the paper: whatever does is cut off. */
TEST(figure, nothing_is_cut_off_at_any_width)
{
	struct evaluation *ev = evaluated(230, 40);
	static const double widths[] = {2.65, 3.25, 3.3, 4.7, 4.9, 5.5, 6.75, 9};
	for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
		for (int variant = 0; variant < 10; variant++) {
			struct figure_spec spec = figure_spec_default();
			struct err e = {0};
			struct picture p;
			spec.dpi = 100;
			spec.width_in = widths[w];
			spec.kind = variant < 4 ? FIGURE_HEATMAP : variant < 7 ? FIGURE_OVERLAY : variant < 8 ? FIGURE_CURVES : FIGURE_GRID;
			spec.measure = variant == 9 ? FIGURE_KL : FIGURE_GAIN;
			spec.rows = variant == 1 ? FIGURE_HEADS : variant == 2 ? FIGURE_ONE : FIGURE_LAYERS;
			spec.layer = variant == 1 || variant == 2 || variant == 5 ? 3 : -1;
			spec.head = variant == 2 || variant == 5 ? 2 : -1;
			spec.scale = variant == 3 ? RAMP_DIFFERENCE : RAMP_LIFT;
			spec.height_in = variant == 6 ? 5 : 0;
			CHECK_INT(figure_write(ev, &spec, test_scratch("edge.png"), &e), 0);
			CHECK(picture_read(&p, test_scratch("edge.png")));
			CHECK_INT(p.w, lround(widths[w] * 100));
			CHECK(p.h <= 900 && (variant != 6 || p.h <= 500));
			int top = 0, bottom = 0, left = 0, right = 0;
			for (int x = 0; x < p.w; x++) {
				top += picture_pixel(&p, x, 0) != 0xffffff;
				bottom += picture_pixel(&p, x, p.h - 1) != 0xffffff;
			}
			for (int y = 0; y < p.h; y++) {
				left += picture_pixel(&p, 0, y) != 0xffffff;
				right += picture_pixel(&p, p.w - 1, y) != 0xffffff;
			}
			if (top + bottom + left + right)
				test_fail(__FILE__, __LINE__,
					"variant %d, %g in: pixels at the edge: %d top, %d bottom, %d left, %d right", variant, widths[w],
					top, bottom, left, right);
			picture_free(&p);
		}
	evaluation_close(ev);
}

/* ---- provenance ---- */

TEST(figure, tells_how_it_was_made_in_every_format)
{
	struct evaluation *ev = evaluated(120, 40);
	for (int i = 0; i < 3; i++) {
		struct figure_spec spec = figure_spec_default();
		struct err e = {0};
		char *command = NULL, hash[65] = "?";
		spec.command = "kvglass export '/data/my run.kvg' --figure heatmap";
		const char *path = path_of("p", 0, endings[i]);
		CHECK_INT(figure_write(ev, &spec, path, &e), 0);
		CHECK_INT(figure_provenance(path, &command, hash, &e), 0);
		CHECK_STR(command, spec.command);
		CHECK_STR(hash, ""); /* never saved */
		free(command);
	}
	size_t n;
	uint8_t *png = read_bytes(path_of("p", 0, "png"), &n);
	static const char *const keys[] = {
		"model_sha256", "prompt_sha256", "gqa", "budget", "seed", "sink", "window", "pool", "protocol", "n_prompt"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		char key[80];
		int len = snprintf(key, sizeof key, "tEXtkvglass.%s", keys[i]);
		if (!memmem(png, n, key, (size_t)len + 1))
			test_fail(__FILE__, __LINE__, "no %s in the PNG", key);
	}
	CHECK(memmem(png, n, "kvglass.seed\0" "7", 14));
	free(png);
	evaluation_close(ev);
}

TEST(figure, anonymous_leaves_paths_out)
{
	struct evaluation *ev = evaluated(120, 40);
	for (int i = 0; i < 6; i++) {
		struct figure_spec spec = figure_spec_default();
		struct err e = {0};
		size_t n;
		spec.kind = FIGURE_OVERLAY;
		spec.anonymous = true;
		spec.command =
			"/home/zelda/bin/kvglass export /home/zelda/secret/x.kvg --figure overlay -o /home/zelda/fig.png";
		const char *path = path_of("anonymous", 1, endings[i]);
		CHECK_INT(figure_write(ev, &spec, path, &e), 0);
		uint8_t *bytes = read_bytes(path, &n);
		CHECK(!memmem(bytes, n, "zelda", 5));
		CHECK(!memmem(bytes, n, "/home", 5));
		CHECK(!memmem(bytes, n, "secret", 6));
		if (i != 4)
			CHECK(memmem(bytes, n, "kvglass export x.kvg --figure overlay", 37));
		free(bytes);
	}
	evaluation_close(ev);
}

/* ---- data ---- */

TEST(figure, json_holds_the_numbers_drawn)
{
	struct evaluation *ev = evaluated(120, 40);
	struct figure_spec spec = figure_spec_default();
	struct err e = {0};
	float lift[120];
	CHECK_INT(figure_write(ev, &spec, test_scratch("h.json"), &e), 0);
	json_t *root = json_load_file(test_scratch("h.json"), 0, NULL);
	CHECK_STR(json_string_value(json_object_get(root, "figure")), "heatmap");
	json_t *panels = json_object_get(root, "panels");
	CHECK_INT(json_array_size(panels), 3);
	json_t *rows = json_object_get(json_array_get(panels, 1), "rows");
	CHECK_INT(json_array_size(rows), 4);
	for (int layer = 0; layer < 4; layer++) {
		json_t *values = json_object_get(json_array_get(rows, (size_t)layer), "values");
		CHECK_INT(evaluation_lift(ev, evaluation_find(ev, "snapkv"), layer, -1, lift, NULL), 0);
		CHECK_INT(json_array_size(values), 120);
		for (size_t j = 0; j < 120; j++) {
			json_t *v = json_array_get(values, j);
			if (isnan(lift[j]))
				CHECK(json_is_null(v));
			else
				CHECK_NEAR(json_number_value(v) / (double)lift[j], 1, 1e-7); /* nine digits */
		}
	}
	json_decref(root);
	spec.kind = FIGURE_CURVES;
	CHECK_INT(figure_write(ev, &spec, test_scratch("c.json"), &e), 0);
	root = json_load_file(test_scratch("c.json"), 0, NULL);
	json_t *curve = json_array_get(json_object_get(root, "curves"), 1);
	int k = (int)json_integer_value(json_array_get(json_object_get(root, "k"), 40));
	struct agreement a = evaluation_agreement(
		ev, evaluation_find(ev, json_string_value(json_object_get(curve, "method"))), (struct scope){-1, -1}, k);
	CHECK_NEAR(json_number_value(json_array_get(json_object_get(curve, "mass"), 40)), a.mass, 1e-8);
	json_decref(root);
	evaluation_close(ev);
}

TEST(figure, csv_holds_the_numbers_drawn)
{
	struct evaluation *ev = evaluated(120, 40);
	struct figure_spec spec = figure_spec_default();
	struct err e = {0};
	spec.kind = FIGURE_OVERLAY;
	CHECK_INT(figure_write(ev, &spec, test_scratch("o.csv"), &e), 0);
	size_t n;
	char *csv = (char *)read_bytes(test_scratch("o.csv"), &n), line[200];
	CHECK(!strncmp(csv, "method,position,token,votes,pairs,share,always_kept\n", 52));
	int k = evaluation_k(ev, 128, NULL), missing = 0;
	for (int j = 10; j < 80; j += 7) {
		size_t n_bytes;
		const char *piece = capture_piece(evaluation_capture(ev), j, &n_bytes);
		int votes = evaluation_votes(ev, evaluation_find(ev, "lookahead"), (struct scope){-1, -1}, k, j);
		snprintf(
			line, sizeof line, "\nlookahead,%d,\"%.*s\",%d,8,%.9g,0\n", j, (int)n_bytes, piece, votes, votes / 8.0);
		missing += !strstr(csv, line);
	}
	CHECK_INT(missing, 0);
	free(csv);
	evaluation_close(ev);
}

/* ---- bad input ---- */

static struct figure_spec with(int kind, int rows, int layer, int head)
{
	struct figure_spec s = figure_spec_default();
	s.kind = (enum figure_kind)kind;
	s.rows = (enum figure_rows)rows;
	s.layer = layer;
	s.head = head;
	return s;
}

static void check_refused(const struct evaluation *ev, const struct figure_spec *spec, const char *file, int code,
	const char *text)
{
	struct err e = {0};
	const char *path = test_scratch(file);
	CHECK_INT(figure_write(ev, spec, path, &e), code);
	if (!strstr(e.text, text))
		test_fail(__FILE__, __LINE__, "\"%s\" does not hold \"%s\"", e.text, text);
	CHECK(access(path, F_OK) != 0);
}

TEST(figure, what_cannot_be_drawn_is_refused_by_name)
{
	struct evaluation *ev = evaluated(120, 40);
	const char *const unknown[] = {"snapkv", "oracel"}, *const scored[] = {"random"}, *const truth[] = {"truth"};
	struct figure_spec s = with(FIGURE_HEATMAP, FIGURE_HEADS, -1, -1);
	check_refused(ev, &s, "r.png", ERR_USE, "needs a layer");
	s = with(FIGURE_HEATMAP, FIGURE_HEADS, 4, -1);
	check_refused(ev, &s, "r.png", ERR_USE, "layer 4, the model has 0 to 3");
	s = with(FIGURE_HEATMAP, FIGURE_ONE, 0, 6);
	check_refused(ev, &s, "r.png", ERR_USE, "head 6, the model has query heads 0 to 5");
	s = with(FIGURE_OVERLAY, 0, -1, 2);
	check_refused(ev, &s, "r.png", ERR_USE, "of which layer");
	s = with(FIGURE_CURVES, 0, 0, 0);
	check_refused(ev, &s, "r.tex", ERR_USE, "only an overlay");
	check_refused(ev, &s, "r.jpg", ERR_USE, ".png, .pdf, .svg");
	check_refused(ev, &s, "noending", ERR_USE, ".png, .pdf, .svg");
	s.method = unknown;
	s.n_method = 2;
	check_refused(ev, &s, "r.png", ERR_USE, "\"oracel\"");
	s = with(FIGURE_HEATMAP, 0, -1, -1);
	s.method = scored;
	s.n_method = 1;
	check_refused(ev, &s, "r.png", ERR_USE, "random");
	s.method = truth;
	s.scale = RAMP_DIFFERENCE;
	check_refused(ev, &s, "r.png", ERR_USE, "another method");
	s = with(FIGURE_OVERLAY, 0, -1, -1);
	s.budget = 36;
	check_refused(ev, &s, "r.png", ERR_USE, "36");
	s = with(FIGURE_HEATMAP, 0, -1, -1);
	s.first = s.last = 5;
	check_refused(ev, &s, "r.png", ERR_USE, "range 5:5");
	s.first = 110;
	s.last = 121;
	check_refused(ev, &s, "r.png", ERR_USE, "120 tokens");
	s = with(FIGURE_HEATMAP, 0, -1, -1);
	s.width_in = 0.5;
	check_refused(ev, &s, "r.png", ERR_USE, "0.50 in leaves no room");
	s.width_in = NAN;
	check_refused(ev, &s, "r.png", ERR_USE, "at most 100 in");
	s = with(FIGURE_HEATMAP, 0, -1, -1);
	s.height_in = 0.3;
	check_refused(ev, &s, "r.png", ERR_USE, "need at least");
	s = with(FIGURE_HEATMAP, 0, -1, -1);
	s.dpi = 5;
	check_refused(ev, &s, "r.png", ERR_USE, "5 dpi");
	s.dpi = 2400;
	s.width_in = 20;
	check_refused(ev, &s, "r.png", ERR_LIMIT, "32000 pixels");
	evaluation_close(ev);
}

TEST(figure, captures_without_truth_or_candidates)
{
	struct evaluation *ev = evaluated(120, 0);
	struct err e = {0};
	struct figure_spec s = with(FIGURE_HEATMAP, 0, -1, -1);
	CHECK_INT(figure_write(ev, &s, test_scratch("no-truth.png"), &e), 0);
	s.kind = FIGURE_OVERLAY;
	CHECK_INT(figure_write(ev, &s, test_scratch("no-truth2.png"), &e), 0);
	s.kind = FIGURE_CURVES;
	check_refused(ev, &s, "no-truth3.png", ERR_USE, "need truth");
	s = with(FIGURE_HEATMAP, 0, -1, -1);
	s.scale = RAMP_DIFFERENCE;
	check_refused(ev, &s, "no-truth4.png", ERR_USE, "truth");
	evaluation_close(ev);
	ev = evaluated(20, 40);
	s = with(FIGURE_OVERLAY, 0, -1, -1);
	CHECK_INT(figure_write(ev, &s, test_scratch("tiny.svg"), &e), 0);
	s.kind = FIGURE_CURVES;
	check_refused(ev, &s, "tiny.png", ERR_USE, "first 4 and last 32");
	evaluation_close(ev);
}

TEST(figure, failed_writing_leaves_the_old_file)
{
	struct evaluation *ev = evaluated(120, 40);
	struct figure_spec s = with(FIGURE_HEATMAP, 0, -1, -1);
	struct err e = {0};
	CHECK_INT(figure_write(ev, &s, "/nonexistent-folder/x.png", &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "/nonexistent-folder/x.png"));
	const char *folder = test_scratch("full.png");
	CHECK_INT(symlink("/dev/full", folder), 0);
	CHECK_INT(figure_write(ev, &s, folder, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "No space left"));
	CHECK_INT(mkdir(test_scratch("dir.png"), 0700), 0);
	CHECK(figure_write(ev, &s, test_scratch("dir.png"), &e) != 0);
	const char *old = test_scratch("old.png");
	FILE *f = fopen(old, "w");
	fputs("before", f);
	fclose(f);
	s.layer = 99;
	CHECK_INT(figure_write(ev, &s, old, &e), ERR_USE);
	size_t n;
	char *bytes = (char *)read_bytes(old, &n);
	CHECK_STR(bytes, "before");
	free(bytes);
	evaluation_close(ev);
}

TEST(figure, provenance_of_files_that_have_none)
{
	struct err e = {0};
	char *command = NULL, hash[65];
	CHECK_INT(figure_provenance("/nonexistent.png", &command, hash, &e), ERR_SYSTEM);
	FILE *f = fopen(test_scratch("x.svg"), "w");
	fputs("<svg><metadata>{\"kvglass.command\": \"x\", \"kvglass.capture_sha256\": \"12\"}</metadata></svg>", f);
	fclose(f);
	CHECK_INT(figure_provenance(test_scratch("x.svg"), &command, hash, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "64"));
	f = fopen(test_scratch("y.svg"), "w");
	fputs("<svg><metadata>{\"kvglass.budget\": \"128\"}</metadata></svg>", f);
	fclose(f);
	CHECK_INT(figure_provenance(test_scratch("y.svg"), &command, hash, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "no command"));
	CHECK(!command);
}

TEST(figure, venues)
{
	CHECK_NEAR(figure_venue_width("icml"), 3.25, TOL_EXACT);
	CHECK_NEAR(figure_venue_width("neurips-half"), 2.65, TOL_EXACT);
	CHECK_NEAR(figure_venue_width("ICML"), 0, TOL_EXACT);
	int n;
	const char *const *names = figure_venues(&n);
	CHECK_INT(n, 7);
	for (int i = 0; i < n; i++)
		CHECK(figure_venue_width(names[i]) > 2);
}

/* What other programs make of the PDF. */
TEST(figure, pdf_text_and_fonts_as_poppler_sees_them)
{
	if (system("command -v pdftotext >/dev/null 2>&1 && command -v pdffonts >/dev/null 2>&1")) {
		test_skip("no poppler-utils on this machine");
		return;
	}
	struct evaluation *ev = evaluated(120, 40);
	struct figure_spec s = with(FIGURE_OVERLAY, 0, -1, -1);
	struct err e = {0};
	char line[10000];
	size_t n;
	CHECK_INT(figure_write(ev, &s, test_scratch("t.pdf"), &e), 0);
	snprintf(line, sizeof line, "pdftotext '%s' '%s' && pdffonts '%s' >'%s'", test_scratch("t.pdf"),
		test_scratch("t.txt"), test_scratch("t.pdf"), test_scratch("fonts.txt"));
	CHECK_INT(system(line), 0);
	char *text = (char *)read_bytes(test_scratch("t.txt"), &n);
	CHECK(text && strstr(text, "harbour") && strstr(text, "LookaheadKV") && strstr(text, "caf\xc3\xa9"));
	free(text);
	text = (char *)read_bytes(test_scratch("fonts.txt"), &n);
	CHECK(text && strstr(text, "TrueType") && !strstr(text, "Type 3"));
	for (char *row = text ? strchr(text, '+') : NULL; row; row = strchr(row + 1, '+')) { /* emb sub uni, each font */
		char *end = strchr(row, '\n');
		if (end)
			*end = '\0';
		CHECK(strstr(row, "yes yes yes"));
		if (end)
			*end = '\n';
	}
	free(text);
	evaluation_close(ev);
}

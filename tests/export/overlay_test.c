/* Overlays: votes, marks that survive grey print, the choice of lines, TeX. */
#include "export/plot/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "engine/random.h"
#include "tests/support/evaluated.h"
#include "tests/support/picture.h"
#include "tests/support/test.h"

TEST(overlay, votes_are_those_of_the_evaluation)
{
	struct evaluation *ev = evaluated(300, 40);
	static const struct scope scopes[] = {{-1, -1}, {2, -1}, {1, 1}};
	static const int heads[] = {-1, -1, 4}, layers[] = {-1, 2, 1};
	int k = evaluation_k(ev, 100, NULL);
	for (int s = 0; s < 3; s++) {
		struct figure_spec spec = figure_spec_default();
		struct overlay o;
		struct err e;
		spec.kind = FIGURE_OVERLAY;
		spec.budget = 100;
		spec.layer = layers[s];
		spec.head = heads[s];
		CHECK_INT(overlay_make(&o, ev, &spec, &e), 0);
		CHECK_INT(o.n_pair, s == 0 ? 8 : s == 1 ? 2 : 1);
		for (int p = 0; p < o.n_panel; p++)
			for (int j = 0; j < 300; j++)
				CHECK_INT(o.panel[p].votes[j],
					overlay_is_always_kept(&o, j) ? o.n_pair
												  : evaluation_votes(ev, o.panel[p].method, scopes[s], k, j));
		overlay_free(&o);
	}
	evaluation_close(ev);
}

static double linear(uint32_t channel)
{
	double c = channel / 255.0;
	return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static double luminance(uint32_t rgb)
{
	return 0.2126 * linear(rgb >> 16 & 255) + 0.7152 * linear(rgb >> 8 & 255) + 0.0722 * linear(rgb & 255);
}

TEST(overlay, marks_differ_without_colour_and_black_text_stays_readable_on_them)
{
	struct evaluation *ev = evaluated(300, 40);
	for (int colour = RAMP_VIRIDIS; colour <= RAMP_GREY; colour++)
		for (int one = 0; one < 2; one++) {
			struct figure_spec spec = figure_spec_default();
			struct overlay o;
			struct err e;
			spec.kind = FIGURE_OVERLAY;
			spec.colour = (enum ramp_colour)colour;
			spec.layer = one ? 1 : -1;
			spec.head = one ? 3 : -1;
			CHECK_INT(overlay_make(&o, ev, &spec, &e), 0);
			for (int step = 1; step <= o.n_step; step++) {
				uint32_t tint = overlay_tint(&o, step), before = overlay_tint(&o, step - 1);
				CHECK(picture_grey(before) - picture_grey(tint) >= 12); /* each step clearly darker */
				CHECK(overlay_underline(&o, step) > overlay_underline(&o, step - 1));
				CHECK((luminance(tint) + 0.05) / 0.05 >= 4.5);
			}
			overlay_free(&o);
		}
	evaluation_close(ev);
}

/* The same text in grey: where a method keeps a token the paper is darker than where it does not. */
TEST(overlay, a_kept_token_is_darker_on_paper)
{
	struct evaluation *ev = evaluated(90, 40);
	struct figure_spec spec = figure_spec_default();
	struct err e;
	struct picture kept, none;
	const char *const truth[] = {"truth"};
	spec.kind = FIGURE_OVERLAY;
	spec.method = truth;
	spec.n_method = 1;
	spec.layer = 1;
	spec.head = 0;
	spec.budget = 90; /* everything */
	CHECK_INT(figure_write(ev, &spec, test_scratch("all.png"), &e), 0);
	spec.budget = 37; /* one token */
	CHECK_INT(figure_write(ev, &spec, test_scratch("one.png"), &e), 0);
	CHECK(picture_read(&kept, test_scratch("all.png")) && picture_read(&none, test_scratch("one.png")));
	CHECK_INT(kept.w, none.w);
	double sum_kept = 0, sum_none = 0;
	int h = kept.h < none.h ? kept.h : none.h;
	for (int y = 0; y < h; y++)
		for (int x = 0; x < kept.w; x++) {
			sum_kept += picture_grey(picture_pixel(&kept, x, y));
			sum_none += picture_grey(picture_pixel(&none, x, y));
		}
	CHECK(sum_kept / (kept.w * h) < sum_none / (none.w * h) - 5);
	picture_free(&kept);
	picture_free(&none);
	evaluation_close(ev);
}

/* ---- which lines ---- */

static double sum5(const double *x)
{
	return x[0] + x[1] + x[2] + x[3] + x[4];
}

static void check_choice(struct rng *r, int n_line, int most)
{
	double worth[200];
	struct overlay_region region[201];
	uint8_t shown[200] = {0};
	for (int i = 0; i < n_line; i++)
		worth[i] = rng_below(r, 8) ? 0 : rng_uniform(r);
	int best = 0; /* first line of the five that are worth most together */
	for (int i = 0; i + 5 <= n_line; i++)
		best = sum5(worth + i) > sum5(worth + best) + 1e-9 ? i : best;
	const struct overlay_choice c = {.worth = worth, .n_line = n_line, .most = most, .context = 5};
	int n = overlay_choose(&c, region), lines = 0, before = 0;
	CHECK(n > 0);
	for (int i = 0; i < n; i++) {
		CHECK(region[i].first < region[i].last && region[i].last <= n_line);
		CHECK(region[i].first >= before
			&& (i == 0 || region[i].first - before >= 3)); /* no ellipsis for a line or two */
		lines += region[i].last - region[i].first + (region[i].first > before);
		for (int line = region[i].first; line < region[i].last; line++)
			shown[line] = 1;
		before = region[i].last;
	}
	lines += before < n_line;
	CHECK(lines <= most || (n == 1 && lines == n_line && n_line <= most));
	CHECK(n_line > most || lines == n_line);
	CHECK(n_line <= most || lines >= most - 3); /* the room is used */
	for (int i = 0; i < 5 && most >= 9 && n_line > most && sum5(worth + best) > 0; i++)
		CHECK(shown[best + i]);
}

TEST(overlay, chosen_lines_fit_and_hold_the_best)
{
	struct rng r;
	rng_seed(&r, test_seed());
	for (int i = 0; i < 3000; i++) {
		int n_line = 1 + (int)rng_below(&r, 199), most = 3 + (int)rng_below(&r, 60);
		check_choice(&r, n_line, most);
	}
}

TEST(overlay, skipped_tokens_are_counted)
{
	struct evaluation *ev = evaluated(1500, 40);
	struct figure_spec spec = figure_spec_default();
	struct overlay o;
	struct text_engine *t;
	struct err e;
	spec.kind = FIGURE_OVERLAY;
	spec.height_in = 3;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(overlay_make(&o, ev, &spec, &e), 0);
	CHECK_INT(overlay_lay_out(&o, t, &e), 0);
	CHECK(o.layout.height <= 3 * 72 + 0.01);
	int counted = o.layout.n_after, shown = 0;
	for (int i = 0; i < o.layout.n_region; i++) {
		counted += o.layout.region[i].n_skipped;
		struct text_line from = text_block_line(o.panel[0].block, o.layout.region[i].first);
		struct text_line to = text_block_line(o.panel[0].block, o.layout.region[i].last - 1);
		for (int k = 0; k < o.pieces.n; k++)
			shown += o.pieces.place[k].first >= from.first && o.pieces.place[k].first <= to.last
				&& (to.last == o.pieces.n_bytes
					|| o.pieces.place[k].first < text_block_line(o.panel[0].block, o.layout.region[i].last).first);
	}
	CHECK_INT(counted + shown, 1500);
	CHECK(counted > 500);
	overlay_free(&o);
	text_engine_close(t);
	evaluation_close(ev);
}

/* ---- TeX ---- */

static const struct capture *hostile_text(void)
{
	static const char text[] = "a\\b{c}$d&e#f%g_h^i~j<k>l|m\"n'o`p-q[r]\xff\xf0\x9f\x9a\xa2\n\n\xe6\xb5\xb7  x\r\t";
	enum { N = 60 };
	int32_t offset[N + 1];
	float row[N];
	const struct capture *c = NULL;
	struct err e = {0};
	for (int i = 0; i < N; i++) {
		offset[i] = i < (int)sizeof text - 1 ? i : (int)sizeof text - 1;
		row[i] = (float)(1 + i % 7) / (8 * N);
	}
	offset[N] = (int)sizeof text - 1;
	const struct capture_map map = {.name = "snapkv", .kind = MAP_ROWS, .data = row, .n_rows = 1, .n_rows_due = 1};
	const struct capture parts = {.n_layer = 1,
		.n_head = 1,
		.n_kv_head = 1,
		.head_dim = 1,
		.n_prompt = N,
		.offset = offset,
		.text = text,
		.n_map = 1,
		.map = &map};
	CHECK_INT(capture_build(&c, &parts, &e), 0);
	return c;
}

static char *tex_of(const struct capture *c, const char *path, int budget)
{
	struct evaluation *ev = NULL;
	struct err e = {0};
	struct evaluation_options options = {.protocol = protocol_default()};
	options.protocol.select.window = 2;
	CHECK_INT(evaluation_open(&ev, c, &options, NULL, &e), 0);
	struct figure_spec spec = figure_spec_default();
	spec.kind = FIGURE_OVERLAY;
	spec.budget = budget;
	CHECK_INT(figure_write(ev, &spec, path, &e), 0);
	CHECK_STR(e.text, "");
	evaluation_close(ev);
	size_t n;
	return (char *)read_bytes(path, &n);
}

TEST(overlay, tex_escapes_everything)
{
	const struct capture *c = hostile_text();
	char *tex = tex_of(c, test_scratch("o.tex"), 7);
	static const char *const wanted[] = {"\\textbackslash{}", "\\{", "\\}", "\\$", "\\&", "\\#", "\\%", "\\_",
		"\\textasciicircum{}", "\\textasciitilde{}", "\\textless{}", "\\textgreater{}", "\\textbar{}",
		"\\textquotedbl{}", "\\kvbyte{FF}", "\\kvchar{1F6A2}{\xf0\x9f\x9a\xa2}", "\\kvchar{6D77}{", "\\kvbyte{0D}",
		"\\colorbox{kv1}{\\strut ", "\\definecolor{kv1}{HTML}{", "\\kvend"};
	for (size_t i = 0; tex && i < sizeof wanted / sizeof *wanted; i++)
		if (!strstr(tex, wanted[i]))
			test_fail(__FILE__, __LINE__, "the TeX source lacks %s", wanted[i]);
	free(tex);
	capture_unref(c);
}

TEST(overlay, tex_compiles_alone_and_as_part_of_a_paper)
{
	if (system("command -v pdflatex >/dev/null 2>&1")) {
		test_skip("no pdflatex on this machine");
		return;
	}
	const struct capture *c = hostile_text();
	char line[5000];
	for (int budget = 7; budget <= 60; budget += 53) {
		free(tex_of(c, test_scratch("o.tex"), budget));
		FILE *f = fopen(test_scratch("paper.tex"), "w");
		fputs(
			"\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{textcomp}\\usepackage{xcolor}\\begin{document}A.\\input{o.tex}B."
			"\\end{document}\n",
			f);
		fclose(f);
		for (int i = 0; i < 2; i++) {
			snprintf(line, sizeof line,
				"cd '%s' && pdflatex -halt-on-error -interaction=batchmode %s >/dev/null 2>&1", test_scratch(""),
				i ? "paper.tex" : "o.tex");
			CHECK_INT(system(line), 0);
		}
	}
	capture_unref(c);
}

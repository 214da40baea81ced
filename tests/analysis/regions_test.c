/* Regions: classes of token in many scripts, and numbers against a plain count over every position. */
#include "analysis/regions.h"
#include "analysis/synthetic.h"
#include "engine/engine.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <stdlib.h>
#include <string.h>

/* ---- classes ---- */

static const struct capture *of_pieces(const char *const *piece, const enum token_part *part, int n)
{
	char text[1024] = "";
	int32_t offset[64] = {0};
	uint8_t parts[64];
	const struct capture *c = NULL;
	struct err e = {0};
	for (int i = 0; i < n; i++) {
		strcat(text, piece[i]);
		offset[i + 1] = (int32_t)strlen(text);
		parts[i] = (uint8_t)part[i];
	}
	float *rows = calloc((size_t)n, sizeof *rows);
	for (int i = 0; i < n; i++)
		rows[i] = 1.0f / (float)n;
	struct capture_map map = {.name = "truth", .kind = MAP_ROWS, .data = rows, .n_rows = 1, .row_error = NAN};
	struct capture parts_of = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 4, .n_prompt = n, .offset = offset,
		.text = text, .part = parts, .map = &map, .n_map = 1, .complete = true};
	if (capture_build(&c, &parts_of, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	free(rows);
	return c;
}

TEST(regions, classes_of_any_script)
{
	static const struct {
		const char *piece;
		enum token_part part;
		enum token_class want;
	} t[] = {
		{"<|im_start|>", PART_TEMPLATE, CLASS_CONTROL}, {"[INST]", PART_TEMPLATE, CLASS_CONTROL},
		{"<|end|>", PART_USER, CLASS_CONTROL}, {"<b>", PART_USER, CLASS_WORD}, {" the", PART_USER, CLASS_WORD},
		{"1,954", PART_USER, CLASS_NUMBER}, {"3rd", PART_USER, CLASS_WORD}, {"'s", PART_USER, CLASS_WORD},
		{" \xe2\x80\x94", PART_USER, CLASS_PUNCTUATION}, {"$", PART_USER, CLASS_PUNCTUATION},
		{"\n\n", PART_USER, CLASS_SPACE}, {"\xe3\x80\x80", PART_USER, CLASS_SPACE}, {"\xc2\xa0", PART_USER, CLASS_SPACE},
		{"\xe4\xb8\xad\xe6\x96\x87", PART_USER, CLASS_WORD}, {"\xe3\x80\x82", PART_USER, CLASS_PUNCTUATION},
		{"\xd9\xa3", PART_USER, CLASS_NUMBER},               /* Arabic-Indic three */
		{"\xe0\xa5\xac", PART_USER, CLASS_NUMBER},           /* Devanagari six */
		{"\xe2\x85\xa7", PART_USER, CLASS_NUMBER},           /* Roman eight */
		{"\xd0\xb4\xd0\xb0", PART_USER, CLASS_WORD}, {"\xe0\xb8\xb5", PART_USER, CLASS_WORD}, /* Cyrillic; a Thai mark alone */
		{"\xf0\x9f\x90\x9d", PART_USER, CLASS_PUNCTUATION},  /* a bee: a symbol */
		{"\xe8", PART_USER, CLASS_WORD}, {"\x9c\x82", PART_USER, CLASS_WORD}, /* one character, two tokens */
		{"\x1b", PART_USER, CLASS_OTHER}, {"", PART_USER, CLASS_OTHER}, {"\xff", PART_USER, CLASS_OTHER},
	};
	enum { N = sizeof t / sizeof *t };
	const char *piece[N];
	enum token_part part[N];
	for (int i = 0; i < N; i++) {
		piece[i] = t[i].piece;
		part[i] = t[i].part;
	}
	const struct capture *c = of_pieces(piece, part, N);
	struct evaluation_options o = {.protocol = protocol_default()};
	struct evaluation *ev;
	struct regions *r;
	o.protocol.select.sink = o.protocol.select.window = 0;
	CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
	CHECK_INT(regions_open(&r, ev, NULL, 0, NULL), 0);
	for (int i = 0; i < N; i++)
		if (regions_class(r, 0, i) != t[i].want)
			test_fail(__FILE__, __LINE__, "token %d \"%s\" is %s, not %s", i, t[i].piece,
				token_class_name(regions_class(r, 0, i)), token_class_name(t[i].want));
	CHECK_INT(regions_part(r, 0), PROMPT_TEMPLATE);
	CHECK_INT(regions_part(r, 5), PROMPT_USER);
	regions_close(r);
	evaluation_close(ev);
	capture_unref(c);
}

/* ---- numbers ---- */

static const struct capture *synthetic(int n_prompt, int n_response)
{
	struct synthetic_spec s = synthetic_default();
	const struct capture *c = NULL;
	s.n_layer = 4, s.n_head = 6, s.n_kv_head = 2, s.n_prompt = n_prompt, s.n_response = n_response;
	CHECK_INT(synthetic_capture(&c, &s, NULL), 0);
	return c;
}

static bool lies_in(const struct regions *r, int region, const struct region_span *span, int layer, int j)
{
	if (region < REGION_CLASS)
		return (int)regions_part(r, j) == region - REGION_PART;
	if (region < REGION_SPAN)
		return (int)regions_class(r, layer, j) == region - REGION_CLASS;
	return j >= span[region - REGION_SPAN].first && j < span[region - REGION_SPAN].end;
}

/* Position by position, as the header says it. */
static struct region_numbers counted(const struct regions *r, const struct evaluation *ev, int m, struct scope s, int k,
	const struct region_span *span, int region)
{
	const struct capture *c = evaluation_capture(ev);
	const struct capture_map *truth = capture_find(c, "truth");
	int units = evaluation_n_unit(ev), group = c->n_head / units, heads = 0, layers = 0;
	double tokens = 0, kept = 0, all_kept = 0, share = 0, covered = 0;
	for (int layer = s.layer < 0 ? 0 : s.layer; layer <= (s.layer < 0 ? c->n_layer - 1 : s.layer); layer++, layers++) {
		for (int j = 0; j < c->n_prompt; j++)
			tokens += lies_in(r, region, span, layer, j);
		for (int unit = 0; unit < units; unit++) {
			double total = 0, in = 0, in_kept = 0;
			if (s.kv_head >= 0 && unit != s.kv_head)
				continue;
			heads++;
			for (int j = 0; j < c->n_prompt; j++) {
				double p = 0;
				int rank = evaluation_rank(ev, m, layer, unit, j);
				bool is_kept = rank < k, is_in = lies_in(r, region, span, layer, j); /* rank -1: always */
				for (int h = unit * group; truth && h < unit * group + group; h++)
					p += (double)capture_row(c, truth, layer, h)[j];
				total += p;
				in += is_in ? p : 0;
				in_kept += is_in && is_kept ? p : 0;
				kept += is_in && is_kept;
				all_kept += is_kept;
			}
			share += in / total;
			covered += in_kept / total;
		}
	}
	return (struct region_numbers){tokens / layers, kept / heads, kept / all_kept, truth ? share / heads : NAN,
		truth && share > 0 ? covered / share : NAN};
}

static void check_near(double got, double want)
{
	if (isnan(want))
		CHECK(isnan(got));
	else
		CHECK_NEAR(got, want, TOL_F64_SUM);
}

static void check_scope(const struct regions *r, const struct evaluation *ev, const char *method, struct scope s, int budget,
	const struct region_span *span)
{
	struct err e;
	int m = evaluation_find(ev, method), n = regions_count(r), k[4 * 2];
	struct region_numbers *got = malloc((size_t)n * sizeof *got);
	double parts = 0, classes = 0, truth = 0;
	CHECK_INT(evaluation_allocate(ev, m, budget, k, &e), 0);
	regions_numbers(r, m, s, k, got);
	for (int i = 0; i < n; i++) {
		struct region_numbers want = counted(r, ev, m, s, k[0], span, i);
		check_near(got[i].tokens, want.tokens);
		check_near(got[i].kept, want.kept);
		check_near(got[i].share, want.share);
		check_near(got[i].truth, want.truth);
		check_near(got[i].covered, want.covered);
		parts += i < REGION_CLASS ? got[i].kept : 0;
		classes += i >= REGION_CLASS && i < REGION_SPAN ? got[i].kept : 0;
		truth += i < REGION_CLASS ? got[i].truth : 0;
	}
	CHECK_NEAR(parts, budget, TOL_F64_SUM * budget);
	CHECK_NEAR(classes, budget, TOL_F64_SUM * budget);
	if (evaluation_has_truth(ev))
		CHECK_NEAR(truth, 1, TOL_F64_SUM);
	free(got);
}

TEST(regions, numbers_are_counts_over_positions)
{
	static const struct region_span span[] = {{0, 10}, {90, 130}, {120, 300}};
	for (int n_response = 0; n_response < 50; n_response += 40) {
		const struct capture *c = synthetic(300, n_response);
		const struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
		struct evaluation *ev;
		struct regions *r;
		CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
		CHECK_INT(regions_open(&r, ev, span, 3, NULL), 0);
		CHECK_INT(regions_count(r), REGION_SPAN + 3);
		check_scope(r, ev, "snapkv", (struct scope){-1, -1}, 100, span);
		check_scope(r, ev, "random", (struct scope){-1, -1}, 100, span);
		check_scope(r, ev, "lookahead", (struct scope){2, -1}, 100, span);
		check_scope(r, ev, "recency", (struct scope){1, 1}, 100, span);
		regions_close(r);
		evaluation_close(ev);
		capture_unref(c);
	}
}

/* From the nearest step, forwards and back, and behind the last one. */
TEST(regions, a_prepared_method_has_the_same_numbers_at_any_budget)
{
	static const struct region_span span[] = {{0, 10}, {500, 900}};
	static const int budget[] = {37, 100, 164, 165, 291, 292, 420, 548, 700, 1100, 1199, 1200};
	for (int n_response = 0; n_response < 50; n_response += 40) {
		const struct capture *c = synthetic(1200, n_response);
		const struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
		struct evaluation *ev;
		struct regions *r;
		CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
		CHECK_INT(regions_open(&r, ev, span, 2, NULL), 0);
		CHECK_INT(regions_prepare(r, evaluation_find(ev, "lookahead"), NULL), 0);
		for (size_t i = 0; i < sizeof budget / sizeof *budget; i++) {
			check_scope(r, ev, "lookahead", (struct scope){-1, -1}, budget[i], span);
			check_scope(r, ev, "lookahead", (struct scope){1, 1}, budget[i], span);
		}
		regions_close(r);
		evaluation_close(ev);
		capture_unref(c);
	}
}

TEST(regions, short_prompts_are_kept_whole)
{
	const struct capture *c = synthetic(30, 20);
	const struct evaluation_options o = {.protocol = protocol_default()};
	struct region_numbers number[REGION_SPAN];
	struct evaluation *ev;
	struct regions *r;
	CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
	CHECK_INT(regions_open(&r, ev, NULL, 0, NULL), 0);
	regions_numbers(r, evaluation_find(ev, "snapkv"), (struct scope){-1, -1}, NULL, number);
	CHECK_NEAR(number[REGION_CLASS + CLASS_SINK].kept, 4, TOL_EXACT);
	CHECK_NEAR(number[REGION_CLASS + CLASS_WINDOW].kept, 26, TOL_EXACT);
	CHECK_NEAR(number[REGION_CLASS + CLASS_WINDOW].covered, 1, TOL_F64_SUM);
	regions_close(r);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(regions, spans_lie_inside_the_prompt)
{
	static const struct region_span wrong[] = {{-1, 3}, {5, 5}, {7, 3}, {10, 301}};
	const struct capture *c = synthetic(300, 20);
	const struct evaluation_options o = {.protocol = protocol_default()};
	struct evaluation *ev;
	struct regions *r;
	struct err e;
	CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_INT(regions_open(&r, ev, &wrong[i], 1, &e), ERR_USE);
		CHECK(strstr(e.text, "300") != NULL);
	}
	evaluation_close(ev);
	capture_unref(c);
}

/* Presets against the implementations they are named after, selection against its definition. */
#include "analysis/evaluation.h"
#include "analysis/selection.h"
#include "engine/random.h"
#include "tests/support/test.h"

#include <jansson.h>
#include <string.h>

/* kept (n_prompt): what one unit keeps under an evaluation's protocol. */
static void mark_kept(const struct evaluation *ev, int m, int layer, int unit, int k, bool *kept)
{
	int first, n_cand = evaluation_n_candidate(ev, &first), n = evaluation_capture(ev)->n_prompt;
	const uint32_t *order = evaluation_order(ev, m, layer, unit);
	for (int j = 0; j < n; j++)
		kept[j] = j < first || j >= first + n_cand;
	for (int i = 0; i < k; i++)
		kept[first + (int)order[i]] = true;
}

static void check_preset(const struct capture *c, const char *name, const json_t *want, int budget)
{
	struct evaluation *ev = NULL;
	struct err e = {0};
	struct evaluation_options o = {.preset = preset_find(name)};
	CHECK(o.preset);
	if (!o.preset || evaluation_open(&ev, c, &o, NULL, &e)) {
		test_fail(__FILE__, __LINE__, "%s: %s", name, e.text);
		return;
	}
	int m = evaluation_find(ev, name), k[3 * 2];
	CHECK(m >= 0);
	CHECK_INT(evaluation_allocate(ev, m, budget, k, &e), 0);
	for (int layer = 0; layer < 3; layer++)
		for (int g = 0; g < 2; g++) {
			const json_t *list = json_array_get(json_array_get(want, (size_t)layer), (size_t)g);
			bool kept[200];
			mark_kept(ev, m, layer, g, k[layer * 2 + g], kept);
			size_t n = 0, found = 0;
			for (int j = 0; j < 200; j++)
				n += kept[j];
			for (size_t i = 0; i < json_array_size(list); i++)
				found += kept[json_integer_value(json_array_get(list, i))];
			if (n != json_array_size(list) || found != n)
				test_fail(__FILE__, __LINE__, "%s keeps %zu, %zu of kvpress's %zu, in layer %d, head %d", name, n, found,
					json_array_size(list), layer, g);
		}
	evaluation_close(ev);
}

TEST(protocol, presets_keep_what_kvpress_keeps)
{
	struct err e = {0};
	json_error_t je;
	const struct capture *c = NULL;
	json_t *golden = json_load_file(test_tree("tests/golden/presets.json"), 0, &je);
	CHECK_INT(capture_open(&c, test_tree("tests/golden/presets.kvg"), &e), 0);
	CHECK_INT(json_object_size(json_object_get(golden, "kept")), 7);
	const char *name;
	json_t *kept;
	json_object_foreach(json_object_get(golden, "kept"), name, kept)
		if (c)
			check_preset(c, name, kept, (int)json_integer_value(json_object_get(golden, "budget")));
	capture_unref(c);
	json_decref(golden);
}

/* Presets of SnapKV look for the rows they were made for, under whichever name those were measured. */
TEST(protocol, presets_find_their_window)
{
	float rows[4] = {0.25f, 0.25f, 0.25f, 0.25f};
	const struct {
		const char *map;
		int n_rows;
		const char *preset, *want;
	} each[] = {
		{"snapkv", 32, "snapkv-paper", "snapkv"},
		{"snapkv", 0, "snapkv-paper", "snapkv"},
		{"snapkv", 16, "snapkv-paper", NULL},
		{"snapkv", 64, "snapkv-kvpress", "snapkv"},
		{"snapkv_w64", 64, "snapkv-kvpress", "snapkv_w64"},
		{"snapkv_w32", 32, "snapkv-paper", "snapkv_w32"},
		{"snapkv", 0, "snapkv-kvpress", NULL},
		{"tova", 1, "tova-kvpress", "tova"},
		{"snapkv", 32, "streamingllm", NULL},
	};
	for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
		const struct capture_map map = {each[i].map, MAP_ROWS, rows, each[i].n_rows, 0, NAN};
		const struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .n_prompt = 4, .n_map = 1, .map = &map};
		const struct capture *c = NULL;
		CHECK_INT(capture_build(&c, &parts, NULL), 0);
		const char *got = preset_map(preset_find(each[i].preset), c);
		CHECK(!got == !each[i].want && (!got || !strcmp(got, each[i].want)));
		const struct evaluation_options o = {.protocol = protocol_default(), .preset = preset_find(each[i].preset)};
		struct evaluation *ev = NULL;
		CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
		CHECK_INT(evaluation_find(ev, each[i].preset) >= 0, each[i].want || !strcmp(each[i].preset, "streamingllm"));
		evaluation_close(ev);
		capture_unref(c);
	}
}

TEST(protocol, presets_are_whole)
{
	int n, n_method;
	const struct preset *p = preset_list(&n);
	const struct method *m = method_list(&n_method);
	CHECK(n >= 20);
	for (int i = 0; i < n; i++) {
		char text[400];
		struct err e = {0};
		CHECK_INT(protocol_check(&p[i].protocol, &e), 0);
		CHECK(protocol_describe(&p[i].protocol, text, sizeof text) < (int)sizeof text);
		CHECK(*p[i].source && *p[i].note && preset_find(p[i].name) == &p[i]);
		CHECK(p[i].protocol.score.pool == POOL_NONE || p[i].protocol.score.kernel % 2 == 1);
		if (p[i].window_rows > 1)
			CHECK_INT(p[i].protocol.select.window, p[i].window_rows); /* a window's rows are the tokens it protects */
		CHECK(!method_find(p[i].name)); /* names of methods and presets stay apart */
	}
	CHECK(!preset_find("snapkv") && !method_find("snapkv-paper"));
	for (int i = 0; i < n_method; i++)
		CHECK(method_find(m[i].name) == &m[i] && *m[i].label && *m[i].source);
}

static void refused(struct protocol p, const char *want)
{
	struct err e = {0};
	CHECK_INT(protocol_check(&p, &e), ERR_USE);
	if (!strstr(e.text, want))
		test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e.text, want);
}

TEST(protocol, switches_are_checked)
{
	struct protocol p = protocol_default();
	CHECK_INT(protocol_check(&p, NULL), 0);
	p.select.sink = -1;
	refused(p, "sink is -1");
	p = protocol_default();
	p.select.window = -3;
	refused(p, "window is -3");
	p = protocol_default();
	p.score.pool = POOL_AVG, p.score.kernel = 6;
	refused(p, "kernel is 6, allowed are odd numbers from 1 to 1023");
	p.score.kernel = 0;
	refused(p, "kernel is 0");
	p.score.pool = POOL_NONE; /* then the kernel means nothing */
	CHECK_INT(protocol_check(&p, NULL), 0);
	p.select.ada_floor = NAN;
	refused(p, "floor is nan");
}

TEST(selection, uniform_budgets)
{
	struct selection s = protocol_default().select;
	struct err e = {0};
	CHECK_INT(selection_k(&s, 2000, 128, &e), 92);
	CHECK_INT(selection_k(&s, 100, 128, &e), 64); /* no more than there are */
	CHECK_INT(selection_k(&s, 2000, 37, &e), 1);
	CHECK_INT(selection_k(&s, 2000, 36, &e), -1);
	CHECK_INT(e.code, ERR_USE);
	CHECK(strstr(e.text, "a budget of 36 leaves nothing to choose: the first 4 and the last 32"));
	CHECK_INT(selection_k(&s, 20, 64, &e), 0);
	CHECK_INT(selection_protected(&s, 20), 20);
	s.window_in_budget = false;
	CHECK_INT(selection_k(&s, 2000, 128, &e), 128);
	CHECK_INT(selection_k(&s, 2000, 0, &e), -1);
	s.sink = s.window = 2000000000;
	CHECK_INT(selection_protected(&s, 2000), 2000); /* no overflow */
	s.full_layers = 2;
	s.sink = 0, s.window = 10;
	CHECK_INT(selection_layer_k(&s, 100, 4, 1, 50), 90);
	CHECK_INT(selection_layer_k(&s, 100, 4, 2, 50), 50);
}

/* The safeguard as its definition reads: own best first, then the best of all by one look at every entry. */
static void naive_safeguard(const float *const *unit, int n_unit, int n, int safe, int total, int *out)
{
	for (int u = 0; u < n_unit; u++)
		out[u] = safe;
	for (int left = total - n_unit * safe; left > 0; left--) {
		int best = -1;
		for (int u = 0; u < n_unit; u++)
			if (out[u] < n && (best < 0 || unit[u][out[u]] > unit[best][out[best]]))
				best = u;
		out[best]++;
	}
}

TEST(selection, safeguard_gives_exactly_the_budget)
{
	enum { UNITS = 4, N = 40 };
	struct rng r;
	rng_seed(&r, test_seed());
	float score[UNITS][N];
	const float *unit[UNITS];
	double weight[UNITS];
	for (int round = 0; round < 200; round++) {
		for (int u = 0; u < UNITS; u++) {
			float x = 20;
			unit[u] = score[u];
			for (int i = 0; i < N; i++) {
				x -= (float)rng_below(&r, round % 2 ? 2 : 9); /* ties in half of the rounds, negative ends */
				score[u][i] = x;
			}
		}
		struct sorted_scores scores = {unit, UNITS, N, weight};
		int k = (int)rng_below(&r, N + 1), protected = (int)rng_below(&r, 20), got[UNITS], want[UNITS], sum = 0;
		struct selection s = {.head = HEAD_ADA_SAFEGUARD, .ada_floor = 0.1 * (double)rng_below(&r, 11)};
		selection_share(&s, &scores, k, protected, got);
		int safe = (int)((k + protected) * s.ada_floor);
		safe = s.ada_floor > 0 && safe < 1 ? 1 : safe;
		safe = safe < protected ? 0 : safe - protected < k ? safe - protected : k;
		naive_safeguard(unit, UNITS, N, safe, UNITS * k, want);
		for (int u = 0; u < UNITS; u++) {
			CHECK_INT(got[u], want[u]);
			sum += got[u];
		}
		CHECK_INT(sum, UNITS * k);
	}
}

TEST(selection, blend_without_floor_is_the_best_of_all)
{
	static const float a[] = {5, 4, 3, 2}, b[] = {5, 1, 1, 1}, c[] = {-1, -2, -3, -4};
	const float *const unit[] = {a, b, c};
	double weight[3];
	struct sorted_scores scores = {unit, 3, 4, weight};
	struct selection s = {.head = HEAD_ADA_BLEND};
	int k[3];
	const int want[5][3] = {{0, 0, 0}, {2, 1, 0}, {4, 2, 0}, {4, 4, 1}, {4, 4, 4}}; /* equal scores: the lower head */
	for (int each = 0; each <= 4; each++) {
		selection_share(&s, &scores, each, 0, k);
		for (int u = 0; u < 3; u++)
			CHECK_INT(k[u], want[each][u]);
	}
}

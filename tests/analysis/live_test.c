/* The session that a measurement leaves behind, and captures made from another by replacing. */
#include "tests/support/measured.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static const char text[] = "The harbour office keeps a careful ledger of every boat that enters the bay.\n";

static struct measured finish(void)
{
	struct measured m = measured_model(TINY_LLAMA, 3);
	measured_prompt(&m, text, (struct measure_options){.n_response = 9, .seed = 5});
	return m;
}

/* The control's rows, run again over the kept session, are what the run measured, to the bit; as often as one asks. */
TEST(live, the_kept_session_measures_the_same_again)
{
	struct measured f = finish();
	const struct capture *c = f.capture;
	const struct capture_map *was = capture_find(c, "untrained");
	size_t n = (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
	struct lookahead *control = NULL;
	float *sum = calloc(n, sizeof *sum);
	CHECK(was && live_capture(f.live) == c && live_model(f.live) == f.model);
	CHECK(live_room(f.live) >= 32);
	CHECK_INT(lookahead_untrained(&control, f.model, 32, 0, 0, 5, NULL), 0);
	for (int again = 0; again < 2; again++) {
		const struct lookahead_request r = {.modules = control, .sum = sum};
		memset(sum, 0, n * sizeof *sum);
		CHECK_INT(session_length(live_session(f.live)), c->n_prompt);
		CHECK_INT(session_lookahead(live_session(f.live), &r, NULL), 0);
		for (size_t i = 0; i < n; i++)
			CHECK_NEAR(sum[i] * (1.0f / 32), was->data[i], 0);
		/* a response run in between leaves the prompt alone */
		const struct run_request response = {.ids = c->token + c->n_prompt, .n = c->n_response, .stage = "response"};
		CHECK_INT(session_run(live_session(f.live), &response, NULL), 0);
	}
	free(sum);
	lookahead_free(control);
	measured_close(&f);
}

TEST(live, a_run_without_a_capture_keeps_nothing)
{
	struct measured m = measured_model(TINY_LLAMA, 3);
	const struct capture *c = NULL;
	struct live *live = (struct live *)&c; /* must be overwritten */
	const struct measure_options o = {.mode = PROMPT_RAW, .n_threads = 1, .keep = &live};
	CHECK(measure_prompt(&c, m.model, "", 0, &o, NULL) != 0);
	CHECK(!c && !live);
	measured_close(&m);
}

TEST(capture, replaces_maps_and_metadata_and_shares_the_rest)
{
	struct measured f = finish();
	const struct capture *c = f.capture, *d = NULL;
	const struct capture_map *truth = capture_find(c, "truth");
	size_t n = (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
	float *half = malloc(n * sizeof *half);
	for (size_t i = 0; i < n; i++)
		half[i] = truth->data[i] / 2;
	const struct capture_map map[] = {
		{.name = "truth", .kind = MAP_ROWS, .data = half, .n_rows = 4},
		{.name = "words", .kind = MAP_ROWS, .data = half, .n_rows = 4},
	};
	const struct capture_pair meta[] = {{"kvglass.seed", NULL}, {"kvglass.truth_rows", "1-4"}, {"kvglass.arch", "other"}};
	CHECK_INT(capture_replace(&d, c, map, 2, meta, 3, NULL), 0);
	CHECK_INT(d->n_map, c->n_map + 1);
	CHECK_INT(capture_find(d, "truth")->n_rows, 4);
	CHECK_NEAR(capture_find(d, "truth")->data[n - 1], half[n - 1], 0);
	CHECK(capture_find(d, "words") && capture_find(d, "snapkv")->data == capture_find(c, "snapkv")->data);
	CHECK(!capture_meta(d, "seed") && !strcmp(capture_meta(d, "truth_rows"), "1-4") && !strcmp(capture_meta(d, "arch"), "other"));
	half[0] = -1; /* an attention that cannot be */
	const struct capture *bad = NULL;
	CHECK(capture_replace(&bad, c, map, 1, NULL, 0, NULL) != 0 && !bad);
	free(half);
	capture_unref(d);
	measured_close(&f);
}

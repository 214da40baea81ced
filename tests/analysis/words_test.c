/* Truth of chosen response rows, over the session that a measurement leaves behind. */
#include "analysis/words.h"
#include "tests/support/measured.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <stdlib.h>
#include <string.h>

static const char text[] = "The harbour office keeps a careful ledger of every boat that enters the bay.\n";
/* longer than a batch of rows */
static const char answer[] = "It keeps a ledger of every boat, of its cargo and of its crew; so it knows, day after day, who is in the bay, "
	"what they have brought, and when they will leave again. The ledger is careful, and old.";

static struct measured finish(const char *response, int n_response)
{
	struct measured m = measured_model(TINY_QWEN2, 4);
	measured_prompt(&m, text, (struct measure_options){.n_response = n_response, .response = response,
		.response_bytes = response ? strlen(response) : 0, .seed = 5});
	return m;
}

static const struct capture *truth_of(struct measured *f, const int *row, int n)
{
	const struct capture *c = NULL;
	struct err e = {0};
	if (words_truth(&c, f->live, &(struct words_request){.row = row, .n_row = n}, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

static size_t map_size(const struct capture *c)
{
	return (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
}

static void check_maps(const struct capture *got, const struct capture *want, double tolerance)
{
	static const char *const name[] = {"truth", "truth_even"};
	for (int i = 0; i < 2; i++) {
		const struct capture_map *a = capture_find(got, name[i]), *b = capture_find(want, name[i]);
		CHECK_INT(a->n_rows, b->n_rows);
		for (size_t k = 0; k < map_size(got); k++)
			CHECK_NEAR(a->data[k], b->data[k], tolerance);
	}
}

/* A response that was given was run in the same batches: the same sums, to the bit. One that was written token by
 * token is summed in another order inside the model. */
TEST(words, all_rows_are_the_truth_that_was_measured)
{
	for (int given = 0; given < 2; given++) {
		struct measured f = finish(given ? answer : NULL, 20);
		int n = f.capture->n_response, *row = malloc((size_t)n * sizeof *row);
		CHECK(!given || n > 64);
		for (int i = 0; i < n; i++)
			row[i] = i;
		const struct capture *all = truth_of(&f, row, n);
		check_maps(all, f.capture, given ? TOL_EXACT : TOL_ROW_SUM);
		CHECK(!capture_meta(all, "truth_rows"));
		CHECK_INT(words_chosen(all, row), 0);
		CHECK_INT(all->n_map, f.capture->n_map);
		capture_unref(all);
		free(row);
		measured_close(&f);
	}
}

/* Rows one by one, any choice of them and its rest: the weighted mean of their truths is the whole truth. */
TEST(words, parts_add_up)
{
	struct measured f = finish(answer, 0);
	const struct capture *c = f.capture;
	int n = c->n_response, n_in = 0, n_out = 0, *in = malloc((size_t)n * sizeof *in), *out = malloc((size_t)n * sizeof *out);
	double *sum = calloc(map_size(c), sizeof *sum);
	for (int i = 0; i < n; i++)
		if (i % 7 < 2 || i == 11)
			in[n_in++] = i;
		else
			out[n_out++] = i;
	const struct capture *chosen = truth_of(&f, in, n_in), *rest = truth_of(&f, out, n_out);
	const float *whole = capture_find(c, "truth")->data;
	for (size_t k = 0; k < map_size(c); k++)
		CHECK_NEAR((n_in * (double)capture_find(chosen, "truth")->data[k] + n_out * (double)capture_find(rest, "truth")->data[k]) / n,
			whole[k], TOL_ROW_SUM);
	for (int i = 0; i < n_in; i++) {
		const struct capture *one = truth_of(&f, &in[i], 1);
		for (size_t k = 0; k < map_size(c); k++)
			sum[k] += (double)capture_find(one, "truth")->data[k];
		CHECK_INT(capture_find(one, "truth")->n_rows, 1);
		CHECK(capture_find(one, "truth")->row_error < TOL_ROW_SUM);
		capture_unref(one);
	}
	for (size_t k = 0; k < map_size(c); k++)
		CHECK_NEAR(sum[k] / n_in, capture_find(chosen, "truth")->data[k], TOL_ROW_SUM);
	capture_unref(chosen);
	capture_unref(rest);
	free(sum);
	free(in);
	free(out);
	measured_close(&f);
}

TEST(words, what_was_chosen_is_written_down_and_read_back)
{
	struct measured f = finish(NULL, 12);
	const struct capture *c, *back;
	static const int row[] = {0, 2, 3, 4, 7};
	struct err e = {0};
	int got[12];
	c = truth_of(&f, row, 5);
	CHECK_STR(capture_meta(c, "truth_rows"), "0,2-4,7");
	CHECK_INT(capture_save(c, test_scratch("words.kvg"), &e), 0);
	CHECK_INT(capture_open(&back, test_scratch("words.kvg"), &e), 0);
	CHECK_INT(words_chosen(back, got), 5);
	CHECK(!memcmp(got, row, sizeof row));
	CHECK_INT(capture_find(back, "truth")->n_rows, 5);
	CHECK_INT(capture_find(back, "truth_even")->n_rows, 3);
	capture_unref(back);
	static const char *const nonsense[] = {"", "x", "3-1", "1,1", "2,1", "99999999999", "12", "1,", "-1", "1--2", "0-12", "1 2"};
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		const struct capture_pair meta = {"kvglass.truth_rows", nonsense[i]};
		CHECK_INT(capture_replace(&back, c, NULL, 0, &meta, 1, &e), 0);
		CHECK_INT(words_chosen(back, got), 0);
		capture_unref(back);
	}
	capture_unref(c);
	measured_close(&f);
}

static int stop(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)user;
	CHECK_STR(stage, "words");
	CHECK(done <= total);
	return 1;
}

TEST(words, refusals_and_stops)
{
	struct measured f = finish(NULL, 6), mute = finish(NULL, 0);
	const struct progress progress = {stop, NULL};
	const struct capture *c;
	struct err e;
	CHECK_INT(words_truth(&c, f.live, &(struct words_request){.row = (int[]){0, 0}, .n_row = 2}, &e), ERR_USE);
	CHECK_INT(words_truth(&c, f.live, &(struct words_request){.row = (int[]){6}, .n_row = 1}, &e), ERR_USE);
	CHECK(strstr(e.text, "row 6") && strstr(e.text, "has 6"));
	CHECK_INT(words_truth(&c, f.live, &(struct words_request){0}, &e), ERR_USE);
	CHECK_INT(words_truth(&c, mute.live, &(struct words_request){.row = (int[]){0}, .n_row = 1}, &e), ERR_USE);
	CHECK_INT(words_truth(&c, f.live, &(struct words_request){.row = (int[]){1, 3}, .n_row = 2, .progress = &progress}, &e), ERR_CANCELLED);
	CHECK(!c);
	measured_close(&f);
	measured_close(&mute);
}

/* Truth of chosen response rows. */
#include "analysis/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/measure/live.h"
#include "analysis/measure/run.h"

/* Column sums over every other chosen row. Rows at equal distances go into one request, as a measurement asks for
 * them, so that the same rows give the same sums, bit for bit. */
struct half {
	struct block *block;
	struct colsum_request *request;
	int n_request, n_row;
};

struct rerun {
	struct live *live;
	const struct capture *base;
	const int *row; /* of the request */
	int n_row;
	struct half half[2]; /* rows 0, 2, ... and 1, 3, ... of those that were chosen */
	double row_error;
};

/* ---- what is measured ---- */

static void plan_half(struct rerun *r, struct half *h, int first)
{
	struct colsum_request *last = NULL;
	for (int i = first; i < r->n_row; i += 2, h->n_row++) {
		int at = r->base->n_prompt + r->row[i];
		if (last && last->count == 1)
			last->step = at - last->first;
		if (last && at == last->first + last->count * last->step) {
			last->count++;
			continue;
		}
		if (last && last->count == 1)
			last->step = 1;
		last = &h->request[h->n_request++];
		*last = (struct colsum_request){.first = at, .count = 1, .step = 1, .n_key = r->base->n_prompt,
			.sum = block_floats(h->block), .row_error = &r->row_error};
	}
}

static int plan(struct rerun *r, struct err *e)
{
	const struct capture *c = r->base;
	size_t n_bytes = map_elements(c, MAP_ROWS) * sizeof(float);
	for (int i = 0; i < 2; i++) {
		struct half *h = &r->half[i];
		h->block = block_zero(n_bytes);
		h->request = calloc((size_t)r->n_row, sizeof *h->request);
		if (!h->block || !h->request)
			return err_set(e, ERR_MEMORY, "no memory for truth over %d tokens", c->n_prompt);
		plan_half(r, h, i);
	}
	return 0;
}

/* ---- running ---- */

static int run(struct rerun *r, const struct progress *progress, struct err *e)
{
	int n_request = r->half[0].n_request + r->half[1].n_request, rc = 0, n = r->row[r->n_row - 1] + 1;
	struct colsum_request *all = malloc((size_t)n_request * sizeof *all);
	struct session *session = live_session(r->live);
	if (!all)
		return err_set(e, ERR_MEMORY, "no memory for %d response rows", r->n_row);
	memcpy(all, r->half[0].request, (size_t)r->half[0].n_request * sizeof *all);
	if (r->half[1].n_request)
		memcpy(all + r->half[0].n_request, r->half[1].request, (size_t)r->half[1].n_request * sizeof *all);
	for (int at = 0; !rc && at < n; at += RESPONSE_BATCH) {
		const struct run_request batch = {.ids = r->base->token + r->base->n_prompt + at,
			.n = n - at < RESPONSE_BATCH ? n - at : RESPONSE_BATCH, .colsum = all, .n_colsum = n_request};
		if (progress_report(progress, "words", at, n))
			rc = err_set(e, ERR_CANCELLED, "stopped after %d of %d response rows", at, n);
		else
			rc = session_run(session, &batch, e);
	}
	free(all);
	return rc;
}

/* ---- the capture ---- */

/* "3-4,7"; cut where text is full. */
static void say_rows(const int *row, int n, char *text, size_t n_bytes)
{
	size_t used = 0;
	for (int i = 0; i < n && used < n_bytes;) {
		int end = i;
		while (end + 1 < n && row[end + 1] == row[end] + 1)
			end++;
		used += (size_t)snprintf(text + used, n_bytes - used, end > i ? "%s%d-%d" : "%s%d", i ? "," : "", row[i], row[end]);
		i = end + 1;
	}
}

static int make_capture(const struct rerun *r, const struct capture **out, struct err *e)
{
	struct block *mean = block_scaled_sum(r->half[0].block, r->half[1].block, 1.0 / r->n_row);
	struct block *even = block_scaled_sum(r->half[0].block, NULL, 1.0 / r->half[0].n_row);
	size_t n_text = 24 * (size_t)r->n_row;
	char *text = malloc(n_text);
	int rc = 0;
	if (!mean || !even || !text)
		rc = err_set(e, ERR_MEMORY, "no memory for truth over %d tokens", r->base->n_prompt);
	if (!rc) {
		const struct capture_map map[] = {
			{"truth", MAP_ROWS, mean->data, r->n_row, r->n_row, r->row_error},
			{"truth_even", MAP_ROWS, even->data, r->half[0].n_row, r->half[0].n_row, r->row_error},
		};
		say_rows(r->row, r->n_row, text, n_text);
		const struct capture_pair meta = {"kvglass.truth_rows", r->n_row == r->base->n_response ? NULL : text};
		rc = capture_replace(out, r->base, map, 2, &meta, 1, e);
	}
	block_unref(mean);
	block_unref(even);
	free(text);
	return rc;
}

static int check_rows(const struct capture *c, const int *row, int n_row, struct err *e)
{
	if (c->n_response == 0)
		return err_set(e, ERR_USE, "there is no response, so none of its words can be chosen");
	if (n_row < 1)
		return err_set(e, ERR_USE, "no word of the response is chosen");
	for (int i = 0; i < n_row; i++)
		if (row[i] < 0 || row[i] >= c->n_response || (i > 0 && row[i] <= row[i - 1]))
			return err_set(e, ERR_USE, "response row %d: the response has %d, and rows are given in order", row[i],
				c->n_response);
	return 0;
}

int words_truth(const struct capture **out, struct live *l, const struct words_request *request, struct err *e)
{
	struct rerun r = {.live = l, .base = request->base ? request->base : live_capture(l), .row = request->row,
		.n_row = request->n_row};
	*out = NULL;
	int rc = check_rows(r.base, r.row, r.n_row, e);
	if (!rc)
		rc = plan(&r, e);
	if (!rc)
		rc = run(&r, request->progress, e);
	if (!rc)
		rc = make_capture(&r, out, e);
	for (int i = 0; i < 2; i++) {
		block_unref(r.half[i].block);
		free(r.half[i].request);
	}
	return rc;
}

int words_whole(const struct capture **out, struct live *l, const struct capture *base, struct err *e)
{
	static const char *const name[] = {"truth", "truth_even"};
	const struct capture_pair meta = {"kvglass.truth_rows", NULL};
	struct capture_map map[2];
	int n = 0;
	for (int i = 0; i < 2; i++) {
		const struct capture_map *measured = capture_find(live_capture(l), name[i]);
		if (measured)
			map[n++] = *measured;
	}
	return capture_replace(out, base, map, n, &meta, 1, e);
}

/* ---- reading the metadata ---- */

/* A whole number below limit, nothing but digits; -1 when it is none. */
static int read_row(const char **at, int limit)
{
	int value = 0;
	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		value = 10 * value + (**at - '0');
		if (value >= limit)
			return -1;
	}
	return value;
}

int words_chosen(const struct capture *c, int *row)
{
	const char *at = capture_meta(c, "truth_rows");
	int n = 0, after = 0; /* rows are in order: the next is `after` or later */
	while (at && *at) {
		int first = read_row(&at, c->n_response), last = first;
		if (*at == '-' && first >= 0) {
			at++;
			last = read_row(&at, c->n_response);
		}
		if (first < after || last < first || (*at && *at != ','))
			return 0;
		for (int i = first; i <= last; i++)
			row[n++] = i;
		after = last + 1;
		at += *at == ',' && at[1];
		if (*at == ',')
			return 0;
	}
	return n;
}

/* What each lookahead row is worth: arithmetic on the rows' maps. */
#include <math.h>
#include <stdlib.h>

#include "analysis/divergence.h"
#include "analysis/inspect.h"

double inspect_head(const float *row, int n_rows, const float *truth, int n, double *scratch, double *gain, double *first)
{
	double *t = scratch, *sum = t + n, *partial = sum + n, *without = partial + n, all = NAN;
	for (int j = 0; j < n; j++) {
		t[j] = (double)truth[j];
		sum[j] = partial[j] = 0;
	}
	for (int i = 0; i < n_rows; i++)
		for (int j = 0; j < n; j++)
			sum[j] += (double)row[(size_t)i * (size_t)n + (size_t)j];
	double sum_t = divergence_sum(t, n), self = sum_t > 0 ? divergence_cross(t, sum_t, t, sum_t, n) : NAN;
	all = divergence_kl(t, sum_t, self, sum, n);
	for (int i = 0; i < n_rows; i++) {
		const float *x = row + (size_t)i * (size_t)n;
		for (int j = 0; j < n; j++) {
			partial[j] += (double)x[j];
			without[j] = fmax(0, sum[j] - (double)x[j]);
		}
		if (first)
			first[i] = divergence_kl(t, sum_t, self, partial, n);
		if (gain)
			gain[i] = n_rows > 1 ? divergence_kl(t, sum_t, self, without, n) - all : NAN;
	}
	return all;
}

static struct inspect_worth *worth_new(const struct inspect_rows *rows)
{
	struct inspect_worth *w = calloc(1, sizeof *w);
	size_t n = (size_t)rows->n_rows;
	double *means = malloc(5 * n * sizeof *means);
	float *gain = malloc((size_t)rows->n_layer * (size_t)rows->n_head * n * sizeof *gain);
	if (!w || !means || !gain) {
		free(w);
		free(means);
		free(gain);
		return NULL;
	}
	for (size_t i = 0; i < 5 * n; i++)
		means[i] = i < 3 * n ? 0 : NAN;
	*w = (struct inspect_worth){.n_rows = rows->n_rows, .gain = gain, .row_gain = means, .row_share = means + n, .kl = means + 2 * n,
		.overlap = means + 3 * n, .mass_ratio = means + 4 * n};
	return w;
}

void inspect_worth_free(struct inspect_worth *w)
{
	if (w) {
		free(w->gain);
		free(w->row_gain); /* and its neighbours */
	}
	free(w);
}

static double share_on_prompt(const float *x, int n)
{
	double sum = 0;
	for (int j = 0; j < n; j++)
		sum += (double)x[j];
	return sum;
}

struct head_room {
	double *scratch, *gain, *first; /* (4 n), (n_rows), (n_rows) */
};

/* Heads whose truth is nothing count nowhere. */
static int add_heads(struct inspect_worth *w, const struct inspect_rows *rows, const struct capture *c, const struct head_room *room,
	const struct progress *progress, struct err *e)
{
	const struct capture_map *truth = capture_find(c, "truth");
	int n_rows = rows->n_rows, defined = 0, n_heads = rows->n_layer * rows->n_head;
	for (int i = 0; i < n_heads; i++) {
		int layer = i / rows->n_head, head = i % rows->n_head;
		if (head == 0 && progress_report(progress, "rows", layer, rows->n_layer))
			return err_set(e, ERR_CANCELLED, "inspection: stopped");
		double all = inspect_head(inspect_row(rows, layer, head, 0), n_rows, capture_row(c, truth, layer, head), rows->n_prompt,
			room->scratch, room->gain, room->first);
		defined += !isnan(all);
		for (int k = 0; k < n_rows; k++) {
			w->gain[(size_t)i * (size_t)n_rows + (size_t)k] = (float)room->gain[k];
			w->row_share[k] += share_on_prompt(inspect_row(rows, layer, head, k), rows->n_prompt) / n_heads;
			if (!isnan(all)) {
				w->row_gain[k] += room->gain[k];
				w->kl[k] += room->first[k];
			}
		}
	}
	for (int k = 0; k < n_rows; k++) {
		w->row_gain[k] = defined ? w->row_gain[k] / defined : NAN;
		w->kl[k] = defined ? w->kl[k] / defined : NAN;
	}
	return 0;
}

/* ---- rows used, under the protocol ------------------------------------------------------------------------------ */

/* mean (n_layer, n_head, n) of the first n_used rows from the sums of one fewer */
static void take_row(const struct inspect_rows *rows, int k, double *sum, float *mean)
{
	size_t n = (size_t)rows->n_prompt;
	for (int i = 0; i < rows->n_layer * rows->n_head; i++) {
		const float *x = inspect_row(rows, i / rows->n_head, i % rows->n_head, k);
		for (size_t j = 0; j < n; j++) {
			sum[(size_t)i * n + j] += (double)x[j];
			mean[(size_t)i * n + j] = (float)(sum[(size_t)i * n + j] / (k + 1));
		}
	}
}

static int judge_rows(struct inspect_worth *w, int k, const struct capture *c, const float *mean, const struct evaluation_options *options,
	int budget, struct err *e)
{
	static const char *const only[] = {"lookahead"};
	const struct capture_map map = {.name = "lookahead", .kind = MAP_ROWS, .data = mean, .n_rows = k + 1, .row_error = NAN};
	const struct capture *part;
	struct evaluation_options o = *options;
	struct evaluation *ev = NULL;
	o.method = only;
	o.n_method = 1;
	int rc = capture_replace(&part, c, &map, 1, NULL, 0, e);
	if (rc)
		return rc;
	rc = evaluation_open(&ev, part, &o, NULL, e);
	int budget_k = rc ? -1 : evaluation_k(ev, budget, NULL), method = rc ? -1 : evaluation_find(ev, "lookahead");
	if (budget_k > 0 && method >= 0) {
		struct agreement a = evaluation_agreement(ev, method, (struct scope){-1, -1}, budget_k);
		w->overlap[k] = a.overlap;
		w->mass_ratio[k] = a.mass_ratio;
	}
	evaluation_close(ev);
	capture_unref(part);
	return rc;
}

static int sweep(struct inspect_worth *w, const struct inspect_rows *rows, const struct capture *c, const struct evaluation_options *options,
	int budget, const struct progress *progress, struct err *e)
{
	size_t n = (size_t)rows->n_layer * (size_t)rows->n_head * (size_t)rows->n_prompt;
	double *sum = calloc(n, sizeof *sum);
	float *mean = malloc(n * sizeof *mean);
	int rc = sum && mean ? 0 : (int)err_set(e, ERR_MEMORY, "inspection: out of memory for a sweep over rows");
	for (int k = 0; k < rows->n_rows && !rc; k++) {
		if (progress_report(progress, "rows used", k, rows->n_rows)) {
			rc = err_set(e, ERR_CANCELLED, "inspection: stopped");
			break;
		}
		take_row(rows, k, sum, mean);
		rc = judge_rows(w, k, c, mean, options, budget, e);
	}
	free(sum);
	free(mean);
	return rc;
}

int inspect_worth_make(struct inspect_worth **out, const struct inspect_rows *rows, const struct capture *c,
	const struct evaluation_options *options, int budget, const struct progress *progress, struct err *e)
{
	size_t n = (size_t)rows->n_prompt, n_rows = (size_t)rows->n_rows;
	*out = NULL;
	if (!capture_find(c, "truth"))
		return err_set(e, ERR_USE, "what rows are worth is measured against truth, and no response was measured");
	struct inspect_worth *w = worth_new(rows);
	double *memory = malloc((4 * n + 2 * n_rows) * sizeof *memory);
	struct head_room room = {memory, memory + 4 * n, memory + 4 * n + n_rows};
	int rc = w && memory ? add_heads(w, rows, c, &room, progress, e) : (int)err_set(e, ERR_MEMORY, "inspection: out of memory");
	if (!rc && budget > 0)
		rc = sweep(w, rows, c, options, budget, progress, e);
	free(memory);
	if (rc)
		inspect_worth_free(w);
	else
		*out = w;
	return rc;
}

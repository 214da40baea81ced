/* kvglass inspect --json */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/table.h"
#include "tui/command/inspect.h"

enum { TOP_TOKENS = 5 };

static json_t *text_json(const char *text)
{
	return text ? table_json_text(text, strlen(text)) : json_null();
}

static json_t *numbers_json(const double *x, int n)
{
	json_t *list = json_array();
	for (int i = 0; x && i < n; i++)
		if (json_array_append_new(list, table_json_number(x[i])))
			return NULL;
	return list;
}

static json_t *matrix_json(const double *x, int rows, int columns)
{
	json_t *list = json_array();
	for (int i = 0; i < rows; i++)
		if (json_array_append_new(list, numbers_json(x + (size_t)i * (size_t)columns, columns)))
			return NULL;
	return list;
}

/* ---- the objective ---- */

static json_t *objective_json(const struct objective *o)
{
	json_t *all = json_object();
	for (int which = 0; which < N_OBJECTIVE; which++)
		if (o->kl[which] && json_object_set_new(all, objective_name(which), json_pack("{s:o, s:o}", "mean",
				table_json_number(o->mean[which]), "head", matrix_json(o->kl[which], o->n_layer, o->n_head))))
			return NULL;
	return all;
}

static json_t *worst_json(const struct inspection *in)
{
	const struct objective *o = &in->own.objective;
	json_t *list = json_array();
	for (int i = 0; o->worst && i < in->n_worst && i < o->n_layer * o->n_head; i++) {
		int at = o->worst[i], layer = at / o->n_head, head = at % o->n_head;
		json_t *one = json_pack("{s:i, s:i, s:i}", "layer", layer, "head", head, "kv_head",
			head / (o->n_head / in->measured->n_kv_head));
		int failed = 0;
		for (int which = 0; which < N_OBJECTIVE; which++)
			if (o->kl[which])
				failed |= json_object_set_new(one, objective_name(which), table_json_number(o->kl[which][at]));
		if (failed || json_array_append_new(list, one))
			return NULL;
	}
	return list;
}

static json_t *agreement_json(const struct inspection *in, const struct inspected *x)
{
	static const char *const names[] = {"lookahead", "snapkv", "untrained", "ceiling"};
	json_t *all = json_object();
	int k = evaluation_k(x->evaluation, (int)in->o->budget, NULL);
	for (size_t i = 0; k > 0 && i < sizeof names / sizeof *names; i++) {
		int m = evaluation_find(x->evaluation, names[i]);
		if (m < 0 || !evaluation_has_truth(x->evaluation))
			continue;
		struct agreement a = evaluation_agreement(x->evaluation, m, (struct scope){-1, -1}, k);
		if (json_object_set_new(all, names[i], json_pack("{s:o, s:o}", "overlap", table_json_number(a.overlap), "mass_ratio",
				table_json_number(a.mass_ratio))))
			return NULL;
	}
	return all;
}

/* ---- rows ---- */

static json_t *piece_json(const struct inspection *in, int32_t id)
{
	size_t n;
	const char *piece = model_piece(in->model, id, &n);
	return table_json_text(piece, n);
}

static json_t *near_json(const struct inspection *in, const struct near_token *near)
{
	json_t *list = json_array();
	for (int i = 0; i < ANATOMY_NEAR && near[i].id >= 0; i++)
		if (json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "id", near[i].id, "token", piece_json(in, near[i].id), "cosine",
				table_json_number((double)near[i].cosine))))
			return NULL;
	return list;
}

/* The tokens that a row reads most. attention is spoilt. */
static json_t *read_most_json(const struct inspection *in, double *attention)
{
	json_t *list = json_array();
	for (int i = 0; i < TOP_TOKENS; i++) {
		int best = inspection_read_most(in, attention);
		if (best < 0)
			break;
		if (json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "position", best, "token",
				piece_json(in, in->measured->token[best]), "attention", table_json_number(attention[best]))))
			return NULL;
		attention[best] = 0;
	}
	return list;
}

static json_t *row_json(const struct inspection *in, int row, double *attention)
{
	const struct inspected *x = &in->own;
	int n = x->rows->n_prompt;
	double share = 0;
	inspection_row(in, row, attention);
	for (int j = 0; j < n; j++)
		share += attention[j];
	json_t *whole = in->layer >= 0 ? numbers_json(attention, n) : NULL;
	json_t *one = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "row", row, "gain", table_json_number(inspection_gain(in, row)), "prompt_share",
		table_json_number(share), "norm", table_json_number(x->anatomy->report->row_norm[row]), "nearest",
		near_json(in, x->anatomy->near + (size_t)row * ANATOMY_NEAR), "reads_most", read_most_json(in, attention));
	int failed = whole && json_object_set_new(one, "attention", whole);
	return failed ? NULL : one;
}

static json_t *rows_json(const struct inspection *in)
{
	json_t *list = json_array();
	double *attention = malloc((size_t)in->own.rows->n_prompt * sizeof *attention);
	int failed = attention == NULL;
	for (int i = 0; i < in->own.rows->n_rows && !failed; i++)
		failed = json_array_append_new(list, row_json(in, i, attention));
	free(attention);
	return failed ? NULL : list;
}

static json_t *rows_used_json(const struct inspect_worth *w)
{
	json_t *list = json_array();
	for (int i = 0; w && i < w->n_rows; i++)
		if (json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o}", "rows", i + 1, "kl", table_json_number(w->kl[i]), "overlap",
				table_json_number(w->overlap[i]), "mass_ratio", table_json_number(w->mass_ratio[i]))))
			return NULL;
	return list;
}

static json_t *gains_json(const struct inspected *x)
{
	json_t *layers = json_array();
	for (int layer = 0; layer < x->rows->n_layer; layer++) {
		json_t *heads = json_array();
		for (int head = 0; head < x->rows->n_head; head++) {
			const float *gain = x->worth->gain + ((size_t)layer * (size_t)x->rows->n_head + (size_t)head) * (size_t)x->rows->n_rows;
			json_t *rows = json_array();
			for (int i = 0; i < x->rows->n_rows; i++)
				if (json_array_append_new(rows, table_json_number((double)gain[i])))
					return NULL;
			if (json_array_append_new(heads, rows))
				return NULL;
		}
		if (json_array_append_new(layers, heads))
			return NULL;
	}
	return layers;
}

/* ---- anatomy ---- */

static json_t *adapters_json(const struct inspected *x, const struct lookahead *other)
{
	const struct anatomy *a = x->anatomy;
	json_t *all = json_object();
	for (int p = 0; p < N_PROJ; p++) {
		json_t *delta = json_array(), *share = json_array(), *rank = json_array(), *singular = json_array(), *alike = json_array();
		int failed = 0;
		for (int layer = 0; layer < x->modules->n_layer; layer++) {
			int at = layer * N_PROJ + p;
			const struct lora_norms *n = &a->report->lora[at];
			double size = n->present ? n->delta : NAN;
			failed |= json_array_append_new(delta, table_json_number(size));
			failed |= json_array_append_new(share, table_json_number(size / a->weight_norm[at]));
			failed |= json_array_append_new(rank, table_json_number(anatomy_effective_rank(a, layer, p)));
			failed |= json_array_append_new(singular, n->present ? numbers_json(a->spectrum + (size_t)at * (size_t)a->r, a->r) : json_null());
			failed |= other && json_array_append_new(alike, table_json_number(anatomy_alike(x->modules, other, layer, p)));
		}
		json_t *one = json_pack("{s:o, s:o, s:o, s:o}", "delta", delta, "delta_of_weight", share, "effective_rank", rank, "singular_values",
			singular);
		if (other)
			failed |= json_object_set_new(one, "cosine_with_other", alike);
		else
			json_decref(alike);
		if (failed || json_object_set_new(all, projection_name(p), one))
			return NULL;
	}
	return all;
}

static json_t *cosines_json(const float *cosine, int rows, int columns)
{
	json_t *list = json_array();
	for (int i = 0; i < rows; i++) {
		json_t *line = json_array();
		for (int j = 0; j < columns; j++)
			if (json_array_append_new(line, table_json_number((double)cosine[(size_t)i * (size_t)columns + (size_t)j])))
				return NULL;
		if (json_array_append_new(list, line))
			return NULL;
	}
	return list;
}

static json_t *faults_json(const struct lookahead_report *r)
{
	json_t *list = json_array();
	for (int i = 0; i < r->n_listed; i++)
		if (json_array_append_new(list, text_json(r->fault[i].text)))
			return NULL;
	return list;
}

static json_t *soft_json(const struct inspection *in)
{
	const struct inspected *x = &in->own, *y = &in->other;
	int n = x->modules->n_lookahead;
	json_t *soft = json_pack("{s:o, s:o}", "vocabulary_norm", table_json_number(x->anatomy->word_norm), "cosine",
		cosines_json(x->anatomy->cosine, n, n));
	if (!y->modules)
		return soft;
	size_t pairs = (size_t)n * (size_t)y->modules->n_lookahead;
	float *cosine = malloc(pairs * sizeof *cosine);
	if (!cosine)
		return NULL;
	lookahead_cosines(x->modules, y->modules, cosine);
	int failed = json_object_set_new(soft, "cosine_with_other", cosines_json(cosine, n, y->modules->n_lookahead));
	free(cosine);
	return failed ? NULL : soft;
}

static json_t *modules_json(const struct inspected *x)
{
	const struct lookahead *l = x->modules;
	return json_pack("{s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:i, s:o}",
		"name", text_json(l->name),
		"sha256", text_json(*l->sha256 ? l->sha256 : NULL),
		"n_lookahead", l->n_lookahead,
		"rows_used", x->rows->n_rows,
		"scale", table_json_number((double)l->scale),
		"switches", text_json(*x->switches ? x->switches : NULL),
		"training", text_json(l->training),
		"n_fault", x->anatomy->report->n_fault,
		"faults", faults_json(x->anatomy->report));
}

/* ---- the whole ---- */

static json_t *other_json(const struct inspection *in)
{
	const struct inspected *y = &in->other;
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "modules", modules_json(y), "objective", objective_json(&y->objective), "agreement",
		agreement_json(in, y), "rows_used", rows_used_json(y->worth), "adapters", adapters_json(y, NULL));
}

json_t *inspection_json(const struct inspection *in)
{
	const struct inspected *x = &in->own;
	const struct model_info *m = model_info(in->model);
	json_t *all = json_pack("{s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"model", text_json(m->name),
		"modules", modules_json(x),
		"n_prompt", in->measured->n_prompt,
		"n_response", in->measured->n_response,
		"budget", (int)in->o->budget,
		"objective", objective_json(&x->objective),
		"worst", worst_json(in),
		"agreement", agreement_json(in, x),
		"rows", rows_json(in),
		"rows_used", rows_used_json(x->worth),
		"adapters", adapters_json(x, in->other.modules),
		"soft_tokens", soft_json(in));
	int failed = all == NULL;
	if (!failed && in->layer >= 0)
		failed |= json_object_set_new(all, "rows_of", json_pack("{s:i, s:i}", "layer", in->layer, "head", in->head));
	if (!failed && in->o->per_head && x->worth)
		failed |= json_object_set_new(all, "gain", gains_json(x));
	if (!failed && in->other.modules)
		failed |= json_object_set_new(all, "against", other_json(in));
	if (!failed)
		return all;
	json_decref(all);
	return NULL;
}

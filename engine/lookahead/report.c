#include "engine/lookahead_report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lookahead/parts.h"
#include "engine/lookahead_weights.h"

#define TINY_RATIO 1e-3
#define EXPLODING_RATIO 1e2
enum { MAX_LISTED = 1024 };

/* ---- norms ------------------------------------------------------------------------------------------------------ */

static double norm(const float *x, size_t n)
{
	double square = 0;
	for (size_t i = 0; i < n; i++)
		square += (double)x[i] * (double)x[i];
	return sqrt(square);
}

static size_t count_not_finite(const float *x, size_t n)
{
	size_t bad = 0;
	for (size_t i = 0; i < n; i++)
		bad += !isfinite(x[i]);
	return bad;
}

static void measure(struct lora_norms *out, const struct lora *lora, double scale)
{
	out->present = true;
	out->a = norm(lora->a, (size_t)lora->r * (size_t)lora->n_in);
	out->b = norm(lora->b, (size_t)lora->r * (size_t)lora->n_out);
	double square = lora_inner(lora, lora);
	out->ba = sqrt(square < 0 ? 0 : square); /* rounding of a sum that is zero; NaN stays NaN */
	out->delta = scale * out->ba;
}

static void measure_all(struct lookahead_report *report, const struct lookahead *l)
{
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		if (l->lora[i].a)
			measure(&report->lora[i], &l->lora[i], (double)l->scale);
	for (int i = 0; i < l->n_lookahead; i++)
		report->row_norm[i] = norm(l->embedding + (size_t)i * (size_t)l->n_embd, (size_t)l->n_embd);
}

/* ---- faults ----------------------------------------------------------------------------------------------------- */

static void add_fault(struct lookahead_report *r, struct lookahead_fault f, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_fault(struct lookahead_report *r, struct lookahead_fault f, const char *format, ...)
{
	r->n_fault++;
	if (r->n_listed == MAX_LISTED)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(f.text, sizeof f.text, format, args);
	va_end(args);
	r->fault[r->n_listed++] = f;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Median of the positive finite ones; 0 when there are none. Sorts in place. */
static double median(double *x, int n)
{
	int kept = 0;
	for (int i = 0; i < n; i++)
		if (x[i] > 0 && isfinite(x[i]))
			x[kept++] = x[i];
	qsort(x, (size_t)kept, sizeof *x, compare_doubles);
	return kept ? 0.5 * (x[(kept - 1) / 2] + x[kept / 2]) : 0;
}

static void check_adapter(struct lookahead_report *r, const struct lookahead *l, int layer, int p, double typical)
{
	const struct lora *lora = lora_at(l, layer, p);
	const struct lora_norms *n = &r->lora[layer * N_PROJ + p];
	struct lookahead_fault f = {.layer = layer, .proj = p, .row = -1};
	size_t bad = count_not_finite(lora->a, (size_t)lora->r * (size_t)lora->n_in) +
		count_not_finite(lora->b, (size_t)lora->r * (size_t)lora->n_out);
	if (bad) {
		f.kind = LOOKAHEAD_FAULT_NOT_FINITE;
		f.value = (double)bad;
		add_fault(r, f, "layer %d %s: %zu numbers are NaN or infinite", layer, projection_name(p), bad);
	} else if (typical > 0 && !(n->a > 0 && n->b > 0)) {
		f.kind = LOOKAHEAD_FAULT_ZERO;
		add_fault(r, f, "layer %d %s: %s is all zero, the adapter does nothing", layer, projection_name(p), n->a > 0 ? "B" : "A");
	} else if (typical > 0 && (n->ba < TINY_RATIO * typical || n->ba > EXPLODING_RATIO * typical)) {
		f.kind = n->ba < typical ? LOOKAHEAD_FAULT_TINY : LOOKAHEAD_FAULT_EXPLODING;
		f.value = n->ba;
		add_fault(r, f, "layer %d %s: norm of BA is %.3g, the median of the layers is %.3g", layer, projection_name(p), n->ba, typical);
	}
}

static void check_scale(struct lookahead_report *r, const struct lookahead *l, int layer, int p)
{
	float own = lora_at(l, layer, p)->own_scale;
	struct lookahead_fault f = {.kind = LOOKAHEAD_FAULT_SCALE, .layer = layer, .proj = p, .row = -1, .value = (double)own};
	if (own > 0 && (own < l->scale || own > l->scale))
		add_fault(r, f, "layer %d %s: scale %g, the module's is %g", layer, projection_name(p), (double)own, (double)l->scale);
}

static bool is_needed(const struct lookahead *l, int layer, int p)
{
	return layer < l->n_layer - 1 || p <= PROJ_K;
}

static void check_projection(struct lookahead_report *r, const struct lookahead *l, int p, double *room)
{
	int n_present = 0;
	for (int layer = 0; layer < l->n_layer; layer++) {
		room[layer] = r->lora[layer * N_PROJ + p].ba;
		n_present += r->lora[layer * N_PROJ + p].present;
	}
	double typical = median(room, l->n_layer);
	for (int layer = 0; layer < l->n_layer; layer++) {
		struct lookahead_fault f = {.kind = LOOKAHEAD_FAULT_MISSING, .layer = layer, .proj = p, .row = -1};
		if (r->lora[layer * N_PROJ + p].present) {
			check_adapter(r, l, layer, p, typical);
			check_scale(r, l, layer, p);
		} else if (2 * n_present > l->n_layer && is_needed(l, layer, p))
			add_fault(r, f, "layer %d %s: no adapter, %d of %d layers have one", layer, projection_name(p), n_present, l->n_layer);
	}
}

static void check_rows(struct lookahead_report *r, const struct lookahead *l, double *room)
{
	memcpy(room, r->row_norm, (size_t)l->n_lookahead * sizeof *room);
	double typical = median(room, l->n_lookahead);
	for (int i = 0; i < l->n_lookahead; i++) {
		double n = r->row_norm[i];
		struct lookahead_fault f = {.layer = -1, .proj = -1, .row = i, .value = n};
		size_t bad = count_not_finite(l->embedding + (size_t)i * (size_t)l->n_embd, (size_t)l->n_embd);
		if (bad) {
			f.kind = LOOKAHEAD_FAULT_NOT_FINITE;
			f.value = (double)bad;
			add_fault(r, f, "soft token %d: %zu numbers are NaN or infinite", i, bad);
		} else if (!(n > 0)) {
			f.kind = LOOKAHEAD_FAULT_ZERO;
			add_fault(r, f, "soft token %d is all zero", i);
		} else if (n < TINY_RATIO * typical || n > EXPLODING_RATIO * typical) {
			f.kind = n < typical ? LOOKAHEAD_FAULT_TINY : LOOKAHEAD_FAULT_EXPLODING;
			add_fault(r, f, "soft token %d: its norm is %.3g, the median is %.3g", i, n, typical);
		}
	}
}

/* Zero everywhere is one finding, not seven per layer. */
static void check_untrained(struct lookahead_report *r, const struct lookahead *l)
{
	int n = 0, n_zero = 0;
	for (int i = 0; i < l->n_layer * N_PROJ; i++) {
		n += r->lora[i].present;
		n_zero += r->lora[i].present && !(r->lora[i].b > 0 || isnan(r->lora[i].b));
	}
	struct lookahead_fault f = {.kind = LOOKAHEAD_FAULT_UNTRAINED, .layer = -1, .proj = -1, .row = -1};
	if (n && n == n_zero)
		add_fault(r, f, "every B is zero: these adapters do nothing (untrained)");
}

static int check_base(struct lookahead_report *r, const struct lookahead *l, const struct model *m, struct err *e)
{
	const char *hex;
	struct lookahead_fault f = {.kind = LOOKAHEAD_FAULT_BASE, .layer = -1, .proj = -1, .row = -1};
	if (!l->base_sha256 || !*l->base_sha256)
		return 0;
	int rc = model_sha256(m, &hex, e);
	if (!rc && strcmp(hex, l->base_sha256))
		add_fault(r, f, "trained for another model file: %.60s (sha256 %.12s...)", l->base_name ? l->base_name : "unnamed", l->base_sha256);
	return rc;
}

static int find_faults(struct lookahead_report *r, const struct lookahead *l, struct err *e)
{
	int most = l->n_layer > l->n_lookahead ? l->n_layer : l->n_lookahead;
	double *room = calloc((size_t)most + 1, sizeof *room);
	if (!room)
		return err_set(e, ERR_MEMORY, "out of memory for %d norms", most);
	check_rows(r, l, room);
	check_untrained(r, l);
	for (int p = 0; p < N_PROJ; p++)
		check_projection(r, l, p, room);
	free(room);
	return 0;
}

const char *lookahead_fault_name(enum lookahead_fault_kind kind)
{
	static const char *const name[] = {
		[LOOKAHEAD_FAULT_NOT_FINITE] = "not finite", [LOOKAHEAD_FAULT_ZERO] = "zero", [LOOKAHEAD_FAULT_UNTRAINED] = "untrained",
		[LOOKAHEAD_FAULT_TINY] = "tiny", [LOOKAHEAD_FAULT_EXPLODING] = "exploding", [LOOKAHEAD_FAULT_SCALE] = "unequal scale",
		[LOOKAHEAD_FAULT_BASE] = "wrong base model", [LOOKAHEAD_FAULT_MISSING] = "missing",
	};
	return name[kind];
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

int lookahead_report_make(struct lookahead_report **out, const struct lookahead *l, const struct model *m, struct err *e)
{
	struct lookahead_report *r = calloc(1, sizeof *r);
	*out = NULL;
	if (!r)
		return err_set(e, ERR_MEMORY, "out of memory for a report");
	r->n_layer = l->n_layer;
	r->n_lookahead = l->n_lookahead;
	r->lora = calloc((size_t)l->n_layer * N_PROJ + 1, sizeof *r->lora);
	r->row_norm = calloc((size_t)l->n_lookahead + 1, sizeof *r->row_norm);
	r->fault = calloc(MAX_LISTED, sizeof *r->fault);
	int rc = r->lora && r->row_norm && r->fault ? 0 : (int)err_set(e, ERR_MEMORY, "out of memory for a report");
	if (!rc) {
		measure_all(r, l);
		rc = m ? check_base(r, l, m, e) : 0;
		rc = rc ? rc : find_faults(r, l, e);
	}
	if (rc)
		lookahead_report_free(r);
	else
		*out = r;
	return rc;
}

void lookahead_report_free(struct lookahead_report *r)
{
	if (!r)
		return;
	free(r->lora);
	free(r->row_norm);
	free(r->fault);
	free(r);
}

/* Columns: rows of values per token, drawn in fewer columns than there are tokens.
 *
 * A column's value is the largest of its tokens (lift, raw) or their mean (rank percentile, where a maximum would
 * saturate). Rows are aggregated when they are first drawn and kept until snapshot, method, scale, zoom or width
 * change: moving the cursor or turning the budget touches nothing here.
 */
#ifndef KVGLASS_TUI_COLUMNS_H
#define KVGLASS_TUI_COLUMNS_H

#include "tui/look.h"

/* value (n tokens; position first + t is token t of the window) to out (cols): the largest; NaN where a column has
 * no number. Pure. */
void columns_largest(const float *value, int first, struct look_window w, int cols, float *out);
void columns_mean(const float *value, int first, struct look_window w, int cols, float *out); /* the mean of its numbers */

/* What is aggregated: each is kept, so that another scale costs no second pass over the tokens. */
enum column_value { COLUMN_LIFT, COLUMN_PERCENTILE, COLUMN_TRUTH /* truth's lift, to compare with */, N_COLUMN_VALUE };

/* One block of rows: the layers, or the heads of a layer, of one series. */
struct columns {
	struct columns_key {
		int serial, series, no_sinks, from, span, cols, layer; /* layer -1: rows are layers */
		int n_row;
	} key;
	struct column_values {
		float *value;   /* (n_row, cols) */
		float *largest; /* (n_row) of the row's tokens */
		bool *ready;    /* (n_row) */
	} of[N_COLUMN_VALUE];
	float *level;     /* (n_row, cols) ramp levels of the present scale, NaN: no value */
	bool *drawn;      /* (n_row) */
	enum ramp_scale scale;
	float *scratch; /* (n_prompt) */
};
void columns_free(struct columns *c); /* safe on a zeroed struct */

/* Levels (cols) of a row (layer, or query head of `layer`), from the cache or made now. NULL: not measured, or
 * memory is short. */
const float *columns_row(struct columns *c, const struct look *l, int series, int layer, int row, int cols);

#endif

/* Words: truth of chosen response rows, what THOSE words of the answer read in the prompt.
 *
 * The response is run again over the prompt that a measurement left in its cache (analysis/live.h), up to the last
 * row that was chosen; only chosen rows are summed. So "which words of the answer needed this token" costs a part
 * of the response and no memory beside two maps.
 */
#ifndef KVGLASS_ANALYSIS_WORDS_H
#define KVGLASS_ANALYSIS_WORDS_H

#include "analysis/live.h"

/* row (n_row): response tokens counted from 0, ascending. *out is live_capture() with `truth` the mean over these
 * rows and `truth_even` that over the first, third, ... of them; metadata kvglass.truth_rows says which ("3-4,7"),
 * and is absent when all are chosen: truth is then what the measurement found. ERR_USE when the capture has no
 * response or a row is not there. Stage "words": response rows. On ERR_CANCELLED *out is NULL. */
int words_truth(const struct capture **out, struct live *l, const int *row, int n_row,
	const struct progress *progress, struct err *e);

/* Rows that a capture's truth is over, from its metadata: row (n_response) and how many. 0: all of them, or what is
 * written there are no rows of this response. */
int words_chosen(const struct capture *c, int *row);

#endif

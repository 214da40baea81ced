/* Words: truth of chosen response rows, what THOSE words of the answer read in the prompt.
 *
 * The response is run again over the prompt that a measurement left in its cache (analysis/live.h), up to the last
 * row that was chosen; only chosen rows are summed. So "which words of the answer needed this token" costs a part
 * of the response and no memory beside two maps.
 */
#ifndef KVGLASS_ANALYSIS_WORDS_H
#define KVGLASS_ANALYSIS_WORDS_H

#include "analysis/live.h"

struct words_request {
	const struct capture *base; /* whose other maps are kept beside truth; NULL: the live capture */
	const int *row;             /* (n_row) response tokens counted from 0, ascending */
	int n_row;
	const struct progress *progress; /* stage "words": response rows */
};
/* *out is the base with `truth` the mean over these rows and `truth_even` that over the first, third, ... of them;
 * metadata kvglass.truth_rows says which ("3-4,7"), and is absent when all are chosen. ERR_USE when the capture has no
 * response or a row is not there. On ERR_CANCELLED *out is NULL. */
int words_truth(const struct capture **out, struct live *l, const struct words_request *request, struct err *e);
/* *out is the base (of the live prompt) with the truth that the measurement found, of the whole response. */
int words_whole(const struct capture **out, struct live *l, const struct capture *base, struct err *e);

/* Rows that a capture's truth is over, from its metadata: row (n_response) and how many. 0: all of them, or what is
 * written there are no rows of this response. */
int words_chosen(const struct capture *c, int *row);

#endif

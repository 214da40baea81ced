/* Swaps: which tokens the present protocol keeps in place of those that the common one would, at the same budget. */
#ifndef KVGLASS_TUI_SWAP_H
#define KVGLASS_TUI_SWAP_H

#include "tui/look.h"

struct swap {
	double in, out; /* tokens a head of the scope: kept now and not under the common protocol, and the other way round */
	double kept;    /* tokens a head keeps now */
};
/* False: the protocol is the common one, or the series has nothing to be compared with. */
bool swap_count(struct look *l, int series, struct scope scope, struct swap *out);
/* 1: kept now and not under the common protocol, by more heads of the look's scope; -1: by fewer; 0: by as many. */
int swap_of(struct look *l, int series, int token);
/* The series' method under the common protocol, -1: there is none. */
int swap_method(const struct snapshot *s, int series);

#endif

/* Whether a token is kept, in the present scope at the present budget: the one answer that text, strip and table
 * draw. */
#ifndef KVGLASS_TUI_KEPT_H
#define KVGLASS_TUI_KEPT_H

#include "tui/look.h"

enum kept {
	KEPT_UNKNOWN, /* method not measured, or nothing to choose from */
	KEPT_SINK,    /* protected: among the first ... */
	KEPT_WINDOW,  /* ... or the last */
	KEPT_NONE,
	KEPT_SOME,    /* by less than half of the scope's heads */
	KEPT_MOST,
	KEPT_ALL,
};

struct verdict {
	enum kept kept;
	int votes, of; /* heads of the scope that keep it */
};
struct verdict kept_verdict(struct look *l, int series, int token);

#endif

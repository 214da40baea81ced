/* A live prompt's insides: private to analysis/measure/. */
#ifndef KVGLASS_ANALYSIS_MEASURE_LIVE_H
#define KVGLASS_ANALYSIS_MEASURE_LIVE_H

#include "analysis/live.h"

struct live {
	struct session *session;
	const struct model *model;
	const struct capture *capture;
	int max_tokens; /* the cache's capacity */
};

/* Takes the session over (not on failure) and a count on the capture. */
int live_make(struct live **out, struct session *session, const struct model *model, const struct capture *capture, int max_tokens, struct err *e);

#endif

/* Measure: from a model and a prompt to a capture, publishing what is known as soon as it is.
 *
 *   prefill      prompt rows; SnapKV's window, TOVA's row, other windows, H2O's all rows when asked for
 *   lookahead    32 rows of the modules over the finished cache; the same for the untrained control
 *   decode       the model's own greedy response, each row added to truth (or one pass over a given response)
 */
#ifndef KVGLASS_ANALYSIS_MEASURE_H
#define KVGLASS_ANALYSIS_MEASURE_H

#include "analysis/capture.h"
#include "engine/engine.h"
#include "engine/lookahead.h"

struct measure_options {
	enum prompt_mode mode;
	int window;                     /* SnapKV's rows, default 32 */
	int n_response;                 /* tokens at most, default 128 */
	const char *response;           /* given response text (teacher-forced) or NULL: the model's own */
	size_t response_bytes;
	float temperature;
	uint64_t seed;                  /* sampling, untrained rows */
	const struct lookahead *modules; /* or NULL */
	const char *const *method;      /* names to measure; NULL: all cheap ones (everything but h2o / observed) */
	int n_method;
	int n_threads;
};
struct measure_timings { /* milliseconds */
	double load, prefill, lookahead, decode;
};
struct measure_watch {
	const struct progress *progress; /* stages "prefill", "lookahead", "untrained", "decode" */
	/* a new snapshot (complete == false until the last); called from the working thread; takes over the reference */
	void (*publish)(void *user, const struct capture *snapshot);
	void *user;
	int publish_ms; /* least time between two snapshots of truth; 0: 200 */
};

/* *out is the finished capture. On ERR_CANCELLED *out is what had been measured until then (complete false), or NULL. */
int measure_prompt(const struct capture **out, const struct model *m, const char *text, size_t n_bytes,
	const struct measure_options *o, const struct measure_watch *watch, struct measure_timings *timings, struct err *e);

/* Bytes the run will take (model_estimate with this run's maps). */
void measure_estimate(const struct model *m, int n_prompt, const struct measure_options *o, struct memory_estimate *out);

#endif

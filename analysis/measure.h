/* Measure: from a model and a prompt to a capture, publishing what is known as soon as it is.
 *
 *   prefill      prompt rows; SnapKV's window, TOVA's row, other windows, H2O's all rows when asked for
 *   lookahead    32 rows of the modules over the finished cache; the same for the untrained control
 *   decode       the model's own greedy response, each row added to truth (or one pass over a given response)
 */
#ifndef KVGLASS_ANALYSIS_MEASURE_H
#define KVGLASS_ANALYSIS_MEASURE_H

#include "analysis/capture.h"
#include "analysis/live.h"
#include "engine/engine.h"
#include "engine/lookahead.h"

struct measure_timings { /* milliseconds */
	double load;      /* the caller's: opening the model */
	double prefill;   /* prompt rows with their captures */
	double lookahead; /* the modules' pass (the control's is not counted) */
	double decode;    /* all response tokens with truth's capture */
};
struct measure_watch {
	const struct progress *progress; /* stages "prefill", "lookahead", "untrained", "decode" */
	/* a new snapshot (complete == false until the last); called from the working thread; takes over the reference */
	void (*publish)(void *user, const struct capture *snapshot);
	void *user;
	int publish_ms; /* least time between two snapshots of truth; 0: 200. Longer where making one takes long */
};

struct measure_options {
	enum prompt_mode mode;
	const struct chat_message *conversation; /* (n_message) instead of the text, in the model's chat template; NULL: none */
	int n_message;
	int window;                     /* SnapKV's rows; 0: 32. In a prompt of fewer tokens all rows there are */
	int n_response;                 /* tokens at most (the context may allow fewer); 0: no response, no truth */
	const char *response;           /* given response text (teacher-forced) or NULL: the model's own */
	size_t response_bytes;
	float temperature;
	uint64_t seed;                  /* sampling, untrained rows */
	const struct lookahead *modules; /* or NULL */
	/* names to measure; NULL: everything but what needs all prompt rows (h2o, observed) or is asked for by name:
	 * "snapkv_w<rows>" for any number of rows, "value_l2", "value_l1_wo", "value_l2_wo". Names of methods that
	 * need no map are let through. */
	const char *const *method;
	int n_method;
	int n_threads;
	/* where the session goes once the prompt has been run, so that more can be asked of it (analysis/live.h; the caller closes it);
	 * NULL: it is closed. Receives NULL when there is no capture. */
	struct live **keep;
	const struct measure_watch *watch; /* or NULL */
	struct measure_timings *timings;   /* filled, all but load; or NULL */
};

/* Are o's methods names that can be measured, and not too many? ERR_USE, ERR_LIMIT. */
int measure_check_methods(const struct measure_options *o, struct err *e);
/* Will a run by these options measure what this method (a name that passes the check) scores by? Lookahead needs modules besides. */
bool measure_scores(const struct measure_options *o, const char *method);

/* Measures one prompt. *out is the finished capture (the caller's reference).
 * Refuses before the model runs: a prompt or given response that the context cannot hold (ERR_LIMIT), more memory
 * than there is (ERR_MEMORY, with figures), an unknown method or modules of another shape (ERR_USE). A stop while
 * the response is written takes effect between two tokens, so truth is whole for the tokens there are. On
 * ERR_CANCELLED *out is what had been measured until then (complete false), NULL when the prompt itself was not
 * finished.
 *
 * Metadata beside what captures carry anyway: kvglass.program, model_name, model_sha256, arch, weight_type,
 * prompt_mode ("chat", "raw"), response_source ("greedy", "sampled", "given"), response_end ("end token", "limit",
 * "context", "given", "stopped"), temperature, seed, module_name, module_sha256, device, precision. */
int measure_prompt(const struct capture **out, const struct model *m, const char *text, size_t n_bytes,
	const struct measure_options *o, struct err *e);

#endif

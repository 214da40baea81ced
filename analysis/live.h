/* A live prompt: the session that a measurement leaves behind, so that more can be asked about the same prompt without running
 * it again. The prompt's keys and values are in its cache; every question starts from there and leaves them as they were.
 *
 * measure_prompt() makes one (measure_options.keep). One thread at a time; the model must outlive it.
 */
#ifndef KVGLASS_ANALYSIS_LIVE_H
#define KVGLASS_ANALYSIS_LIVE_H

#include "analysis/capture.h"
#include "engine/engine.h"

struct live;
void live_close(struct live *l); /* NULL is allowed */

const struct model *live_model(const struct live *l);
/* What was measured, response included; lives as long as l. A later question's result is capture_replace() of it. */
const struct capture *live_capture(const struct live *l);
/* The session, brought back to exactly the prompt: session_length() is its n_prompt. */
struct session *live_session(struct live *l);
/* Tokens that fit behind the prompt: response or lookahead rows. */
int live_room(const struct live *l);

#endif

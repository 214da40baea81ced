/* How fast the present or last run was, stage by stage, and on what: the device, its memory, the share of what it can do. */
#ifndef KVGLASS_TUI_SPEED_H
#define KVGLASS_TUI_SPEED_H

#include "tui/worker/worker.h"

/* "1,204 tokens/s", ", 63 % of peak" behind it where that is known; "" for a stage that counts no tokens or is too young. */
void speed_of_stage(const struct stage *s, char *out, size_t out_bytes);
/* "cuda:0 NVIDIA H200 · 12.3 of 139.8 GiB in use"; "" before a model was opened. */
void speed_of_device(const struct worker_state *w, char *out, size_t out_bytes);
/* All of it in a sentence, and what peak means. */
void speed_say(const struct worker_state *w, char *out, size_t out_bytes);

#endif

/* Synthetic captures under the common protocol, for tests of what is drawn from evaluations. */
#ifndef KVGLASS_TESTS_EVALUATED_H
#define KVGLASS_TESTS_EVALUATED_H

#include "analysis/evaluation.h"

/* 4 layers, 6 query heads on 2 KV heads, every method; NULL after a failed check. Free with evaluation_close(). */
struct evaluation *evaluated(int n_prompt, int n_response);

#endif

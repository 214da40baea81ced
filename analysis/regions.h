/* Regions: where a method's budget goes, and where truth's mass lies, by part of the prompt and by class of token.
 *
 * Three ways to divide a prompt. A position has one part (who wrote it), one class in every layer (in-prompt sinks
 * are a layer's own), and lies in any of the spans that the caller marks. Classes, the first that fits:
 *
 *   sink            among the first tokens that the protocol always keeps
 *   window          among the last ones
 *   in-prompt sink  above 20x lift in most heads of the layer (evaluation_prompt_sinks)
 *   control         a special token as it is written: <|...|>, and <...> or [...] of the template
 *   word, number, punctuation, space
 *                   by Unicode's general categories, in any script: L and M; N; P and S; Z and white space. A token
 *                   is the first of these that one of its characters is; a token that is part of a character is
 *                   what the whole character is
 *   other           anything else: no text, bytes that are no character
 */
#ifndef KVGLASS_ANALYSIS_REGIONS_H
#define KVGLASS_ANALYSIS_REGIONS_H

#include "analysis/evaluation.h"

enum token_class {
	CLASS_SINK, CLASS_WINDOW, CLASS_PROMPT_SINK, CLASS_CONTROL, CLASS_WORD, CLASS_NUMBER, CLASS_PUNCTUATION,
	CLASS_SPACE, CLASS_OTHER, N_TOKEN_CLASS
};
enum prompt_part { PROMPT_TEMPLATE, PROMPT_SYSTEM, PROMPT_USER, PROMPT_UNKNOWN /* the capture does not say */, N_PROMPT_PART };

const char *token_class_name(enum token_class c); /* "sink", "in-prompt sink", ... */
const char *prompt_part_name(enum prompt_part p); /* "template", "system", "user", "unknown" */

/* Regions count through: parts, classes, then spans. */
enum { REGION_PART = 0, REGION_CLASS = N_PROMPT_PART, REGION_SPAN = N_PROMPT_PART + N_TOKEN_CLASS };

struct region_span {
	int first, end; /* positions first .. end - 1 */
};

struct region_numbers { /* of one region */
	double tokens;  /* prompt tokens in it: mean over the scope's layers */
	double kept;    /* of these kept, protected ones included: mean over the scope's heads */
	double share;   /* of all that is kept */
	double truth;   /* share of truth's mass on the prompt, protected tokens included; NaN without truth */
	double covered; /* of that mass, the share on kept tokens; NaN where there is none */
};

struct regions;

/* Reads the whole truth once. Keeps no reference: ev must outlive it. Spans reach beyond the prompt: ERR_USE. */
int regions_open(struct regions **out, const struct evaluation *ev, const struct region_span *span, int n_span,
	struct err *e);
void regions_close(struct regions *r); /* NULL is allowed */

int regions_count(const struct regions *r); /* REGION_SPAN + n_span */
enum token_class regions_class(const struct regions *r, int layer, int position);
enum prompt_part regions_part(const struct regions *r, int position);
/* For who asks about a method at many budgets: tallies at every 128th rank of its rankings, read once. Takes time in proportion to
 * the prompt; regions_numbers() then hardly any. */
int regions_prepare(struct regions *r, int method, struct err *e);
/* Every region's numbers, out (regions_count), of an available method at k (n_layer, n_unit; evaluation_allocate).
 * Takes time in proportion to what is kept, not to the prompt. k NULL: nothing was to be chosen from. */
void regions_numbers(const struct regions *r, int method, struct scope s, const int *k, struct region_numbers *out);

#endif

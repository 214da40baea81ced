/* Tables: comparisons as JSON (a contract: names and meanings stay), CSV and text for people. */
#ifndef KVGLASS_EXPORT_TABLE_H
#define KVGLASS_EXPORT_TABLE_H

#include <jansson.h>

#include "analysis/compare.h"

/* What scripts may rely on:
 *   {sink, window, pool, kernel, protocol (text), n_layer, n_head, n_kv_head,
 *    budgets: [{budget, chosen, candidates, methods: {NAME: {overlap, mass, mass_ratio, interval?, per_head?, regions?}}}],
 *    methods: {NAME: {label, kl, spearman, area, interval?, per_head?}},
 *    prompts: [{label, n_prompt, n_response, candidates, budgets, methods}],   several captures only
 *    regions: {parts: {NAME: {tokens, truth}}, classes: {NAME: {tokens, truth}}},   when asked for
 *    checks: [{name, ok: true | false | null (not known), detail}], warnings: [text]}
 * interval: {NAME: [low, high]}, several captures only. per_head: arrays (n_layer, n_kv_head) under the numbers'
 * own names (query heads when the group is not reduced), and kl_query_head (n_layer, n_head). kernel is null
 * without pooling. regions under a budget's method: the same names with {kept, share, covered} (analysis/regions.h),
 * means over the prompts; regions without tokens are left out. Owned by the caller; NULL: out of memory. What is not a number is null. */
json_t *table_compare_json(const struct comparison *cmp);
/* Text is forced to valid UTF-8: bytes that are half of a character become U+FFFD. */
json_t *table_json_text(const char *bytes, size_t n_bytes);
json_t *table_json_number(double x); /* null when not finite */
/* One JSON value, sorted as inserted, to standard output or a file ("-"). */
int table_write_json(const json_t *value, const char *path, struct err *e);
/* One row a budget and method; several captures: their means first (prompt "all"), then each one's own. Empty: not
 * defined. */
int table_compare_csv(const struct comparison *cmp, const char *path, struct err *e);
/* Regions instead: one row a budget, method and region; needs a comparison that has them. */
int table_regions_csv(const struct comparison *cmp, const char *path, struct err *e);
/* For people, in the words of the screen, with a table of regions a budget where they were asked for. Warnings are left
 * to the caller. */
int table_compare_text(const struct comparison *cmp, const char *path, struct err *e);

#endif

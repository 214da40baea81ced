/* Golden files: what the reference implementations computed (tests/golden/make_golden.py), and comparing with it.
 *
 * A golden holds one prompt of one model: token ids, greedy response and its margins, chosen logits, and the means of
 * every layer and head. A comparison names the first wrong layer, head and token, and how many rows are wrong.
 */
#ifndef KVGLASS_TESTS_GOLDEN_H
#define KVGLASS_TESTS_GOLDEN_H

#include "engine/engine.h"
#include "engine/file.h"
#include "engine/lookahead.h"
#include "engine/safetensors.h"

struct golden {
	struct file_map map;
	struct st_file file;
	const char *name; /* "chat": for messages */
	const int32_t *prompt, *response;
	int n_prompt, n_response;
	const float *margin; /* (n_margin): of every greedy choice, the one that chose an end token included */
	int n_margin;
	double worst_abs, worst_rel; /* of all maps compared, so that a passing test says how close it is */
};

/* path inside the tree. Failures are failed checks; false then. */
bool golden_open(struct golden *g, const char *path);
void golden_close(struct golden *g);
/* A tensor with its element type and size checked; NULL when the golden has none of that name. */
const float *golden_floats(const struct golden *g, const char *name, size_t n);
const int32_t *golden_ints(const struct golden *g, const char *name, int *n);
const char *golden_meta(const struct golden *g, const char *key);

/* One map that the engine measured. Fails unless `got` times scale is the golden's, every value within tol_abs and within tol_rel of its
 * row's largest. A map that the golden does not hold is left out; false then, and when it is wrong. */
struct golden_map {
	const char *name;          /* of the tensor */
	const float *got;          /* (n_layer, n_row, n_key) */
	double scale;              /* 1 / rows, for sums */
	int n_layer, n_row, n_key; /* n_row: query heads or KV heads */
	double tol_abs, tol_rel;
};
bool golden_check_map(struct golden *g, const struct golden_map *map);

/* Random modules of the golden's seed, written as a module file by the safetensors writer and read by lookahead_load(). */
struct lookahead *golden_modules(const struct golden *g, const struct model *m);

#endif

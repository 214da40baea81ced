/* A capture: everything one run measured on one prompt. The only thing screens and figures look at.
 *
 * It comes from a live run (analysis/measure.h), from a .kvg file (contract in analysis/capture/kvg.h) or from
 * analysis/synthetic.h; who reads it cannot tell which. A capture is immutable once it has been handed out, and
 * counted: a live run publishes a new one whenever something new is known, sharing what did not change
 * (capture_extend).
 *
 * Maps are MEANS over their query rows, un-pooled, per query head, so that GQA reduction, pooling, window, sinks
 * and budget stay choices of the reader.
 */
#ifndef KVGLASS_ANALYSIS_CAPTURE_H
#define KVGLASS_ANALYSIS_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

enum map_kind {
	MAP_ROWS,  /* rows.<name>:  (n_layer, n_head, n_prompt), mean attention of a set of query rows */
	MAP_SCORE, /* score.<name>: (n_layer, n_kv_head, n_prompt), higher is kept first */
};

struct capture_map {
	/* without "rows." or "score.": "truth", "truth_even", "snapkv", "lookahead", "untrained", "h2o", "tova",
	 * "snapkv_w64", "keynorm", ... */
	const char *name;
	enum map_kind kind;
	const float *data;
	int n_rows;     /* query rows the mean is over; 0: unknown (not in the file) or a MAP_SCORE */
	int n_rows_due; /* rows it will be over when the run is finished; == n_rows when complete (0 is read as that) */
	double row_error; /* self-check: largest |sum of a measured attention row - 1|; NaN: not measured */
};

struct capture_pair {
	const char *key, *value; /* UTF-8 */
};

struct capture {
	int n_layer, n_head, n_kv_head, head_dim;
	int n_prompt, n_response;
	const int32_t *token;  /* (n_prompt + n_response) ids, prompt then response */
	const int32_t *offset; /* (n_prompt + n_response + 1) byte offsets into text */
	const char *text;      /* bytes of all pieces; a piece may be part of a character */
	const uint8_t *part;   /* (n_prompt + n_response) enum token_part, or NULL when unknown */
	int window;            /* rows of `snapkv`; 0: unknown */
	int n_map;
	const struct capture_map *map;
	int n_meta;
	const struct capture_pair *meta; /* full keys ("kvglass.window"), file order; unknown ones kept */
	bool complete;                   /* false for snapshots of a run that goes on */
};

const struct capture *capture_ref(const struct capture *c);
void capture_unref(const struct capture *c); /* NULL is allowed; thread-safe */

const struct capture_map *capture_find(const struct capture *c, const char *name); /* NULL: not measured */
const char *capture_meta(const struct capture *c, const char *key); /* without the "kvglass." prefix; NULL: absent */
/* One row of a map: n_prompt floats. head is a query head for MAP_ROWS, a KV head for MAP_SCORE. */
const float *capture_row(const struct capture *c, const struct capture_map *map, int layer, int head);
/* SHA-256 of the .kvg file it was opened from (64 hex digits), "" for any other capture. Computed when first asked for;
 * thread-safe. */
const char *capture_sha256(const struct capture *c);
/* Is the file that the capture was opened from still what it was? Asked after whatever read maps: when somebody cut or
 * rewrote it meanwhile, results are worth nothing, and the error says so. */
int capture_intact(const struct capture *c, struct err *e);
/* The i-th map that was set aside, as "rows.snapkv is F32 (30, 9, 52), not F32 (30, 9, 53)"; false behind the last. */
bool capture_set_aside(const struct capture *c, int i, char *out, size_t size);
/* Bytes of token i (prompt then response). */
const char *capture_piece(const struct capture *c, int i, size_t *n_bytes);
/* Do both hold the same prompt: ids and bytes of every token? The response is not looked at... */
bool capture_same_prompt(const struct capture *a, const struct capture *b);
/* ... and here it is. */
bool capture_same_tokens(const struct capture *a, const struct capture *b);

/* .kvg files. Opening maps the file, large maps stay where they are; a missing optional tensor is simply absent, a
 * damaged one is an error that names it, and so is a value that cannot be (not finite, negative attention). A map of
 * another type or shape than tokens and metadata ask for is set aside, as if it were not there, unless none fits.
 * Saving is atomic and gives the same bytes for the same capture; tensors and keys of an opened file that are unknown
 * or set aside are written back. */
int capture_open(const struct capture **out, const char *path, struct err *e);
int capture_save(const struct capture *c, const char *path, struct err *e);

/* Builds a capture from parts; everything is copied and checked as in a file. For the live run, for tests and for
 * synthetic benchmarks. Left out of parts: NULL token (all 0), NULL offset and text (empty pieces), NULL part.
 * Shape, window, rows and errors of maps are written into the metadata too, replacing what parts->meta says about
 * them. */
int capture_build(const struct capture **out, const struct capture *parts, struct err *e);
/* The same, but a pointer of parts that lies inside what base owns is shared instead of copied (and not checked
 * again), and base's unknown tensors come along. base may be NULL; it is not kept alive as a whole. */
int capture_extend(const struct capture **out, const struct capture *base, const struct capture *parts, struct err *e);
/* base with some maps and metadata pairs (full keys) in the place of those of the same name, or added; a pair whose value is NULL is
 * taken away. Maps are copied and checked; everything else is shared with base, its unknown tensors included. */
int capture_replace(const struct capture **out, const struct capture *base, const struct capture_map *map, int n_map,
	const struct capture_pair *meta, int n_meta, struct err *e);

#endif

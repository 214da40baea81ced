/* The .kvg file, a safetensors file: private to analysis/capture/.
 *
 *   tokens.prompt     I32 (n)               token ids
 *   tokens.response   I32 (m)               token ids; absent: no response
 *   tokens.text       U8  (bytes)           bytes of all pieces, prompt then response
 *   tokens.offset     I32 (n+m+1)           into tokens.text
 *   tokens.part       U8  (n+m)             enum token_part; optional
 *   rows.<name>       F32 (n_layer, n_head, n)     mean attention of a set of query rows on prompt position j
 *   score.<name>      F32 (n_layer, n_kv_head, n)  for methods that are not measured from rows
 *
 * Metadata, all strings: kvglass.version (of this contract, "1"), kvglass.program, kvglass.n_layer, n_head,
 * n_kv_head, head_dim, kvglass.window (rows of `snapkv`), kvglass.complete ("false" for a run that was cut short;
 * absent otherwise), kvglass.rows.<name> (query rows of a map), kvglass.rows_due.<name> (when the run was cut
 * short), kvglass.row_error.<name> (self-check), and the free ones of analysis/measure.h. Unknown tensors
 * and keys are kept. */
#ifndef KVGLASS_ANALYSIS_CAPTURE_KVG_H
#define KVGLASS_ANALYSIS_CAPTURE_KVG_H

#include "analysis/capture/box.h"
#include "engine/file.h"

#define KVG_VERSION 1

/* Reads a file's bytes. Takes the caller's count on them over, also on failure. name is for messages. */
int kvg_read(struct capture_box **out, struct block *bytes, const char *name, struct err *e);

#endif

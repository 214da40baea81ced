/* Contents: what a weights file holds, by name, type and shape, without understanding or running it.
 *
 * For `kvglass info`: a model of an architecture that cannot be run can still be looked into. Everything is copied, the file is not
 * kept open. All checks of the parsers apply, so a file whose tensors reach past its end is refused.
 */
#ifndef KVGLASS_ENGINE_CONTENTS_H
#define KVGLASS_ENGINE_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

enum contents_kind { CONTENTS_GGUF, CONTENTS_SAFETENSORS, CONTENTS_FOLDER };

#define CONTENTS_MAX_DIM 8

struct contents_tensor {
	char *name;
	char *type; /* as the format calls it: "Q4_1", "BF16"; "type 99" for a code nobody published */
	int n_dim;
	int64_t dim[CONTENTS_MAX_DIM]; /* dim[0] varies slowest, in every format */
	uint64_t n_bytes, n_element;
	int file; /* index into contents.file */
};

enum contents_value_kind { CONTENTS_TEXT, CONTENTS_WHOLE, CONTENTS_REAL, CONTENTS_BOOL, CONTENTS_LIST };

struct contents_value {
	char *key;
	enum contents_value_kind kind;
	char *text; /* n_bytes and a NUL; of a list: "49152 strings", of everything else the value itself */
	size_t n_bytes;
	int64_t whole; /* CONTENTS_WHOLE; CONTENTS_BOOL: 0, 1 */
	double real;   /* CONTENTS_REAL */
};

struct contents_file {
	char *name; /* within the folder, or the path itself */
	uint64_t n_bytes;
};

struct contents {
	enum contents_kind kind;
	char *format; /* "gguf v3", "safetensors", "safetensors x 4" */
	uint64_t n_bytes; /* all files together */
	int n_file, n_tensor, n_value;
	struct contents_file *file;
	struct contents_tensor *tensor; /* in the files' order */
	struct contents_value *value;   /* GGUF keys, safetensors metadata, or the plain values of a folder's config.json */
};

/* A .gguf file, a .safetensors or .kvg file, or a folder of safetensors files beside a config.json. */
int contents_open(struct contents **out, const char *path, struct err *e);
void contents_close(struct contents *c); /* NULL is allowed */

const struct contents_tensor *contents_tensor(const struct contents *c, const char *name); /* NULL: not there */

#endif

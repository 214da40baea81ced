/* The golden token ids of tests/golden/tokens (make_tokens.py made them), for tests. */
#ifndef KVGLASS_TESTS_GOLDEN_TOKENS_H
#define KVGLASS_TESTS_GOLDEN_TOKENS_H

#include <jansson.h>

#include "engine/token/tokenizer.h"
#include "tests/support/gguf_writer.h"

json_t *golden_json(const char *name); /* of tests/golden/tokens; a failed check and NULL when it cannot be read */

/* A tokenizer for tests; a failed check and NULL when it cannot be opened. */
struct tokenizer *golden_folder(const char *name); /* of tests/golden/tokens */
struct tokenizer *golden_sample(
	void); /* the sample model's own; NULL with the case skipped when it is not there */
/* The same tokenizer as in a folder, by way of a GGUF with its vocabulary. extra, when given, puts further keys.
 */
struct tokenizer *golden_gguf(const char *name, const char *pre, void (*extra)(struct gguf_writer *w));

/* Every text of texts.json in a mode: ids as in the family's ids.json. */
enum golden_mode { GOLDEN_RAW, GOLDEN_ENCODE, GOLDEN_CHAT };
void golden_check_ids(const struct tokenizer *t, const char *name, enum golden_mode mode);

#endif

/* The tokenizers of tiny models: 256 bytes, a few merges, control tokens. */
#ifndef KVGLASS_TESTS_TINY_TOKENS_H
#define KVGLASS_TESTS_TINY_TOKENS_H

#include "tests/support/tiny_model.h"

int tiny_n_token(enum tiny_kind kind); /* the embedding has more rows, as padded ones do */
void tiny_tokens_gguf(struct gguf_writer *w, enum tiny_kind kind);     /* tokenizer.* keys */
void tiny_tokens_folder(const char *folder, enum tiny_kind kind);      /* tokenizer.json, tokenizer_config.json, generation_config.json */
void tiny_json_write(const char *folder, const char *name, void *json); /* takes the reference of a json_t */
int tiny_end_token(enum tiny_kind kind);

#endif

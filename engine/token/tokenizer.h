/* Byte-level BPE tokenisers as the reference implementations do it: GPT-2, SmolLM (single digits, then byte
 * level), Llama 3 and Qwen2 / Qwen3 pre-tokenisers (PCRE2), normalisation where the family has it (Qwen: form C,
 * utf8proc), merges, added and control tokens, chat templates. Other kinds (SentencePiece, WordPiece) are refused
 * by name.
 *
 * Ids are those of the library `tokenizers` with the family's own settings. That includes what a GGUF does not say
 * and its family does: the normalisation, the BOS of Llama 3, the usual end tokens beside the one that the file
 * names. Added tokens that are not control tokens (<think>, <tool_call>) are ordinary vocabulary and found in
 * every text, also in a message and in a response, as the reference finds them. A tokenizer is immutable and may
 * be shared by threads.
 */
#ifndef KVGLASS_ENGINE_TOKEN_TOKENIZER_H
#define KVGLASS_ENGINE_TOKEN_TOKENIZER_H

#include "engine/engine.h"
#include "engine/file/gguf.h"

struct tokenizer;

/* From a GGUF's tokenizer.ggml.* keys. The strings of g need not outlive the call. */
int tokenizer_from_gguf(struct tokenizer **out, const struct gguf_file *g, const char *name, struct err *e);
/* From a Hugging Face folder: tokenizer.json, tokenizer_config.json, chat_template.jinja, generation_config.json,
 * config.json as present. */
int tokenizer_from_folder(struct tokenizer **out, const char *folder, struct err *e);
void tokenizer_free(struct tokenizer *t);

int tokenizer_n_vocab(const struct tokenizer *t);             /* highest id + 1 */
const char *tokenizer_chat_family(const struct tokenizer *t); /* "chatml", "llama3" or NULL */

/* The functions of engine.h (model_prompt, model_encode, ...) call these with the same rules. */
int tokenizer_prompt(const struct tokenizer *t, const char *text, size_t n_bytes, enum prompt_mode *mode,
	struct token_list *out, struct err *e);
int tokenizer_conversation(
	const struct tokenizer *t, const struct chat_message *message, int n, struct token_list *out, struct err *e);
int tokenizer_encode(
	const struct tokenizer *t, const char *text, size_t n_bytes, struct token_list *out, struct err *e);
const char *tokenizer_piece(const struct tokenizer *t, int32_t id, size_t *n_bytes);
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);
bool tokenizer_is_end(const struct tokenizer *t, int32_t id);

#endif

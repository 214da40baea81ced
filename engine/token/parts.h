/* What a tokenizer is made of, for the files of this room: the readers fill it, tokenizer.c and encode.c use it.
 */
#ifndef KVGLASS_ENGINE_TOKEN_PARTS_H
#define KVGLASS_ENGINE_TOKEN_PARTS_H

#include "engine/token/added.h"
#include "engine/token/bpe.h"
#include "engine/token/chat.h"
#include "engine/token/pretoken.h"
#include "engine/token/tokenizer.h"

enum { TOKENIZER_PREFIX = 8 };

struct tokenizer {
	struct vocab vocab;
	struct bpe bpe;
	struct pretokenizer pre;
	bool nfc;
	struct added_set exact, normalized; /* found in the text as it is; found after normalisation */
	int32_t prefix[TOKENIZER_PREFIX];   /* tokens that the settings put before a raw text: BOS, as a rule */
	int n_prefix;
	struct chat *chat; /* NULL: the model carries no template */
};

/* A tokenizer to be filled: no unknown token, nothing added. */
struct tokenizer *tokenizer_new(struct err *e);
/* Once everything is filled in: the bytes' tokens, the chat family's end of turn. */
void tokenizer_complete(struct tokenizer *t);

/* An added token in the set it belongs to; its id keeps a text it already has. Text: valid UTF-8. */
struct added_text {
	const char *text;
	size_t n;
	struct added_token token;
	bool normalized;
};
int tokenizer_add(struct tokenizer *t, const struct added_text *a, struct err *e);
/* Id of a token by its spelling in the files: an added or an ordinary one; -1 when there is none. */
int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t n);

bool tokenizer_is_added(const struct tokenizer *t, const char *text, size_t n);

/* Fills t from a tokenizer.json: everything but the chat template and the end tokens. Pure over (text, n). */
int tokenizer_read_json(struct tokenizer *t, const char *text, size_t n, struct err *e);

/* One text to ids. */
struct encode_request {
	const char *text; /* valid UTF-8 */
	size_t n;
	const uint8_t *part;   /* (n) enum token_part of every byte, or NULL */
	enum token_part whole; /* of every byte when part is NULL */
	bool control;          /* control tokens are recognised; with part, only where no byte is the user's */
	const int32_t *prefix; /* (n_prefix) ids that stand before the text's */
	int n_prefix;
};
int encode_text(const struct tokenizer *t, const struct encode_request *r, struct token_list *out, struct err *e);

#endif

#include "engine/token/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/token/normal.h"
#include "engine/token/parts.h"
#include "engine/utf8.h"

struct tokenizer *tokenizer_new(struct err *e)
{
	struct tokenizer *t = calloc(1, sizeof *t);
	if (!t) {
		err_set(e, ERR_MEMORY, "no memory for a tokenizer");
		return NULL;
	}
	t->bpe.unknown = -1;
	return t;
}

void tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return;
	vocab_free(&t->vocab);
	bpe_free(&t->bpe);
	pretoken_free(&t->pre);
	added_free(&t->exact);
	added_free(&t->normalized);
	chat_close(t->chat);
	free(t);
}

static const struct added_token *find_added(const struct tokenizer *t, const char *text, size_t n)
{
	const struct added_token *token = added_lookup(&t->exact, text, n);
	return token ? token : added_lookup(&t->normalized, text, n);
}

bool tokenizer_is_added(const struct tokenizer *t, const char *text, size_t n)
{
	return find_added(t, text, n) != NULL;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t n)
{
	const struct added_token *token = find_added(t, text, n);
	if (token)
		return token->id;
	char small[256], *bytes = n <= sizeof small ? small : malloc(n);
	size_t n_bytes;
	int32_t id = bytes && vocab_unspell(text, n, bytes, &n_bytes) ? vocab_find(&t->vocab, bytes, n_bytes) : -1;
	if (bytes != small)
		free(bytes);
	return id;
}

int tokenizer_add(struct tokenizer *t, const struct added_text *a, struct err *e)
{
	int rc = vocab_has(&t->vocab, a->token.id)
		? 0
		: vocab_define(&t->vocab, a->token.id, a->text, a->n, SPELLED_AS_IS, e);
	char *normal = NULL;
	size_t n = a->n;
	if (!rc && a->normalized && t->nfc)
		rc = normal_nfc(a->text, a->n, &normal, &n, e);
	if (!rc)
		rc = added_add(a->normalized ? &t->normalized : &t->exact, normal ? normal : a->text, n, a->token, e);
	free(normal);
	if (!rc && a->token.special)
		t->vocab.flag[a->token.id] |= TOKEN_SPECIAL;
	return rc;
}

void tokenizer_complete(struct tokenizer *t)
{
	bpe_find_bytes(&t->bpe, &t->vocab);
	const char *end_of_turn = chat_end_of_turn(t->chat);
	int32_t id = end_of_turn ? tokenizer_find(t, end_of_turn, strlen(end_of_turn)) : -1;
	if (id >= 0)
		t->vocab.flag[id] |= TOKEN_END;
}

int tokenizer_n_vocab(const struct tokenizer *t)
{
	return t->vocab.n;
}

const char *tokenizer_chat_family(const struct tokenizer *t)
{
	return chat_family(t->chat);
}

static int check_text(const char *text, size_t n, struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_USE, "the text is empty");
	size_t bad = utf8_first_invalid(text, n);
	if (bad < n)
		return err_set(e, ERR_FORMAT, "the text is not valid UTF-8: byte 0x%02x at offset %zu",
			(unsigned char)text[bad], bad);
	return 0;
}

static int encode_raw(const struct tokenizer *t, const char *text, size_t n, struct token_list *out, struct err *e)
{
	struct encode_request r = {
		.text = text, .n = n, .whole = PART_USER, .control = true, .prefix = t->prefix, .n_prefix = t->n_prefix};
	return encode_text(t, &r, out, e);
}

static int encode_chat(
	const struct tokenizer *t, const struct chat_message *message, int n, struct token_list *out, struct err *e)
{
	struct chat_text rendered;
	int rc = chat_render(t->chat, message, n, time(NULL), &rendered, e);
	if (rc)
		return rc;
	struct encode_request r = {.text = rendered.text, .n = rendered.n, .part = rendered.part, .control = true};
	rc = encode_text(t, &r, out, e);
	chat_text_free(&rendered);
	return rc;
}

int tokenizer_prompt(const struct tokenizer *t, const char *text, size_t n_bytes, enum prompt_mode *mode,
	struct token_list *out, struct err *e)
{
	*out = (struct token_list){0};
	int rc = check_text(text, n_bytes, e);
	if (rc)
		return rc;
	if (*mode == PROMPT_AUTO)
		*mode = t->chat ? PROMPT_CHAT : PROMPT_RAW;
	const struct chat_message user = {"user", text, n_bytes};
	rc = *mode == PROMPT_CHAT ? encode_chat(t, &user, 1, out, e) : encode_raw(t, text, n_bytes, out, e);
	if (!rc && out->n == 0) {
		token_list_free(out);
		rc = err_set(e, ERR_UNSUPPORTED, "the vocabulary has no token for any of the text's %zu bytes", n_bytes);
	}
	return rc;
}

int tokenizer_conversation(
	const struct tokenizer *t, const struct chat_message *message, int n, struct token_list *out, struct err *e)
{
	*out = (struct token_list){0};
	for (int i = 0; i < n; i++) {
		int rc = check_text(message[i].content, message[i].n_bytes, e);
		if (rc)
			return err_prefix(e, "message %d", i);
	}
	return encode_chat(t, message, n, out, e);
}

int tokenizer_encode(
	const struct tokenizer *t, const char *text, size_t n_bytes, struct token_list *out, struct err *e)
{
	*out = (struct token_list){0};
	int rc = check_text(text, n_bytes, e);
	if (rc)
		return rc;
	struct encode_request r = {.text = text, .n = n_bytes, .whole = PART_RESPONSE};
	return encode_text(t, &r, out, e);
}

const char *tokenizer_piece(const struct tokenizer *t, int32_t id, size_t *n_bytes)
{
	return vocab_bytes(&t->vocab, id, n_bytes);
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
	return vocab_has(&t->vocab, id) && (t->vocab.flag[id] & TOKEN_SPECIAL);
}

bool tokenizer_is_end(const struct tokenizer *t, int32_t id)
{
	return vocab_has(&t->vocab, id) && (t->vocab.flag[id] & TOKEN_END);
}

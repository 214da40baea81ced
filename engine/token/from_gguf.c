/* A tokenizer from a GGUF's tokenizer.ggml.* keys. A GGUF names its pre-tokeniser instead of spelling it out, and
 * says of an added token only whether it is a control token; what the name stands for is taken from the families'
 * own files. */
#include "engine/token/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/token/parts.h"
#include "engine/utf8.h"

enum gguf_token_type { GGUF_TOKEN_NORMAL = 1, GGUF_TOKEN_UNKNOWN, GGUF_TOKEN_CONTROL, GGUF_TOKEN_USER_DEFINED };

static const struct family {
	const char *pre;
	const char *first, *second; /* split by these, in order */
	bool nfc;                   /* normalised, as the family's tokenizer.json says */
	bool whole_words;
	bool add_bos; /* where the file does not say */
} families[] = {
	{"gpt-2", pretoken_gpt2, NULL, false, false, false},
	{"smollm", pretoken_digits, pretoken_gpt2, false, false, false},
	{"llama-bpe", pretoken_llama3, NULL, false, true, true},
	{"llama3", pretoken_llama3, NULL, false, true, true},
	{"llama-v3", pretoken_llama3, NULL, false, true, true},
	{"qwen2", pretoken_qwen2, NULL, true, false, false},
	{"deepseek-r1-qwen", pretoken_qwen2, NULL, true, false, false},
};

/* Ends of a text or a turn that files leave unsaid: a GGUF names one of several. */
static const char *const usual_ends[] = {
	"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"};

static bool is_usual_end(const char *text, size_t n)
{
	for (size_t i = 0; i < sizeof usual_ends / sizeof *usual_ends; i++)
		if (strlen(usual_ends[i]) == n && !memcmp(usual_ends[i], text, n))
			return true;
	return false;
}

static const struct gguf_value *find_array(const struct gguf_file *g, const char *key, enum gguf_kind element)
{
	const struct gguf_value *v = gguf_find(g, key);
	return v && v->kind == GGUF_ARRAY && v->element == element ? v : NULL;
}

static int check_utf8(const struct gguf_string *s, const char *what, uint64_t i, struct err *e)
{
	size_t bad = utf8_first_invalid(s->text, s->n);
	if (bad == s->n)
		return 0;
	return err_set(e, ERR_FORMAT, "%s %llu is not valid UTF-8 at its byte %zu", what, (unsigned long long)i, bad);
}

/* What is not an ordinary token is spelled as it is, and found in texts before they fall into words. */
static int read_token(struct tokenizer *t, const struct gguf_string *s, int64_t id, int32_t type, struct err *e)
{
	int rc = check_utf8(s, "tokenizer.ggml.tokens: token", (uint64_t)id, e);
	bool usual_end = is_usual_end(s->text, s->n);
	bool control = type == GGUF_TOKEN_CONTROL || type == GGUF_TOKEN_UNKNOWN || usual_end;
	bool ordinary = !control && type != GGUF_TOKEN_USER_DEFINED;
	if (!rc)
		rc = vocab_define(&t->vocab, id, s->text, s->n, ordinary ? SPELLED_IN_ALPHABET : SPELLED_AS_IS, e);
	if (rc || ordinary || s->n == 0)
		return rc;
	if (usual_end)
		t->vocab.flag[id] |= TOKEN_END;
	struct added_text a = {.text = s->text, .n = s->n, .token = {.id = (int32_t)id, .special = control}};
	return tokenizer_add(t, &a, e);
}

static int read_vocabulary(struct tokenizer *t, const struct gguf_file *g, struct err *e)
{
	const struct gguf_value *tokens = find_array(g, "tokenizer.ggml.tokens", GGUF_STRING);
	const struct gguf_value *types = find_array(g, "tokenizer.ggml.token_type", GGUF_I32);
	if (!tokens || tokens->n == 0)
		return err_set(e, ERR_FORMAT, "tokenizer.ggml.tokens: no list of tokens");
	if (types && types->n != tokens->n)
		return err_set(e, ERR_FORMAT, "tokenizer.ggml.token_type has %llu entries for %llu tokens",
			(unsigned long long)types->n, (unsigned long long)tokens->n);
	if (tokens->n > VOCAB_LIMIT)
		return err_set(e, ERR_LIMIT, "tokenizer.ggml.tokens: %llu tokens, the limit is %d",
			(unsigned long long)tokens->n, VOCAB_LIMIT);
	int rc = 0;
	for (uint64_t i = 0; i < tokens->n && !rc; i++) {
		int32_t type = GGUF_TOKEN_NORMAL;
		if (types)
			memcpy(&type, types->data + i * sizeof type, sizeof type);
		rc = read_token(t, tokens->strings + i, (int64_t)i, type, e);
	}
	return rc;
}

static int read_merges(struct tokenizer *t, const struct gguf_file *g, struct err *e)
{
	const struct gguf_value *merges = find_array(g, "tokenizer.ggml.merges", GGUF_STRING);
	if (!merges)
		return err_set(e, ERR_FORMAT, "tokenizer.ggml.merges: no list of merges");
	if (merges->n > 4 * (uint64_t)VOCAB_LIMIT)
		return err_set(e, ERR_LIMIT, "tokenizer.ggml.merges: %llu merges, the limit is %d",
			(unsigned long long)merges->n, 4 * VOCAB_LIMIT);
	int rc = bpe_reserve(&t->bpe, (size_t)merges->n, e);
	for (uint64_t i = 0; i < merges->n && !rc; i++) {
		const struct gguf_string *s = merges->strings + i;
		rc = check_utf8(s, "tokenizer.ggml.merges: merge", i, e);
		if (!rc)
			rc = bpe_add_merge_line(&t->bpe, &t->vocab, s->text, s->n, (uint32_t)i, e);
	}
	return rc;
}

static int set_family(struct tokenizer *t, const struct family *f, struct err *e)
{
	t->nfc = f->nfc;
	t->bpe.whole_words = f->whole_words;
	int rc = pretoken_add_split(&t->pre, f->first, strlen(f->first), SPLIT_ISOLATED, false, e);
	if (!rc && f->second)
		rc = pretoken_add_split(&t->pre, f->second, strlen(f->second), SPLIT_ISOLATED, false, e);
	return rc;
}

static int read_family(struct tokenizer *t, const struct gguf_file *g, bool *add_bos, struct err *e)
{
	char *pre = gguf_get_string(g, "tokenizer.ggml.pre");
	if (!pre)
		return err_set(
			e, ERR_UNSUPPORTED, "tokenizer.ggml.pre is missing: how to split the text into words is not known");
	const struct family *f = NULL;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (!strcmp(families[i].pre, pre))
			f = families + i;
	if (!f)
		err_set(e, ERR_UNSUPPORTED, "tokenizer.ggml.pre: no pre-tokeniser \"%.60s\" (%s)", pre,
			"gpt-2, smollm, llama-bpe, qwen2");
	free(pre);
	if (!f)
		return ERR_UNSUPPORTED;
	*add_bos = f->add_bos;
	return set_family(t, f, e);
}

/* -1 when the key is absent or names no token. */
static int32_t read_id(const struct tokenizer *t, const struct gguf_file *g, const char *key)
{
	int64_t id;
	return gguf_get_int(g, key, &id) && vocab_has(&t->vocab, id) ? (int32_t)id : -1;
}

static int read_ends_and_bos(struct tokenizer *t, const struct gguf_file *g, bool add_bos, struct err *e)
{
	static const char *const ends[] = {
		"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		int32_t id = read_id(t, g, ends[i]);
		if (id >= 0)
			t->vocab.flag[id] |= TOKEN_END;
	}
	gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &add_bos);
	if (!add_bos)
		return 0;
	int32_t bos = read_id(t, g, "tokenizer.ggml.bos_token_id");
	if (bos < 0)
		return err_set(
			e, ERR_FORMAT, "tokenizer.ggml.bos_token_id is missing or no token's, but a BOS is to be added");
	t->prefix[t->n_prefix++] = bos;
	return 0;
}

/* NUL-terminated copy of the token's text, NULL when there is none. */
static char *read_text(const struct tokenizer *t, const struct gguf_file *g, const char *key)
{
	int32_t id = read_id(t, g, key);
	size_t n;
	const char *text = vocab_bytes(&t->vocab, id, &n);
	return id < 0 ? NULL : strndup(text, n);
}

static int read_template(struct tokenizer *t, const struct gguf_file *g, struct err *e)
{
	const struct gguf_value *v = gguf_find(g, "tokenizer.chat_template");
	if (!v || v->kind != GGUF_STRING || v->string.n == 0)
		return 0;
	size_t bad = utf8_first_invalid(v->string.text, v->string.n);
	if (bad < v->string.n)
		return err_set(e, ERR_FORMAT, "tokenizer.chat_template is not valid UTF-8 at its byte %zu", bad);
	char *bos = read_text(t, g, "tokenizer.ggml.bos_token_id"),
		 *eos = read_text(t, g, "tokenizer.ggml.eos_token_id");
	char *unk = read_text(t, g, "tokenizer.ggml.unknown_token_id"),
		 *pad = read_text(t, g, "tokenizer.ggml.padding_token_id");
	int rc = chat_open(&t->chat, v->string.text, v->string.n, &(struct chat_tokens){bos, eos, unk, pad}, e);
	free(bos);
	free(eos);
	free(unk);
	free(pad);
	return rc;
}

static const char *kind_name(const char *model)
{
	static const char *const kinds[][2] = {
		{"llama", " (SentencePiece)"}, {"t5", " (SentencePiece unigram)"}, {"bert", " (WordPiece)"}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i][0], model))
			return kinds[i][1];
	return "";
}

static int check_kind(const struct gguf_file *g, struct err *e)
{
	char *model = gguf_get_string(g, "tokenizer.ggml.model");
	int rc = 0;
	if (!model)
		rc = err_set(e, ERR_FORMAT, "tokenizer.ggml.model is missing");
	else if (strcmp(model, "gpt2"))
		rc = err_set(e, ERR_UNSUPPORTED, "tokenizer.ggml.model is \"%.60s\"%s, not byte-level BPE (\"gpt2\")",
			model, kind_name(model));
	free(model);
	return rc;
}

int tokenizer_from_gguf(struct tokenizer **out, const struct gguf_file *g, const char *name, struct err *e)
{
	bool add_bos = false;
	*out = NULL;
	struct tokenizer *t = tokenizer_new(e);
	if (!t)
		return ERR_MEMORY;
	int rc = check_kind(g, e);
	if (!rc)
		rc = read_family(t, g, &add_bos, e);
	if (!rc)
		rc = read_vocabulary(t, g, e);
	if (!rc)
		rc = read_merges(t, g, e);
	if (!rc)
		rc = read_ends_and_bos(t, g, add_bos, e);
	if (!rc)
		rc = read_template(t, g, e);
	if (rc) {
		err_prefix(e, "%s", name);
		tokenizer_free(t);
		return rc;
	}
	tokenizer_complete(t);
	*out = t;
	return 0;
}

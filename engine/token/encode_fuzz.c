/* Whatever the text: it is refused where it is not UTF-8, else its tokens spell it again, in every family and
 * mode. The first byte of the input chooses both, the rest is the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/token/normal.h"
#include "engine/token/parts.h"
#include "engine/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *make(const char *const *pattern, bool nfc)
{
	/* in the byte alphabet: " t", "he", " the", "aa", "aaaa", "\n\n", "12", e with an acute accent in two ways,
	 * "<|", "'s" */
	static const char *const merges[][2] = {{"\xc4\xa0", "t"}, {"h", "e"}, {"\xc4\xa0t", "he"}, {"a", "a"},
		{"aa", "aa"}, {"\xc4\x8a", "\xc4\x8a"}, {"1", "2"}, {"e", "\xc3\x8c"}, {"e\xc3\x8c", "\xc4\xa3"},
		{"\xc3\x83", "\xc2\xa9"}, {"<", "|"}, {"'", "s"}};
	static const char *const control[] = {"<|im_start|>", "<|im_end|>", "<|endoftext|>"};
	static const char chat[] =
		"<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n{{ messages[0].content }}<|im_end|>\n"
		"<|im_start|>assistant\n";
	struct err e = {ERR_NONE, ""};
	struct tokenizer *t = tokenizer_new(&e);
	int rc = t ? 0 : ERR_MEMORY, id = 0;
	for (; !rc && *pattern; pattern++)
		rc = pretoken_add_split(&t->pre, *pattern, strlen(*pattern), SPLIT_ISOLATED, false, &e);
	for (; !rc && id < 256; id++)
		rc = vocab_define(&t->vocab, id, &(char){(char)id}, 1, SPELLED_AS_IS, &e);
	for (size_t i = 0; !rc && i < sizeof merges / sizeof *merges; i++) {
		char joined[16];
		const struct bpe_merge_text m = {.left = merges[i][0], .n_left = strlen(merges[i][0]), .right = merges[i][1],
			.n_right = strlen(merges[i][1]), .rank = (uint32_t)i};
		snprintf(joined, sizeof joined, "%s%s", merges[i][0], merges[i][1]);
		rc = vocab_define(&t->vocab, id++, joined, m.n_left + m.n_right, SPELLED_IN_ALPHABET, &e);
		if (!rc)
			rc = bpe_add_merge(&t->bpe, &t->vocab, &m, &e);
	}
	for (size_t i = 0; !rc && i < 3; i++)
		rc = tokenizer_add(
			t, &(struct added_text){control[i], strlen(control[i]), {id++, true, false, false}, false}, &e);
	if (!rc)
		rc = chat_open(&t->chat, chat, sizeof chat - 1, &(struct chat_tokens){0}, &e);
	if (rc) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	t->nfc = nfc;
	tokenizer_complete(t);
	return t;
}

/* The pieces of the tokens, one after the other. */
static char *spell(const struct tokenizer *t, const struct token_list *l, size_t *n)
{
	size_t capacity = 1, n_piece;
	for (int i = 0; i < l->n; i++, capacity += n_piece)
		tokenizer_piece(t, l->id[i], &n_piece);
	char *out = malloc(capacity);
	*n = 0;
	for (int i = 0; out && i < l->n; i++, *n += n_piece) {
		const char *piece = tokenizer_piece(t, l->id[i], &n_piece);
		memcpy(out + *n, piece, n_piece);
	}
	return out;
}

static char *normalized(char *text, size_t *n)
{
	char *normal;
	struct err e;
	if (!text || normal_nfc(text, *n, &normal, n, &e) || !normal)
		return text;
	free(text);
	return normal;
}

/* Aborts unless the tokens spell the text. With normalisation, which is done between control tokens, both are
 * compared in their normal form. */
static void check(const struct tokenizer *t, const struct token_list *l, const char *text, size_t n)
{
	size_t n_back, n_text = n;
	char *back = spell(t, l, &n_back), *want = malloc(n + 1);
	if (want)
		memcpy(want, text, n);
	if (t->nfc) {
		back = normalized(back, &n_back);
		want = normalized(want, &n_text);
	}
	if (back && want && (n_back != n_text || memcmp(back, want, n_text)))
		abort();
	free(back);
	free(want);
}

static void check_chat(const struct tokenizer *t, const struct token_list *l, const char *message, size_t n)
{
	struct chat_text rendered;
	struct err e;
	if (chat_render(t->chat, &(struct chat_message){"user", message, n}, 1, 0, &rendered, &e))
		abort();
	check(t, l, rendered.text, rendered.n);
	chat_text_free(&rendered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tokenizer *made[4];
	if (!made[0]) {
		made[0] = make((const char *const[]){pretoken_gpt2, NULL}, false);
		made[1] = make((const char *const[]){pretoken_digits, pretoken_gpt2, NULL}, false);
		made[2] = make((const char *const[]){pretoken_llama3, NULL}, false);
		made[3] = make((const char *const[]){pretoken_qwen2, NULL}, true);
	}
	if (size == 0)
		return 0;
	const struct tokenizer *t = made[data[0] & 3];
	const char *text = (const char *)data + 1;
	size_t n = size - 1;
	enum prompt_mode mode = data[0] & 4 ? PROMPT_CHAT : PROMPT_RAW;
	bool plain = data[0] & 8;
	struct token_list l;
	struct err e = {ERR_NONE, ""};
	int rc = plain ? tokenizer_encode(t, text, n, &l, &e) : tokenizer_prompt(t, text, n, &mode, &l, &e);
	if ((rc != 0) != (n == 0 || utf8_first_invalid(text, n) < n))
		abort();
	bool chat = !plain && mode == PROMPT_CHAT;
	if (!rc && chat)
		check_chat(t, &l, text, n);
	else if (!rc)
		check(t, &l, text, n);
	for (int i = 0; i < l.n; i++)
		if (tokenizer_is_special(t, l.id[i]) && (plain || (chat && l.part[i] == PART_USER)))
			abort(); /* control text that must stay text */
	token_list_free(&l);
	return 0;
}

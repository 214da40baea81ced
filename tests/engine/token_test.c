/* Token ids against the `tokenizers` library (and llama.cpp, which agreed when the golden files were made). */
#include "engine/token/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/random.h"
#include "engine/utf8.h"
#include "tests/support/golden_tokens.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/test.h"

static void check_folder(const char *name, bool chat)
{
	struct tokenizer *t = golden_folder(name);
	golden_check_ids(t, name, GOLDEN_RAW);
	golden_check_ids(t, name, GOLDEN_ENCODE);
	if (chat)
		golden_check_ids(t, name, GOLDEN_CHAT);
	tokenizer_free(t);
}

TEST(token, gpt2)
{
	check_folder("gpt2", false);
}

TEST(token, llama3)
{
	check_folder("llama3", true);
}

TEST(token, qwen3)
{
	check_folder("qwen3", true);
}

/* Added tokens with white space of their own or found after normalisation, prefix spaces, every split behaviour,
 * bytes without tokens, merges and vocabularies with holes. */
TEST(token, odd_prefix)
{
	check_folder("odd_prefix", false);
}

TEST(token, odd_text)
{
	check_folder("odd_text", false);
}

TEST(token, odd_unknown)
{
	check_folder("odd_unknown", false);
}

TEST(token, odd_vanishing)
{
	check_folder("odd_vanishing", false);
}

TEST(token, odd_merged)
{
	check_folder("odd_merged", false);
}

TEST(token, smollm2_of_the_sample_model)
{
	struct tokenizer *t = golden_sample();
	if (!t)
		return;
	golden_check_ids(t, "smollm2", GOLDEN_RAW);
	golden_check_ids(t, "smollm2", GOLDEN_ENCODE);
	golden_check_ids(t, "smollm2", GOLDEN_CHAT);
	CHECK_INT(tokenizer_n_vocab(t), 49152);
	CHECK_STR(tokenizer_chat_family(t), "chatml");
	CHECK(tokenizer_is_end(t, 2) && tokenizer_is_special(t, 2) && !tokenizer_is_end(t, 1) &&
		tokenizer_is_special(t, 1));
	tokenizer_free(t);
}

static void put_llama3_keys(struct gguf_writer *w)
{
	gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1400);
	gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 1405);
	gguf_put_u32(w, "tokenizer.ggml.eom_token_id", 1404);
}

/* The same vocabulary by way of a GGUF, whose pre-tokeniser is a name. */
TEST(token, gguf_is_as_the_folder)
{
	static const struct {
		const char *name, *pre;
		void (*extra)(struct gguf_writer *w);
	} families[] = {{"gpt2", "gpt-2", NULL}, {"llama3", "llama-bpe", put_llama3_keys}, {"qwen3", "qwen2", NULL}};
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		struct tokenizer *t = golden_gguf(families[i].name, families[i].pre, families[i].extra);
		golden_check_ids(t, families[i].name, GOLDEN_RAW);
		golden_check_ids(t, families[i].name, GOLDEN_ENCODE);
		tokenizer_free(t);
	}
}

/* ---- the way back
 * ------------------------------------------------------------------------------------------------ */

/* The pieces of the ids, one after the other, are the text. */
static void check_round_trip(const struct tokenizer *t, const char *text, size_t n)
{
	struct token_list got;
	struct err e = {ERR_NONE, ""};
	if (tokenizer_encode(t, text, n, &got, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	size_t at = 0, n_piece = 0;
	bool same = got.n_lost == 0;
	for (int i = 0; i < got.n && same; i++, at += n_piece) {
		const char *piece = tokenizer_piece(t, got.id[i], &n_piece);
		same = n_piece > 0 && n_piece <= n - at && !memcmp(piece, text + at, n_piece);
	}
	if (!same || at != n)
		test_fail(
			__FILE__, __LINE__, "%zu bytes that begin \"%.40s\" do not come back from byte %zu on", n, text, at);
	token_list_free(&got);
}

/* n characters from all of Unicode, ASCII and white space more often than their share. */
static size_t random_text(struct rng *r, char *out, int n)
{
	static const uint32_t common[] = {
		' ', ' ', '\n', '\t', '\'', '<', '|', '>', 0xa0, 0x3000, 0x301, 0x323, 0x4f60, 0x1f600, 0x200d};
	size_t length = 0;
	for (int i = 0; i < n; i++) {
		uint32_t kind = rng_below(r, 8);
		uint32_t code = kind < 3 ? 0x20 + rng_below(r, 0x5f)
			: kind < 5           ? common[rng_below(r, sizeof common / sizeof *common)]
			: kind < 7           ? rng_below(r, 0x3000)
								 : rng_below(r, 0x110000);
		length += utf8_encode(code, out + length); /* U+FFFD for half of a surrogate pair */
	}
	return length;
}

static void check_random_round_trips(const struct tokenizer *t)
{
	enum { TEXTS = 3000, CHARACTERS = 60 };
	char text[4 * CHARACTERS];
	struct rng r;
	rng_seed(&r, test_seed());
	for (int i = 0; i < TEXTS; i++)
		check_round_trip(t, text, random_text(&r, text, 1 + (int)rng_below(&r, CHARACTERS)));
}

TEST(token, text_comes_back_to_the_byte)
{
	static const char *const names[] = {"gpt2", "llama3"};
	for (size_t i = 0; i < 2; i++) {
		struct tokenizer *t = golden_folder(names[i]);
		check_random_round_trips(t);
		tokenizer_free(t);
	}
}

/* Text in normalisation form C by utf8proc's own tables, NUL-terminated. */
static char *composed(const char *text, size_t n)
{
	utf8proc_uint8_t *out = NULL;
	CHECK(utf8proc_map(
			  (const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &out, UTF8PROC_STABLE | UTF8PROC_COMPOSE) >= 0);
	return (char *)out;
}

/* Qwen's ids are those of the text in normalisation form C, so that is what comes back: canonically the same text,
 * and one that gives the same ids again. */
TEST(token, qwen_comes_back_normalised)
{
	enum { TEXTS = 2000, CHARACTERS = 40 };
	struct tokenizer *t = golden_folder("qwen3");
	struct rng r;
	rng_seed(&r, test_seed());
	for (int i = 0; i < TEXTS; i++) {
		char text[4 * CHARACTERS + 1], back[4 * sizeof text];
		size_t n = random_text(&r, text, 1 + (int)rng_below(&r, CHARACTERS)), n_back = 0, n_piece;
		struct token_list first, second;
		struct err e;
		CHECK_INT(tokenizer_encode(t, text, n, &first, &e), 0);
		for (int k = 0; k < first.n; k++, n_back += n_piece) {
			const char *piece = tokenizer_piece(t, first.id[k], &n_piece);
			memcpy(back + n_back, piece, n_piece);
		}
		CHECK_INT(tokenizer_encode(t, back, n_back, &second, &e), 0);
		CHECK(first.n == second.n && !memcmp(first.id, second.id, (size_t)first.n * sizeof *first.id));
		char *want = composed(text, n), *got = composed(back, n_back);
		CHECK_STR(got, want);
		free(want);
		free(got);
		token_list_free(&first);
		token_list_free(&second);
	}
	check_round_trip(t, "caf\xc3\xa9 \xe4\xbd\xa0", 9);
	tokenizer_free(t);
}

TEST(token, bytes_without_a_token_are_counted)
{
	struct tokenizer *t = golden_folder("odd_vanishing");
	struct token_list got;
	struct err e;
	CHECK_INT(tokenizer_encode(t, "add it", 6, &got, &e), 0); /* its vocabulary has no d */
	CHECK_INT(got.n_lost, 2);
	token_list_free(&got);
	enum prompt_mode mode = PROMPT_RAW;
	CHECK_INT(tokenizer_prompt(t, "\xe2", 1, &mode, &got, &e), ERR_FORMAT);
	CHECK_INT(tokenizer_encode(t, "d", 1, &got, &e), 0);
	CHECK(got.n == 1 && got.n_lost == 1); /* what is left is the space that the pre-tokeniser puts before */
	token_list_free(&got);
	tokenizer_free(t);
}

/* ---- what is refused
 * --------------------------------------------------------------------------------------------- */

TEST(token, invalid_text_names_the_byte)
{
	static const struct {
		const char *text;
		size_t n;
		const char *part;
	} bad[] = {
		{"abc\xff", 4, "0xff at offset 3"},
		{"a\xc3", 2, "0xc3 at offset 1"},
		{"12345678\xc0\xaf", 10, "0xc0 at offset 8"},
		{"\xed\xa0\x80", 3, "0xed at offset 0"},
		{"ok \xf4\x90\x80\x80", 7, "0xf4 at offset 3"},
		{"\xe4\xbd"
		 "a",
			3, "0xe4 at offset 0"},
		{"\x80", 1, "0x80 at offset 0"},
	};
	struct tokenizer *t = golden_folder("llama3");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		static const enum prompt_mode modes[] = {PROMPT_AUTO, PROMPT_CHAT, PROMPT_RAW};
		struct token_list got;
		struct err e = {ERR_NONE, ""};
		for (int k = 0; k < 3; k++) {
			enum prompt_mode mode = modes[k];
			CHECK_INT(tokenizer_prompt(t, bad[i].text, bad[i].n, &mode, &got, &e), ERR_FORMAT);
			if (!strstr(e.text, bad[i].part))
				test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e.text, bad[i].part);
		}
		CHECK_INT(tokenizer_encode(t, bad[i].text, bad[i].n, &got, &e), ERR_FORMAT);
		CHECK(!got.id && !got.part);
	}
	tokenizer_free(t);
}

TEST(token, empty_text_is_refused)
{
	struct tokenizer *t = golden_folder("llama3");
	struct token_list got;
	struct err e;
	enum prompt_mode mode = PROMPT_AUTO;
	CHECK_INT(tokenizer_prompt(t, "", 0, &mode, &got, &e), ERR_USE);
	CHECK_STR(e.text, "the text is empty");
	CHECK_INT(tokenizer_encode(t, "", 0, &got, &e), ERR_USE);
	tokenizer_free(t);
}

TEST(token, ids_outside_the_vocabulary)
{
	struct tokenizer *t = golden_folder("qwen3");
	size_t n = 7;
	CHECK(tokenizer_piece(t, -1, &n) != NULL && n == 0);
	n = 7;
	CHECK(tokenizer_piece(t, tokenizer_n_vocab(t), &n) != NULL && n == 0);
	CHECK(!tokenizer_is_end(t, -1) && !tokenizer_is_special(t, INT32_MAX) && !tokenizer_is_end(t, INT32_MIN));
	const char *piece = tokenizer_piece(t, tokenizer_n_vocab(t) - 1, &n);
	CHECK(n == 8 && !memcmp(piece, "</think>", 8) && !tokenizer_is_special(t, tokenizer_n_vocab(t) - 1));
	tokenizer_free(t);
}

/* ---- modes
 * ------------------------------------------------------------------------------------------------------- */

TEST(token, control_text_counts_where_it_may)
{
	struct tokenizer *t = golden_folder("llama3");
	struct token_list raw, plain;
	struct err e;
	enum prompt_mode mode = PROMPT_RAW;
	const char *text = "<|eot_id|>";
	CHECK_INT(tokenizer_prompt(t, text, 10, &mode, &raw, &e), 0);
	CHECK_INT(tokenizer_encode(t, text, 10, &plain, &e), 0);
	CHECK_INT(raw.n, 2); /* the BOS that its settings ask for, and the token */
	CHECK(tokenizer_is_special(t, raw.id[0]) && tokenizer_is_end(t, raw.id[1]));
	CHECK_INT(raw.part[0], PART_USER);
	CHECK(plain.n > 2);
	for (int i = 0; i < plain.n; i++)
		CHECK(!tokenizer_is_special(t, plain.id[i]) && plain.part[i] == PART_RESPONSE);
	token_list_free(&raw);
	token_list_free(&plain);
	mode = PROMPT_AUTO;
	CHECK_INT(tokenizer_prompt(t, "hi", 2, &mode, &raw, &e), 0);
	CHECK_INT(mode, PROMPT_CHAT);
	token_list_free(&raw);
	tokenizer_free(t);
	t = golden_folder("gpt2");
	mode = PROMPT_AUTO;
	CHECK_INT(tokenizer_prompt(t, "hi", 2, &mode, &raw, &e), 0);
	CHECK_INT(mode, PROMPT_RAW);
	token_list_free(&raw);
	mode = PROMPT_CHAT;
	CHECK_INT(tokenizer_prompt(t, "hi", 2, &mode, &raw, &e), ERR_UNSUPPORTED);
	CHECK_STR(e.text, "the model carries no chat template; --raw takes the prompt as it is");
	tokenizer_free(t);
}

/* A token's part is that of its first byte: the message's bytes are the user's, and nothing else is. */
TEST(token, parts_of_a_chat)
{
	struct tokenizer *t = golden_folder("llama3");
	static const char message[] = "  caf\xc3\xa9 <|eot_id|>? ";
	struct token_list got;
	struct err e;
	enum prompt_mode mode = PROMPT_CHAT;
	CHECK_INT(tokenizer_prompt(t, message, sizeof message - 1, &mode, &got, &e), 0);
	char by_part[4][512] = {"", "", "", ""};
	for (int i = 0; i < got.n; i++) {
		size_t n;
		const char *piece = tokenizer_piece(t, got.id[i], &n);
		CHECK(got.part[i] < 4);
		strncat(by_part[got.part[i]], piece, n);
	}
	CHECK_STR(by_part[PART_USER], "caf\xc3\xa9 <|eot_id|>?");
	CHECK_STR(by_part[PART_SYSTEM], "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n");
	CHECK_STR(by_part[PART_TEMPLATE],
		"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
		"<|start_header_id|>user<|end_header_id|>\n\n<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
	CHECK_STR(by_part[PART_RESPONSE], "");
	token_list_free(&got);
	tokenizer_free(t);
}

/* Normalisation moves bytes; the borders between the parts move with them. */
TEST(token, parts_survive_normalisation)
{
	struct tokenizer *t = golden_folder("qwen3");
	static const char message[] = "cafe\xcc\x81 e\xcc\x81"
								  "e\xcc\x81 x";
	struct token_list got;
	struct err e;
	enum prompt_mode mode = PROMPT_CHAT;
	CHECK_INT(tokenizer_prompt(t, message, sizeof message - 1, &mode, &got, &e), 0);
	char user[128] = "";
	for (int i = 0; i < got.n; i++) {
		size_t n;
		const char *piece = tokenizer_piece(t, got.id[i], &n);
		if (got.part[i] == PART_USER)
			strncat(user, piece, n);
	}
	CHECK_STR(user, "caf\xc3\xa9 \xc3\xa9\xc3\xa9 x");
	token_list_free(&got);
	tokenizer_free(t);
}

/* ---- size
 * -------------------------------------------------------------------------------------------------------- */

/* One "word" of 64 KiB: a merge that looked at all pairs for each join would take minutes. */
TEST(token, long_words_take_no_longer)
{
	enum { N = 1 << 16 };
	static const char *const units[] = {"a", "ab", "the", " ", "\n", "-=", "\xcc\x81\xcc\xa3", "\xe4\xbd\xa0"};
	static const char *const names[] = {"llama3", "qwen3"};
	char *text = malloc(N);
	for (size_t k = 0; k < 2; k++) {
		struct tokenizer *t = golden_folder(names[k]);
		for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
			size_t n = strlen(units[i]), n_text = N / n * n;
			for (size_t at = 0; at < n_text; at += n)
				memcpy(text + at, units[i], n);
			struct token_list got;
			struct err e;
			CHECK_INT(tokenizer_encode(t, text, n_text, &got, &e), 0);
			size_t back = 0, n_piece;
			for (int id = 0; id < got.n; id++, back += n_piece)
				tokenizer_piece(t, got.id[id], &n_piece);
			CHECK_INT(back, n_text);
			token_list_free(&got);
		}
		tokenizer_free(t);
	}
	free(text);
}

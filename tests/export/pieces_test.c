/* Tokens set in type: nothing dropped, halves shown, widths shared. */
#include "export/draw/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "engine/utf8.h"
#include "tests/support/test.h"

/* A capture of nothing but tokens. */
static const struct capture *tokens(const char *const *piece, int n)
{
	char text[400];
	int32_t offset[40] = {0};
	const struct capture *c = NULL;
	struct err e = {0};
	for (int i = 0; i < n; i++) {
		size_t n_bytes = strlen(piece[i]);
		memcpy(text + offset[i], piece[i], n_bytes);
		offset[i + 1] = offset[i] + (int32_t)n_bytes;
	}
	const struct capture parts = {
		.n_layer = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 1, .n_prompt = n, .offset = offset, .text = text};
	CHECK_INT(capture_build(&c, &parts, &e), 0);
	return c;
}

static void check_text(const char *const *piece, int n, const char *want, int n_boxed)
{
	const struct capture *c = tokens(piece, n);
	struct pieces p;
	struct err e;
	CHECK_INT(pieces_make(&p, c, 0, n, &e), 0);
	CHECK_STR(p.utf8, want);
	int boxed = 0;
	for (int i = 0; i < p.n_span; i++)
		boxed += p.boxed[i];
	CHECK_INT(boxed, n_boxed);
	pieces_free(&p);
	capture_unref(c);
}

TEST(pieces, whole_characters_stay_and_halves_become_numbers)
{
	check_text((const char *const[]){"The", " boat"}, 2, "The boat", 0);
	check_text(
		(const char *const[]){"\xf0\x9f", "\x9a\xa2"}, 2, "\xf0\x9f\x9a\xa2", 0); /* one ship over two tokens */
	check_text((const char *const[]){"a", "\xf0\x9f"}, 2, "a" "F0" "9F", 2);                  /* cut off at the end */
	check_text((const char *const[]){"\x9a\xa2", "b"}, 2, "9A" "A2" "b", 2);                  /* and at the start */
	check_text((const char *const[]){"\xc0\x80", "\xed\xa0\x80"}, 2, "C080EDA080", 5);        /* never characters */
	check_text((const char *const[]){"a\n", "\n", "b"}, 3, "a\xe2\x86\xb5\n\xe2\x86\xb5\nb",
		0); /* breaks are shown and made */
	check_text((const char *const[]){"a\x01\x7f", "\xe2\x80\xae", "b\r\n"}, 3, "a017F202Eb0D\xe2\x86\xb5\n", 4);
}

static struct text_block *shape(struct text_engine *t, const struct pieces *p, double wrap)
{
	struct text_block *b = NULL;
	struct err e;
	const struct text_request r = {.utf8 = p->utf8, .n_bytes = p->n_bytes, .style = {.size = 10}, .wrap = wrap};
	CHECK_INT(text_block_make(&b, t, &r, &e), 0);
	return b;
}

TEST(pieces, tokens_of_one_character_share_its_width)
{
	static const char *const piece[] = {"x", "\xe6", "\xb5", "\xb7", "y"};
	const struct capture *c = tokens(piece, 5);
	struct text_engine *t;
	struct pieces p;
	struct err e;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(pieces_make(&p, c, 0, 5, &e), 0);
	struct text_block *b = shape(t, &p, 0);
	struct text_range r[5];
	for (int i = 0; i < 5; i++)
		CHECK_INT(pieces_ranges(&p, i, b, 0, &r[i], 1), 1);
	for (int i = 1; i < 5; i++)
		CHECK_NEAR(r[i].first, r[i - 1].last, 0.01); /* side by side */
	CHECK_NEAR(r[2].last - r[2].first, r[1].last - r[1].first, 0.01); /* thirds */
	CHECK_NEAR(r[3].last - r[3].first, r[1].last - r[1].first, 0.01);
	CHECK(r[1].last - r[1].first > 1.5);
	text_block_free(b);
	text_engine_close(t);
	pieces_free(&p);
	capture_unref(c);
}

TEST(pieces, blanks_before_a_word_are_not_marked_but_blank_tokens_are)
{
	static const char *const piece[] = {"one", " two", "  ", "x"};
	const struct capture *c = tokens(piece, 4);
	struct text_engine *t;
	struct pieces p;
	struct err e;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(pieces_make(&p, c, 0, 4, &e), 0);
	struct text_block *b = shape(t, &p, 0);
	struct text_range one, two, blank;
	CHECK_INT(pieces_ranges(&p, 0, b, 0, &one, 1), 1);
	CHECK_INT(pieces_ranges(&p, 1, b, 0, &two, 1), 1);
	CHECK_INT(pieces_ranges(&p, 2, b, 0, &blank, 1), 1);
	CHECK(two.first > one.last + 1);
	CHECK(blank.last - blank.first > 4);
	CHECK(p.place[2].blank && !p.place[1].blank);
	text_block_free(b);
	text_engine_close(t);
	pieces_free(&p);
	capture_unref(c);
}

TEST(pieces, every_token_is_somewhere_in_wrapped_text)
{
	static const char *const piece[] = {"Har", "bour", " office", " keeps", "\n", " a", "\xcc\x81",
		" \xd7\xa9\xd7\x9c", "\xd7\x95\xd7\x9d", " caf", "\xc3", "\xa9", " \xe6\xb5\xb7", "\xff", " l\xe2\x80\x8d",
		"edger", "\t", " of"};
	enum { N = sizeof piece / sizeof *piece };
	const struct capture *c = tokens(piece, N);
	struct text_engine *t;
	struct pieces p;
	struct err e;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(pieces_make(&p, c, 0, N, &e), 0);
	for (int wrap = 15; wrap < 200; wrap += 7) {
		struct text_block *b = shape(t, &p, wrap);
		for (int i = 0; i < N; i++) {
			int n = 0;
			for (int line = 0; line < text_block_n_line(b); line++) {
				struct text_range r[8];
				int got = pieces_ranges(&p, i, b, line, r, 8);
				for (int k = 0; k < got; k++)
					CHECK(r[k].last - r[k].first >= 1.19 && r[k].first > -0.01 && r[k].last < wrap + 12);
				n += got;
			}
			CHECK(n > 0);
		}
		text_block_free(b);
	}
	text_engine_close(t);
	pieces_free(&p);
	capture_unref(c);
}

TEST(pieces, labels_are_one_line)
{
	static const char *const piece[] = {" the", "\n\n", " ", "\xf0\x9f", "extraordinarily", "\xe2\x80\xae", "\t"};
	static const char *const want[] = {"the", "\xe2\x86\xb5\xe2\x86\xb5", "\xe2\x90\xa3",
		"\xe2\x9f\xa8"
		"F0\xe2\x9f\xa9\xe2\x9f\xa8"
		"9F\xe2\x9f\xa9",
		"extraord\xe2\x80\xa6",
		"\xe2\x9f\xa8"
		"202E\xe2\x9f\xa9",
		"\xe2\x87\xa5"};
	enum { N = sizeof piece / sizeof *piece };
	const struct capture *c = tokens(piece, N);
	for (int i = 0; i < N; i++) {
		char *label = pieces_label(c, i, 8);
		CHECK_STR(label, want[i]);
		free(label);
	}
	capture_unref(c);
}

TEST(utf8, decoding_refuses_what_is_no_character)
{
	uint32_t code = 0;
	CHECK_INT(utf8_decode("a", 1, &code), 1);
	CHECK_INT(utf8_decode("\xf4\x8f\xbf\xbf", 4, &code), 4);
	CHECK_INT(code, 0x10ffff);
	static const char *const bad[] = {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_INT(utf8_decode(bad[i], strlen(bad[i]), &code), 0);
	CHECK_INT(utf8_decode("\xe2\x82", 2, &code), 0);
	for (uint32_t c = 1; c < 0x110000; c += 97) {
		char bytes[4];
		size_t n = utf8_encode(c, bytes);
		bool surrogate = c >= 0xd800 && c < 0xe000;
		CHECK(utf8_decode(bytes, n, &code) == n && code == (surrogate ? 0xfffd : c));
	}
}

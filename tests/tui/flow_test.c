#include "tui/draw/flow.h"
#include "tests/support/test.h"

#include <string.h>

#include "tui/draw/glyph.h"

struct prompt {
	const struct capture *capture;
	struct token_text text;
};

/* Tokens given as strings; the last n_response of them are the response. */
static void make(struct prompt *p, const char *const *piece, int n, int n_response)
{
	int32_t token[64] = {0}, offset[65] = {0};
	char text[2048] = "";
	struct err e;
	for (int i = 0; i < n; i++) {
		memcpy(text + offset[i], piece[i], strlen(piece[i]));
		offset[i + 1] = offset[i] + (int32_t)strlen(piece[i]);
	}
	struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 8, .n_prompt = n - n_response,
		.n_response = n_response,
		.token = token, .offset = offset, .text = text, .complete = true};
	CHECK_INT(capture_build(&p->capture, &parts, &e), 0);
	CHECK_INT(token_text_build(&p->text, p->capture, &e), 0);
}

static void drop(struct prompt *p)
{
	token_text_free(&p->text);
	capture_unref(p->capture);
}

struct page {
	char line[32][64];
};

static void put(void *user, int line, int col, const char *glyph, size_t n)
{
	struct page *p = user;
	if (line < 32 && col < 60)
		memcpy(p->line[line] + col, *glyph == '\n' ? "$" : glyph, *glyph == '\n' ? 1 : n);
}

static void draw(const struct flow *f, const struct token_text *t, struct page *p)
{
	memset(p, 0, sizeof *p);
	for (int i = 0; i < t->n; i++)
		flow_token(f, t, i, put, p);
}

TEST(flow, breaks_between_words_and_at_new_lines)
{
	static const char *const piece[] = {"The", " har", "bour", " off", "ice", ".\n", "\n", "Ines", " wrote"};
	struct prompt p;
	struct flow f;
	struct page page;
	struct err e;
	make(&p, piece, 9, 2);
	CHECK_INT(flow_build(&f, &p.text, 12, &e), 0);
	draw(&f, &p.text, &page);
	CHECK_STR(page.line[0], "The harbour");
	CHECK_STR(page.line[1], " office.$");
	CHECK_STR(page.line[2], "$");
	CHECK_INT(f.response_line, 4);
	CHECK_STR(page.line[4], "Ines wrote");
	CHECK_INT(f.n_lines, 5);
	CHECK_INT(f.first[1], 3);
	CHECK_INT(flow_find(&f, &p.text, 0, 5), 1);
	CHECK_INT(flow_find(&f, &p.text, 1, 99), 5);
	CHECK_INT(flow_find(&f, &p.text, 99, 0), 7);
	CHECK_INT(flow_find(&f, &p.text, -4, 0), 0);
	flow_free(&f);
	drop(&p);
}

TEST(flow, long_words_and_tokens_wrap_anywhere)
{
	static const char *const piece[] = {"abcdefghijkl", "mn", "\n    x", "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0"};
	struct prompt p;
	struct flow f;
	struct page page;
	struct err e;
	make(&p, piece, 4, 0);
	CHECK_INT(flow_build(&f, &p.text, 5, &e), 0);
	draw(&f, &p.text, &page);
	CHECK_STR(page.line[0], "abcde");
	CHECK_STR(page.line[1], "fghij");
	CHECK_INT(f.first[1], 0);
	CHECK_STR(page.line[2], "klmn$");
	CHECK_STR(page.line[3], "    x");
	CHECK_INT(f.first[3], 2);
	CHECK_INT(f.response_line, -1);
	CHECK_INT(f.line[3], 4);
	CHECK_INT(f.n_lines, 6); /* two wide ones a line */
	flow_free(&f);
	drop(&p);
}

/* Every glyph of every token is put once, in reading order, inside the width, and first[] finds the token of each
 * line. */
static void check_flow(const struct flow *f, const struct token_text *t);

struct walk {
	const struct flow *f;
	int line, col, n;
};

static void step(void *user, int line, int col, const char *glyph, size_t n)
{
	struct walk *w = user;
	struct glyph g;
	glyph_next(glyph, n, &g);
	CHECK(line > w->line || (line == w->line && col > w->col));
	CHECK(col + (g.width > 0 ? g.width : 1) <= w->f->cols);
	w->line = line;
	w->col = col;
	w->n++;
}

static void check_flow(const struct flow *f, const struct token_text *t)
{
	struct walk w = {.f = f, .line = -1};
	for (int i = 0; i < t->n; i++) {
		int before = w.n;
		flow_token(f, t, i, step, &w);
		CHECK(w.n > before || t->offset[i] == t->offset[i + 1]);
	}
	CHECK(w.line < f->n_lines);
	for (int line = 0; line < f->n_lines; line++) {
		int i = f->first[line];
		CHECK(i >= 0 && i < t->n && f->line[i] <= line + 1); /* the heading's line belongs to the response below it */
		CHECK(line == 0 || f->first[line] >= f->first[line - 1]);
	}
}

TEST(flow, any_text_at_any_width)
{
	static const char *const word[] = {"a", " the", "\n", "\n\n", "\t", "\xe4\xbd\xa0", "\xe4", " \xf0\x9f\x98\x80",
		"    ", "supercalifragilistic", "\xcc\x81", ""};
	uint64_t x = test_seed();
	for (int round = 0; round < 60; round++) {
		const char *piece[60];
		struct prompt p;
		for (int i = 0; i < 60; i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			piece[i] = word[(x >> 33) % 12];
		}
		make(&p, piece, 60, round % 7);
		for (int cols = 1; cols < 40; cols += 3) {
			struct flow f;
			struct err e;
			CHECK_INT(flow_build(&f, &p.text, cols, &e), 0);
			check_flow(&f, &p.text);
			flow_free(&f);
		}
		drop(&p);
	}
}

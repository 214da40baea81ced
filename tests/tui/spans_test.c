#include "tui/spans.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { N = 60 };

/* The same set as one flag a token, and where spans begin. */
struct plain {
	bool in[N], begins[N];
};

static void plain_add(struct plain *p, int begin, int end)
{
	while (begin > 0 && p->in[begin] && !p->begins[begin])
		begin--;
	while (end < N && p->in[end] && !p->begins[end])
		end++;
	for (int i = begin; i < end; i++) {
		p->in[i] = true;
		p->begins[i] = i == begin;
	}
}

static void check_same(const struct spans *s, const struct plain *p)
{
	int count = 0;
	for (int i = 0; i < N; i++) {
		int at = spans_find(s, i);
		count += p->in[i];
		CHECK((at >= 0) == p->in[i]);
		CHECK((at >= 0 && s->span[at].begin == i) == (p->in[i] && p->begins[i]));
		for (int end = i + 1; end <= N; end += 7) {
			bool any = false;
			for (int j = i; j < end; j++)
				any |= p->in[j];
			CHECK(spans_hold_any(s, i, end) == any);
		}
	}
	CHECK_INT(spans_count_tokens(s), count);
	for (int i = 1; i < s->n; i++)
		CHECK(s->span[i - 1].end <= s->span[i].begin);
}

TEST(spans, are_sorted_and_share_no_token)
{
	uint64_t x = test_seed() + 1;
	for (int round = 0; round < 200; round++) {
		struct spans s = {0};
		struct plain p = {0};
		for (int i = 0; i < 12; i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			int begin = (int)(x >> 33) % (N - 1), end = begin + 1 + (int)(x >> 45) % 8;
			end = end > N ? N : end;
			CHECK(spans_add(&s, begin, end));
			plain_add(&p, begin, end);
			check_same(&s, &p);
		}
		int gone = (int)(x >> 50) % s.n;
		for (int i = s.span[gone].begin; i < s.span[gone].end; i++)
			p.in[i] = p.begins[i] = false;
		spans_remove(&s, gone);
		check_same(&s, &p);
		spans_clear(&s);
		CHECK_INT(s.n, 0);
	}
}

TEST(spans, next_and_previous_go_round)
{
	struct spans s = {0};
	CHECK_INT(spans_next(&s, 3, 1), -1);
	CHECK(spans_add(&s, 5, 8) && spans_add(&s, 8, 9) && spans_add(&s, 20, 30));
	CHECK_INT(spans_next(&s, 0, 1), 5);
	CHECK_INT(spans_next(&s, 5, 1), 8);
	CHECK_INT(spans_next(&s, 25, 1), 5);
	CHECK_INT(spans_next(&s, 25, -1), 20);
	CHECK_INT(spans_next(&s, 20, -1), 8);
	CHECK_INT(spans_next(&s, 5, -1), 20);
	spans_clear(&s);
}

/* ---- search ---- */

/* "Die Brücke von Köln ist alt." with ü and ö cut into bytes, an empty token, a line, and half of a character. */
static const char *const pieces[] = {"Die", " Br", "\xc3", "\xbc", "cke", "", " von", " K\xc3\xb6ln", " ist", " alt", ".", "\n",
	"Zeile", " 2", " \xe4\xbd"};
enum { N_PIECE = sizeof pieces / sizeof *pieces };

static const struct capture *make(void)
{
	static char text[200];
	static int32_t token[N_PIECE], offset[N_PIECE + 1];
	struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 2, .n_prompt = N_PIECE, .token = token,
		.offset = offset, .text = text};
	const struct capture *c = NULL;
	struct err e;
	*text = '\0';
	for (int i = 0; i < N_PIECE; i++) {
		offset[i] = (int32_t)strlen(text);
		strcat(text, pieces[i]);
	}
	offset[N_PIECE] = (int32_t)strlen(text);
	if (capture_build(&c, &parts, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

/* Tokens begin .. end - 1 of the only place found. */
static void check_found(const struct capture *c, const char *pattern, int begin, int end)
{
	struct search s = {0};
	struct err e = {0};
	CHECK_INT(search_set(&s, c, pattern, &e), 0);
	CHECK_INT(s.match.n, begin < 0 ? 0 : 1);
	CHECK_STR(s.pattern, pattern);
	if (begin >= 0 && s.match.n == 1) {
		CHECK_INT(s.match.span[0].begin, begin);
		CHECK_INT(s.match.span[0].end, end);
	}
	search_clear(&s);
}

TEST(spans, a_search_takes_the_tokens_it_touches)
{
	const struct capture *c = make();
	check_found(c, "Br\xc3\xbc" "cke von", 1, 7);
	check_found(c, "\xc3\xbc", 2, 4);     /* a character in two tokens */
	check_found(c, "\xc3\x9c", -1, 0);    /* a capital asks for itself */
	check_found(c, "k\xc3\xb6ln", 7, 8);  /* a small letter finds both */
	check_found(c, "K\xc3\xb6ln", 7, 8);
	check_found(c, "kOln", -1, 0);
	check_found(c, "^zeile", 12, 13);
	check_found(c, "alt\\.$", 9, 11);
	check_found(c, "\\d", 13, 14);
	check_found(c, "\\W\\d", 13, 14);
	check_found(c, "nowhere", -1, 0);
	check_found(c, "x*", -1, 0); /* nothing but empty matches */
	capture_unref(c);
}

TEST(spans, a_wrong_pattern_is_one_line_and_changes_nothing)
{
	static const char *const wrong[] = {"(", "[z", "a{2,1}", "\\", "*", "(?<n", "\xff", "\\C"};
	const struct capture *c = make();
	struct search s = {0};
	struct err e = {0};
	CHECK_INT(search_set(&s, c, "ist", &e), 0);
	CHECK_INT(s.match.n, 1);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_INT(search_set(&s, c, wrong[i], &e), ERR_USE);
		CHECK(strchr(e.text, '\n') == NULL && strlen(e.text) > 8);
		CHECK_STR(s.pattern, "ist");
		CHECK_INT(s.match.n, 1);
	}
	CHECK_INT(search_set(&s, c, "", &e), 0);
	CHECK(s.pattern == NULL && s.match.n == 0);
	capture_unref(c);
}

TEST(spans, a_pattern_without_end_is_stopped)
{
	enum { LONG = 20000 };
	char *text = malloc(LONG + 1);
	int32_t token[1] = {0}, offset[2] = {0, LONG};
	struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 2, .n_prompt = 1, .token = token,
		.offset = offset, .text = text};
	const struct capture *c;
	struct search s = {0};
	struct err e = {0};
	CHECK(text != NULL);
	memset(text, 'a', LONG);
	text[LONG] = '\0';
	CHECK_INT(capture_build(&c, &parts, &e), 0);
	CHECK_INT(search_set(&s, c, "(a+)+[bc]", &e), ERR_USE);
	CHECK(strstr(e.text, "back and forth") != NULL);
	capture_unref(c);
	free(text);
}

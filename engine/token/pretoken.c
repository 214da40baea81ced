#include "engine/token/pretoken.h"

#include <stdlib.h>
#include <string.h>

const char pretoken_gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const char pretoken_llama3[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
							   " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char pretoken_qwen2[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
							  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char pretoken_digits[] = "\\p{N}";

void pretoken_free(struct pretokenizer *p)
{
	for (int i = 0; i < p->n; i++)
		pcre2_code_free(p->step[i].code);
	p->n = 0;
}

/* The next free step, NULL with the error set when there is none. */
static struct pretoken_step *new_step(struct pretokenizer *p, struct err *e)
{
	if (p->n == PRETOKEN_STEPS) {
		err_set(e, ERR_LIMIT, "pre-tokeniser: more than %d steps", PRETOKEN_STEPS);
		return NULL;
	}
	p->step[p->n] = (struct pretoken_step){0};
	return p->step + p->n;
}

int pretoken_add_split(struct pretokenizer *p, const char *pattern, size_t n, enum split_behavior behavior,
	bool invert, struct err *e)
{
	struct pretoken_step *step = new_step(p, e);
	if (!step)
		return ERR_LIMIT;
	int rc = regex_compile(&step->code, pattern, n, e);
	if (rc)
		return rc;
	step->behavior = behavior;
	step->invert = invert;
	p->n++;
	return 0;
}

int pretoken_add_prefix_space(struct pretokenizer *p, struct err *e)
{
	if (!new_step(p, e))
		return ERR_LIMIT;
	p->n++;
	return 0;
}

struct run {
	const struct pretokenizer *p;
	pcre2_match_data *match;
	pretoken_word *word;
	void *user;
	struct err *e;
};

struct piece {
	const char *text;
	size_t n;
	ptrdiff_t at;
};

/* A step at work on one piece: segments (matches and what lies between them) come in order, pieces go to the next
 * step. */
struct splitting {
	struct run *run;
	int step;
	struct piece whole;
	size_t start, end; /* segment held back because the next one may join it; empty: none */
	bool is_match;
};

static int run_step(struct run *r, int step, struct piece piece);

static int hand_on(struct splitting *s)
{
	struct piece part = {s->whole.text + s->start, s->end - s->start, s->whole.at + (ptrdiff_t)s->start};
	if (part.n == 0 || (s->is_match && s->run->p->step[s->step].behavior == SPLIT_REMOVED))
		return 0;
	return run_step(s->run, s->step + 1, part);
}

static bool joins(enum split_behavior behavior, bool held_is_match, bool is_match)
{
	switch (behavior) {
	case SPLIT_CONTIGUOUS:
		return held_is_match == is_match;
	case SPLIT_MERGED_WITH_PREVIOUS:
		return is_match && !held_is_match;
	case SPLIT_MERGED_WITH_NEXT:
		return held_is_match && !is_match;
	case SPLIT_REMOVED:
	case SPLIT_ISOLATED:
		break;
	}
	return false;
}

static int add_segment(struct splitting *s, size_t start, size_t end, bool is_match)
{
	if (start == end)
		return 0;
	is_match ^= s->run->p->step[s->step].invert;
	if (s->start < s->end && joins(s->run->p->step[s->step].behavior, s->is_match, is_match)) {
		s->end = end;
		s->is_match = is_match;
		return 0;
	}
	int rc = hand_on(s);
	s->start = start;
	s->end = end;
	s->is_match = is_match;
	return rc;
}

static int split_piece(struct run *r, int step, struct piece piece)
{
	struct splitting s = {.run = r, .step = step, .whole = piece};
	size_t done = 0;
	int rc = 0;
	while (done < piece.n && !rc) {
		int found = pcre2_match(
			r->p->step[step].code, (PCRE2_SPTR)piece.text, piece.n, done, PCRE2_NO_UTF_CHECK, r->match, NULL);
		if (found == PCRE2_ERROR_NOMATCH)
			break;
		if (found < 0) {
			PCRE2_UCHAR text[120] = "";
			pcre2_get_error_message(found, text, sizeof text);
			return err_set(r->e, ERR_LIMIT, "pre-tokeniser gave up at byte %td: %s", piece.at + (ptrdiff_t)done,
				(char *)text);
		}
		const PCRE2_SIZE *range = pcre2_get_ovector_pointer(r->match);
		size_t start = range[0], end = range[1];
		if (start == end) /* regex_compile() lets no such pattern pass */
			return err_set(r->e, ERR_LIMIT, "pre-tokeniser: its pattern matches nothing at byte %td",
				piece.at + (ptrdiff_t)start);
		rc = add_segment(&s, done, start, false);
		if (!rc)
			rc = add_segment(&s, start, end, true);
		done = end;
	}
	if (!rc)
		rc = add_segment(&s, done, piece.n, false);
	return rc ? rc : hand_on(&s);
}

static int prefix_space(struct run *r, int step, struct piece piece)
{
	if (piece.text[0] == ' ')
		return run_step(r, step + 1, piece);
	char *text = malloc(piece.n + 1);
	if (!text)
		return err_set(r->e, ERR_MEMORY, "pre-tokeniser: no memory for %zu bytes", piece.n + 1);
	text[0] = ' ';
	memcpy(text + 1, piece.text, piece.n);
	int rc = run_step(r, step + 1, (struct piece){text, piece.n + 1, piece.at - 1});
	free(text);
	return rc;
}

static int run_step(struct run *r, int step, struct piece piece)
{
	if (step == r->p->n)
		return r->word(r->user, piece.text, piece.n, piece.at, r->e);
	return r->p->step[step].code ? split_piece(r, step, piece) : prefix_space(r, step, piece);
}

int pretoken_run(
	const struct pretokenizer *p, const char *text, size_t n, pretoken_word *word, void *user, struct err *e)
{
	if (n == 0)
		return 0;
	struct run r = {.p = p, .match = pcre2_match_data_create(1, NULL), .word = word, .user = user, .e = e};
	if (!r.match)
		return err_set(e, ERR_MEMORY, "pre-tokeniser: no memory");
	int rc = run_step(&r, 0, (struct piece){text, n, 0});
	pcre2_match_data_free(r.match);
	return rc;
}

#include "export/draw/pieces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/utf8.h"
#include "export/draw/printable.h"

#define BREAK "\xe2\x86\xb5"   /* U+21B5, a line break */
#define TAB "\xe2\x87\xa5   "  /* U+21E5 and room */

/* Invisible characters that shape their neighbours stay; those that only turn the direction of what follows are
 * shown instead. */
static bool is_hidden_control(uint32_t code)
{
	if (code == '\n' || code == '\t')
		return false;
	return !utf8_is_printable(code) || code == 0x00ad || code == 0x200b || code == 0x200e || code == 0x200f
		|| code == 0x2028 || code == 0x2029 || (code >= 0x202a && code <= 0x202e)
		|| (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

static bool is_blank(uint32_t code)
{
	return code == ' ' || code == '\n' || code == '\t' || code == 0xa0 || code == 0x3000
		|| (code >= 0x2000 && code <= 0x200a);
}

struct builder {
	struct pieces *p;
	FILE *out;
	size_t at; /* bytes written */
	int room_span;
	const struct capture *c;
	int first;
	size_t base; /* byte of tokens.text where token `first` starts */
};

static void put(struct builder *b, const char *text, size_t n)
{
	fwrite(text, 1, n, b->out);
	b->at += n;
}

static int put_span(struct builder *b, const char *text, double scale, bool boxed)
{
	struct pieces *p = b->p;
	if (p->n_span == b->room_span) {
		int room = b->room_span * 2 + 16;
		struct text_span *span = realloc(p->span, sizeof *span * (size_t)room);
		if (span)
			p->span = span;
		uint8_t *flag = realloc(p->boxed, (size_t)room);
		if (flag)
			p->boxed = flag;
		if (!span || !flag)
			return ERR_MEMORY;
		b->room_span = room;
	}
	size_t first = b->at;
	put(b, text, strlen(text));
	p->span[p->n_span] = (struct text_span){
		.first = first, .last = b->at, .scale = scale, .rgb = boxed ? TEXT_BLACK : PIECES_PALE};
	p->boxed[p->n_span++] = boxed;
	return 0;
}

/* Writes one character (or one byte that is none) as it is shown. */
static int put_character(struct builder *b, const char *from, size_t step, uint32_t code)
{
	char hex[16];
	if (step == 0) {
		snprintf(hex, sizeof hex, "%02X", (unsigned char)*from);
		return put_span(b, hex, PIECES_HEX_SCALE, true);
	}
	if (is_hidden_control(code)) {
		snprintf(hex, sizeof hex, code < 0x100 ? "%02X" : "%04X", code);
		return put_span(b, hex, PIECES_HEX_SCALE, true);
	}
	if (code == '\n') {
		int rc = put_span(b, BREAK, 1, false);
		put(b, "\n", 1);
		return rc;
	}
	if (code == '\t')
		return put_span(b, TAB, 1, false);
	put(b, from, step);
	return 0;
}

/* Tells the tokens that own source bytes [first, last) that these are shown at [shown, b->at). A shown line
 * break is not part. */
static int place_tokens(struct builder *b, int i, size_t first, size_t last, size_t shown, bool blank)
{
	const int32_t *offset = b->c->offset + b->first;
	struct pieces *p = b->p;
	double length = (double)(last - first);
	size_t end = b->at > shown && last == first + 1 && b->c->text[first] == '\n' ? b->at - 1 : b->at;
	while (i < p->n && (size_t)offset[i + 1] <= first)
		i++;
	for (int k = i; k < p->n && (size_t)offset[k] < last; k++) {
		struct piece_place *t = &p->place[k];
		size_t from = (size_t)offset[k] > first ? (size_t)offset[k] : first;
		size_t to = (size_t)offset[k + 1] < last ? (size_t)offset[k + 1] : last;
		if (from == to)
			continue;
		if (from == (size_t)offset[k]) {
			t->first = shown;
			t->first_part = (float)((double)(from - first) / length);
			t->blank = true;
		}
		t->last = end;
		t->last_part = (float)((double)(to - first) / length);
		t->blank &= blank;
	}
	return i;
}

static int build(struct builder *b, size_t end)
{
	const char *text = b->c->text;
	for (size_t at = b->base, token = 0; at < end;) {
		uint32_t code = 0;
		size_t step = utf8_decode(text + at, end - at, &code), shown = b->at;
		if (put_character(b, text + at, step, code))
			return ERR_MEMORY;
		size_t next = at + (step ? step : 1);
		token = (size_t)place_tokens(b, (int)token, at, next, shown, step && is_blank(code));
		at = next;
	}
	return 0;
}

int pieces_make(struct pieces *out, const struct capture *c, int first, int last, struct err *e)
{
	*out = (struct pieces){.n = last - first};
	out->place = calloc((size_t)out->n + 1, sizeof *out->place);
	FILE *f = open_memstream(&out->utf8, &out->n_bytes);
	struct builder b = {.p = out, .out = f, .c = c, .first = first, .base = (size_t)c->offset[first]};
	bool failed = !out->place || !f || build(&b, (size_t)c->offset[last]);
	if (f && (ferror(f) || fclose(f)))
		failed = true;
	if (failed) {
		pieces_free(out);
		return err_set(e, ERR_MEMORY, "figure: out of memory for the text of %d tokens", last - first);
	}
	return 0;
}

void pieces_free(struct pieces *p)
{
	free(p->utf8);
	free(p->place);
	free(p->span);
	free(p->boxed);
	*p = (struct pieces){0};
}

static size_t next_character(const struct pieces *p, size_t at)
{
	do
		at++;
	while (at < p->n_bytes && ((unsigned char)p->utf8[at] & 0xc0) == 0x80);
	return at;
}

static size_t previous_character(const struct pieces *p, size_t at)
{
	do
		at--;
	while (at > 0 && ((unsigned char)p->utf8[at] & 0xc0) == 0x80);
	return at;
}

/* Slices a range that shows a part of a token; hex numbers are never shared, so the part is one character. */
static void slice(struct text_range *r, double from, double to)
{
	double x = r->first, w = r->last - r->first;
	r->first = x + from * w;
	r->last = x + to * w;
}

/* White space before a word belongs to its token but is not marked, so that two kept words are two marks. */
static size_t skip_blanks(const struct pieces *p, const struct piece_place *t)
{
	size_t at = t->first;
	while (!t->blank && at + 1 < t->last && p->utf8[at] == ' ')
		at++;
	return at;
}

#define LEAST_WIDTH 1.2 /* points */

int pieces_ranges(const struct pieces *p, int i, const struct text_block *b, int line, struct text_range *out,
	int n_max)
{
	const struct piece_place *t = &p->place[i];
	struct text_line l = text_block_line(b, line);
	if (t->last <= l.first || t->first >= l.last || n_max < 1)
		return 0;
	bool starts_inside = t->first_part > 0, ends_inside = t->last_part < 1;
	size_t first = starts_inside ? t->first : skip_blanks(p, t), last = t->last;
	int n = 0;
	if (starts_inside) {
		size_t next = next_character(p, first);
		n = text_block_ranges(b, line, first, next, out, n_max);
		for (int k = 0; k < n; k++)
			slice(&out[k], t->first_part, next == last ? t->last_part : 1);
		first = next;
	}
	size_t tail = ends_inside && first < last ? previous_character(p, last) : last;
	int n_middle = first < tail ? text_block_ranges(b, line, first, tail, out + n, n_max - n) : 0;
	n += n_middle;
	int n_tail = tail < last && first < last ? text_block_ranges(b, line, tail, last, out + n, n_max - n) : 0;
	for (int k = n; k < n + n_tail; k++)
		slice(&out[k], 0, t->last_part);
	n += n_tail;
	for (int k = 0; k < n; k++)
		out[k].last = fmax(out[k].last, out[k].first + LEAST_WIDTH);
	return n;
}

static void label_character(FILE *f, const char *from, size_t step, uint32_t code)
{
	if (step == 0)
		fprintf(f, "\xe2\x9f\xa8%02X\xe2\x9f\xa9", (unsigned char)*from);
	else if (code == ' ')
		fputs("\xe2\x90\xa3", f); /* open box */
	else if (code == '\n')
		fputs(BREAK, f);
	else if (code == '\t')
		fputs("\xe2\x87\xa5", f);
	else if (is_hidden_control(code))
		fprintf(f, "\xe2\x9f\xa8%02X\xe2\x9f\xa9", code);
	else
		fwrite(from, 1, step, f);
}

char *pieces_label(const struct capture *c, int token, int max_characters)
{
	size_t n, n_label;
	const char *text = capture_piece(c, token, &n);
	char *label = NULL;
	FILE *f = open_memstream(&label, &n_label);
	if (!f)
		return NULL;
	size_t at = n > 1 && text[0] == ' ' ? 1 : 0; /* the blank before a word says nothing here */
	for (int i = 0; at < n; i++) {
		if (i == max_characters) {
			fputs("\xe2\x80\xa6", f);
			break;
		}
		uint32_t code = 0;
		size_t step = utf8_decode(text + at, n - at, &code);
		label_character(f, text + at, step, code);
		at += step ? step : 1;
	}
	int failed = ferror(f);
	if (fclose(f) || failed) {
		free(label);
		return NULL;
	}
	return label;
}

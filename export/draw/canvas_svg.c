/* Canvas in SVG 1.1: text as <text> with the width that Pango measured (textLength, so another machine's font
 * keeps the layout), cells as one PNG in a data URI, provenance in <metadata>. Numbers are written with a point
 * whatever the locale. */
#include <math.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/draw/canvas_kind.h"
#include "export/draw/png.h"

struct svg {
	FILE *out; /* a memory stream */
	char *text;
	size_t n;
};

static struct svg *svg_of(struct canvas *c)
{
	return c->own;
}

/* A length with three decimals at most and no trailing zeros, the same in every locale. */
static void put_number(FILE *f, double v)
{
	long long milli = llround(v * 1000);
	if (milli < 0)
		fputc('-', f);
	unsigned long long m = (unsigned long long)(milli < 0 ? -milli : milli);
	fprintf(f, "%llu", m / 1000);
	unsigned rest = (unsigned)(m % 1000);
	if (!rest)
		return;
	char digits[8];
	snprintf(digits, sizeof digits, "%03u", rest);
	for (int end = 2; end > 0 && digits[end] == '0'; end--)
		digits[end] = '\0';
	fprintf(f, ".%s", digits);
}

/* Writes ` name="v"`. */
static void put_attribute(FILE *f, const char *name, double v)
{
	fprintf(f, " %s=\"", name);
	put_number(f, v);
	fputc('"', f);
}

static void put_escaped(FILE *f, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char b = (unsigned char)text[i];
		if (b == '&')
			fputs("&amp;", f);
		else if (b == '<')
			fputs("&lt;", f);
		else if (b == '>')
			fputs("&gt;", f);
		else if (b == '"')
			fputs("&quot;", f);
		else if (b < 0x20) /* not allowed in XML, and a blank to a reader */
			fputc(' ', f);
		else
			fputc(b, f);
	}
}

static int svg_open(struct canvas *c, struct err *e)
{
	struct svg *s = c->own = calloc(1, sizeof *s);
	char *json = provenance_json(c->o.provenance);
	if (s)
		s->out = open_memstream(&s->text, &s->n);
	if (!s || !s->out || !json) {
		free(json);
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	}
	FILE *f = s->out;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
	      "xmlns:xlink=\"http://www.w3.org/1999/xlink\" version=\"1.1\" width=\"", f);
	put_number(f, c->o.width);
	fputs("pt\" height=\"", f);
	put_number(f, c->o.height);
	fputs("pt\" viewBox=\"0 0 ", f);
	put_number(f, c->o.width);
	fputc(' ', f);
	put_number(f, c->o.height);
	/* JSON in ASCII with < > & as \uXXXX needs no escaping. */
	fprintf(f, "\">\n<metadata id=\"kvglass\">%s</metadata>\n", json);
	fputs("<g font-family=\"'" TEXT_FAMILY "', Verdana, sans-serif\" stroke-linejoin=\"round\">\n", f);
	fputs("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", f);
	free(json);
	return 0;
}

static void svg_fill(struct canvas *c, struct rect r, uint32_t rgb)
{
	FILE *f = svg_of(c)->out;
	fputs("<rect", f);
	put_attribute(f, "x", r.x);
	put_attribute(f, "y", r.y);
	put_attribute(f, "width", r.w);
	put_attribute(f, "height", r.h);
	fprintf(f, " fill=\"#%06x\"/>\n", rgb & 0xffffffu);
}

static void put_points(FILE *f, const struct point *p, int n)
{
	fputs(" points=\"", f);
	for (int i = 0; i < n; i++) {
		if (i)
			fputc(' ', f);
		put_number(f, p[i].x);
		fputc(',', f);
		put_number(f, p[i].y);
	}
	fputc('"', f);
}

static void svg_path(struct canvas *c, const struct point *p, int n, const struct stroke *s)
{
	FILE *f = svg_of(c)->out;
	bool closed = canvas_is_closed(p, n);
	fputs(closed ? "<polygon" : "<polyline", f);
	put_points(f, p, n - closed);
	fprintf(f, " fill=\"none\" stroke=\"#%06x\"", s->rgb & 0xffffffu);
	put_attribute(f, "stroke-width", s->width);
	if (s->n_dash) {
		fputs(" stroke-dasharray=\"", f);
		for (int i = 0; i < s->n_dash; i++) {
			if (i)
				fputc(' ', f);
			put_number(f, s->dash[i]);
		}
		fputc('"', f);
	}
	fputs("/>\n", f);
}

static void svg_polygon(struct canvas *c, const struct point *p, int n, uint32_t rgb)
{
	FILE *f = svg_of(c)->out;
	fputs("<polygon", f);
	put_points(f, p, n);
	fprintf(f, " fill=\"#%06x\"/>\n", rgb & 0xffffffu);
}

static int encode_cells(const struct cell_image *m, uint8_t **png, size_t *n)
{
	uint32_t *pixel = malloc((size_t)m->w * (size_t)m->h * sizeof *pixel);
	if (!pixel)
		return ERR_MEMORY;
	for (int y = 0; y < m->h; y++)
		for (int x = 0; x < m->w; x++)
			pixel[(size_t)y * (size_t)m->w + (size_t)x] = cell_image_pixel(m, x, y);
	struct png_image image = {.w = m->w, .h = m->h, .stride = 4 * m->w, .pixel = (const uint8_t *)pixel};
	int rc = png_encode(&image, png, n, NULL);
	free(pixel);
	return rc;
}

static void put_base64(FILE *f, const uint8_t *data, size_t n)
{
	char text[BASE64_ENCODE_RAW_LENGTH(3 * 1024)];
	for (size_t i = 0; i < n; i += 3 * 1024) {
		size_t part = n - i < 3 * 1024 ? n - i : 3 * 1024;
		base64_encode_raw(text, part, data + i);
		fwrite(text, 1, BASE64_ENCODE_RAW_LENGTH(part), f);
	}
}

static void svg_cells(struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows)
{
	FILE *f = svg_of(c)->out;
	struct cell_image m = cell_image_for(c, r, cell, columns, rows);
	uint8_t *png;
	size_t n;
	if (encode_cells(&m, &png, &n)) {
		c->failed = ERR_MEMORY;
		return;
	}
	fputs("<image", f);
	put_attribute(f, "x", r.x);
	put_attribute(f, "y", r.y);
	put_attribute(f, "width", r.w);
	put_attribute(f, "height", r.h);
	fputs(" preserveAspectRatio=\"none\" style=\"image-rendering:optimizeSpeed;image-rendering:pixelated\" "
	      "xlink:href=\"data:image/png;base64,", f);
	put_base64(f, png, n);
	fputs("\"/>\n", f);
	free(png);
}

static void put_span(FILE *f, const struct text_request *r, const struct text_span *s, size_t first, size_t last)
{
	fprintf(f, "<tspan fill=\"#%06x\"", s->rgb & 0xffffffu);
	if (s->scale < 1 || s->scale > 1)
		put_attribute(f, "font-size", r->style.size * s->scale);
	fputc('>', f);
	put_escaped(f, r->utf8 + first, last - first);
	fputs("</tspan>", f);
}

static void put_line(FILE *f, const struct text_request *r, size_t at, size_t end)
{
	for (int i = 0; i < r->n_span && at < end; i++) {
		const struct text_span *s = &r->span[i];
		size_t first = s->first > at ? s->first : at, last = s->last < end ? s->last : end;
		if (first >= last)
			continue;
		put_escaped(f, r->utf8 + at, first - at);
		put_span(f, r, s, first, last);
		at = last;
	}
	put_escaped(f, r->utf8 + at, end - at);
}

static void open_text(FILE *f, const struct text_request *r, double x, double y)
{
	fputs("<text", f);
	put_attribute(f, "x", x);
	put_attribute(f, "y", y);
	put_attribute(f, "font-size", r->style.size);
	if (r->style.bold)
		fputs(" font-weight=\"bold\"", f);
	if (r->style.italic)
		fputs(" font-style=\"oblique\"", f);
	fprintf(f, " fill=\"#%06x\"", r->style.rgb & 0xffffffu);
}

static void open_content(FILE *f, double width)
{
	put_attribute(f, "textLength", width);
	fputs(" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">", f);
}

/* Bytes of one direction and one colour. */
static void put_stretch(FILE *f, const struct text_block *b, int line, const struct text_run *run, struct point at)
{
	static const char mark[] = "\xe2\x80\x8f"; /* U+200F: what stands beside the word at its ends goes its way too */
	const struct text_request *r = text_block_request(b);
	size_t first = run->first, last = run->last;
	while (first < last && r->utf8[first] == ' ')
		first++;
	while (last > first && r->utf8[last - 1] == ' ')
		last--;
	struct text_range range;
	if (!text_block_ranges(b, line, first, last, &range, 1))
		return;
	open_text(f, r, at.x - text_block_line(b, line).x + range.first, at.y);
	open_content(f, range.last - range.first);
	fputs(run->right_to_left ? mark : "", f);
	put_line(f, r, first, last);
	fputs(run->right_to_left ? mark : "", f);
	fputs("</text>\n", f);
}

/* Renderers disagree about directions across <tspan> and about where a right-to-left text starts, so in a line
 * that has any, every stretch of one direction and one colour is a text of its own, placed by its left edge. */
static void put_mixed_line(FILE *f, const struct text_block *b, int line, const struct text_run *run, int n_run,
	struct point at)
{
	const struct text_request *r = text_block_request(b);
	for (int i = 0; i < n_run; i++)
		for (struct text_run part = {run[i].first, run[i].last, run[i].right_to_left}; part.first < run[i].last;
			 part.first = part.last) {
			part.last = run[i].last;
			for (int k = 0; k < r->n_span; k++) {
				if (r->span[k].first > part.first && r->span[k].first < part.last)
					part.last = r->span[k].first;
				if (r->span[k].last > part.first && r->span[k].last < part.last)
					part.last = r->span[k].last;
			}
			put_stretch(f, b, line, &part, at);
		}
}

#define MAX_RUN 64 /* changes of direction in a line; a line with more is written as if it had none */

static void svg_text(struct canvas *c, const struct text_block *b, int line, struct point at, enum turn turn)
{
	FILE *f = svg_of(c)->out;
	const struct text_request *r = text_block_request(b);
	struct text_line p = text_block_line(b, line);
	struct text_run run[MAX_RUN];
	int n_run = text_block_runs(b, line, run, MAX_RUN);
	bool mixed = false;
	for (int i = 0; i < n_run; i++)
		mixed |= run[i].right_to_left;
	if (mixed && n_run < MAX_RUN && turn == TURN_NONE) {
		put_mixed_line(f, b, line, run, n_run, at);
		return;
	}
	open_text(f, r, at.x, at.y);
	if (turn == TURN_LEFT) {
		fputs(" transform=\"rotate(-90 ", f);
		put_number(f, at.x);
		fputc(' ', f);
		put_number(f, at.y);
		fputs(")\"", f);
	}
	open_content(f, p.width);
	put_line(f, r, p.first, p.last);
	fputs("</text>\n", f);
}

static void svg_begin(struct canvas *c, const char *name)
{
	FILE *f = svg_of(c)->out;
	fputs("<g id=\"", f);
	put_escaped(f, name, strlen(name));
	fputs("\">\n", f);
}

static void svg_end(struct canvas *c)
{
	fputs("</g>\n", svg_of(c)->out);
}

static int svg_finish(struct canvas *c, uint8_t **bytes, size_t *n_bytes, struct err *e)
{
	struct svg *s = svg_of(c);
	fputs("</g>\n</svg>\n", s->out);
	int failed = ferror(s->out);
	if (fclose(s->out))
		failed = 1;
	s->out = NULL;
	if (failed)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	*bytes = (uint8_t *)s->text;
	*n_bytes = s->n;
	s->text = NULL;
	return 0;
}

static void svg_close(struct canvas *c)
{
	struct svg *s = svg_of(c);
	if (!s)
		return;
	if (s->out)
		fclose(s->out);
	free(s->text);
	free(s);
}

const struct canvas_ops canvas_svg_ops = {
	.open = svg_open,
	.fill = svg_fill,
	.path = svg_path,
	.polygon = svg_polygon,
	.cells = svg_cells,
	.text = svg_text,
	.begin = svg_begin,
	.end = svg_end,
	.finish = svg_finish,
	.close = svg_close,
};

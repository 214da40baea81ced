#include "export/draw/text.h"

#include <fontconfig/fontconfig.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <pango/pangofc-fontmap.h>
#include <stdlib.h>
#include <string.h>

struct text_engine {
	FcConfig *fonts;
	PangoFontMap *map;
	PangoContext *context;
	uint8_t *missing; /* a bit for every character, made when the first one is missing */
	int n_missing;
	uint32_t first_missing;
};

struct text_block {
	struct text_request request; /* with copies of its text and spans */
	char *utf8;
	struct text_span *span;
	PangoLayout *layout;
	PangoLayoutLine **line; /* borrowed from the layout */
	struct text_line *place;
	int n_line;
};

/* Colour and bitmap fonts end up as Type 3 fonts in a PDF, which publishers refuse. */
static const char no_type3[] =
	"<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig><selectfont>"
	"<rejectfont><pattern><patelt name=\"color\"><bool>true</bool></patelt></pattern></rejectfont>"
	"<rejectfont><pattern><patelt name=\"scalable\"><bool>false</bool></patelt></pattern></rejectfont>"
	"</selectfont></fontconfig>";

static int load_fonts(struct text_engine *t, struct err *e)
{
	t->fonts = FcInitLoadConfig();
	if (!t->fonts || !FcConfigParseAndLoadFromMemory(t->fonts, (const FcChar8 *)no_type3, FcTrue)
		|| !FcConfigBuildFonts(t->fonts))
		return err_set(e, ERR_SYSTEM, "fonts: fontconfig cannot be set up");
	const FcFontSet *set = FcConfigGetFonts(t->fonts, FcSetSystem);
	if (!set || set->nfont == 0)
		return err_set(e, ERR_SYSTEM, "fonts: this machine has none; install the package fonts-dejavu-core");
	return 0;
}

int text_engine_open(struct text_engine **out, struct err *e)
{
	struct text_engine *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_MEMORY, "fonts: out of memory");
	int rc = load_fonts(t, e);
	if (rc) {
		text_engine_close(t);
		return rc;
	}
	t->map = pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT);
	if (!t->map) {
		text_engine_close(t);
		return err_set(e, ERR_UNSUPPORTED, "fonts: this Cairo was built without FreeType");
	}
	pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(t->map), t->fonts);
	pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(t->map), 72); /* one point is one unit */
	t->context = pango_font_map_create_context(t->map);
	pango_context_set_round_glyph_positions(t->context, FALSE);
	pango_context_set_language(t->context,
		pango_language_from_string("en")); /* not the user's locale: same bytes everywhere */
	cairo_font_options_t *options = cairo_font_options_create();
	cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
	cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
	cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
	pango_cairo_context_set_font_options(t->context, options);
	cairo_font_options_destroy(options);
	*out = t;
	return 0;
}

void text_engine_close(struct text_engine *t)
{
	if (!t)
		return;
	if (t->context)
		g_object_unref(t->context);
	if (t->map) {
		/* Pango 1.50 does not give its reference back. */
		pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(t->map), NULL);
		g_object_unref(t->map);
	}
	if (t->fonts)
		FcConfigDestroy(t->fonts);
	free(t->missing);
	free(t);
}

int text_engine_missing(const struct text_engine *t, uint32_t *first)
{
	*first = t->first_missing;
	return t->n_missing;
}

static void note_missing(struct text_engine *t, uint32_t code)
{
	enum { N_CODE = 0x110000 };
	if (!t->missing)
		t->missing = calloc(N_CODE / 8, 1);
	if (!t->missing || code >= N_CODE || (t->missing[code / 8] >> code % 8 & 1))
		return;
	t->missing[code / 8] |= (uint8_t)(1u << code % 8);
	if (!t->n_missing++)
		t->first_missing = code;
}

static void find_missing(struct text_engine *t, PangoLayoutLine *line)
{
	for (GSList *at = line->runs; at; at = at->next) {
		const PangoGlyphString *glyphs = ((PangoLayoutRun *)at->data)->glyphs;
		for (int i = 0; i < glyphs->num_glyphs; i++)
			if (glyphs->glyphs[i].glyph & PANGO_GLYPH_UNKNOWN_FLAG)
				note_missing(t, glyphs->glyphs[i].glyph & ~PANGO_GLYPH_UNKNOWN_FLAG);
	}
}

static PangoFontDescription *describe(const struct text_style *style)
{
	PangoFontDescription *d = pango_font_description_new();
	pango_font_description_set_family_static(d, TEXT_FAMILY);
	pango_font_description_set_absolute_size(d, style->size * PANGO_SCALE);
	pango_font_description_set_weight(d, style->bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
	pango_font_description_set_style(d, style->italic ? PANGO_STYLE_OBLIQUE : PANGO_STYLE_NORMAL);
	return d;
}

static void add_attribute(PangoAttrList *list, PangoAttribute *a, const struct text_span *s)
{
	a->start_index = (guint)s->first;
	a->end_index = (guint)s->last;
	pango_attr_list_insert(list, a);
}

static void set_spans(PangoLayout *layout, const struct text_request *r)
{
	PangoAttrList *list = pango_attr_list_new();
	for (int i = 0; i < r->n_span; i++) {
		const struct text_span *s = &r->span[i];
		uint32_t red = s->rgb >> 16 & 255, green = s->rgb >> 8 & 255, blue = s->rgb & 255;
		add_attribute(
			list, pango_attr_foreground_new((guint16)(red * 257), (guint16)(green * 257), (guint16)(blue * 257)), s);
		if (s->scale < 1 || s->scale > 1)
			add_attribute(list, pango_attr_size_new_absolute((int)lround(r->style.size * s->scale * PANGO_SCALE)), s);
	}
	pango_layout_set_attributes(layout, list);
	pango_attr_list_unref(list);
}

static double units(int pango)
{
	return (double)pango / PANGO_SCALE;
}

/* The advance without the white space that hangs over a wrapped end. */
static double visible_width(PangoLayoutLine *line, const struct text_request *r, size_t last)
{
	size_t end = last;
	while (r->wrap > 0 && end > (size_t)line->start_index && r->utf8[end - 1] == ' ')
		end--;
	PangoRectangle logical;
	pango_layout_line_get_extents(line, NULL, &logical);
	if (end == last || line->resolved_dir == PANGO_DIRECTION_RTL)
		return units(logical.width);
	int x;
	pango_layout_line_index_to_x(line, (int)end, FALSE, &x);
	return units(x);
}

static void place_lines(struct text_block *b)
{
	PangoLayoutIter *it = pango_layout_get_iter(b->layout);
	for (int i = 0; i < b->n_line; i++) {
		PangoLayoutLine *line = pango_layout_get_line_readonly(b->layout, i);
		b->line[i] = line;
		struct text_line *p = &b->place[i];
		PangoRectangle logical;
		pango_layout_iter_get_line_extents(it, NULL, &logical);
		p->first = (size_t)line->start_index;
		p->last = (size_t)line->start_index + (size_t)line->length;
		p->x = b->request.wrap > 0 ? units(logical.x) : 0;
		p->width = visible_width(line, &b->request, p->last);
		p->right_to_left = line->resolved_dir == PANGO_DIRECTION_RTL;
		pango_layout_iter_next_line(it);
	}
	pango_layout_iter_free(it);
}

static int copy_request(struct text_block *b, const struct text_request *r)
{
	b->utf8 = malloc(r->n_bytes + 1);
	b->span = malloc(sizeof *b->span * (size_t)(r->n_span + 1));
	if (!b->utf8 || !b->span)
		return ERR_MEMORY;
	if (r->n_bytes)
		memcpy(b->utf8, r->utf8, r->n_bytes);
	b->utf8[r->n_bytes] = '\0';
	if (r->n_span)
		memcpy(b->span, r->span, sizeof *b->span * (size_t)r->n_span);
	b->request = *r;
	b->request.utf8 = b->utf8;
	b->request.span = b->span;
	return 0;
}

int text_block_make(struct text_block **out, struct text_engine *t, const struct text_request *r, struct err *e)
{
	if (r->n_bytes > 1 << 28)
		return err_set(
			e, ERR_LIMIT, "text of %zu bytes is too long for a figure, the limit is %d", r->n_bytes, 1 << 28);
	struct text_block *b = calloc(1, sizeof *b);
	if (!b || copy_request(b, r)) {
		text_block_free(b);
		return err_set(e, ERR_MEMORY, "out of memory for %zu bytes of text", r->n_bytes);
	}
	b->layout = pango_layout_new(t->context);
	PangoFontDescription *font = describe(&r->style);
	pango_layout_set_font_description(b->layout, font);
	pango_font_description_free(font);
	pango_layout_set_text(b->layout, b->utf8, (int)r->n_bytes);
	set_spans(b->layout, &b->request);
	if (r->wrap > 0) {
		pango_layout_set_width(b->layout, (int)lround(r->wrap * PANGO_SCALE));
		pango_layout_set_wrap(b->layout, PANGO_WRAP_WORD_CHAR);
	}
	b->n_line = pango_layout_get_line_count(b->layout);
	b->line = calloc((size_t)b->n_line, sizeof *b->line);
	b->place = calloc((size_t)b->n_line, sizeof *b->place);
	if (!b->line || !b->place) {
		text_block_free(b);
		return err_set(e, ERR_MEMORY, "out of memory for %zu bytes of text", r->n_bytes);
	}
	place_lines(b);
	for (int i = 0; i < b->n_line && pango_layout_get_unknown_glyphs_count(b->layout); i++)
		find_missing(t, b->line[i]);
	*out = b;
	return 0;
}

void text_block_free(struct text_block *b)
{
	if (!b)
		return;
	if (b->layout)
		g_object_unref(b->layout);
	free(b->utf8);
	free(b->span);
	free(b->line);
	free(b->place);
	free(b);
}

int text_block_n_line(const struct text_block *b)
{
	return b->n_line;
}

struct text_line text_block_line(const struct text_block *b, int line)
{
	return b->place[line];
}

double text_block_width(const struct text_block *b)
{
	double width = 0;
	for (int i = 0; i < b->n_line; i++)
		width = fmax(width, b->place[i].width);
	return width;
}

/* Moves a byte to the border of its character. */
static size_t character_start(const char *utf8, size_t at)
{
	while (at > 0 && ((unsigned char)utf8[at] & 0xc0) == 0x80)
		at--;
	return at;
}

int text_block_ranges(const struct text_block *b, int line, size_t first, size_t last, struct text_range *out,
	int n_max)
{
	const struct text_line *p = &b->place[line];
	first = character_start(b->utf8, first < p->first ? p->first : first);
	last = last > p->last ? p->last : character_start(b->utf8, last);
	if (first >= last)
		return 0;
	int *edge = NULL, n_edge = 0, n = 0;
	pango_layout_line_get_x_ranges(b->line[line], (int)first, (int)last, &edge, &n_edge);
	/* Pango adds the line's own offset within a wrapped layout, and gives a range for every font and script,
	 * left to right. */
	for (int i = 0; i < n_edge; i++) {
		struct text_range r = {units(edge[2 * i]), units(edge[2 * i + 1])};
		if (n > 0 && r.first <= out[n - 1].last + 0.01)
			out[n - 1].last = r.last;
		else if (n < n_max)
			out[n++] = r;
	}
	g_free(edge);
	return n;
}

static int compare_runs(const void *a, const void *b)
{
	size_t x = ((const struct text_run *)a)->first, y = ((const struct text_run *)b)->first;
	return (x > y) - (x < y);
}

int text_block_runs(const struct text_block *b, int line, struct text_run *out, int n_max)
{
	int n = 0;
	for (const GSList *at = b->line[line]->runs; at && n < n_max;
		 at = at->next) { /* as they are seen, left to right */
		const PangoItem *item = ((const PangoGlyphItem *)at->data)->item;
		out[n++] = (struct text_run){
			(size_t)item->offset, (size_t)item->offset + (size_t)item->length, item->analysis.level % 2 == 1};
	}
	qsort(out, (size_t)n, sizeof *out, compare_runs);
	int kept = 0;
	for (int i = 0; i < n; i++) { /* scripts and fonts also end an item; direction is all that counts here */
		if (kept > 0 && out[kept - 1].right_to_left == out[i].right_to_left && out[kept - 1].last == out[i].first)
			out[kept - 1].last = out[i].last;
		else
			out[kept++] = out[i];
	}
	return kept;
}

const struct text_request *text_block_request(const struct text_block *b)
{
	return &b->request;
}

void *text_block_pango_line(const struct text_block *b, int line)
{
	return b->line[line];
}

double text_width(struct text_engine *t, const struct text_style *style, const char *utf8)
{
	struct text_block *b;
	struct text_request r = {.utf8 = utf8, .n_bytes = strlen(utf8), .style = *style};
	if (text_block_make(&b, t, &r, NULL))
		return NAN;
	double width = text_block_width(b);
	text_block_free(b);
	return width;
}

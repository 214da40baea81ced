/* Canvases drawn by Cairo: pixels (PNG) and PDF.
 *
 * PDF: Cairo embeds the used glyphs of TrueType fonts as TrueType subsets and OpenType ones as CFF, with a map
 * back to Unicode, so text stays text. No dates are written unless SOURCE_DATE_EPOCH (reproducible-builds.org)
 * gives one, so equal input gives equal bytes.
 */
#include <cairo-pdf.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/draw/canvas_kind.h"
#include "export/draw/png.h"

struct bytes {
	uint8_t *data;
	size_t n, room;
};

struct sheet {
	cairo_surface_t *surface;
	cairo_t *cr;
	double scale;     /* device units a point; 0 for PDF: nothing is moved to pixels */
	struct bytes pdf; /* what Cairo has written */
};

static struct sheet *sheet_of(struct canvas *c)
{
	return c->own;
}

static int cairo_failed(cairo_status_t status, struct err *e)
{
	enum err_code code = status == CAIRO_STATUS_NO_MEMORY ? ERR_MEMORY : ERR_SYSTEM;
	return err_set(e, code, "figure: cairo: %s", cairo_status_to_string(status));
}

static void set_colour(cairo_t *cr, uint32_t rgb)
{
	cairo_set_source_rgb(cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0);
}

static int begin(struct canvas *c, double scale, struct err *e)
{
	struct sheet *s = sheet_of(c);
	s->cr = cairo_create(s->surface);
	if (cairo_status(s->cr))
		return cairo_failed(cairo_status(s->cr), e);
	cairo_set_line_join(s->cr, CAIRO_LINE_JOIN_ROUND);
	if (scale > 0) {
		set_colour(s->cr, 0xffffff);
		cairo_paint(s->cr);
		cairo_scale(s->cr, scale, scale);
	}
	s->scale = scale;
	return 0;
}

static int png_open(struct canvas *c, struct err *e)
{
	struct sheet *s = c->own = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	double scale = c->o.dpi / CANVAS_PT_PER_INCH;
	int w = (int)lround(c->o.width * scale), h = (int)lround(c->o.height * scale);
	s->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, w < 1 ? 1 : w, h < 1 ? 1 : h);
	if (cairo_surface_status(s->surface))
		return err_set(e, ERR_MEMORY, "figure of %d x %d pixels: %s", w, h,
			cairo_status_to_string(cairo_surface_status(s->surface)));
	return begin(c, scale, e);
}

static cairo_status_t keep_bytes(void *to, const unsigned char *data, unsigned n)
{
	struct bytes *b = to;
	if (b->n + n > b->room) {
		size_t room = (b->n + n) * 2;
		uint8_t *grown = realloc(b->data, room);
		if (!grown)
			return CAIRO_STATUS_WRITE_ERROR;
		b->data = grown;
		b->room = room;
	}
	memcpy(b->data + b->n, data, n);
	b->n += n;
	return CAIRO_STATUS_SUCCESS;
}

/* The date of SOURCE_DATE_EPOCH as Cairo wants it, or "", which leaves the date out. */
static void creation_date(char out[32])
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	out[0] = '\0';
	if (!epoch || !*epoch)
		return;
	char *end;
	long long seconds = strtoll(epoch, &end, 10);
	struct tm day;
	time_t t = (time_t)seconds;
	if (*end == '\0' && seconds >= 0 && seconds < 253402300800 /* year 10000 */ && gmtime_r(&t, &day))
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &day);
}

static int pdf_open(struct canvas *c, struct err *e)
{
	struct sheet *s = c->own = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	s->surface = cairo_pdf_surface_create_for_stream(keep_bytes, &s->pdf, c->o.width, c->o.height);
	if (cairo_surface_status(s->surface))
		return cairo_failed(cairo_surface_status(s->surface), e);
	char *keywords = provenance_json(c->o.provenance), date[32];
	if (!keywords)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	creation_date(date);
	cairo_pdf_surface_set_metadata(s->surface, CAIRO_PDF_METADATA_CREATOR, PROVENANCE_PROGRAM);
	cairo_pdf_surface_set_metadata(s->surface, CAIRO_PDF_METADATA_KEYWORDS, keywords);
	cairo_pdf_surface_set_metadata(s->surface, CAIRO_PDF_METADATA_CREATE_DATE, date);
	free(keywords);
	return begin(c, 0, e);
}

/* An edge on the pixel grid. */
static double snap(const struct sheet *s, double v)
{
	return s->scale > 0 ? round(v * s->scale) / s->scale : v;
}

static void cairo_fill_rect(struct canvas *c, struct rect r, uint32_t rgb)
{
	struct sheet *s = sheet_of(c);
	double x0 = snap(s, r.x), y0 = snap(s, r.y), x1 = snap(s, r.x + r.w), y1 = snap(s, r.y + r.h);
	double least = s->scale > 0 ? 1 / s->scale : 0; /* never nothing */
	set_colour(s->cr, rgb);
	cairo_rectangle(s->cr, x0, y0, fmax(x1 - x0, least), fmax(y1 - y0, least));
	cairo_fill(s->cr);
}

static bool is_upright(const struct point *p, int n)
{
	for (int i = 1; i < n; i++)
		if (fabs(p[i].x - p[i - 1].x) > 1e-9 && fabs(p[i].y - p[i - 1].y) > 1e-9)
			return false;
	return true;
}

/* The middle of a line `width` pixels wide whose edges are pixel borders. */
static double snap_middle(const struct sheet *s, double v, double width)
{
	double half = fmod(width, 2) / 2;
	return (floor(v * s->scale - half + 0.5) + half) / s->scale;
}

static void cairo_path(struct canvas *c, const struct point *p, int n, const struct stroke *stroke)
{
	struct sheet *s = sheet_of(c);
	double width = stroke->width;
	bool crisp = s->scale > 0 && is_upright(p, n);
	double pixels = fmax(1, round(width * s->scale));
	if (crisp)
		width = pixels / s->scale;
	bool closed = canvas_is_closed(p, n);
	for (int i = 0; i < n - closed; i++) {
		double x = crisp ? snap_middle(s, p[i].x, pixels) : p[i].x;
		double y = crisp ? snap_middle(s, p[i].y, pixels) : p[i].y;
		cairo_line_to(s->cr, x, y);
	}
	if (closed)
		cairo_close_path(s->cr);
	set_colour(s->cr, stroke->rgb);
	cairo_set_line_width(s->cr, width);
	cairo_set_dash(s->cr, stroke->dash, stroke->n_dash, 0);
	cairo_stroke(s->cr);
}

static void cairo_polygon(struct canvas *c, const struct point *p, int n, uint32_t rgb)
{
	struct sheet *s = sheet_of(c);
	for (int i = 0; i < n; i++)
		cairo_line_to(s->cr, p[i].x, p[i].y);
	cairo_close_path(s->cr);
	set_colour(s->cr, rgb);
	cairo_fill(s->cr);
}

static void write_pixels(cairo_surface_t *surface, const struct cell_image *m, int x0, int y0)
{
	cairo_surface_flush(surface);
	uint8_t *data = cairo_image_surface_get_data(surface);
	int stride = cairo_image_surface_get_stride(surface);
	int w = cairo_image_surface_get_width(surface), h = cairo_image_surface_get_height(surface);
	for (int y = 0; y < m->h; y++)
		for (int x = 0; x < m->w; x++)
			if (x0 + x >= 0 && x0 + x < w && y0 + y >= 0 && y0 + y < h) {
				uint32_t rgb = cell_image_pixel(m, x, y);
				memcpy(data + (size_t)(y0 + y) * (size_t)stride + 4 * (size_t)(x0 + x), &rgb, 4);
			}
	cairo_surface_mark_dirty(surface);
}

static void png_cells(struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows)
{
	struct sheet *s = sheet_of(c);
	int x0 = (int)lround(r.x * s->scale), x1 = (int)lround((r.x + r.w) * s->scale);
	int y0 = (int)lround(r.y * s->scale), y1 = (int)lround((r.y + r.h) * s->scale);
	struct cell_image m = {.cell = cell, .columns = columns, .rows = rows, .w = x1 - x0, .h = y1 - y0};
	if (m.w > 0 && m.h > 0)
		write_pixels(s->surface, &m, x0, y0);
}

static void pdf_cells(struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows)
{
	struct sheet *s = sheet_of(c);
	struct cell_image m = cell_image_for(c, r, cell, columns, rows);
	cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, m.w, m.h);
	if (cairo_surface_status(image) == CAIRO_STATUS_SUCCESS) {
		write_pixels(image, &m, 0, 0);
		cairo_save(s->cr);
		cairo_translate(s->cr, r.x, r.y);
		cairo_scale(s->cr, r.w / m.w, r.h / m.h);
		cairo_set_source_surface(s->cr, image, 0, 0);
		cairo_pattern_set_filter(cairo_get_source(s->cr), CAIRO_FILTER_NEAREST); /* /Interpolate false */
		cairo_rectangle(s->cr, 0, 0, m.w, m.h);
		cairo_fill(s->cr);
		cairo_restore(s->cr);
	} else {
		c->failed = ERR_MEMORY;
	}
	cairo_surface_destroy(image);
}

static void cairo_text(struct canvas *c, const struct text_block *b, int line, struct point at, enum turn turn)
{
	struct sheet *s = sheet_of(c);
	cairo_save(s->cr);
	cairo_translate(s->cr, at.x, at.y);
	if (turn == TURN_LEFT)
		cairo_rotate(s->cr, -M_PI / 2);
	cairo_move_to(s->cr, 0, 0);
	set_colour(s->cr, text_block_request(b)->style.rgb);
	pango_cairo_show_layout_line(s->cr, text_block_pango_line(b, line));
	cairo_restore(s->cr);
	cairo_new_path(s->cr);
}

static int png_finish(struct canvas *c, uint8_t **bytes, size_t *n_bytes, struct err *e)
{
	struct sheet *s = sheet_of(c);
	if (cairo_status(s->cr))
		return cairo_failed(cairo_status(s->cr), e);
	cairo_surface_flush(s->surface);
	struct png_image image = {
		.w = cairo_image_surface_get_width(s->surface),
		.h = cairo_image_surface_get_height(s->surface),
		.stride = cairo_image_surface_get_stride(s->surface),
		.pixel = cairo_image_surface_get_data(s->surface),
		.dpi = c->o.dpi,
		.provenance = c->o.provenance,
	};
	return png_encode(&image, bytes, n_bytes, e);
}

static int pdf_finish(struct canvas *c, uint8_t **bytes, size_t *n_bytes, struct err *e)
{
	struct sheet *s = sheet_of(c);
	cairo_status_t status = cairo_status(s->cr);
	cairo_surface_finish(s->surface);
	if (!status)
		status = cairo_surface_status(s->surface);
	if (status)
		return cairo_failed(status, e);
	*bytes = s->pdf.data;
	*n_bytes = s->pdf.n;
	s->pdf = (struct bytes){0};
	return 0;
}

static void cairo_close(struct canvas *c)
{
	struct sheet *s = sheet_of(c);
	if (!s)
		return;
	if (s->cr)
		cairo_destroy(s->cr);
	if (s->surface)
		cairo_surface_destroy(s->surface);
	free(s->pdf.data);
	free(s);
}

const struct canvas_ops canvas_png_ops = {
	.open = png_open,
	.fill = cairo_fill_rect,
	.path = cairo_path,
	.polygon = cairo_polygon,
	.cells = png_cells,
	.text = cairo_text,
	.finish = png_finish,
	.close = cairo_close,
};

const struct canvas_ops canvas_pdf_ops = {
	.open = pdf_open,
	.fill = cairo_fill_rect,
	.path = cairo_path,
	.polygon = cairo_polygon,
	.cells = pdf_cells,
	.text = cairo_text,
	.finish = pdf_finish,
	.close = cairo_close,
};

#include "export/draw/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/draw/canvas_kind.h"

int canvas_open(struct canvas **out, const struct canvas_options *o, struct err *e)
{
	static const struct canvas_ops *const kinds[] = {
		[CANVAS_PNG] = &canvas_png_ops,
		[CANVAS_PDF] = &canvas_pdf_ops,
		[CANVAS_SVG] = &canvas_svg_ops,
	};
	double side = fmax(o->width, o->height) * o->dpi / CANVAS_PT_PER_INCH;
	if (!(o->width > 0 && o->height > 0) || !(side <= CANVAS_MAX_PIXEL))
		return err_set(e, ERR_LIMIT,
			"figure of %.2f x %.2f in at %d dpi: sides must be above 0 and at most %d pixels",
			o->width / CANVAS_PT_PER_INCH, o->height / CANVAS_PT_PER_INCH, o->dpi, CANVAS_MAX_PIXEL);
	struct canvas *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	c->o = *o;
	c->op = kinds[o->kind];
	int rc = c->op->open(c, e);
	if (rc) {
		canvas_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

int canvas_finish(struct canvas *c, uint8_t **bytes, size_t *n_bytes, struct err *e)
{
	if (c->failed)
		return err_set(e, (enum err_code)c->failed, "figure: out of memory while drawing");
	return c->op->finish(c, bytes, n_bytes, e);
}

void canvas_close(struct canvas *c)
{
	if (!c)
		return;
	c->op->close(c);
	free(c);
}

void canvas_fail(struct canvas *c)
{
	c->failed = ERR_MEMORY;
}

void canvas_fill(struct canvas *c, struct rect r, uint32_t rgb)
{
	if (r.w > 0 && r.h > 0)
		c->op->fill(c, r, rgb);
}

void canvas_line(struct canvas *c, double x0, double y0, double x1, double y1, const struct stroke *s)
{
	canvas_path(c, (struct point[]){{x0, y0}, {x1, y1}}, 2, s);
}

bool canvas_is_closed(const struct point *p, int n)
{
	return n > 2 && !memcmp(&p[0], &p[n - 1], sizeof p[0]);
}

void canvas_path(struct canvas *c, const struct point *p, int n, const struct stroke *s)
{
	if (n > 1)
		c->op->path(c, p, n, s);
}

void canvas_polygon(struct canvas *c, const struct point *p, int n, uint32_t rgb)
{
	c->op->polygon(c, p, n, rgb);
}

void canvas_frame(struct canvas *c, struct rect r, const struct stroke *s)
{
	const struct point corner[] = {
		{r.x, r.y}, {r.x + r.w, r.y}, {r.x + r.w, r.y + r.h}, {r.x, r.y + r.h}, {r.x, r.y}};
	canvas_path(c, corner, 5, s);
}

void canvas_cells(struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows)
{
	if (columns > 0 && rows > 0 && r.w > 0 && r.h > 0)
		c->op->cells(c, r, cell, columns, rows);
}

void canvas_hatch(struct canvas *c, struct rect r, double pitch, const struct stroke *s)
{
	/* x + y = d, cut to the rectangle. */
	double step = pitch * sqrt(2);
	for (double d = step / 2; d < r.w + r.h; d += step) {
		double x0 = fmin(d, r.w), y0 = d - x0, y1 = fmin(d, r.h), x1 = d - y1;
		canvas_line(c, r.x + x0, r.y + y0, r.x + x1, r.y + y1, s);
	}
}

void canvas_block_line(struct canvas *c, const struct text_block *b, int line, double x, double y, enum turn turn)
{
	struct text_line p = text_block_line(b, line);
	if (p.last > p.first)
		c->op->text(c, b, line, (struct point){x, y}, turn);
}

double canvas_text(struct canvas *c, struct text_engine *t, const struct text_style *style, struct point at,
	enum align align, enum turn turn, const char *utf8)
{
	struct text_block *b;
	struct text_request r = {.utf8 = utf8, .n_bytes = strlen(utf8), .style = *style};
	int rc = text_block_make(&b, t, &r, NULL);
	if (rc) {
		c->failed = rc;
		return 0;
	}
	double width = text_block_width(b);
	double back = align == ALIGN_LEFT ? 0 : align == ALIGN_CENTRE ? width / 2 : width;
	canvas_block_line(c, b, 0, turn ? at.x : at.x - back, turn ? at.y + back : at.y, turn);
	text_block_free(b);
	return width;
}

void canvas_begin(struct canvas *c, const char *name)
{
	if (c->op->begin)
		c->op->begin(c, name);
}

void canvas_end(struct canvas *c)
{
	if (c->op->end)
		c->op->end(c);
}

uint32_t cell_image_pixel(const struct cell_image *m, int x, int y)
{
	int64_t column = (int64_t)x * m->columns / m->w, row = (int64_t)y * m->rows / m->h;
	return m->cell[row * m->columns + column];
}

static int whole_multiple(double points, int dpi, int cells)
{
	double pixels = points * dpi / CANVAS_PT_PER_INCH;
	int factor = (int)ceil(pixels / cells);
	return cells * (factor < 1 ? 1 : factor);
}

struct cell_image cell_image_for(const struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows)
{
	return (struct cell_image){
		.cell = cell,
		.columns = columns,
		.rows = rows,
		.w = whole_multiple(r.w, c->o.dpi, columns),
		.h = whole_multiple(r.h, c->o.dpi, rows),
	};
}

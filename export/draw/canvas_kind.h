/* What a kind of canvas must be able to do; only canvas*.c include this. */
#ifndef KVGLASS_EXPORT_DRAW_CANVAS_KIND_H
#define KVGLASS_EXPORT_DRAW_CANVAS_KIND_H

#include <stdbool.h>

#include "export/draw/canvas.h"

struct canvas_ops {
	int (*open)(struct canvas *c, struct err *e);
	void (*fill)(struct canvas *c, struct rect r, uint32_t rgb);
	void (*path)(struct canvas *c, const struct point *p, int n, const struct stroke *s);
	void (*polygon)(struct canvas *c, const struct point *p, int n, uint32_t rgb);
	void (*cells)(struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows);
	void (*text)(struct canvas *c, const struct text_block *b, int line, struct point at, enum turn turn);
	void (*begin)(struct canvas *c, const char *name); /* NULL: no groups */
	void (*end)(struct canvas *c);
	int (*finish)(struct canvas *c, uint8_t **bytes, size_t *n_bytes, struct err *e);
	void (*close)(struct canvas *c);
};
extern const struct canvas_ops canvas_png_ops, canvas_pdf_ops, canvas_svg_ops;

/* Does the path end where it began? */
bool canvas_is_closed(const struct point *p, int n);

struct canvas {
	const struct canvas_ops *op;
	struct canvas_options o;
	int failed; /* enum err_code of the first error while drawing */
	void *own;  /* the kind's state */
};

/* Cells blown up to w x h pixels by whole cells (nearest neighbour): pixel x shows column floor(x * columns /
 * w). */
struct cell_image {
	const uint32_t *cell;
	int columns, rows;
	int w, h;
};
uint32_t cell_image_pixel(const struct cell_image *m, int x, int y);
/* Size for PDF and SVG: whole multiples of the cells, at least the asked resolution (viewers that smooth images
 * then blur less than a pixel at a cell's border). */
struct cell_image cell_image_for(const struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows);

#endif

/* How methods look as lines: colour, dash and marker differ, so that grey print and colour-blind readers tell them apart (colours after Okabe
 * and Ito). The same method looks the same in every figure. */
#ifndef KVGLASS_EXPORT_PLOT_LOOK_H
#define KVGLASS_EXPORT_PLOT_LOOK_H

#include "export/draw/canvas.h"

enum plot_mark { MARK_NONE, MARK_CIRCLE, MARK_SQUARE, MARK_UP, MARK_DOWN, MARK_DIAMOND, MARK_CROSS, MARK_PLUS };

struct plot_look {
	const char *name; /* of the method */
	uint32_t rgb;
	double width;
	double dash[6];
	int n_dash;
	enum plot_mark marker;
};

const struct plot_look *plot_look_of(const char *method); /* NULL: the table does not name it */
const struct plot_look *plot_look_other(int i);           /* for those it does not name, in turn */
struct stroke plot_look_stroke(const struct plot_look *look);
void plot_marker(struct canvas *canvas, enum plot_mark marker, struct point at, uint32_t rgb);

#endif

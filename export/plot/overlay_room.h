/* Sizes that the layout and the drawing of overlays share; points. */
#ifndef KVGLASS_EXPORT_PLOT_OVERLAY_ROOM_H
#define KVGLASS_EXPORT_PLOT_OVERLAY_ROOM_H

#include "export/plot/overlay.h"

#define OVERLAY_TYPE 7.6
#define OVERLAY_PITCH 11.6 /* from line to line */
#define OVERLAY_PAD 3.5    /* between a panel's frame and its text */
#define OVERLAY_LEGEND_ROW 11.0
#define OVERLAY_SWATCH 16.0
#define OVERLAY_PALE 0x707070u /* text that is not kept; 4.9 : 1 on white */

enum overlay_entry_kind { ENTRY_STEP, ENTRY_ALWAYS, ENTRY_MISSED };
struct overlay_entry { /* of the legend */
	enum overlay_entry_kind kind;
	int step, row;
	double x;
	char text[40];
};
#define OVERLAY_MAX_ENTRY (OVERLAY_MAX_STEP + 2)
/* Places of the legend's entries: returns how many, or with out == NULL how many rows they take. */
int overlay_legend(const struct overlay *o, struct text_engine *t, struct overlay_entry *out, int n_max);

#endif

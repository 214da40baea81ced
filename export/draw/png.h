/* PNG: pixels to bytes, with resolution, colour space and provenance (chunks pHYs, sRGB, tEXt / iTXt, all
 * before IDAT). */
#ifndef KVGLASS_EXPORT_DRAW_PNG_H
#define KVGLASS_EXPORT_DRAW_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "export/draw/provenance.h"

struct png_image {
	int w, h, stride;     /* stride in bytes */
	const uint8_t *pixel; /* a native-endian uint32_t each, 0x__RRGGBB */
	int dpi;              /* 0: no pHYs */
	const struct provenance *provenance; /* or NULL */
};

/* 8-bit RGB. *bytes is owned by the caller (free). The same image gives the same bytes. */
int png_encode(const struct png_image *image, uint8_t **bytes, size_t *n_bytes, struct err *e);

#endif

/* Pictures that were written: decoded by libpng (which the writer uses only to encode), chunks walked by hand,
 * XML by GLib. */
#ifndef KVGLASS_TESTS_PICTURE_H
#define KVGLASS_TESTS_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct picture {
	int w, h;
	uint8_t *rgb; /* (h, w, 3) */
	uint32_t per_metre_x, per_metre_y; /* pHYs; 0 without */
	bool srgb;
};
bool picture_decode(struct picture *out, const uint8_t *png, size_t n_bytes);
bool picture_read(struct picture *out, const char *path);
void picture_free(struct picture *p);
uint32_t picture_pixel(const struct picture *p, int x, int y); /* 0xRRGGBB */
/* Luma of a pixel as a grey printer sees it, 0 .. 255. */
double picture_grey(uint32_t rgb);

/* Names of a PNG's chunks in order, "IHDR sRGB ... IEND", every checksum verified; owned by the caller. NULL:
 * damaged. */
char *png_chunk_names(const uint8_t *png, size_t n_bytes);

/* Is it well-formed XML? Text of all elements is collected when text is not NULL (owned by the caller). */
bool xml_is_well_formed(const char *xml, size_t n_bytes, char **text);

/* A whole file, NUL-terminated; NULL with *n = 0 when it cannot be read. */
uint8_t *read_bytes(const char *path, size_t *n);

#endif

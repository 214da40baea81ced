#include "tests/support/picture.h"

#include <glib.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct source {
	const uint8_t *at;
	size_t left;
};

static void give(png_structp png, png_bytep to, size_t n)
{
	struct source *s = png_get_io_ptr(png);
	if (n > s->left)
		png_error(png, "short");
	memcpy(to, s->at, n);
	s->at += n;
	s->left -= n;
}

static void stop(png_structp png, png_const_charp why)
{
	(void)why;
	png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp why)
{
	(void)png, (void)why;
}

static bool decode(struct picture *p, png_structp png, png_infop info, struct source *s)
{
	if (setjmp(png_jmpbuf(png)))
		return false;
	png_set_read_fn(png, s, give);
	png_read_info(png, info);
	if (png_get_bit_depth(png, info) != 8 || png_get_color_type(png, info) != PNG_COLOR_TYPE_RGB)
		return false;
	p->w = (int)png_get_image_width(png, info);
	p->h = (int)png_get_image_height(png, info);
	int unit, intent;
	png_uint_32 x, y;
	if (png_get_pHYs(png, info, &x, &y, &unit) && unit == PNG_RESOLUTION_METER) {
		p->per_metre_x = x;
		p->per_metre_y = y;
	}
	p->srgb = png_get_sRGB(png, info, &intent) != 0;
	p->rgb = malloc((size_t)p->w * (size_t)p->h * 3);
	for (int row = 0; p->rgb && row < p->h; row++)
		png_read_row(png, p->rgb + (size_t)row * (size_t)p->w * 3, NULL);
	png_read_end(png, NULL);
	return p->rgb != NULL;
}

bool picture_decode(struct picture *out, const uint8_t *png_bytes, size_t n_bytes)
{
	*out = (struct picture){0};
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, stop, ignore);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	struct source s = {png_bytes, n_bytes};
	bool ok = info && decode(out, png, info, &s);
	png_destroy_read_struct(&png, &info, NULL);
	if (!ok)
		picture_free(out);
	return ok;
}

bool picture_read(struct picture *out, const char *path)
{
	size_t n;
	uint8_t *bytes = read_bytes(path, &n);
	bool ok = bytes && picture_decode(out, bytes, n);
	if (!ok)
		*out = (struct picture){0};
	free(bytes);
	return ok;
}

void picture_free(struct picture *p)
{
	free(p->rgb);
	*p = (struct picture){0};
}

uint32_t picture_pixel(const struct picture *p, int x, int y)
{
	if (x < 0 || y < 0 || x >= p->w || y >= p->h)
		return 0xffffffffu;
	const uint8_t *c = p->rgb + ((size_t)y * (size_t)p->w + (size_t)x) * 3;
	return (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
}

double picture_grey(uint32_t rgb)
{
	return 0.299 * (rgb >> 16 & 255) + 0.587 * (rgb >> 8 & 255) + 0.114 * (rgb & 255);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

char *png_chunk_names(const uint8_t *png, size_t n_bytes)
{
	char *names = calloc(1, n_bytes / 2 + 8);
	for (size_t at = 8; names && at + 12 <= n_bytes;) {
		size_t n = be32(png + at);
		if (n > n_bytes - at - 12 || be32(png + at + 8 + n) != (uint32_t)crc32(0, png + at + 4, (uInt)(n + 4)))
			break;
		if (*names)
			strcat(names, " ");
		strncat(names, (const char *)png + at + 4, 4);
		at += n + 12;
		if (at == n_bytes && !strcmp(names + strlen(names) - 4, "IEND"))
			return names;
	}
	free(names);
	return NULL;
}

static void collect(GMarkupParseContext *context, const char *text, gsize n, gpointer to, GError **error)
{
	(void)context, (void)error;
	g_string_append_len(to, text, (gssize)n);
}

bool xml_is_well_formed(const char *xml, size_t n_bytes, char **text)
{
	const GMarkupParser parser = {.text = collect};
	GString *all = g_string_new(NULL);
	GMarkupParseContext *c = g_markup_parse_context_new(&parser, 0, all, NULL);
	bool ok = g_markup_parse_context_parse(c, xml, (gssize)n_bytes, NULL)
		&& g_markup_parse_context_end_parse(c, NULL);
	g_markup_parse_context_free(c);
	if (text)
		*text = strdup(all->str);
	g_string_free(all, TRUE);
	return ok;
}

uint8_t *read_bytes(const char *path, size_t *n)
{
	*n = 0;
	FILE *f = fopen(path, "rb");
	if (!f)
		return NULL;
	uint8_t *bytes = NULL;
	size_t room = 0, got = 1;
	while (got > 0) {
		if (room - *n < 2) {
			room = room * 2 + 65536;
			bytes = realloc(bytes, room);
		}
		got = bytes ? fread(bytes + *n, 1, room - *n - 1, f) : 0;
		*n += got;
	}
	fclose(f);
	if (bytes)
		bytes[*n] = '\0';
	return bytes;
}

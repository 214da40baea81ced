#include "export/draw/png.h"

#include <math.h>
#include <png.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct encoder {
	png_structp png;
	png_infop info;
	uint8_t *row;
	char (*key)[PROVENANCE_NAME_MAX + sizeof PROVENANCE_PREFIX];
	png_text *text;
	uint8_t *out;
	size_t n, room;
	char why[120];
};

static void on_error(png_structp png, png_const_charp why)
{
	struct encoder *x = png_get_error_ptr(png);
	size_t n = strnlen(why, sizeof x->why - 1);
	memcpy(x->why, why, n);
	x->why[n] = '\0';
	png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp why)
{
	(void)png, (void)why; /* libpng would print it */
}

static void on_write(png_structp png, png_bytep data, size_t n)
{
	struct encoder *x = png_get_io_ptr(png);
	if (x->n + n > x->room) {
		size_t room = (x->n + n) * 2;
		uint8_t *grown = realloc(x->out, room);
		if (!grown)
			png_error(png, "out of memory");
		x->out = grown;
		x->room = room;
	}
	memcpy(x->out + x->n, data, n);
	x->n += n;
}

static void on_flush(png_structp png)
{
	(void)png;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

static char program_key[] = "Software", program[] = PROVENANCE_PROGRAM, empty[] = "";

/* libpng copies what it is given, but its structure wants writable strings. */
static void set_text(struct encoder *x, const struct provenance *p)
{
	int n = 0;
	x->text[n++] = (png_text){.compression = PNG_TEXT_COMPRESSION_NONE,
		.key = program_key,
		.text = program,
		.text_length = strlen(program)};
	for (int i = 0; p && i < p->n; i++) {
		const struct provenance_entry *entry = &p->entry[i];
		memcpy(x->key[i], PROVENANCE_PREFIX, sizeof PROVENANCE_PREFIX);
		strncat(x->key[i], entry->name, PROVENANCE_NAME_MAX);
		png_text t = {.key = x->key[i], .text = entry->value};
		if (is_ascii(entry->value)) {
			t.compression = PNG_TEXT_COMPRESSION_NONE;
			t.text_length = strlen(entry->value);
		} else {
			t.compression = PNG_ITXT_COMPRESSION_NONE;
			t.itxt_length = strlen(entry->value);
			t.lang = t.lang_key = empty;
		}
		x->text[n++] = t;
	}
	png_set_text(x->png, x->info, x->text, n);
}

static void pack_row(uint8_t *to, const uint8_t *from, int w)
{
	for (int i = 0; i < w; i++) {
		uint32_t rgb;
		memcpy(&rgb, from + 4 * (size_t)i, 4);
		*to++ = (uint8_t)(rgb >> 16);
		*to++ = (uint8_t)(rgb >> 8);
		*to++ = (uint8_t)rgb;
	}
}

/* Everything between setjmp and longjmp lives in *x, so nothing can be clobbered. */
static int encode(struct encoder *x, const struct png_image *image)
{
	if (setjmp(png_jmpbuf(x->png)))
		return -1;
	png_set_write_fn(x->png, x, on_write, on_flush);
	png_set_IHDR(x->png, x->info, (png_uint_32)image->w, (png_uint_32)image->h, 8, PNG_COLOR_TYPE_RGB,
		PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_set_sRGB(x->png, x->info, PNG_sRGB_INTENT_RELATIVE);
	if (image->dpi > 0) {
		png_uint_32 per_metre = (png_uint_32)lround(image->dpi / 0.0254);
		png_set_pHYs(x->png, x->info, per_metre, per_metre, PNG_RESOLUTION_METER);
	}
	set_text(x, image->provenance);
	png_set_filter(x->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE | PNG_FILTER_SUB | PNG_FILTER_UP);
	png_write_info(x->png, x->info);
	for (int y = 0; y < image->h; y++) {
		pack_row(x->row, image->pixel + (size_t)y * (size_t)image->stride, image->w);
		png_write_row(x->png, x->row);
	}
	png_write_end(x->png, NULL);
	return 0;
}

int png_encode(const struct png_image *image, uint8_t **bytes, size_t *n_bytes, struct err *e)
{
	struct encoder x = {0};
	x.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &x, on_error, on_warning);
	x.info = x.png ? png_create_info_struct(x.png) : NULL;
	x.row = malloc((size_t)image->w * 3);
	x.key = calloc(PROVENANCE_MAX, sizeof *x.key);
	x.text = calloc(PROVENANCE_MAX + 1, sizeof *x.text);
	int rc = 0;
	if (!x.info || !x.row || !x.key || !x.text)
		rc = err_set(e, ERR_MEMORY, "PNG of %d x %d pixels: out of memory", image->w, image->h);
	else if (encode(&x, image))
		rc = err_set(e, ERR_MEMORY, "PNG of %d x %d pixels: %s", image->w, image->h, x.why);
	png_destroy_write_struct(&x.png, &x.info);
	free(x.row);
	free(x.key);
	free(x.text);
	if (rc) {
		free(x.out);
		return rc;
	}
	*bytes = x.out;
	*n_bytes = x.n;
	return 0;
}

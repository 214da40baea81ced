/* The canvas in its three forms: exact cells, chunks, resolution, embedded fonts, same bytes. */
#include "export/draw/canvas.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/picture.h"
#include "tests/support/test.h"

static const uint32_t cells[6] = {0x440154, 0x21918c, 0xfde725, 0xff0000, 0x00ff00, 0x0102fe};

struct bytes {
	uint8_t *data;
	size_t n;
};

/* 100 x 60 points: six cells, a frame, two lines of text, one of them turned and one with special characters. */
static struct bytes draw(enum canvas_kind kind, int dpi, struct provenance *p)
{
	struct bytes b = {0};
	struct text_engine *t = NULL;
	struct canvas *c = NULL;
	struct err e = {0};
	const struct canvas_options o = {.kind = kind, .width = 100, .height = 60, .dpi = dpi, .provenance = p};
	const struct text_style style = {.size = 8};
	const struct stroke line = {.width = 0.6, .rgb = 0x222222};
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(canvas_open(&c, &o, &e), 0);
	if (!c)
		return b;
	canvas_begin(c, "a<b");
	canvas_cells(c, (struct rect){30, 10, 36, 24}, cells, 3, 2);
	canvas_frame(c, (struct rect){30, 10, 36, 24}, &line);
	canvas_end(c);
	canvas_text(c, t, &style, (struct point){50, 50}, ALIGN_CENTRE, TURN_NONE, "lift <10\xc3\x97 & \"more\"");
	canvas_text(c, t, &style, (struct point){20, 30}, ALIGN_CENTRE, TURN_LEFT, "layer");
	CHECK_INT(canvas_finish(c, &b.data, &b.n, &e), 0);
	canvas_close(c);
	text_engine_close(t);
	return b;
}

static struct provenance some_provenance(void)
{
	struct provenance p = {0};
	CHECK_INT(provenance_add(&p, "command", "kvglass export 'a b.kvg' --figure heatmap", NULL), 0);
	CHECK_INT(provenance_add(&p, "model_name", "caf\xc3\xa9 (\\) <&>", NULL), 0);
	return p;
}

TEST(canvas, png_cells_have_exactly_their_colours)
{
	struct provenance p = {0};
	struct bytes b = draw(CANVAS_PNG, 300, &p);
	struct picture m;
	CHECK(picture_decode(&m, b.data, b.n));
	CHECK_INT(m.w, 417); /* 100 pt at 300 dpi: 416.67 */
	CHECK_INT(m.h, 250);
	for (int i = 0; i < 6; i++) { /* the middle of each cell, 12 pt = 50 px a side from (125, 42) */
		int x = 125 + 25 + 50 * (i % 3), y = 42 + 25 + 50 * (i / 3);
		CHECK_INT(picture_pixel(&m, x, y), cells[i]);
	}
	/* Cells meet without a seam: left and right of a border are the two colours, nothing between. */
	for (int x = 160; x < 190; x++) {
		uint32_t c = picture_pixel(&m, x, 67);
		CHECK(c == cells[0] || c == cells[1]);
	}
	picture_free(&m);
	free(b.data);
}

TEST(canvas, png_frames_are_sharp)
{
	struct provenance p = {0};
	struct bytes b = draw(CANVAS_PNG, 300, &p);
	struct picture m;
	CHECK(picture_decode(&m, b.data, b.n));
	int dark = 0, grey = 0;
	for (int x = 110; x < 140; x++) {
		uint32_t c = picture_pixel(&m, x, 100);
		dark += c == 0x222222;
		grey += c != 0x222222 && c != 0xffffff && c != cells[0] && c != cells[3];
	}
	CHECK_INT(dark, 3); /* 0.6 pt = 2.5 px, rounded */
	CHECK_INT(grey, 0);
	picture_free(&m);
	free(b.data);
}

TEST(canvas, png_chunks_stand_before_the_pixels)
{
	struct provenance p = some_provenance();
	struct bytes b = draw(CANVAS_PNG, 300, &p);
	char *names = png_chunk_names(b.data, b.n);
	CHECK(names != NULL);
	if (names) {
		const char *pixels = strstr(names, "IDAT");
		CHECK(!strncmp(names, "IHDR ", 5));
		for (int i = 0; i < 3; i++) {
			static const char *const wanted[] = {"sRGB", "pHYs", "tEXt"};
			const char *at = strstr(names, wanted[i]);
			CHECK(at && at < pixels);
		}
		CHECK(strstr(names, "iTXt") && strstr(names, "iTXt") < pixels); /* the name that is not ASCII */
		CHECK(!strstr(names, "zTXt"));
		CHECK(!strstr(names, "tIME"));
	}
	CHECK(memmem(b.data, b.n, "Software\0kvglass " KVGLASS_VERSION, 17 + strlen(KVGLASS_VERSION)));
	CHECK(memmem(b.data, b.n, "kvglass.command\0kvglass export 'a b.kvg'", 40));
	free(names);
	free(b.data);
	provenance_free(&p);
}

TEST(canvas, png_resolution_is_told)
{
	static const struct {
		int dpi, per_metre;
	} known[] = {{72, 2835}, {150, 5906}, {300, 11811}, {600, 23622}};
	struct provenance p = {0};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct bytes b = draw(CANVAS_PNG, known[i].dpi, &p);
		struct picture m;
		CHECK(picture_decode(&m, b.data, b.n));
		CHECK_INT(m.per_metre_x, known[i].per_metre);
		CHECK_INT(m.per_metre_y, known[i].per_metre);
		CHECK(m.srgb);
		CHECK_INT(m.w, lround(100.0 / 72 * known[i].dpi));
		picture_free(&m);
		free(b.data);
	}
}

TEST(canvas, same_drawing_same_bytes)
{
	struct provenance p = some_provenance();
	for (int kind = CANVAS_PNG; kind <= CANVAS_SVG; kind++) {
		struct bytes a = draw((enum canvas_kind)kind, 200, &p), b = draw((enum canvas_kind)kind, 200, &p);
		CHECK(a.n > 0 && a.n == b.n && !memcmp(a.data, b.data, a.n));
		free(a.data);
		free(b.data);
	}
	provenance_free(&p);
}

TEST(canvas, svg_is_well_formed_and_keeps_text)
{
	struct provenance p = some_provenance();
	struct bytes b = draw(CANVAS_SVG, 300, &p);
	char *text = NULL;
	CHECK(xml_is_well_formed((const char *)b.data, b.n, &text));
	CHECK(text && strstr(text, "lift <10\xc3\x97 & \"more\""));
	CHECK(text && strstr(text, "layer"));
	CHECK(strstr((const char *)b.data, "image-rendering:pixelated"));
	CHECK(strstr((const char *)b.data, "id=\"a&lt;b\""));
	CHECK(strstr((const char *)b.data, "width=\"100pt\""));
	free(text);
	free(b.data);
	provenance_free(&p);
}

static bool has(struct bytes b, const char *word)
{
	return memmem(b.data, b.n, word, strlen(word)) != NULL;
}

TEST(canvas, pdf_embeds_truetype_and_one_plain_image)
{
	struct provenance p = some_provenance();
	struct bytes b = draw(CANVAS_PDF, 300, &p);
	CHECK(has(b, "%PDF-1."));
	CHECK(has(b, "/FontFile2")); /* TrueType */
	CHECK(!has(b, "/Type3"));
	CHECK(has(b, "/ToUnicode"));
	CHECK(has(b, "/Interpolate false"));
	CHECK(!has(b, "/Interpolate true"));
	CHECK(!has(b, "/CreationDate"));
	CHECK(!has(b, "/ModDate"));
	CHECK(has(b, "/MediaBox [ 0 0 100 60 ]"));
	free(b.data);
	provenance_free(&p);
}

TEST(canvas, pdf_date_comes_from_source_date_epoch_alone)
{
	struct provenance p = {0};
	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	struct bytes a = draw(CANVAS_PDF, 300, &p);
	setenv("SOURCE_DATE_EPOCH", "soon", 1);
	struct bytes b = draw(CANVAS_PDF, 300, &p);
	unsetenv("SOURCE_DATE_EPOCH");
	CHECK(has(a, "/CreationDate (20231114221320Z"));
	CHECK(!has(b, "/CreationDate"));
	free(a.data);
	free(b.data);
}

TEST(canvas, impossible_sizes_are_refused)
{
	static const struct canvas_options bad[] = {
		{.kind = CANVAS_PNG, .width = 0, .height = 10, .dpi = 300},
		{.kind = CANVAS_PDF, .width = 10, .height = NAN, .dpi = 300},
		{.kind = CANVAS_PNG, .width = 7200, .height = 10, .dpi = 1200},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct canvas *c = NULL;
		struct err e = {0};
		struct canvas_options o = bad[i];
		struct provenance p = {0};
		o.provenance = &p;
		CHECK_INT(canvas_open(&c, &o, &e), ERR_LIMIT);
		CHECK(strstr(e.text, "32000"));
	}
}

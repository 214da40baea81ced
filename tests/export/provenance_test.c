/* Provenance there and back, through every format and through what other programs do to files. */
#include "export/draw/provenance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "export/draw/canvas.h"
#include "export/draw/png.h"
#include "export/plot/origin.h"
#include "tests/support/test.h"

static const char nasty[] =
	"kvglass export 'it'\\''s (a) \\path.kvg' --x \"<&>\" caf\xc3\xa9 \xf0\x9f\x9a\xa2 \xe6\xb5\xb7";

static void check_round(enum canvas_kind kind)
{
	struct provenance p = {0}, back = {0};
	struct canvas *c = NULL;
	struct err e = {0};
	uint8_t *bytes = NULL;
	size_t n = 0;
	CHECK_INT(provenance_add(&p, "command", nasty, &e), 0);
	const char *hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	const struct canvas_options o = {.kind = kind, .width = 20, .height = 20, .dpi = 100, .provenance = &p};
	CHECK_INT(provenance_add(&p, "capture_sha256", hash, &e), 0);
	CHECK_INT(canvas_open(&c, &o, &e), 0);
	CHECK_INT(canvas_finish(c, &bytes, &n, &e), 0);
	canvas_close(c);
	CHECK_INT(provenance_parse(&back, bytes, n, "x", &e), 0);
	CHECK_INT(back.n, 2);
	CHECK_STR(provenance_find(&back, "command"), nasty);
	CHECK(!provenance_find(&back, "nothing"));
	provenance_free(&p);
	provenance_free(&back);
	free(bytes);
}

TEST(provenance, comes_back_from_png)
{
	check_round(CANVAS_PNG);
}

TEST(provenance, comes_back_from_pdf)
{
	check_round(CANVAS_PDF);
}

TEST(provenance, comes_back_from_svg)
{
	check_round(CANVAS_SVG);
}

static char *command_of(const void *data, size_t n)
{
	struct provenance p;
	if (provenance_parse(&p, data, n, "x", NULL))
		return NULL;
	const char *command = provenance_find(&p, "command");
	char *copy = command ? strdup(command) : NULL;
	provenance_free(&p);
	return copy;
}

TEST(provenance, pdf_strings_in_every_notation)
{
	static const char *const pdf[] = {
		"%PDF-1.5 << /Keywords ({\"kvglass.command\": \"a (b) c\"}) >>",
		"%PDF-1.5 << /Keywords({\"kvglass.command\": \"a \\(b\\) c\"})>>",
		"%PDF-1.5 << /Keywords\n({\"kvglass.\\\ncommand\": \"a \\050b\\51 c\"}) >>",
		"%PDF-1.5 << /Keywords <7B226B76676C6173732E636F6D6D616E64223A226120286229 2063227d> >>",
		"%PDF-1.5 << /Keywords (old words) >> << /Keywords ({\"kvglass.command\": \"a (b) c\"}) >>",
		"%PDF-1.5 << /Keywords ({\"kvglass.command\": \"old\"}) >> << /Keywords ({\"kvglass.command\": \"a (b) c\"}) >>",
		"%PDF-1.5 << /Keywords <FEFF007B0022006B00760067006C006100730073002E0063006F006D006D0061006E00640022003A00220061002000280062002900200063"
		"0022007D> >>",
	};
	for (size_t i = 0; i < sizeof pdf / sizeof *pdf; i++) {
		char *command = command_of(pdf[i], strlen(pdf[i]));
		CHECK_STR(command, "a (b) c");
		free(command);
	}
}

/* Cairo 1.18 and tools like qpdf put the document information into a compressed object stream. */
TEST(provenance, pdf_object_streams_are_looked_into)
{
	const char plain[] = "8 0 << /Producer (x) /Keywords ({\"kvglass.command\": \"deep\"}) >>";
	uint8_t packed[200];
	uLongf n_packed = sizeof packed;
	CHECK_INT(compress(packed, &n_packed, (const Bytef *)plain, strlen(plain)), Z_OK);
	char pdf[600];
	int n = snprintf(pdf, sizeof pdf,
		"%%PDF-1.5\n8 0 obj\n<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %lu >>\nstream\n", n_packed);
	memcpy(pdf + n, packed, n_packed);
	char *command = command_of(pdf, (size_t)n + n_packed);
	CHECK_STR(command, "deep");
	free(command);
}

TEST(provenance, svg_that_an_editor_rewrote)
{
	const char svg[] =
		"<?xml version=\"1.0\"?>\n<svg xmlns=\"x\"><title>t</title><metadata\n id=\"other\"><rdf/></metadata>"
		"<metadata id=\"kvglass\">{&quot;kvglass.command&quot;: &quot;a &amp; b&quot;}</metadata></svg>";
	char *command = command_of(svg, strlen(svg));
	CHECK_STR(command, "a & b");
	free(command);
}

TEST(provenance, damaged_files_are_refused)
{
	struct provenance p = {0}, back;
	struct err e;
	uint8_t *png, pixel[4] = {0};
	size_t n;
	CHECK_INT(provenance_add(&p, "command", "x", &e), 0);
	CHECK_INT(
		png_encode(&(struct png_image){.w = 1, .h = 1, .stride = 4, .pixel = pixel, .provenance = &p}, &png, &n, &e),
		0);
	for (size_t cut = 0; cut < n; cut++) /* every truncation: an error, or nothing lost that was asked for */
		CHECK(provenance_parse(&back, png, cut, "cut.png", &e) == ERR_FORMAT);
	uint8_t *text = memmem(png, n, "kvglass.command", 15);
	CHECK(text != NULL);
	if (text)
		text[16] ^= 1;
	CHECK_INT(provenance_parse(&back, png, n, "bad.png", &e), ERR_FORMAT);
	CHECK(strstr(e.text, "checksum"));
	free(png);
	provenance_free(&p);
	CHECK_INT(provenance_parse(&back, (const uint8_t *)"GIF89a", 6, "x.gif", &e), ERR_FORMAT);
	CHECK_STR(e.text, "x.gif: not a PNG, PDF or SVG file");
	CHECK_INT(provenance_parse(&back, (const uint8_t *)"<svg></svg>", 11, "x.svg", &e), ERR_FORMAT);
	CHECK_STR(e.text, "x.svg: carries no kvglass provenance");
}

TEST(provenance, values_are_clean)
{
	struct provenance p = {0};
	struct err e;
	CHECK_INT(provenance_add(&p, "a", "line\nbreak \xff half \xe2\x82", &e), 0);
	CHECK_STR(provenance_find(&p, "a"), "line break \xef\xbf\xbd half \xef\xbf\xbd\xef\xbf\xbd");
	CHECK_INT(provenance_add(&p, "empty", "", &e), 0);
	CHECK_INT(p.n, 1);
	while (p.n < PROVENANCE_MAX)
		CHECK_INT(provenance_add(&p, "b", "x", &e), 0);
	CHECK_INT(provenance_add(&p, "b", "x", &e), ERR_LIMIT);
	provenance_free(&p);
}

/* ---- command lines ---- */

static void check_kept(const char *command, bool without_paths, const char *want)
{
	char *kept = shell_to_keep(command, without_paths);
	CHECK_STR(kept, want);
	free(kept);
}

TEST(shell, words_are_quoted_where_a_shell_needs_it)
{
	static const struct {
		const char *word, *quoted;
	} known[] = {{"plain-word_1.kvg", "plain-word_1.kvg"}, {"", "''"}, {"a b", "'a b'"}, {"it's", "'it'\\''s'"},
		{"$HOME", "'$HOME'"}, {"caf\xc3\xa9", "caf\xc3\xa9"}, {"a;b", "'a;b'"}, {"~x", "'~x'"}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char *quoted = shell_quote(known[i].word);
		CHECK_STR(quoted, known[i].quoted);
		free(quoted);
	}
}

TEST(shell, the_figures_own_name_is_not_kept)
{
	check_kept("kvglass export a.kvg --figure heatmap -o fig.png", false, "kvglass export a.kvg --figure heatmap");
	check_kept("kvglass export a.kvg --output fig.png --layer 3", false, "kvglass export a.kvg --layer 3");
	check_kept("kvglass export --output='my fig.png' a.kvg", false, "kvglass export a.kvg");
	check_kept("kvglass export /data/a.kvg", false, "kvglass export /data/a.kvg");
	check_kept("", false, "");
	check_kept("kvglass -o", false, "kvglass");
}

TEST(shell, an_anonymous_command_tells_no_path)
{
	check_kept("kvglass export /home/ada/work/x.kvg --figure overlay", true, "kvglass export x.kvg --figure overlay");
	check_kept("/usr/bin/kvglass export '/home/a b/x y.kvg'", true, "kvglass export 'x y.kvg'");
	check_kept("kvglass export --from=/home/ada/x.kvg ../up/", true, "kvglass export --from=x.kvg up");
	check_kept("kvglass export \"/home/a\\\"b/x.kvg\"", true, "kvglass export x.kvg");
	check_kept("kvglass export /home/ada\\ b/x.kvg", true, "kvglass export x.kvg");
}

/* Whole screens: every tests/screens/NAME.script is performed without a terminal and its last screen, glyphs and
 * colours, is compared with NAME.screen. `make rewrite-screens` writes those anew; look at the difference before
 * you commit it (make picture).
 *
 * A script's first line says what it is shown on:
 *     # 24x80 24bit utf8 dark long
 * size, colours, charset, background, and the capture: long (700 tokens), short (30: within first and last), silent
 * (no answer), wide (24 layers of 32 heads on 8), pair (long, and the same prompt under another module), unlike (long,
 * and short), or none for the start screen.
 */
#include "tui/screen.h"
#include "tests/support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "engine/file.h"

struct places {
	const char *folder, *dump, *scratch;
};

struct show {
	int rows, cols;
	char color[8], charset[8], background[8], capture[8];
};

/* Made once a kind. */
static int make_capture(const char *name, const char *path, struct err *e)
{
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	if (access(path, R_OK) == 0)
		return 0;
	spec.n_prompt = !strcmp(name, "short") ? 30 : 700;
	spec.n_response = !strcmp(name, "silent") ? 0 : 60;
	if (!strcmp(name, "wide")) {
		spec.n_layer = 24;
		spec.n_head = 32;
		spec.n_kv_head = 8;
		spec.every_method = false;
	}
	int rc = synthetic_capture(&c, &spec, e);
	if (rc)
		return rc;
	rc = capture_save(c, path, e);
	capture_unref(c);
	return rc;
}

/* The same prompt, whose LookaheadKV is what SnapKV with 64 rows measured. */
static int make_other(const char *from, const char *path, struct err *e)
{
	const struct capture *c, *other;
	const struct capture_pair meta = {"kvglass.module_name", "another"};
	if (access(path, R_OK) == 0)
		return 0;
	int rc = capture_open(&c, from, e);
	if (rc)
		return rc;
	struct capture_map map = *capture_find(c, "snapkv_w64");
	map.name = "lookahead";
	rc = capture_replace(&other, c, &map, 1, &meta, 1, e);
	if (!rc) {
		rc = capture_save(other, path, e);
		capture_unref(other);
	}
	capture_unref(c);
	return rc;
}

static int perform(const struct show *show, const char *script, const struct places *places, struct err *e)
{
	char path[600], other[600];
	struct screen_options o = {.protocol = protocol_default(), .measure = {.window = 32, .n_response = 128, .seed = 1},
		.color = show->color, .charset = show->charset, .background = show->background, .script = script,
		.dump = places->dump,
		.rows = show->rows, .columns = show->cols};
	if (strcmp(show->capture, "none")) {
		bool pair = !strcmp(show->capture, "pair"), unlike = !strcmp(show->capture, "unlike");
		const char *name = pair || unlike ? "long" : show->capture;
		snprintf(path, sizeof path, "%s-%s.kvg", places->scratch, name);
		snprintf(other, sizeof other, "%s-%s.kvg", places->scratch, pair ? "other" : "short");
		int rc = make_capture(name, path, e);
		if (!rc && pair)
			rc = make_other(path, other, e);
		if (!rc && unlike)
			rc = make_capture("short", other, e);
		if (rc)
			return rc;
		o.capture = path;
		o.other = pair || unlike ? other : NULL;
	} else {
		o.model = "model.gguf"; /* else a sample model in somebody's cache would show */
	}
	return screen_run(&o, e);
}

/* The first line that differs, with what stands above it. */
static void tell_difference(const char *name, const char *got, const char *want)
{
	int line = 1;
	for (; *got || *want; line++) {
		size_t a = strcspn(got, "\n"), b = strcspn(want, "\n");
		if (a != b || memcmp(got, want, a)) {
			test_fail(__FILE__, __LINE__, "%s line %d is\n      %.*s\n    not\n      %.*s", name, line,
				(int)(a > 400 ? 400 : a), got,
				(int)(b > 400 ? 400 : b), want);
			return;
		}
		got += a + (got[a] == '\n');
		want += b + (want[b] == '\n');
	}
}

static void compare(const char *name, const char *dump, const char *expected)
{
	char *got, *want;
	size_t n;
	struct err e;
	if (file_read_all(dump, 1 << 22, &got, &n, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	if (test_rewrite()) {
		FILE *f = fopen(expected, "w");
		CHECK(f && fwrite(got, 1, n, f) == n);
		if (f)
			fclose(f);
	} else if (file_read_all(expected, 1 << 22, &want, &n, &e)) {
		test_fail(__FILE__, __LINE__, "%s (make rewrite-screens writes it)", e.text);
	} else {
		tell_difference(name, got, want);
		free(want);
	}
	free(got);
}

static void try_script(const char *name, const struct places *places)
{
	char path[600], expected[600], *script;
	size_t n;
	struct show show;
	struct err e;
	snprintf(path, sizeof path, "%s/%s.script", places->folder, name);
	snprintf(expected, sizeof expected, "%s/%s.screen", places->folder, name);
	if (file_read_all(path, 1 << 16, &script, &n, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	if (sscanf(script, "# %dx%d %7s %7s %7s %7s", &show.rows, &show.cols, show.color, show.charset, show.background,
		show.capture) != 6)
		test_fail(__FILE__, __LINE__, "%s: the first line does not say what it is shown on", path);
	else if (perform(&show, script, places, &e))
		test_fail(__FILE__, __LINE__, "%s: %s", name, e.text);
	else
		compare(name, places->dump, expected);
	free(script);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

TEST(screens, look_as_they_did)
{
	char *name[200];
	int n = 0;
	struct places places = {test_tree("tests/screens"), test_scratch("screen"), test_scratch("synthetic")};
	DIR *d = opendir(places.folder);
	CHECK(d != NULL);
	for (struct dirent *entry; d && (entry = readdir(d)) && n < 200;) {
		char *dot = strrchr(entry->d_name, '.');
		if (dot && !strcmp(dot, ".script"))
			name[n++] = strndup(entry->d_name, (size_t)(dot - entry->d_name));
	}
	if (d)
		closedir(d);
	qsort(name, (size_t)n, sizeof *name, by_name);
	CHECK(n >= 20);
	for (int i = 0; i < n; i++) {
		try_script(name[i], &places);
		free(name[i]);
	}
}

TEST(screens, wrong_scripts_name_the_line)
{
	struct screen_options o = {.protocol = protocol_default(), .model = "model.gguf",
		.script = "# one\nbudget-more\nno-such-thing\n"};
	struct err e;
	CHECK_INT(screen_run(&o, &e), ERR_USE);
	CHECK(strstr(e.text, "line 3") && strstr(e.text, "no-such-thing"));
	o.script = "resize 10\n";
	CHECK_INT(screen_run(&o, &e), ERR_USE);
	o.script = "click 3\n";
	CHECK_INT(screen_run(&o, &e), ERR_USE);
	o.script = "dump /no/such/folder/screen\n";
	CHECK(screen_run(&o, &e) != 0);
	CHECK(strstr(e.text, "/no/such/folder") != NULL);
}

TEST(screens, a_capture_that_cannot_be_opened_ends_the_program_with_a_line)
{
	struct screen_options o = {.protocol = protocol_default(), .capture = "/no/such/capture.kvg", .script = "wait\n"};
	struct err e;
	CHECK(screen_run(&o, &e) != 0);
	CHECK(strstr(e.text, "/no/such/capture.kvg") != NULL);
}

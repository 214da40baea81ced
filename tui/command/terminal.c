#include "tui/command/terminal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <utf8proc.h>

#include "engine/utf8.h"
#include "tui/command/command.h"

void remark(const struct options *o, const char *format, ...)
{
	char text[600];
	if (o->quiet)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fprintf(stderr, "kvglass %s: ", command_table[o->command].name);
	print_visible(stderr, text, strlen(text)); /* names that come from files may be in it */
	fputc('\n', stderr);
}

double milliseconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- progress ---- */

/* Spaces instead of an erase sequence: also right on a terminal that knows none. */
static void rewrite_line(struct progress_line *p, const char *text)
{
	int n = (int)strlen(text);
	fprintf(stderr, "\r%s%*s", text, p->width > n ? p->width - n : 0, "");
	if (p->width > n)
		fprintf(stderr, "\r%s", text);
	fflush(stderr);
	p->width = n;
}

static void write_left(char *out, size_t size, double seconds)
{
	if (seconds >= 90)
		snprintf(out, size, ", %.0f min left", seconds / 60);
	else
		snprintf(out, size, ", %.0f s left", seconds);
}

static int report(void *user, const char *stage, int64_t done, int64_t total)
{
	struct progress_line *p = user;
	if (stop_asked())
		return 1;
	if (!p->shown || total <= 0)
		return 0;
	double now = milliseconds_now();
	if (strcmp(stage, p->stage)) {
		snprintf(p->stage, sizeof p->stage, "%s", stage);
		p->began = now;
	} else if (now - p->printed < 100 && done < total) {
		return 0;
	}
	char text[80], left[32] = "";
	if (now - p->began >= 1000 && done > 0 && done < total)
		write_left(left, sizeof left, (now - p->began) * 1e-3 * (double)(total - done) / (double)done);
	snprintf(text, sizeof text, "%s %d %%%s", p->stage, (int)(100.0 * (double)done / (double)total), left);
	rewrite_line(p, text);
	p->printed = now;
	return 0;
}

void progress_line_begin(struct progress_line *p, const struct options *o)
{
	*p = (struct progress_line){.shown = !o->quiet && isatty(STDERR_FILENO), .progress = {report, p}};
}

void progress_line_end(struct progress_line *p)
{
	if (p->width) {
		rewrite_line(p, "");
		fputc('\r', stderr);
	}
}

/* ---- text ---- */

static bool is_control(uint32_t c)
{
	utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
	return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_ZL ||
	       category == UTF8PROC_CATEGORY_ZP;
}

static void print_marks(FILE *out, const char *bytes, size_t n)
{
	static const char named[][2] = {{'\n', 'n'}, {'\t', 't'}, {'\r', 'r'}};
	for (size_t i = 0; n == 1 && i < sizeof named / sizeof *named; i++) {
		if (*bytes == named[i][0]) {
			fprintf(out, "\\%c", named[i][1]);
			return;
		}
	}
	for (size_t i = 0; i < n; i++)
		fprintf(out, "<%02X>", (unsigned char)bytes[i]);
}

static void print_safe(FILE *out, const char *bytes, size_t n_bytes, const char *let_through)
{
	while (n_bytes) {
		uint32_t c;
		size_t n = utf8_decode(bytes, n_bytes, &c), taken = n ? n : 1;
		if (n && (!is_control(c) || (c && c < 128 && strchr(let_through, (int)c))))
			fwrite(bytes, 1, taken, out);
		else
			print_marks(out, bytes, taken);
		bytes += taken;
		n_bytes -= taken;
	}
}

void print_visible(FILE *out, const char *bytes, size_t n_bytes)
{
	print_safe(out, bytes, n_bytes, "");
}

void print_lines(FILE *out, const char *bytes, size_t n_bytes)
{
	print_safe(out, bytes, n_bytes, "\n\t");
}

void format_grouped(char out[32], int64_t n)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRId64, n), used = 0;
	for (int i = 0; i < length; i++) {
		out[used++] = digits[i];
		int left = length - 1 - i;
		if (left > 0 && left % 3 == 0 && digits[i] != '-')
			out[used++] = ',';
	}
	out[used] = '\0';
}

void format_size(char out[32], uint64_t n_bytes)
{
	static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)n_bytes;
	size_t u = 0;
	for (; value >= 999.5 && u + 1 < sizeof unit / sizeof *unit; u++)
		value /= 1000;
	snprintf(out, 32, "%.*f %s", u == 0 || value >= 99.95 ? 0 : 1, value, unit[u]);
}

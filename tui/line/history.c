#include "tui/line/history.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/utf8.h"

enum { MAX_FILE = HISTORY_MOST * (HISTORY_LONGEST + 2) };

static void drop(struct history *h, int i)
{
	free(h->line[i]);
	memmove(h->line + i, h->line + i + 1, (size_t)(h->n - i - 1) * sizeof *h->line);
	h->n--;
	h->n_old -= i < h->n_old;
}

/* A mark, then text without control characters, valid UTF-8. */
static bool is_line(const char *line, size_t n)
{
	if (n < 2 || n > HISTORY_LONGEST || (line[0] != ':' && line[0] != '/') || utf8_first_invalid(line, n) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	return true;
}

static void append(struct history *h, const char *line, size_t n)
{
	if (!is_line(line, n))
		return;
	for (int i = 0; i < h->n; i++) {
		if (strlen(h->line[i]) == n && !memcmp(h->line[i], line, n)) {
			drop(h, i);
			break;
		}
	}
	if (h->n == HISTORY_MOST)
		drop(h, 0);
	if (!h->line)
		h->line = calloc(HISTORY_MOST, sizeof *h->line);
	char *copy = h->line ? strndup(line, n) : NULL;
	if (copy) /* else it is forgotten: history is help, not a promise */
		h->line[h->n++] = copy;
}

void history_read(struct history *h, const char *text, size_t n_bytes)
{
	for (size_t at = 0; at < n_bytes;) {
		const char *end = memchr(text + at, '\n', n_bytes - at);
		size_t n = end ? (size_t)(end - (text + at)) : n_bytes - at;
		append(h, text + at, n);
		at += n + 1;
	}
	h->n_old = h->n;
	history_rest(h);
}

void history_load(struct history *h, const char *path)
{
	char *text;
	size_t n;
	struct err e;
	if (file_read_all(path, MAX_FILE, &text, &n, &e))
		return;
	history_read(h, text, n);
	free(text);
}

int history_save(const struct history *h, const char *path, struct err *e)
{
	struct history all = {0};
	struct file_writer *w;
	if (h->n == h->n_old)
		return 0;
	history_load(&all, path);
	for (int i = h->n_old; i < h->n; i++)
		append(&all, h->line[i], strlen(h->line[i]));
	int rc = file_create(&w, path, e);
	for (int i = 0; !rc && i < all.n; i++)
		file_printf(w, e, "%s\n", all.line[i]);
	if (!rc)
		rc = file_commit(w, e);
	history_free(&all);
	return rc;
}

void history_free(struct history *h)
{
	for (int i = 0; i < h->n; i++)
		free(h->line[i]);
	free(h->line);
	free(h->draft);
	*h = (struct history){0};
}

void history_add(struct history *h, char mark, const char *text)
{
	char line[HISTORY_LONGEST + 2];
	size_t n = strlen(text);
	if (n < HISTORY_LONGEST) {
		line[0] = mark;
		memcpy(line + 1, text, n + 1);
		append(h, line, n + 1);
	}
	history_rest(h);
}

void history_rest(struct history *h)
{
	h->at = h->n;
	free(h->draft);
	h->draft = NULL;
}

const char *history_walk(struct history *h, char mark, int by, const char *now)
{
	if (!h->draft)
		h->draft = strdup(now);
	size_t n = h->draft ? strlen(h->draft) : 0;
	for (int i = h->at + by; i >= 0 && i < h->n; i += by) {
		if (h->line[i][0] == mark && (!n || !strncmp(h->line[i] + 1, h->draft, n))) {
			h->at = i;
			return h->line[i] + 1;
		}
	}
	if (by < 0 || h->at >= h->n)
		return NULL;
	h->at = h->n; /* past the newest stands what was being written */
	return h->draft;
}

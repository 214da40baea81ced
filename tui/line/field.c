#include "tui/line/field.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <utf8proc.h>

#include "tui/terminal/event.h"
#include "tui/draw/glyph.h"

static bool reserve(struct field *f, size_t n)
{
	if (n < f->room)
		return true;
	size_t room = 2 * n + 64;
	char *more = realloc(f->text, room);
	if (!more)
		return false;
	f->text = more;
	f->room = room;
	return true;
}

bool field_set(struct field *f, const char *text)
{
	size_t n = strlen(text);
	if (!reserve(f, n))
		return false;
	memcpy(f->text, text, n + 1);
	f->n = f->at = n;
	f->first = 0;
	return true;
}

void field_free(struct field *f)
{
	free(f->text);
	*f = (struct field){0};
}

static bool insert(struct field *f, const char *bytes, size_t n)
{
	if (!reserve(f, f->n + n))
		return false;
	memmove(f->text + f->at + n, f->text + f->at, f->n - f->at + 1);
	memcpy(f->text + f->at, bytes, n);
	f->n += n;
	f->at += n;
	return true;
}

static void erase(struct field *f, size_t begin, size_t end)
{
	memmove(f->text + begin, f->text + end, f->n - end + 1);
	f->n -= end - begin;
	f->at = begin;
}

bool field_type(struct field *f, int key)
{
	char bytes[8];
	if (key == '\n' || key == K_ENTER)
		return f->many_lines ? insert(f, "\n", 1) : true;
	if (key == K_TAB)
		return f->many_lines ? insert(f, "\t", 1) : true;
	if (!event_key_types(key))
		return true;
	utf8proc_ssize_t n = utf8proc_encode_char(key, (utf8proc_uint8_t *)bytes);
	return n <= 0 || insert(f, bytes, (size_t)n);
}

static size_t glyph_after(const struct field *f, size_t at)
{
	struct glyph g;
	return at < f->n ? at + glyph_next(f->text + at, f->n - at, &g) : f->n;
}

static size_t glyph_before(const struct field *f, size_t at)
{
	size_t begin = 0, next;
	while ((next = glyph_after(f, begin)) < at)
		begin = next;
	return at ? begin : 0;
}

static size_t word_before(const struct field *f)
{
	size_t at = f->at;
	while (at > 0 && (f->text[at - 1] == ' ' || f->text[at - 1] == '/'))
		at--;
	while (at > 0 && f->text[at - 1] != ' ' && f->text[at - 1] != '/' && f->text[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_start(const struct field *f)
{
	size_t at = f->at;
	while (at > 0 && f->text[at - 1] != '\n')
		at--;
	return at;
}

bool field_act(struct field *f, enum action_id action)
{
	size_t line_end = f->at + strcspn(f->text + f->at, "\n");
	switch ((int)action) {
	case ACTION_EDIT_LEFT: f->at = glyph_before(f, f->at); break;
	case ACTION_EDIT_RIGHT: f->at = glyph_after(f, f->at); break;
	case ACTION_EDIT_HOME: f->at = line_start(f); break;
	case ACTION_EDIT_END: f->at = line_end; break;
	case ACTION_EDIT_RUBOUT: erase(f, glyph_before(f, f->at), f->at); break;
	case ACTION_EDIT_DELETE: erase(f, f->at, glyph_after(f, f->at)); break;
	case ACTION_EDIT_WORD: erase(f, word_before(f), f->at); break;
	case ACTION_EDIT_CUT_HEAD: erase(f, line_start(f), f->at); break;
	case ACTION_EDIT_CUT_TAIL: erase(f, f->at, line_end); break;
	default: return false;
	}
	return true;
}

/* ---- drawing ---- */

static void draw_line(struct field *f, struct grid *g, struct rect r, struct style s, bool focused)
{
	if (f->at < f->first)
		f->first = f->at;
	while (glyph_width(f->text + f->first, f->at - f->first) >= r.cols && f->first < f->at)
		f->first = glyph_after(f, f->first);
	grid_fill(g, r, s);
	grid_text(g, r, 0, 0, s, f->text + f->first);
	if (focused) {
		g->cursor_row = r.row;
		g->cursor_col = r.col + glyph_width(f->text + f->first, f->at - f->first);
	}
}

struct wrap {
	int row, col;
};

static struct wrap wrap_glyph(struct wrap *after, const struct glyph *glyph, int cols)
{
	int width = glyph->width < 1 ? 1 : glyph->width;
	if (after->col + width > cols)
		*after = (struct wrap){after->row + 1, 0};
	struct wrap here = *after;
	if (glyph->kind == GLYPH_NEWLINE)
		*after = (struct wrap){here.row + 1, 0};
	else
		after->col += width;
	return here;
}

/* Row and column where byte `upto` stands. */
static struct wrap wrap_to(const struct field *f, size_t upto, int cols)
{
	struct wrap at = {0, 0};
	for (size_t i = 0; i < upto;) {
		struct glyph glyph;
		i += glyph_next(f->text + i, f->n - i, &glyph);
		wrap_glyph(&at, &glyph, cols);
	}
	if (at.col >= cols)
		at = (struct wrap){at.row + 1, 0};
	return at;
}

static void draw_wrapped(const struct field *f, struct grid *g, struct rect r, struct style s, bool focused)
{
	struct wrap cursor = wrap_to(f, f->at, r.cols), at = {0, 0};
	int skip = cursor.row >= r.rows ? cursor.row - r.rows + 1 : 0;
	grid_fill(g, r, s);
	for (size_t i = 0; i < f->n;) {
		struct glyph glyph;
		size_t used = glyph_next(f->text + i, f->n - i, &glyph);
		struct wrap here = wrap_glyph(&at, &glyph, r.cols);
		if (glyph.kind != GLYPH_NEWLINE && here.row >= skip)
			grid_bytes(g, r, here.row - skip, here.col, s, glyph.kind == GLYPH_TAB ? "\xe2\x86\x92" : f->text + i,
				glyph.kind == GLYPH_TAB ? 3 : used);
		i += used;
	}
	if (focused) {
		g->cursor_row = r.row + cursor.row - skip;
		g->cursor_col = r.col + cursor.col;
	}
}

void field_draw(struct field *f, struct grid *g, struct rect r, struct style s, bool focused)
{
	if (f->many_lines)
		draw_wrapped(f, g, r, s, focused);
	else
		draw_line(f, g, r, s, focused);
}

/* ---- completion ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **name;
	int n, room;
};

static void free_names(struct names *names)
{
	for (int i = 0; i < names->n; i++)
		free(names->name[i]);
	free(names->name);
}

static void add_name(struct names *names, const char *folder, const char *name)
{
	char *full = NULL, *shown = NULL;
	struct stat st;
	if (names->n == names->room) {
		int room = 2 * names->room + 16;
		char **more = realloc(names->name, (size_t)room * sizeof *more);
		if (!more)
			return; /* a shorter list: completion is help, not a promise */
		names->name = more;
		names->room = room;
	}
	if (asprintf(&full, "%s/%s", folder, name) < 0)
		return;
	bool is_folder = stat(full, &st) == 0 && S_ISDIR(st.st_mode);
	if (asprintf(&shown, "%s%s", name, is_folder ? "/" : "") >= 0)
		names->name[names->n++] = shown;
	free(full);
}

static struct names find_names(const char *folder, const char *stem)
{
	struct names names = {0};
	DIR *d = opendir(folder);
	for (struct dirent *entry; d && (entry = readdir(d));)
		if (!strncmp(entry->d_name, stem, strlen(stem)) && (entry->d_name[0] != '.' || stem[0] == '.') &&
			strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			add_name(&names, folder, entry->d_name);
	if (d)
		closedir(d);
	if (names.n)
		qsort(names.name, (size_t)names.n, sizeof *names.name, by_name);
	return names;
}

static size_t common_length(const struct names *names)
{
	size_t n = strlen(names->name[0]);
	for (int i = 1; i < names->n; i++) {
		size_t k = 0;
		while (k < n && names->name[0][k] == names->name[i][k])
			k++;
		n = k;
	}
	return n;
}

static void write_list(const struct names *names, char *list, size_t list_bytes)
{
	size_t at = 0;
	*list = '\0';
	for (int i = 0; i < names->n && at + 1 < list_bytes; i++)
		at += (size_t)snprintf(list + at, list_bytes - at, "%s%s", i ? "  " : "", names->name[i]);
}

int field_complete_from(struct field *f, size_t from, bool *grew, char *list, size_t list_bytes)
{
	*grew = false;
	*list = '\0';
	if (from > f->at)
		return 0;
	const char *home = getenv("HOME");
	if (f->text[from] == '~' && (f->text[from + 1] == '/' || !f->text[from + 1]) && home) {
		size_t tail = f->n - f->at;
		erase(f, from, from + 1);
		insert(f, home, strlen(home));
		f->at = f->n - tail;
	}
	char *path = strndup(f->text + from, f->at - from);
	if (!path)
		return 0;
	char *slash = strrchr(path, '/');
	const char *stem = slash ? slash + 1 : path, *folder = slash == path ? "/" : slash ? path : ".";
	size_t n_stem = strlen(stem);
	if (slash)
		*slash = '\0';
	struct names names = find_names(slash == path ? "/" : folder, stem);
	if (names.n) {
		size_t common = common_length(&names);
		*grew = common > n_stem && insert(f, names.name[0] + n_stem, common - n_stem);
		write_list(&names, list, list_bytes);
	}
	int n = names.n;
	free_names(&names);
	free(path);
	return n;
}

int field_complete(struct field *f, bool *grew, char *list, size_t list_bytes)
{
	return field_complete_from(f, 0, grew, list, list_bytes);
}

int field_complete_word(struct field *f, size_t from, const char *(*word)(void *user, int i, char room[40]), void *user,
	char *list, size_t list_bytes)
{
	char room[40], common[40] = "";
	size_t n_stem = f->at - from, used = 0;
	int n = 0;
	const char *w;
	*list = '\0';
	for (int i = 0; (w = word(user, i, room)); i++) {
		if (strlen(w) < n_stem || memcmp(w, f->text + from, n_stem) || strlen(w) >= sizeof common)
			continue;
		size_t same = 0;
		while (n && common[same] && common[same] == w[same])
			same++;
		if (n++ == 0)
			strcpy(common, w);
		else
			common[same] = '\0';
		if (used < list_bytes)
			used += (size_t)snprintf(list + used, list_bytes - used, "%s%s", n > 1 ? "  " : "", w);
	}
	if (n && strlen(common) > n_stem)
		insert(f, common + n_stem, strlen(common) - n_stem);
	if (n == 1 && f->at == f->n)
		insert(f, " ", 1);
	return n;
}

/* Reading provenance back from PNG, PDF and SVG bytes; see provenance.h. Every reader ends in add_json() or
 * add_entry(). */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "export/draw/provenance.h"
#include "engine/utf8.h"

#define MAX_JSON (1u << 20)      /* bytes of a provenance text */
#define MAX_INFLATED (64u << 20) /* of all compressed streams of a PDF together */
#define MAX_TRIES 256            /* places of a PDF to look at: a hostile file is nothing but places */
#define PREFIX_BYTES (sizeof PROVENANCE_PREFIX - 1)

struct view { /* bytes of the file */
	const uint8_t *at, *end;
};

static size_t left(struct view v)
{
	return (size_t)(v.end - v.at);
}

/* Moves v to just behind the next `word`; false when there is none. */
static bool skip_past(struct view *v, const char *word)
{
	size_t n = strlen(word);
	const uint8_t *found = left(*v) >= n ? memmem(v->at, left(*v), word, n) : NULL;
	if (!found)
		return false;
	v->at = found + n;
	return true;
}

static bool starts_with(struct view v, const char *word)
{
	return left(v) >= strlen(word) && !memcmp(v.at, word, strlen(word));
}

/* Entries that are not ours, do not fit or come twice are passed over: the file may have been through other
 * programs. */
static void add_entry(struct provenance *out, const char *key, const char *value)
{
	if (strncmp(key, PROVENANCE_PREFIX, PREFIX_BYTES) || provenance_find(out, key + PREFIX_BYTES))
		return;
	provenance_add(out, key + PREFIX_BYTES, value, NULL);
}

static bool add_json(struct provenance *out, const char *text, size_t n)
{
	json_t *root = n <= MAX_JSON ? json_loadb(text, n, 0, NULL) : NULL;
	const char *key;
	json_t *value;
	json_object_foreach(root, key, value)
		if (json_is_string(value))
			add_entry(out, key, json_string_value(value));
	json_decref(root);
	return out->n > 0;
}

/* ---- PNG ---- */

static uint32_t read_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* tEXt: keyword 0 Latin-1; iTXt: keyword 0 flag method language 0 keyword 0 UTF-8. Compressed ones are not ours. */
static void add_png_text(struct provenance *out, const uint8_t *data, size_t n, bool international)
{
	const uint8_t *end = data + n, *text = memchr(data, 0, n);
	if (!text || n > MAX_JSON)
		return;
	const char *key = (const char *)data;
	text++;
	if (international) {
		if (end - text < 2 || text[0] != 0)
			return;
		text += 2;
		for (int i = 0; i < 2; i++) {
			text = memchr(text, 0, (size_t)(end - text));
			if (!text)
				return;
			text++;
		}
	}
	size_t n_text = (size_t)(end - text), n_out = 0;
	char *utf8 = malloc(2 * n_text + 1); /* Latin-1 doubles at most */
	if (!utf8)
		return;
	for (size_t i = 0; i < n_text; i++) {
		if (international)
			utf8[n_out++] = (char)text[i];
		else
			n_out += utf8_encode(text[i], utf8 + n_out);
	}
	utf8[n_out] = '\0';
	add_entry(out, key, utf8);
	free(utf8);
}

static int parse_png(struct provenance *out, struct view v, const char *name, struct err *e)
{
	v.at += 8; /* the signature */
	while (left(v) >= 12) {
		uint32_t n = read_be32(v.at);
		const uint8_t *type = v.at + 4;
		if (n > left(v) - 12)
			return err_set(e, ERR_FORMAT, "%s: PNG chunk of %u bytes, the file has %zu left", name, n, left(v) - 12);
		bool text = !memcmp(type, "tEXt", 4), international = !memcmp(type, "iTXt", 4);
		if (text || international) {
			if (read_be32(type + 4 + n) != (uint32_t)crc32(0, type, n + 4))
				return err_set(e, ERR_FORMAT, "%s: PNG text chunk with a wrong checksum", name);
			add_png_text(out, type + 4, n, international);
		}
		if (!memcmp(type, "IEND", 4))
			return 0;
		v.at += (size_t)n + 12;
	}
	return err_set(e, ERR_FORMAT, "%s: PNG ends without IEND", name);
}

/* ---- PDF ---- */

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool is_octal(struct view v)
{
	return left(v) > 0 && *v.at >= '0' && *v.at <= '7';
}

/* A byte after a backslash; -1: a line that goes on. */
static int read_escape(struct view *v)
{
	if (is_octal(*v)) {
		int value = 0;
		for (int i = 0; i < 3 && is_octal(*v); i++)
			value = value * 8 + (*v->at++ - '0');
		return value & 255;
	}
	uint8_t c = *v->at++;
	switch (c) {
	case '\r':
		if (left(*v) > 0 && *v->at == '\n')
			v->at++;
		return -1;
	case '\n': return -1;
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'b': return '\b';
	case 'f': return '\f';
	default: return c;
	}
}

/* (literal) with escapes and balanced brackets; returns the bytes written to `to`. */
static size_t read_literal(struct view v, uint8_t *to, size_t room)
{
	size_t n = 0;
	for (int depth = 1; left(v) > 0 && n < room;) {
		int c = *v.at++;
		if (c == '\\') {
			if (left(v) == 0)
				break;
			c = read_escape(&v);
			if (c >= 0)
				to[n++] = (uint8_t)c;
			continue;
		}
		depth += (c == '(') - (c == ')');
		if (depth == 0)
			return n;
		to[n++] = (uint8_t)c;
	}
	return 0; /* it does not end, or is too long */
}

static size_t read_hex(struct view v, uint8_t *to, size_t room)
{
	size_t n = 0;
	int high = -1;
	for (; left(v) > 0 && n < room; v.at++) {
		int digit = hex_digit(*v.at);
		if (*v.at == '>')
			return n;
		if (digit < 0)
			continue;
		if (high < 0) {
			high = digit;
		} else {
			to[n++] = (uint8_t)(high << 4 | digit);
			high = -1;
		}
	}
	return 0;
}

/* UTF-16 with a byte order mark becomes ASCII, which is all that our JSON has. */
static size_t to_ascii(uint8_t *s, size_t n)
{
	if (n < 2 || s[0] != 0xfe || s[1] != 0xff)
		return n;
	size_t out = 0;
	for (size_t i = 2; i + 1 < n; i += 2)
		s[out++] = s[i] == 0 && s[i + 1] < 0x80 ? s[i + 1] : '?';
	return out;
}

/* Looks for /Keywords in plain bytes; an update stands behind what it replaces, so the last one counts. */
static bool find_keywords(struct provenance *out, struct view v)
{
	size_t room = left(v) < MAX_JSON ? left(v) + 1 : MAX_JSON;
	uint8_t *text = malloc(room);
	bool found = false;
	for (int i = 0; i < MAX_TRIES && text && skip_past(&v, "/Keywords"); i++) {
		struct view s = v;
		while (left(s) > 0 && strchr(" \t\r\n", *s.at) && *s.at)
			s.at++;
		size_t n = 0;
		if (left(s) > 0 && *s.at == '(')
			n = read_literal((struct view){s.at + 1, s.end}, text, room);
		else if (left(s) > 0 && *s.at == '<')
			n = read_hex((struct view){s.at + 1, s.end}, text, room);
		struct provenance here = {0};
		if (n > 0 && add_json(&here, (const char *)text, to_ascii(text, n))) {
			provenance_free(out);
			*out = here;
			found = true;
		}
	}
	free(text);
	return found;
}

/* Inflates what starts at v, stopping at *budget bytes, and looks there. */
static bool find_in_stream(struct provenance *out, struct view v, size_t *budget)
{
	size_t room = *budget < (4u << 20) ? *budget : 4u << 20; /* object streams are small */
	uint8_t *plain = malloc(room + 1);
	z_stream z = {0};
	if (!plain || inflateInit(&z) != Z_OK) {
		free(plain);
		return false;
	}
	z.next_in = (z_const Bytef *)(uintptr_t)v.at;
	z.avail_in = (uInt)left(v);
	z.next_out = plain;
	z.avail_out = (uInt)room;
	inflate(&z, Z_FINISH);
	size_t n = room - z.avail_out;
	inflateEnd(&z);
	*budget -= n;
	bool found = n > 0 && find_keywords(out, (struct view){plain, plain + n});
	free(plain);
	return found;
}

/* Newer writers (Cairo 1.18, qpdf) keep the document information inside a compressed object stream. */
static bool find_in_object_streams(struct provenance *out, struct view v)
{
	size_t budget = MAX_INFLATED;
	for (int i = 0; i < MAX_TRIES && budget > 0 && skip_past(&v, "/ObjStm"); i++) {
		struct view s = v;
		if (!skip_past(&s, "stream"))
			return false;
		while (left(s) > 0 && (*s.at == '\r' || *s.at == '\n'))
			s.at++;
		if (find_in_stream(out, s, &budget))
			return true;
	}
	return false;
}

/* ---- SVG ---- */

static const struct {
	const char *entity;
	char c;
} entities[] = {{"&quot;", '"'}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}, {"&#34;", '"'}};

static bool find_metadata(struct provenance *out, struct view v)
{
	while (skip_past(&v, "<metadata")) {
		struct view s = v, close = v;
		if (!skip_past(&s, ">") || !skip_past(&close, "</metadata>") || close.at - s.at > (ptrdiff_t)MAX_JSON)
			return false;
		s.end = close.at - strlen("</metadata>");
		char *text = s.end > s.at ? malloc(left(s)) : NULL;
		size_t n = 0;
		while (text && left(s) > 0) {
			size_t i = 0;
			while (i < sizeof entities / sizeof *entities && !starts_with(s, entities[i].entity))
				i++;
			bool entity = i < sizeof entities / sizeof *entities;
			text[n++] = entity ? entities[i].c : (char)*s.at;
			s.at += entity ? strlen(entities[i].entity) : 1;
		}
		bool found = text && add_json(out, text, n);
		free(text);
		if (found)
			return true;
	}
	return false;
}

int provenance_parse(struct provenance *out, const uint8_t *data, size_t size, const char *name, struct err *e)
{
	*out = (struct provenance){0};
	if (size > PROVENANCE_MAX_FILE)
		return err_set(e, ERR_LIMIT, "%s: %zu bytes, a figure has at most %u", name, size, PROVENANCE_MAX_FILE);
	struct view v = {data, data + size}, head = {data, data + (size < 4096 ? size : 4096)};
	if (starts_with(v, "\x89PNG\r\n\x1a\n")) {
		int rc = parse_png(out, v, name, e);
		if (rc) {
			provenance_free(out);
			return rc;
		}
	} else if (starts_with(v, "%PDF-")) {
		if (!find_keywords(out, v))
			find_in_object_streams(out, v);
	} else if (skip_past(&head, "<svg")) {
		find_metadata(out, v);
	} else {
		return err_set(e, ERR_FORMAT, "%s: not a PNG, PDF or SVG file", name);
	}
	if (out->n == 0)
		return err_set(e, ERR_FORMAT, "%s: carries no kvglass provenance", name);
	return 0;
}

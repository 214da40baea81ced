/* What a capture must satisfy, whether it comes from a file, a run or a test. */
#include "analysis/capture/box.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include <utf8proc.h>

#include "engine/engine.h"

static int check_shape(const struct capture *c, struct err *e)
{
	const struct {
		const char *name;
		int value, least;
	} field[] = {
		{"n_layer", c->n_layer, 1}, {"n_head", c->n_head, 1}, {"n_kv_head", c->n_kv_head, 1}, {"head_dim", c->head_dim, 0},
		{"n_prompt", c->n_prompt, 1}, {"n_response", c->n_response, 0}, {"window", c->window, 0},
		{"number of maps", c->n_map, 0}, {"number of metadata keys", c->n_meta, 0},
	};
	for (size_t i = 0; i < sizeof field / sizeof *field; i++)
		if (field[i].value < field[i].least)
			return err_set(e, ERR_FORMAT, "capture: %s is %d, at least %d is needed", field[i].name, field[i].value,
				field[i].least);
	if (c->n_head % c->n_kv_head)
		return err_set(e, ERR_FORMAT, "capture: n_head %d is no multiple of n_kv_head %d", c->n_head, c->n_kv_head);
	if (c->n_prompt > INT_MAX / 2 || c->n_response > INT_MAX / 2 - 1)
		return err_set(e, ERR_LIMIT, "capture: %d + %d tokens, the limit is %d", c->n_prompt, c->n_response, INT_MAX / 2);
	size_t most = SIZE_MAX / sizeof(float) / (size_t)c->n_layer / (size_t)c->n_head;
	if ((size_t)c->n_prompt > most)
		return err_set(e, ERR_LIMIT, "capture: %d layers x %d heads x %d tokens cannot be addressed", c->n_layer,
			c->n_head, c->n_prompt);
	return 0;
}

static int check_tokens(const struct capture *c, struct err *e)
{
	int n = c->n_prompt + c->n_response;
	for (int i = 0; c->token && i < n; i++)
		if (c->token[i] < 0) {
			bool prompt = i < c->n_prompt;
			return err_set(e, ERR_FORMAT, "tokens.%s: element %d is %d, ids count from 0", prompt ? "prompt" : "response",
				prompt ? i : i - c->n_prompt, c->token[i]);
		}
	if (!c->offset != !c->text)
		return err_set(e, ERR_FORMAT, "tokens.%s is there but tokens.%s is missing", c->text ? "text" : "offset",
			c->text ? "offset" : "text");
	if (c->offset && c->offset[0] != 0)
		return err_set(e, ERR_FORMAT, "tokens.offset: element 0 is %d, not 0", c->offset[0]);
	for (int i = 0; c->offset && i < n; i++)
		if (c->offset[i + 1] < c->offset[i])
			return err_set(e, ERR_FORMAT, "tokens.offset: element %d is %d, the one before it is %d", i + 1,
				c->offset[i + 1], c->offset[i]);
	for (int i = 0; c->part && i < n; i++)
		if (c->part[i] > PART_RESPONSE)
			return err_set(e, ERR_FORMAT, "tokens.part: element %d is %d, the largest kind is %d", i, c->part[i],
				PART_RESPONSE);
	return 0;
}

/* Values as bits, in blocks that the compiler turns into vector code: infinities and NaN have all exponent bits set, and
 * negative numbers the sign bit (-0 is let through by the second look). */
static bool block_is_plain(const float *x, size_t n)
{
	uint32_t largest = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, x + i, sizeof bits);
		largest = bits > largest ? bits : largest;
	}
	return largest < 0x7f800000u; /* finite and without a sign */
}

static bool value_allowed(float x, enum map_kind kind)
{
	return isfinite(x) && (kind == MAP_SCORE || x >= 0);
}

int capture_check_values(const struct capture *c, const struct capture_map *m, struct err *e)
{
	enum { BLOCK = 4096 };
	size_t n = map_elements(c, m->kind);
	for (size_t at = 0; at < n; at += BLOCK) {
		size_t end = n - at < BLOCK ? n : at + BLOCK;
		if (block_is_plain(m->data + at, end - at))
			continue;
		for (size_t i = at; i < end; i++) {
			if (value_allowed(m->data[i], m->kind))
				continue;
			size_t row = i / (size_t)c->n_prompt;
			size_t heads = (size_t)map_heads(c, m->kind);
			const char *rule = isfinite(m->data[i]) ? "attention is never negative" : "only finite numbers are allowed";
			return err_set(e, ERR_NUMBER, "%s.%s: layer %zu, head %zu, token %zu is %g, %s", map_prefix(m->kind),
				m->name, row / heads, row % heads, i % (size_t)c->n_prompt, (double)m->data[i], rule);
		}
	}
	return 0;
}

static bool valid_utf8(const char *text)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
	utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(text);
	while (left > 0) {
		utf8proc_int32_t character;
		utf8proc_ssize_t n = utf8proc_iterate(at, left, &character);
		if (n <= 0)
			return false;
		at += n;
		left -= n;
	}
	return true;
}

static int check_map(const struct capture *c, int i, const struct share *share, struct err *e)
{
	const struct capture_map *m = &c->map[i];
	if (!m->name || !*m->name || !valid_utf8(m->name))
		return err_set(e, ERR_FORMAT, "capture: map %d has no valid name", i);
	if (m->kind != MAP_ROWS && m->kind != MAP_SCORE)
		return err_set(e, ERR_FORMAT, "capture: map %s is of kind %d", m->name, (int)m->kind);
	for (int k = 0; k < i; k++)
		if (c->map[k].kind == m->kind && !strcmp(c->map[k].name, m->name))
			return err_set(e, ERR_FORMAT, "capture: two maps are called %s.%s", map_prefix(m->kind), m->name);
	if (!m->data)
		return err_set(e, ERR_USE, "%s.%s: no data", map_prefix(m->kind), m->name);
	if (m->n_rows < 0 || m->n_rows_due < 0)
		return err_set(e, ERR_FORMAT, "%s.%s: a mean over %d of %d rows", map_prefix(m->kind), m->name, m->n_rows,
			m->n_rows_due);
	if (share && share->checked && share_holds(share, m->data, map_elements(c, m->kind) * sizeof *m->data))
		return 0;
	return capture_check_values(c, m, e);
}

int capture_check(const struct capture *c, const struct share *share, struct err *e)
{
	int rc = check_shape(c, e);
	if (!rc)
		rc = check_tokens(c, e);
	for (int i = 0; !rc && i < c->n_map; i++)
		rc = check_map(c, i, share, e);
	for (int i = 0; !rc && i < c->n_meta; i++)
		if (!c->meta[i].key || !c->meta[i].value || !valid_utf8(c->meta[i].key) || !valid_utf8(c->meta[i].value))
			rc = err_set(e, ERR_FORMAT, "capture: metadata pair %d (%s) is not valid UTF-8", i,
				c->meta[i].key ? c->meta[i].key : "no key");
	return rc;
}

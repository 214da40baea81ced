#include "engine/token/added.h"

#include <stdlib.h>

#include "engine/utf8.h"

struct added_node {
	int32_t child, sibling; /* first child, next child of the same parent; 0: none */
	int32_t token;          /* index of the token that ends here, -1: none */
	unsigned char byte;
};

void added_free(struct added_set *s)
{
	free(s->token);
	free(s->node);
	*s = (struct added_set){0};
}

static int new_node(struct added_set *s, unsigned char byte, struct err *e)
{
	if (s->n_node == s->node_capacity) {
		if (s->node_capacity > INT32_MAX / 2 / (int)sizeof *s->node)
			return err_set(e, ERR_LIMIT, "added tokens: more than %d bytes of text", s->node_capacity);
		int capacity = s->node_capacity ? 2 * s->node_capacity : 256;
		struct added_node *node = realloc(s->node, (size_t)capacity * sizeof *node);
		if (!node)
			return err_set(e, ERR_MEMORY, "added tokens: no memory for %d bytes of text", capacity);
		s->node = node;
		s->node_capacity = capacity;
	}
	s->node[s->n_node++] = (struct added_node){.token = -1, .byte = byte};
	return 0;
}

/* The child for a byte, 0 when there is none (the root is nobody's child). */
static int32_t find_child(const struct added_set *s, int32_t parent, unsigned char byte)
{
	int32_t child = s->node[parent].child;
	while (child && s->node[child].byte != byte)
		child = s->node[child].sibling;
	return child;
}

int added_add(struct added_set *s, const char *text, size_t n, struct added_token token, struct err *e)
{
	int rc = s->n_node ? 0 : new_node(s, 0, e);
	int32_t at = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		int32_t child = find_child(s, at, (unsigned char)text[i]);
		if (!child && !(rc = new_node(s, (unsigned char)text[i], e))) {
			child = s->n_node - 1;
			s->node[child].sibling = s->node[at].child;
			s->node[at].child = child;
		}
		at = child;
	}
	if (rc)
		return rc;
	if (s->node[at].token >= 0) {
		s->token[s->node[at].token] = token;
		return 0;
	}
	if (s->n == s->capacity) {
		int capacity = s->capacity ? 2 * s->capacity : 32;
		struct added_token *grown = realloc(s->token, (size_t)capacity * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_MEMORY, "added tokens: no memory for %d of them", capacity);
		s->token = grown;
		s->capacity = capacity;
	}
	s->token[s->n] = token;
	s->node[at].token = s->n++;
	return 0;
}

/* Index of the longest token that starts at text[at], -1 when none does. */
static int32_t longest_at(const struct added_set *s, const char *text, size_t n, size_t at, size_t *end)
{
	int32_t best = -1, node = 0;
	for (size_t i = at; i < n && (node = find_child(s, node, (unsigned char)text[i])); i++)
		if (s->node[node].token >= 0) {
			best = s->node[node].token;
			*end = i + 1;
		}
	return best;
}

const struct added_token *added_lookup(const struct added_set *s, const char *text, size_t n)
{
	size_t end = 0;
	int32_t found = s->n ? longest_at(s, text, n, 0, &end) : -1;
	return found >= 0 && end == n ? s->token + found : NULL;
}

static size_t space_before(const char *text, size_t from, size_t start)
{
	while (start > from) {
		size_t previous = utf8_previous(text, start), n_bytes;
		if (!utf8_is_space(utf8_next(text + previous, &n_bytes)))
			break;
		start = previous;
	}
	return start;
}

static size_t space_behind(const char *text, size_t n, size_t end)
{
	size_t n_bytes;
	while (end < n && utf8_is_space(utf8_next(text + end, &n_bytes)))
		end += n_bytes;
	return end;
}

bool added_find(const struct added_set *s, const char *text, size_t n, size_t from, added_allow *allow,
	const void *user, struct added_match *out)
{
	if (!s->n)
		return false;
	for (size_t at = from, end = 0; at < n;) {
		int32_t found = longest_at(s, text, n, at, &end);
		if (found < 0) {
			at++;
			continue;
		}
		const struct added_token *token = s->token + found;
		size_t resume = end;
		if (!allow(user, token, at, end, &resume)) {
			at = resume;
			continue;
		}
		*out = (struct added_match){token->lstrip ? space_before(text, from, at) : at,
			token->rstrip ? space_behind(text, n, end) : end, token};
		return true;
	}
	return false;
}

#include "engine/token/bpe.h"

#include <stdlib.h>
#include <string.h>

struct bpe_node { /* a symbol in the linked list; nodes are numbered by the bytes they were made from */
	int32_t id;   /* -1: joined to its left neighbour */
	int32_t at;
	int32_t previous, next; /* -1 at the ends */
};

struct bpe_candidate { /* a pair that could be joined; stale when its nodes have changed since */
	uint64_t order;    /* rank << 32 | node of the left symbol */
	uint64_t pair;
	int32_t id;
};

void bpe_free(struct bpe *b)
{
	free(b->merge);
	b->merge = NULL;
	b->n_slot = b->n_merge = 0;
}

static uint64_t pair_of(int32_t left, int32_t right)
{
	return (uint64_t)left << 32 | (uint32_t)right;
}

static struct bpe_merge *find_slot(const struct bpe *b, uint64_t pair)
{
	size_t mask = b->n_slot - 1;
	uint64_t h = pair * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = (size_t)(h >> 20) & mask;; i = (i + 1) & mask)
		if (b->merge[i].pair == pair || b->merge[i].pair == UINT64_MAX)
			return b->merge + i;
}

static const struct bpe_merge *find_merge(const struct bpe *b, uint64_t pair)
{
	if (!b->n_slot)
		return NULL;
	const struct bpe_merge *m = find_slot(b, pair);
	return m->pair == pair ? m : NULL;
}

static int resize_slots(struct bpe *b, size_t n_slot, struct err *e)
{
	struct bpe grown = {.n_slot = n_slot, .merge = malloc(n_slot * sizeof *grown.merge)};
	if (!grown.merge)
		return err_set(e, ERR_MEMORY, "merges: no memory for %zu hash slots", n_slot);
	memset(grown.merge, 0xff, n_slot * sizeof *grown.merge);
	for (size_t i = 0; i < b->n_slot; i++)
		if (b->merge[i].pair != UINT64_MAX)
			*find_slot(&grown, b->merge[i].pair) = b->merge[i];
	free(b->merge);
	b->merge = grown.merge;
	b->n_slot = n_slot;
	return 0;
}

int bpe_reserve(struct bpe *b, size_t n, struct err *e)
{
	size_t n_slot = b->n_slot ? b->n_slot : 1024;
	while (n_slot / 4 * 3 < n)
		n_slot *= 2;
	return n_slot > b->n_slot ? resize_slots(b, n_slot, e) : 0;
}

static int add_merge(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id, struct err *e)
{
	if (b->n_merge + 1 > b->n_slot / 4 * 3) {
		int rc = bpe_reserve(b, b->n_merge + 1, e);
		if (rc)
			return rc;
	}
	struct bpe_merge *m = find_slot(b, pair_of(left, right));
	b->n_merge += m->pair == UINT64_MAX;
	*m = (struct bpe_merge){pair_of(left, right), rank, id};
	return 0;
}

/* What a merge becomes. Files list merges in the order of what they become, so that is tried first: no lookup. */
static int32_t find_joined(const struct bpe *b, const struct vocab *v, const char *bytes, size_t n)
{
	for (int32_t id = b->last_id; id <= b->last_id + 1; id++) {
		size_t n_piece;
		const char *piece = vocab_bytes(v, id, &n_piece);
		if (n_piece == n && !memcmp(piece, bytes, n) && !(v->flag[id] & TOKEN_SPECIAL))
			return id;
	}
	return vocab_find(v, bytes, n);
}

/* The merge of bytes[0 .. l) and bytes[l .. n). */
static int add_unspelled(struct bpe *b, const struct vocab *v, const char *bytes, size_t l, size_t n, uint32_t rank, struct err *e)
{
	static const char *const names[] = {"its left part", "its right part", "what it becomes"};
	int32_t id[] = {vocab_find(v, bytes, l), vocab_find(v, bytes + l, n - l), find_joined(b, v, bytes, n)};
	for (int i = 0; i < 3; i++)
		if (id[i] < 0)
			return err_set(e, ERR_FORMAT, "merge %u: %s is not in the vocabulary", rank, names[i]);
	b->last_id = id[2];
	return add_merge(b, id[0], id[1], rank, id[2], e);
}

int bpe_add_merge(struct bpe *b, const struct vocab *v, const struct bpe_merge_text *m, struct err *e)
{
	char small[256], *bytes = small;
	size_t n = m->n_left + m->n_right, l, r;
	if (n > sizeof small && !(bytes = malloc(n)))
		return err_set(e, ERR_MEMORY, "merge %u: no memory for its %zu bytes", m->rank, n);
	int rc = 0;
	if (vocab_unspell(m->left, m->n_left, bytes, &l) && vocab_unspell(m->right, m->n_right, bytes + l, &r))
		rc = add_unspelled(b, v, bytes, l, l + r, m->rank, e);
	if (bytes != small)
		free(bytes);
	return rc;
}

int bpe_add_merge_line(struct bpe *b, const struct vocab *v, const char *line, size_t n, uint32_t rank, struct err *e)
{
	const char *space = memchr(line, ' ', n);
	size_t n_left = space ? (size_t)(space - line) : 0;
	if (!space || memchr(space + 1, ' ', n - n_left - 1))
		return err_set(e, ERR_FORMAT, "merge %u (\"%.*s\") is not two tokens with a space between", rank,
			(int)(n < 60 ? n : 60), line);
	const struct bpe_merge_text m = {.left = line, .n_left = n_left, .right = space + 1, .n_right = n - n_left - 1, .rank = rank};
	return bpe_add_merge(b, v, &m, e);
}

void bpe_find_bytes(struct bpe *b, const struct vocab *v)
{
	for (int i = 0; i < 256; i++) {
		char byte = (char)i;
		b->byte_token[i] = vocab_find(v, &byte, 1);
	}
}

void bpe_scratch_free(struct bpe_scratch *s)
{
	free(s->symbol);
	free(s->node);
	free(s->heap);
	*s = (struct bpe_scratch){0};
}

/* Room for a word of n bytes: n symbols, and at most n first candidates with two more for each of n - 1 joins. */
static int reserve(struct bpe_scratch *s, size_t n, struct err *e)
{
	if (n <= s->capacity)
		return 0;
	size_t capacity = n < 256 ? 256 : n + n / 2;
	free(s->symbol);
	free(s->node);
	s->symbol = malloc(capacity * sizeof *s->symbol);
	s->node = malloc(capacity * sizeof *s->node);
	s->capacity = s->symbol && s->node ? capacity : 0;
	return s->capacity ? 0 : err_set(e, ERR_MEMORY, "no memory to tokenise a word of %zu bytes", n);
}

static int push(struct bpe_scratch *s, struct bpe_candidate c, struct err *e)
{
	if (s->n_heap == s->heap_capacity) {
		size_t capacity = s->heap_capacity ? 2 * s->heap_capacity : 256;
		struct bpe_candidate *heap = realloc(s->heap, capacity * sizeof *heap);
		if (!heap)
			return err_set(e, ERR_MEMORY, "no memory for %zu merges of one word", capacity);
		s->heap = heap;
		s->heap_capacity = capacity;
	}
	size_t i = s->n_heap++;
	for (; i > 0 && c.order < s->heap[(i - 1) / 2].order; i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = c;
	return 0;
}

static struct bpe_candidate pop(struct bpe_scratch *s)
{
	struct bpe_candidate top = s->heap[0], last = s->heap[--s->n_heap];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
		if (child + 1 < s->n_heap && s->heap[child + 1].order < s->heap[child].order)
			child++;
		if (last.order <= s->heap[child].order)
			break;
		s->heap[i] = s->heap[child];
	}
	s->heap[i] = last;
	return top;
}

/* Enters the pair that starts at node `left` when it has a merge. */
static int consider(const struct bpe *b, struct bpe_scratch *s, int32_t left, struct err *e)
{
	int32_t right = left < 0 ? -1 : s->node[left].next;
	if (right < 0)
		return 0;
	uint64_t pair = pair_of(s->node[left].id, s->node[right].id);
	const struct bpe_merge *m = find_merge(b, pair);
	return m ? push(s, (struct bpe_candidate){(uint64_t)m->rank << 32 | (uint32_t)left, pair, m->id}, e) : 0;
}

/* The word as one node a byte; returns how many nodes. */
static int32_t list_bytes(const struct bpe *b, const char *word, size_t n, struct bpe_scratch *s)
{
	int32_t n_node = 0;
	bool after_unknown = false;
	for (size_t at = 0; at < n; at++) {
		int32_t id = b->byte_token[(unsigned char)word[at]];
		bool unknown = id < 0;
		s->n_vanished += unknown;
		if (unknown)
			id = b->unknown;
		if (id < 0 || (unknown && after_unknown && b->fuse_unknown))
			continue;
		s->node[n_node] = (struct bpe_node){id, (int32_t)at, n_node - 1, n_node + 1};
		n_node++;
		after_unknown = unknown;
	}
	if (n_node)
		s->node[n_node - 1].next = -1;
	return n_node;
}

static int join_pairs(const struct bpe *b, struct bpe_scratch *s, int32_t n_node, struct err *e)
{
	int rc = 0;
	s->n_heap = 0;
	for (int32_t i = 0; i + 1 < n_node && !rc; i++)
		rc = consider(b, s, i, e);
	while (s->n_heap && !rc) {
		struct bpe_candidate c = pop(s);
		int32_t at = (int32_t)(c.order & UINT32_MAX);
		struct bpe_node *left = s->node + at;
		if (left->id < 0 || left->next < 0 || pair_of(left->id, s->node[left->next].id) != c.pair)
			continue;
		struct bpe_node *right = s->node + left->next;
		left->id = c.id;
		left->next = right->next;
		right->id = -1;
		if (left->next >= 0)
			s->node[left->next].previous = at;
		rc = consider(b, s, left->previous, e);
		if (!rc)
			rc = consider(b, s, at, e);
	}
	return rc;
}

int bpe_encode(
	const struct bpe *b, const struct vocab *v, const char *word, size_t n, struct bpe_scratch *s, struct err *e)
{
	int rc = reserve(s, n, e);
	if (rc)
		return rc;
	s->n = 0;
	int32_t whole = b->whole_words ? vocab_find(v, word, n) : -1;
	if (whole >= 0 && !(v->flag[whole] & TOKEN_SPECIAL)) {
		s->symbol[s->n++] = (struct bpe_symbol){whole, 0};
		return 0;
	}
	int32_t n_node = list_bytes(b, word, n, s);
	rc = join_pairs(b, s, n_node, e);
	for (int32_t i = n_node ? 0 : -1; i >= 0 && !rc; i = s->node[i].next)
		s->symbol[s->n++] = (struct bpe_symbol){s->node[i].id, s->node[i].at};
	return rc;
}

#include "engine/token/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "engine/utf8.h"

void vocab_free(struct vocab *v)
{
	free(v->piece);
	free(v->flag);
	free(v->bytes);
	free(v->slot);
	*v = (struct vocab){0};
}

/* The byte that a character of the alphabet stands for, -1 when it is none. The 68 bytes that are not printable
 * are numbered from U+0100 in their order: 0x00-0x20, 0x7f-0xa0, 0xad. */
static int byte_of(uint32_t code)
{
	if ((code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xff && code != 0xad))
		return (int)code;
	if (code >= 0x100 && code <= 0x120)
		return (int)code - 0x100;
	if (code >= 0x121 && code <= 0x142)
		return (int)code - 0x121 + 0x7f;
	return code == 0x143 ? 0xad : -1;
}

bool vocab_unspell(const char *text, size_t n, char *out, size_t *n_out)
{
	size_t m = 0;
	for (size_t at = 0, length; at < n; at += length) {
		int byte = byte_of(utf8_next(text + at, &length));
		if (byte < 0)
			return false;
		out[m++] = (char)byte;
	}
	*n_out = m;
	return true;
}

static uint32_t hash_bytes(const char *s, size_t n)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = n * odd, word;
	for (; n >= sizeof word; s += sizeof word, n -= sizeof word) {
		memcpy(&word, s, sizeof word);
		h = (h ^ word) * odd;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, s, n);
	h = (h ^ word) * odd;
	return (uint32_t)(h >> 32 ^ h >> 12);
}

/* The slot of the piece with these bytes, or the empty one where it would go. */
static struct vocab_slot *find_slot(const struct vocab *v, const char *bytes, size_t n, uint32_t hash)
{
	uint32_t mask = v->n_slot - 1;
	for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
		struct vocab_slot *s = v->slot + i;
		if (s->id < 0 || (s->hash == hash && s->piece.n == n && !memcmp(v->bytes + s->piece.at, bytes, n)))
			return s;
	}
}

static int grow_slots(struct vocab *v, struct err *e)
{
	uint32_t n_slot = v->n_slot ? 2 * v->n_slot : 4096, mask = n_slot - 1;
	struct vocab_slot *slot = malloc(n_slot * sizeof *slot);
	if (!slot)
		return err_set(e, ERR_MEMORY, "vocabulary: no memory for %u hash slots", n_slot);
	for (uint32_t i = 0; i < n_slot; i++)
		slot[i].id = -1;
	for (uint32_t old = 0; old < v->n_slot; old++) {
		if (v->slot[old].id < 0)
			continue;
		uint32_t i = v->slot[old].hash & mask;
		while (slot[i].id >= 0)
			i = (i + 1) & mask;
		slot[i] = v->slot[old];
	}
	free(v->slot);
	v->slot = slot;
	v->n_slot = n_slot;
	return 0;
}

static int reserve_id(struct vocab *v, int64_t id, struct err *e)
{
	if (id < 0 || id >= VOCAB_LIMIT)
		return err_set(e, ERR_LIMIT, "token id %lld is outside 0 .. %d", (long long)id, VOCAB_LIMIT - 1);
	if (id < v->capacity)
		return 0;
	int capacity = v->capacity ? v->capacity : 1024;
	while (capacity <= id)
		capacity *= 2;
	struct vocab_piece *piece = realloc(v->piece, (size_t)capacity * sizeof *piece);
	if (piece)
		v->piece = piece;
	uint8_t *flag = realloc(v->flag, (size_t)capacity);
	if (flag)
		v->flag = flag;
	if (!piece || !flag)
		return err_set(e, ERR_MEMORY, "vocabulary: no memory for %d tokens", capacity);
	memset(piece + v->capacity, 0, (size_t)(capacity - v->capacity) * sizeof *piece);
	memset(flag + v->capacity, 0, (size_t)(capacity - v->capacity));
	v->capacity = capacity;
	return 0;
}

static int reserve_bytes(struct vocab *v, size_t n, struct err *e)
{
	if (n > INT32_MAX || v->n_bytes + n > INT32_MAX)
		return err_set(e, ERR_LIMIT, "vocabulary: its texts have more than %d bytes", INT32_MAX);
	if (v->n_bytes + n < v->bytes_capacity)
		return 0;
	size_t capacity = v->bytes_capacity ? v->bytes_capacity : 1 << 14;
	while (capacity <= v->n_bytes + n)
		capacity *= 2;
	char *bytes = realloc(v->bytes, capacity);
	if (!bytes)
		return err_set(e, ERR_MEMORY, "vocabulary: no memory for %zu bytes of text", capacity);
	v->bytes = bytes;
	v->bytes_capacity = capacity;
	return 0;
}

int vocab_define(
	struct vocab *v, int64_t id, const char *text, size_t n, enum vocab_spelling spelling, struct err *e)
{
	int rc = reserve_id(v, id, e);
	if (!rc)
		rc = reserve_bytes(v, n, e);
	if (!rc && 2 * (v->n_hashed + 1) > v->n_slot)
		rc = grow_slots(v, e);
	if (rc)
		return rc;
	char *bytes = v->bytes + v->n_bytes;
	size_t n_piece = n;
	bool ordinary = spelling == SPELLED_IN_ALPHABET, known = true;
	if (!ordinary || !(known = vocab_unspell(text, n, bytes, &n_piece))) {
		n_piece = n;
		memcpy(bytes, text, n);
	}
	struct vocab_piece piece = {(uint32_t)v->n_bytes, (uint32_t)n_piece};
	if (known && n_piece) {
		uint32_t hash = hash_bytes(bytes, n_piece);
		struct vocab_slot *slot = find_slot(v, bytes, n_piece, hash);
		v->n_hashed += slot->id < 0;
		if (ordinary || slot->id < 0)
			*slot = (struct vocab_slot){piece, hash, (int32_t)id};
	}
	v->piece[id] = piece;
	v->flag[id] |= TOKEN_DEFINED;
	v->n_bytes += n_piece;
	if (id >= v->n)
		v->n = (int)id + 1;
	return 0;
}

int32_t vocab_find(const struct vocab *v, const char *bytes, size_t n)
{
	return v->n_slot ? find_slot(v, bytes, n, hash_bytes(bytes, n))->id : -1;
}

const char *vocab_bytes(const struct vocab *v, int32_t id, size_t *n)
{
	if (!vocab_has(v, id)) {
		*n = 0;
		return "";
	}
	*n = v->piece[id].n;
	return v->bytes + v->piece[id].at;
}

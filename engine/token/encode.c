/* Text to ids, in the reference's order: added tokens are cut out of the text as it is; what lies between is
 * normalised; added tokens are cut out of the normalised text; what lies between falls into words; words are
 * byte-pair encoded. */
#include "engine/token/parts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/token/normal.h"

struct stretch { /* a piece of the text and where its bytes come from */
	const char *text;
	size_t n;
	const uint8_t *part; /* (n) or NULL */
};

struct encoder {
	const struct tokenizer *t;
	const struct encode_request *r;
	struct bpe_scratch scratch;
	struct stretch now; /* the words come from here */
	struct token_list *out;
	int capacity;
};

void token_list_free(struct token_list *t)
{
	free(t->id);
	free(t->part);
	*t = (struct token_list){0};
}

static int emit(struct encoder *c, int32_t id, uint8_t part, struct err *e)
{
	struct token_list *o = c->out;
	if (o->n == c->capacity) {
		if (c->capacity > INT_MAX / 2)
			return err_set(e, ERR_LIMIT, "more than %d tokens", c->capacity);
		int capacity = c->capacity ? 2 * c->capacity : 64;
		int32_t *ids = realloc(o->id, (size_t)capacity * sizeof *ids);
		if (ids)
			o->id = ids;
		uint8_t *parts = realloc(o->part, (size_t)capacity);
		if (parts)
			o->part = parts;
		if (!ids || !parts)
			return err_set(e, ERR_MEMORY, "no memory for %d tokens", capacity);
		c->capacity = capacity;
	}
	o->id[o->n] = id;
	o->part[o->n++] = part;
	return 0;
}

static uint8_t part_at(const struct encoder *c, const struct stretch *s, size_t at)
{
	return s->part ? s->part[at] : (uint8_t)c->r->whole;
}

static int encode_word(void *user, const char *word, size_t n, ptrdiff_t at, struct err *e)
{
	struct encoder *c = user;
	int rc = bpe_encode(&c->t->bpe, &c->t->vocab, word, n, &c->scratch, e);
	for (int i = 0; i < c->scratch.n && !rc; i++) {
		ptrdiff_t first = at + c->scratch.symbol[i].at; /* -1: the space that the pre-tokeniser put there */
		rc = emit(c, c->scratch.symbol[i].id, part_at(c, &c->now, first < 0 ? 0 : (size_t)first), e);
	}
	return rc;
}

struct judged {
	const struct encoder *encoder;
	const struct stretch *stretch;
};

/* Control tokens count only where the request wants them and no byte of theirs is the user's. A text that begins
 * with the user's bytes and runs into the template's hides no token that the template spells out from there on. */
static bool allow(const void *user, const struct added_token *token, size_t start, size_t end, size_t *resume)
{
	const struct judged *j = user;
	if (!token->special)
		return true;
	if (!j->encoder->r->control)
		return false;
	const uint8_t *part = j->stretch->part;
	size_t n_user = 0;
	for (size_t i = start; part && i < end; i++)
		n_user += part[i] == PART_USER;
	if (n_user && n_user < end - start)
		*resume = start + 1;
	return n_user == 0;
}

static struct stretch cut(const struct stretch *s, size_t start, size_t end)
{
	return (struct stretch){s->text + start, end - start, s->part ? s->part + start : NULL};
}

typedef int encode_stretch(struct encoder *c, struct stretch s, struct err *e);

/* Cuts the tokens of a set out of s and gives what lies between to rest. */
static int cut_tokens(
	struct encoder *c, const struct added_set *set, struct stretch s, encode_stretch *rest, struct err *e)
{
	struct judged j = {c, &s};
	struct added_match m;
	size_t done = 0;
	int rc = 0;
	while (!rc && done < s.n && added_find(set, s.text, s.n, done, allow, &j, &m)) {
		rc = m.start > done ? rest(c, cut(&s, done, m.start), e) : 0;
		if (!rc)
			rc = emit(c, m.token->id, part_at(c, &s, m.start), e);
		done = m.end;
	}
	return rc || done >= s.n ? rc : rest(c, cut(&s, done, s.n), e);
}

static int encode_words(struct encoder *c, struct stretch s, struct err *e)
{
	c->now = s;
	return pretoken_run(&c->t->pre, s.text, s.n, encode_word, c, e);
}

/* Parts of a normalised text: every run of one part ends where its own normal form does. A character that composes
 * across a border (none does in the known templates, whose borders are control tokens and newlines) may go to
 * either side. */
static int carry_parts(const struct stretch *from, size_t n, uint8_t **out, struct err *e)
{
	uint8_t *part = *out = malloc(n);
	if (!part)
		return err_set(e, ERR_MEMORY, "no memory for %zu bytes", n);
	size_t done = 0;
	for (size_t start = 0, end; start < from->n; start = end) {
		for (end = start + 1; end < from->n && from->part[end] == from->part[start];)
			end++;
		char *text;
		size_t length;
		int rc = normal_nfc(from->text + start, end - start, &text, &length, e);
		free(text);
		if (rc)
			return rc;
		if (length > n - done || end == from->n)
			length = n - done;
		memset(part + done, from->part[start], length);
		done += length;
	}
	return 0;
}

static int encode_unnormalized(struct encoder *c, struct stretch s, struct err *e)
{
	char *text = NULL;
	uint8_t *part = NULL;
	int rc = 0;
	if (c->t->nfc) {
		struct stretch normal = s;
		rc = normal_nfc(s.text, s.n, &text, &normal.n, e);
		if (text && !rc) {
			if (s.part)
				rc = carry_parts(&s, normal.n, &part, e);
			normal.text = text;
			normal.part = part;
			s = normal;
		}
	}
	if (!rc)
		rc = cut_tokens(c, &c->t->normalized, s, encode_words, e);
	free(text);
	free(part);
	return rc;
}

int encode_text(const struct tokenizer *t, const struct encode_request *r, struct token_list *out, struct err *e)
{
	*out = (struct token_list){0};
	if (r->n > INT32_MAX)
		return err_set(e, ERR_LIMIT, "a text of %zu bytes, the limit is %d", r->n, INT32_MAX);
	struct encoder c = {.t = t, .r = r, .out = out};
	int rc = 0;
	for (int i = 0; i < r->n_prefix && !rc; i++)
		rc = emit(&c, r->prefix[i], (uint8_t)r->whole, e);
	if (!rc)
		rc = cut_tokens(&c, &t->exact, (struct stretch){r->text, r->n, r->part}, encode_unnormalized, e);
	out->n_lost = c.scratch.n_vanished;
	bpe_scratch_free(&c.scratch);
	if (rc)
		token_list_free(out);
	return rc;
}

/* tokenizer.json of the Hugging Face library `tokenizers`, as far as byte-level BPE goes:
 *
 *   added_tokens    [{id, content, special, normalized, lstrip, rstrip, single_word}]
 *   normalizer      null, NFC, Sequence
 *   pre_tokenizer   ByteLevel {add_prefix_space, use_regex}, Split {pattern, behavior, invert}, Digits
 * {individual_digits}, Sequence post_processor  null, ByteLevel, TemplateProcessing (what it puts before the
 * text), Sequence model           BPE {vocab, merges, unk_token, fuse_unk, ignore_merges}; no dropout, no affixes,
 * no byte fallback
 *
 * What stands behind the text in a TemplateProcessing (an end token) is left out: the model is to go on from
 * there.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/token/json_scan.h"
#include "engine/token/parts.h"
#include "engine/utf8.h"

enum { NESTING_LIMIT = 8 };

struct file_parts { /* slices of the file that wait for the vocabulary */
	struct json_slice added, normalizer, pre, post, merges;
};

/* ---- model ------------------------------------------------------------------------------------------------- */

static int read_vocab(struct json_scan *s, struct tokenizer *t)
{
	if (scan_peek(s) == '[')
		return err_set(
			s->e, ERR_UNSUPPORTED, "model.vocab is a list: a unigram (SentencePiece) model, not byte-level BPE");
	bool first = true, more;
	int rc = scan_enter(s, '{');
	for (struct json_slice token; !rc && !(rc = scan_member(s, &first, &more, &token)) && more;) {
		int64_t id;
		rc = scan_integer(s, &id);
		if (!rc)
			rc = vocab_define(&t->vocab, id, token.text, token.n, SPELLED_IN_ALPHABET, s->e);
	}
	return rc;
}

/* One element of a pair: a string; `more` is false when the pair is too short. */
static int read_half(struct json_scan *s, bool *first, bool *more, struct json_slice *half)
{
	int rc = scan_element(s, first, more);
	return rc || !*more ? rc : scan_string(s, half);
}

/* ["left", "right"]. The scanner's buffer holds one string, so the left one is kept aside when it was unescaped
 * there. */
static int read_pair(struct json_scan *s, struct tokenizer *t, uint32_t rank)
{
	bool first = true, has_left = false, has_right = false, more = true;
	char kept[512];
	struct json_slice left = {0}, right = {0};
	int rc = scan_enter(s, '[');
	if (!rc)
		rc = read_half(s, &first, &has_left, &left);
	if (!rc && has_left && left.text == s->buffer) {
		if (left.n > sizeof kept)
			return err_set(s->e, ERR_LIMIT, "model.merges: merge %u has a token of %zu bytes, the limit is %zu",
				rank, left.n, sizeof kept);
		left.text = memcpy(kept, left.text, left.n);
	}
	if (!rc && has_left)
		rc = read_half(s, &first, &has_right, &right);
	if (!rc && has_right)
		rc = scan_element(s, &first, &more);
	if (rc)
		return rc;
	if (more)
		return err_set(s->e, ERR_FORMAT, "model.merges: merge %u is not a pair of strings", rank);
	const struct bpe_merge_text m = {.left = left.text, .n_left = left.n, .right = right.text, .n_right = right.n, .rank = rank};
	return bpe_add_merge(&t->bpe, &t->vocab, &m, s->e);
}

static int read_merges(struct json_scan *s, struct tokenizer *t)
{
	bool first = true, more;
	int rc = bpe_reserve(&t->bpe, (size_t)t->vocab.n, s->e); /* as many as tokens, or a few times that */
	if (!rc)
		rc = scan_enter(s, '[');
	for (uint32_t rank = 0; !rc && !(rc = scan_element(s, &first, &more)) && more; rank++) {
		struct json_slice line;
		if (scan_peek(s) == '[')
			rc = read_pair(s, t, rank);
		else if (!(rc = scan_string(s, &line)))
			rc = bpe_add_merge_line(&t->bpe, &t->vocab, line.text, line.n, rank, s->e);
	}
	return rc;
}

/* A member that must be null, false, 0 or "": what it would switch on is not byte-level BPE. */
static int refuse_switched_on(struct json_scan *s, const char *name)
{
	static const char *const off[] = {"null", "false", "\"\"", "0", "0.0"};
	struct json_slice value;
	int rc = scan_value(s, &value);
	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		if (slice_is(value, off[i]))
			return 0;
	return err_set(s->e, ERR_UNSUPPORTED, "model.%s is %.*s: not plain byte-level BPE", name,
		(int)(value.n < 40 ? value.n : 40), value.text);
}

static int read_unknown(struct json_scan *s, char **out)
{
	struct json_slice value;
	if (scan_peek(s) != '"')
		return scan_value(s, &value);
	int rc = scan_string(s, &value);
	if (rc)
		return rc;
	free(*out);
	*out = strndup(value.text, value.n);
	return *out ? 0 : err_set(s->e, ERR_MEMORY, "no memory for a token of %zu bytes", value.n);
}

static int read_model_member(
	struct json_scan *s, struct tokenizer *t, struct json_slice name, struct file_parts *parts, char **unknown)
{
	struct json_slice value;
	if (slice_is(name, "type")) {
		int rc = scan_string(s, &value);
		if (rc || slice_is(value, "BPE"))
			return rc;
		return err_set(s->e, ERR_UNSUPPORTED, "model.type is %.*s, not byte-level BPE",
			(int)(value.n < 40 ? value.n : 40), value.text);
	}
	if (slice_is(name, "vocab"))
		return read_vocab(s, t);
	if (slice_is(name, "merges"))
		return t->vocab.n ? read_merges(s, t) : scan_value(s, &parts->merges);
	if (slice_is(name, "ignore_merges"))
		return scan_bool(s, &t->bpe.whole_words);
	if (slice_is(name, "fuse_unk"))
		return scan_bool(s, &t->bpe.fuse_unknown);
	if (slice_is(name, "unk_token"))
		return read_unknown(s, unknown);
	static const char *const off[] = {
		"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"};
	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		if (slice_is(name, off[i]))
			return refuse_switched_on(s, off[i]);
	return scan_value(s, &value);
}

static int read_model(struct json_scan *s, struct tokenizer *t, struct file_parts *parts)
{
	bool first = true, more;
	char *unknown = NULL;
	int rc = scan_enter(s, '{');
	for (struct json_slice name; !rc && !(rc = scan_member(s, &first, &more, &name)) && more;)
		rc = read_model_member(s, t, name, parts, &unknown);
	if (!rc && parts->merges.n) { /* they came before the vocabulary */
		struct json_scan merges;
		scan_open(&merges, parts->merges.text, parts->merges.n, s->e);
		rc = read_merges(&merges, t);
		scan_free(&merges);
	}
	if (!rc && unknown && (t->bpe.unknown = tokenizer_find(t, unknown, strlen(unknown))) < 0)
		rc = err_set(s->e, ERR_FORMAT, "model.unk_token \"%.60s\" is not in the vocabulary", unknown);
	free(unknown);
	if (!rc && t->vocab.n == 0)
		rc = err_set(s->e, ERR_FORMAT, "model.vocab is missing or empty");
	return rc;
}

/* ---- the small parts, as jansson trees ---------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static bool flag_of(const json_t *object, const char *key, bool otherwise)
{
	const json_t *value = json_object_get(object, key);
	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static int read_added_token(struct tokenizer *t, const json_t *token, struct err *e)
{
	const json_t *id = json_object_get(token, "id"), *content = json_object_get(token, "content");
	if (!json_is_integer(id) || !json_is_string(content))
		return err_set(e, ERR_FORMAT, "added_tokens: an entry without id or content");
	const char *text = json_string_value(content);
	size_t n = json_string_length(content);
	if (n == 0)
		return 0;
	if (flag_of(token, "single_word", false))
		return err_set(
			e, ERR_UNSUPPORTED, "added_tokens: \"%.60s\" is to be found as a whole word only (single_word)", text);
	json_int_t stated = json_integer_value(id);
	int32_t known = tokenizer_find(t, text, n); /* the vocabulary's own id goes before the one stated here */
	struct added_text a = {.text = text, .n = n, .normalized = flag_of(token, "normalized", true)};
	a.token.special = flag_of(token, "special", false);
	a.token.lstrip = flag_of(token, "lstrip", false);
	a.token.rstrip = flag_of(token, "rstrip", false);
	if (known < 0 && (stated < 0 || stated >= VOCAB_LIMIT))
		return err_set(e, ERR_LIMIT, "added_tokens: \"%.60s\" has id %lld, outside 0 .. %d", text,
			(long long)stated, VOCAB_LIMIT - 1);
	a.token.id = known >= 0 ? known : (int32_t)stated;
	if (known < 0 && vocab_has(&t->vocab, stated)) {
		size_t n_other;
		const char *other = vocab_bytes(&t->vocab, a.token.id, &n_other);
		if (n_other != n || memcmp(other, text, n))
			return err_set(
				e, ERR_FORMAT, "added_tokens: \"%.60s\" has id %lld of another token", text, (long long)stated);
	}
	return tokenizer_add(t, &a, e);
}

static int read_added(struct tokenizer *t, const json_t *list, int depth, struct err *e)
{
	(void)depth;
	if (!json_is_array(list) && !json_is_null(list))
		return err_set(e, ERR_FORMAT, "added_tokens is no list");
	int rc = 0;
	for (size_t i = 0; i < json_array_size(list) && !rc; i++)
		rc = read_added_token(t, json_array_get(list, i), e);
	return rc;
}

typedef int read_part(struct tokenizer *t, const json_t *part, int depth, struct err *e);

static int read_sequence(struct tokenizer *t, const json_t *list, read_part *read, int depth, struct err *e)
{
	if (depth == NESTING_LIMIT)
		return err_set(e, ERR_LIMIT, "sequences inside each other, the limit is %d", NESTING_LIMIT);
	int rc = 0;
	for (size_t i = 0; i < json_array_size(list) && !rc; i++)
		rc = read(t, json_array_get(list, i), depth + 1, e);
	return rc;
}

static int read_normalizer(struct tokenizer *t, const json_t *part, int depth, struct err *e)
{
	const char *type = text_of(part, "type");
	if (json_is_null(part))
		return 0;
	if (!strcmp(type, "Sequence"))
		return read_sequence(t, json_object_get(part, "normalizers"), read_normalizer, depth, e);
	if (strcmp(type, "NFC"))
		return err_set(e, ERR_UNSUPPORTED, "normalizer \"%.40s\" (NFC is the one there is)", type);
	t->nfc = true;
	return 0;
}

/* A literal text as a pattern. */
static int add_literal_split(
	struct tokenizer *t, const char *text, size_t n, enum split_behavior behavior, bool invert, struct err *e)
{
	char *pattern = malloc(2 * n + 1);
	size_t m = 0;
	if (!pattern)
		return err_set(e, ERR_MEMORY, "no memory for a pattern of %zu bytes", n);
	for (size_t i = 0; i < n; i++) {
		if (strchr("\\^$.|?*+()[]{}", text[i]) && text[i])
			pattern[m++] = '\\';
		pattern[m++] = text[i];
	}
	int rc = pretoken_add_split(&t->pre, pattern, m, behavior, invert, e);
	free(pattern);
	return rc;
}

static int read_split(struct tokenizer *t, const json_t *part, struct err *e)
{
	static const char *const names[] = {[SPLIT_REMOVED] = "Removed",
		[SPLIT_ISOLATED] = "Isolated",
		[SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
		[SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
		[SPLIT_CONTIGUOUS] = "Contiguous"};
	const char *behavior = text_of(part, "behavior");
	size_t b = 0;
	while (b < sizeof names / sizeof *names && strcmp(names[b], behavior))
		b++;
	if (b == sizeof names / sizeof *names)
		return err_set(e, ERR_UNSUPPORTED, "pre_tokenizer Split: behavior \"%.40s\"", behavior);
	bool invert = flag_of(part, "invert", false);
	const json_t *pattern = json_object_get(part, "pattern");
	const json_t *regex = json_object_get(pattern, "Regex"), *literal = json_object_get(pattern, "String");
	if (json_is_string(regex))
		return pretoken_add_split(
			&t->pre, json_string_value(regex), json_string_length(regex), (enum split_behavior)b, invert, e);
	if (json_is_string(literal))
		return add_literal_split(
			t, json_string_value(literal), json_string_length(literal), (enum split_behavior)b, invert, e);
	return err_set(e, ERR_FORMAT, "pre_tokenizer Split: neither a Regex nor a String");
}

static int read_byte_level(struct tokenizer *t, const json_t *part, struct err *e)
{
	int rc = flag_of(part, "add_prefix_space", true) ? pretoken_add_prefix_space(&t->pre, e) : 0;
	if (!rc && flag_of(part, "use_regex", true))
		rc = pretoken_add_split(&t->pre, pretoken_gpt2, strlen(pretoken_gpt2), SPLIT_ISOLATED, false, e);
	t->pre.is_complete = true;
	return rc;
}

static int read_pretokenizer(struct tokenizer *t, const json_t *part, int depth, struct err *e)
{
	const char *type = text_of(part, "type");
	if (json_is_null(part))
		return 0;
	if (t->pre.is_complete)
		return err_set(e, ERR_UNSUPPORTED, "pre_tokenizer: \"%.40s\" after ByteLevel", type);
	if (!strcmp(type, "Sequence"))
		return read_sequence(t, json_object_get(part, "pretokenizers"), read_pretokenizer, depth, e);
	if (!strcmp(type, "ByteLevel"))
		return read_byte_level(t, part, e);
	if (!strcmp(type, "Split"))
		return read_split(t, part, e);
	if (!strcmp(type, "Digits")) {
		enum split_behavior b = flag_of(part, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
		return pretoken_add_split(&t->pre, pretoken_digits, strlen(pretoken_digits), b, false, e);
	}
	return err_set(e, ERR_UNSUPPORTED, "pre_tokenizer \"%.40s\" is not one of byte-level BPE", type);
}

static int add_prefix(struct tokenizer *t, const json_t *ids, struct err *e)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		json_int_t id = json_integer_value(json_array_get(ids, i));
		if (!vocab_has(&t->vocab, id))
			return err_set(e, ERR_FORMAT, "post_processor: id %lld is no token's", (long long)id);
		if (t->n_prefix == TOKENIZER_PREFIX)
			return err_set(e, ERR_LIMIT, "post_processor: more than %d tokens before the text", TOKENIZER_PREFIX);
		t->prefix[t->n_prefix++] = (int32_t)id;
	}
	return 0;
}

static int read_template(struct tokenizer *t, const json_t *part, struct err *e)
{
	const json_t *single = json_object_get(part, "single"), *specials = json_object_get(part, "special_tokens");
	int rc = 0;
	for (size_t i = 0; i < json_array_size(single) && !rc; i++) {
		const json_t *item = json_array_get(single, i);
		if (json_object_get(item, "Sequence"))
			break;
		const char *name = text_of(json_object_get(item, "SpecialToken"), "id");
		const json_t *ids = json_object_get(json_object_get(specials, name), "ids");
		if (json_array_size(ids) == 0)
			return err_set(e, ERR_FORMAT, "post_processor: special token \"%.60s\" has no ids", name);
		rc = add_prefix(t, ids, e);
	}
	return rc;
}

static int read_postprocessor(struct tokenizer *t, const json_t *part, int depth, struct err *e)
{
	const char *type = text_of(part, "type");
	if (json_is_null(part) || !strcmp(type, "ByteLevel")) /* the latter is about offsets */
		return 0;
	if (!strcmp(type, "Sequence"))
		return read_sequence(t, json_object_get(part, "processors"), read_postprocessor, depth, e);
	if (!strcmp(type, "TemplateProcessing") && t->n_prefix == 0)
		return read_template(t, part, e);
	return err_set(e, ERR_UNSUPPORTED, "post_processor \"%.40s\"", type);
}

static int read_slice(
	struct tokenizer *t, struct json_slice slice, const char *name, read_part *read, struct err *e)
{
	json_error_t problem;
	json_t *tree = slice.n ? json_loadb(slice.text, slice.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem)
						   : json_null();
	if (!tree)
		return err_set(e, ERR_FORMAT, "%s: %s", name, problem.text);
	int rc = read(t, tree, 0, e);
	json_decref(tree);
	return rc;
}

/* ---- the file ---------------------------------------------------------------------------------------------- */

static int read_top(struct json_scan *s, struct tokenizer *t, struct file_parts *parts)
{
	bool first = true, more, has_model = false;
	int rc = scan_enter(s, '{');
	for (struct json_slice name, skipped; !rc && !(rc = scan_member(s, &first, &more, &name)) && more;) {
		if (slice_is(name, "model") && !has_model) {
			has_model = true;
			rc = read_model(s, t, parts);
		} else {
			struct json_slice *slice = slice_is(name, "added_tokens") ? &parts->added
				: slice_is(name, "normalizer")                        ? &parts->normalizer
				: slice_is(name, "pre_tokenizer")                     ? &parts->pre
				: slice_is(name, "post_processor")                    ? &parts->post
																	  : &skipped;
			rc = scan_value(s, slice);
		}
	}
	if (!rc)
		rc = scan_finish(s);
	if (!rc && !has_model)
		rc = err_set(s->e, ERR_FORMAT, "no model");
	return rc;
}

int tokenizer_read_json(struct tokenizer *t, const char *text, size_t n, struct err *e)
{
	size_t bad = utf8_first_invalid(text, n);
	if (bad < n)
		return err_set(e, ERR_FORMAT, "not valid UTF-8 at byte %zu", bad);
	struct json_scan s;
	struct file_parts parts = {0};
	scan_open(&s, text, n, e);
	int rc = read_top(&s, t, &parts);
	scan_free(&s);
	if (!rc)
		rc = read_slice(t, parts.normalizer, "normalizer", read_normalizer, e);
	if (!rc)
		rc = read_slice(t, parts.pre, "pre_tokenizer", read_pretokenizer, e);
	if (!rc && !t->pre.is_complete)
		rc = err_set(e, ERR_UNSUPPORTED, "no ByteLevel pre-tokeniser: not byte-level BPE");
	if (!rc)
		rc = read_slice(t, parts.added, "added_tokens", read_added, e);
	return rc ? rc : read_slice(t, parts.post, "post_processor", read_postprocessor, e);
}

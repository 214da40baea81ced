/* .kvg files: what is written is read back, everything else is refused by name. */
#include "analysis/capture.h"
#include "analysis/synthetic.h"
#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct capture *synthetic(int n_prompt, int n_response)
{
	struct synthetic_spec s = synthetic_default();
	s.n_layer = 2, s.n_head = 4, s.n_kv_head = 2, s.n_prompt = n_prompt, s.n_response = n_response;
	const struct capture *c = NULL;
	struct err e;
	if (synthetic_capture(&c, &s, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

static const struct capture *reopened(const struct capture *c, const char *path)
{
	struct err e = {0};
	const struct capture *out = NULL;
	if (capture_save(c, path, &e) || capture_open(&out, path, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return out;
}

static void check_same(const struct capture *a, const struct capture *b)
{
	int n = a->n_prompt + a->n_response;
	CHECK_INT(b->n_layer, a->n_layer);
	CHECK_INT(b->n_head, a->n_head);
	CHECK_INT(b->n_kv_head, a->n_kv_head);
	CHECK_INT(b->head_dim, a->head_dim);
	CHECK_INT(b->n_prompt, a->n_prompt);
	CHECK_INT(b->n_response, a->n_response);
	CHECK_INT(b->window, a->window);
	CHECK_INT(b->complete, a->complete);
	CHECK(!memcmp(a->token, b->token, (size_t)n * sizeof *a->token));
	CHECK(!memcmp(a->offset, b->offset, ((size_t)n + 1) * sizeof *a->offset));
	CHECK(!memcmp(a->text, b->text, (size_t)a->offset[n]));
	CHECK(!memcmp(a->part, b->part, (size_t)n));
	CHECK_INT(b->n_map, a->n_map);
	for (int i = 0; i < a->n_map; i++) {
		const struct capture_map *x = &a->map[i], *y = capture_find(b, x->name);
		CHECK(y && y->kind == x->kind);
		if (!y)
			continue;
		size_t heads = (size_t)(x->kind == MAP_SCORE ? a->n_kv_head : a->n_head);
		CHECK(!memcmp(x->data, y->data, (size_t)a->n_layer * heads * (size_t)a->n_prompt * sizeof(float)));
		CHECK_INT(y->n_rows, x->n_rows);
		CHECK_INT(y->n_rows_due, x->n_rows_due);
		CHECK(isnan(x->row_error) ? isnan(y->row_error) : fabs(x->row_error - y->row_error) < 1e-15);
	}
	CHECK_INT(b->n_meta, a->n_meta);
	for (int i = 0; i < a->n_meta; i++)
		CHECK_STR(b->meta[i].value, a->meta[i].value);
}

TEST(kvg, round_trip)
{
	const int shape[][2] = {{50, 7}, {51, 0}, {1, 1}, {333, 2}};
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
		const struct capture *c = synthetic(shape[i][0], shape[i][1]);
		const struct capture *back = reopened(c, test_scratch("a.kvg"));
		check_same(c, back);
		CHECK_INT(strlen(capture_sha256(back)), 64);
		CHECK_STR(capture_sha256(c), "");
		capture_unref(c);
		const struct capture *again = reopened(back, test_scratch("b.kvg"));
		CHECK_STR(capture_sha256(again), capture_sha256(back)); /* the same capture gives the same bytes */
		check_same(back, again);
		capture_unref(back);
		capture_unref(again);
	}
}

TEST(kvg, tensors_lie_where_they_can_be_used)
{
	const struct capture *c = synthetic(51, 4);
	CHECK_INT(capture_save(c, test_scratch("a.kvg"), NULL), 0);
	capture_unref(c);
	struct file_map map;
	struct st_file st;
	struct err e;
	CHECK_INT(file_map_open(&map, test_scratch("a.kvg"), &e), 0);
	CHECK_INT(st_parse(&st, map.data, map.size, "a.kvg", &e), 0);
	for (int i = 0; i < st.n_tensor; i++)
		CHECK_INT((uintptr_t)st.tensor[i].data % st_dtype_size(st.tensor[i].dtype), 0);
	st_free(&st);
	file_map_close(&map);
}

TEST(kvg, a_run_cut_short_says_so)
{
	const struct capture *c = synthetic(50, 7), *cut = NULL;
	struct capture parts = *c;
	struct capture_map map[16];
	memcpy(map, c->map, (size_t)c->n_map * sizeof *map);
	map[0].n_rows_due = 128;
	map[0].row_error = NAN;
	parts.map = map;
	parts.complete = false;
	CHECK_INT(capture_build(&cut, &parts, NULL), 0);
	const struct capture *back = reopened(cut, test_scratch("a.kvg"));
	check_same(cut, back);
	CHECK_INT(capture_find(back, "truth")->n_rows_due, 128);
	CHECK(!back->complete);
	capture_unref(back);
	capture_unref(cut);
	capture_unref(c);
}

/* ---- files by hand ---- */

struct draft {
	struct st_tensor tensor[16];
	int n;
	struct st_pair meta[8];
	int n_meta;
};
static const int32_t ids[] = {5, 6, 7}, answer[] = {8, 9}, offset[] = {0, 1, 2, 3, 4, 5};
static float rows[2 * 4 * 3];

static void add(struct draft *d, const char *name, enum st_dtype dtype, const void *data, int n_dim, const int64_t *dim)
{
	struct st_tensor *t = &d->tensor[d->n++];
	*t = (struct st_tensor){.name = name, .dtype = dtype, .n_dim = n_dim, .data = data, .n_bytes = st_dtype_size(dtype)};
	for (int i = 0; i < n_dim; i++) {
		t->dim[i] = dim[i];
		t->n_bytes *= (size_t)dim[i];
	}
}

static struct draft good(void)
{
	struct draft d = {.meta = {{"kvglass.n_kv_head", "2"}, {"kvglass.window", "2"}}, .n_meta = 2};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		rows[i] = 0.01f * (float)(i + 1);
	add(&d, "rows.truth", ST_F32, rows, 3, (int64_t[]){2, 4, 3});
	add(&d, "rows.snapkv", ST_F32, rows, 3, (int64_t[]){2, 4, 3});
	add(&d, "tokens.prompt", ST_I32, ids, 1, (int64_t[]){3});
	add(&d, "tokens.response", ST_I32, answer, 1, (int64_t[]){2});
	add(&d, "tokens.offset", ST_I32, offset, 1, (int64_t[]){6});
	add(&d, "tokens.text", ST_U8, "abcde", 1, (int64_t[]){5});
	return d;
}

static const struct capture *opened(const struct draft *d, struct err *e)
{
	const struct capture *c = NULL;
	const char *path = test_scratch("draft.kvg");
	CHECK_INT(st_write(path, d->tensor, d->n, d->meta, d->n_meta, e), 0);
	capture_open(&c, path, e);
	return c;
}

TEST(kvg, what_the_contract_implies)
{
	struct err e = {0};
	struct draft d = good();
	const struct capture *c = opened(&d, &e);
	CHECK(c);
	if (!c)
		return;
	CHECK_INT(c->n_layer, 2);
	CHECK_INT(c->n_head, 4);
	CHECK_INT(capture_find(c, "truth")->n_rows, 2);  /* all of the response */
	CHECK_INT(capture_find(c, "snapkv")->n_rows, 2); /* the window */
	CHECK(isnan(capture_find(c, "truth")->row_error));
	CHECK_INT(c->token[3], 8);
	size_t n;
	CHECK(*capture_piece(c, 4, &n) == 'e' && n == 1);
	capture_unref(c);
}

TEST(kvg, unknown_tensors_and_keys_come_back)
{
	static const double others[] = {1, 2, 3};
	static const uint16_t half[] = {0x3c00};
	struct err e = {0};
	struct draft d = good();
	add(&d, "mine.half", ST_F16, half, 1, (int64_t[]){1});
	add(&d, "mine.double", ST_F64, others, 1, (int64_t[]){3});
	d.meta[d.n_meta++] = (struct st_pair){"note", "from another program"};
	d.meta[d.n_meta++] = (struct st_pair){"kvglass.later", "42"};
	const struct capture *c = opened(&d, &e), *twice = NULL;
	CHECK_STR(capture_meta(c, "later"), "42");
	struct capture parts = *c;
	CHECK_INT(capture_extend(&twice, c, &parts, &e), 0);
	capture_unref(c);
	CHECK_INT(capture_save(twice, test_scratch("again.kvg"), &e), 0);
	capture_unref(twice);
	struct file_map map;
	struct st_file st;
	CHECK_INT(file_map_open(&map, test_scratch("again.kvg"), &e), 0);
	CHECK_INT(st_parse(&st, map.data, map.size, "again.kvg", &e), 0);
	const struct st_tensor *t = st_find(&st, "mine.double");
	CHECK(t && t->dtype == ST_F64 && !memcmp(t->data, others, sizeof others));
	t = st_find(&st, "mine.half");
	CHECK(t && t->dtype == ST_F16 && !memcmp(t->data, half, sizeof half));
	CHECK_STR(st_meta(&st, "note"), "from another program");
	st_free(&st);
	file_map_close(&map);
}

/* Its truth has another shape than metadata and the other map say. */
static struct draft misshapen(void)
{
	struct draft d = good();
	d.tensor[0].dim[0] = 1, d.tensor[0].dim[1] = 8;
	d.meta[d.n_meta++] = (struct st_pair){"kvglass.n_layer", "2"};
	d.meta[d.n_meta++] = (struct st_pair){"kvglass.n_head", "4"};
	return d;
}

TEST(kvg, a_map_of_another_shape_is_set_aside)
{
	static float fit[2 * 4 * 3];
	struct err e = {0};
	struct draft d = misshapen();
	const struct capture *c = opened(&d, &e), *back, *whole = NULL;
	char why[256];
	if (!c) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	CHECK(!capture_find(c, "truth") && capture_find(c, "snapkv"));
	CHECK(capture_set_aside(c, 0, why, sizeof why) && !capture_set_aside(c, 1, why, sizeof why));
	CHECK_STR(why, "rows.truth is F32 (1, 8, 3), not F32 (2, 4, 3)");
	back = reopened(c, test_scratch("again.kvg")); /* saved as it was... */
	CHECK(back && !capture_find(back, "truth") && capture_set_aside(back, 0, why, sizeof why));
	const struct capture_map truth = {.name = "truth", .kind = MAP_ROWS, .data = fit, .n_rows = 2};
	CHECK_INT(capture_replace(&whole, c, &truth, 1, NULL, 0, &e), 0); /* ... and gives way to one that fits */
	CHECK(whole && capture_find(whole, "truth") && !capture_set_aside(whole, 0, why, sizeof why));
	capture_unref(whole);
	capture_unref(back);
	capture_unref(c);
}

static void refused(const struct draft *d, enum err_code code, const char *want)
{
	struct err e = {0};
	const struct capture *c = opened(d, &e);
	CHECK(!c);
	capture_unref(c);
	CHECK_INT(e.code, code);
	if (!strstr(e.text, want))
		test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e.text, want);
}

TEST(kvg, refuses_by_name)
{
	struct draft d = misshapen();
	d.tensor[1].dtype = ST_I32; /* and so no map fits */
	refused(&d, ERR_FORMAT, "tensor rows.truth is F32 (1, 8, 3), not F32 (2, 4, 3)");
	d = good();
	d.tensor[2].dtype = ST_F32;
	refused(&d, ERR_FORMAT, "tensor tokens.prompt is F32 (3), not I32 (n)");
	d = good();
	d.tensor[2].name = "tokens.prompts";
	refused(&d, ERR_FORMAT, "tokens.prompt is missing, this is no capture");
	d = good();
	d.tensor[4].dim[0] = 5, d.tensor[4].n_bytes = 20;
	refused(&d, ERR_FORMAT, "tensor tokens.offset is I32 (5), not I32 (6)");
	d = good();
	d.tensor[5].dim[0] = d.tensor[5].n_bytes = 4;
	refused(&d, ERR_FORMAT, "tokens.offset ends at 5, tokens.text has 4 bytes");
	d = good();
	d.n_meta = 0;
	refused(&d, ERR_FORMAT, "kvglass.n_kv_head is missing");
	d = good();
	d.meta[0].value = "two";
	refused(&d, ERR_FORMAT, "kvglass.n_kv_head is \"two\", not a whole number of 1 or more");
	d = good();
	d.meta[d.n_meta++] = (struct st_pair){"kvglass.version", "2"};
	refused(&d, ERR_UNSUPPORTED, "a capture of version 2, this program reads up to 1");
	d = good();
	rows[(1 * 4 + 3) * 3 + 2] = INFINITY;
	refused(&d, ERR_NUMBER, "layer 1, head 3, token 2 is inf");
}

TEST(kvg, a_capture_outlives_its_file_name)
{
	const struct capture *c = synthetic(50, 7);
	const struct capture *back = reopened(c, test_scratch("gone.kvg"));
	CHECK_INT(remove(test_scratch("gone.kvg")), 0);
	check_same(c, back);
	struct err e;
	const struct capture *none;
	CHECK(capture_open(&none, test_scratch("gone.kvg"), &e) == ERR_SYSTEM && !none);
	capture_unref(c);
	capture_unref(back);
}

/* Files of tests/corpus/kvg were written by the reference implementation (Python safetensors) or by hand. */
TEST(kvg, reads_what_others_wrote)
{
	struct err e = {0};
	const struct capture *c = NULL;
	CHECK_INT(capture_open(&c, test_tree("tests/corpus/kvg/good.kvg"), &e), 0);
	if (c) {
		CHECK_INT(c->n_response, 3);
		CHECK_STR(capture_meta(c, "model_name"), "tiny \xc3\xa9");
		CHECK(capture_find(c, "keynorm")->kind == MAP_SCORE);
		CHECK_NEAR(capture_find(c, "truth")->row_error, 3e-7, 0);
		CHECK_INT(capture_find(c, "truth")->n_rows_due, 5);
		CHECK(!c->complete);
		capture_unref(c);
	}
	CHECK_INT(capture_open(&c, test_tree("tests/corpus/kvg/misaligned.kvg"), &e), 0);
	if (c) {
		CHECK_INT((uintptr_t)c->map[0].data % sizeof(float), 0);
		CHECK_NEAR(capture_row(c, &c->map[0], 0, 1)[2], 0.25, 0);
		CHECK(c->text[2] == 'c' && c->token[2] == 3);
		capture_unref(c);
	}
	CHECK_INT(capture_open(&c, test_tree("tests/corpus/kvg/no-response.kvg"), &e), 0);
	CHECK(c && c->n_response == 0);
	capture_unref(c);
	const char *const bad[] = {"nan", "shape", "offset", "heads", "truncated"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char name[64];
		snprintf(name, sizeof name, "tests/corpus/kvg/%s.kvg", bad[i]);
		if (!capture_open(&c, test_tree(name), &e) || c)
			test_fail(__FILE__, __LINE__, "%s was accepted", bad[i]);
	}
}

static void *ask_for_hash(void *user)
{
	return (void *)(uintptr_t)capture_sha256(user);
}

TEST(kvg, the_hash_is_that_of_the_file)
{
	const struct capture *c = synthetic(50, 7), *back = reopened(c, test_scratch("a.kvg")), *extended = NULL;
	struct file_map map;
	char want[65];
	CHECK_INT(file_map_open(&map, test_scratch("a.kvg"), NULL), 0);
	sha256_hex(map.data, map.size, want);
	file_map_close(&map);
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, ask_for_hash, (void *)(uintptr_t)back);
	for (int i = 0; i < 3; i++) {
		void *got;
		pthread_join(thread[i], &got);
		CHECK_STR(got, want);
	}
	struct capture parts = *back;
	CHECK_INT(capture_extend(&extended, back, &parts, NULL), 0);
	CHECK_STR(capture_sha256(extended), ""); /* it is no file, even if nothing was changed */
	capture_unref(extended);
	capture_unref(back);
	capture_unref(c);
	/* a file of which nothing can be used in place is still there to be hashed */
	CHECK_INT(capture_open(&back, test_tree("tests/corpus/kvg/misaligned.kvg"), NULL), 0);
	CHECK_INT(strlen(capture_sha256(back)), 64);
	capture_unref(back);
}

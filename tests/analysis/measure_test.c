/* Measuring: against the reference implementation's maps on the sample model, and on tiny models against passes
 * made one by one. */
#include "analysis/evaluation.h"
#include "analysis/measure.h"
#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/support/counter.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] =
	"The harbour office keeps a careful ledger of every boat that enters the bay, 12345 of them, and its cargo.\n";

static struct model *tiny(enum tiny_kind kind)
{
	const struct tiny_options o = {.kind = kind, .type = TYPE_F32, .seed = 3};
	tiny_model_gguf(test_scratch("tiny.gguf"), &o);
	return test_model_open(test_scratch("tiny.gguf"));
}

static struct measure_options usual(void)
{
	return (struct measure_options){.mode = PROMPT_RAW, .n_response = 12, .seed = 5, .n_threads = 2};
}

static const struct capture *measured(const struct model *m, const struct measure_options *o)
{
	const struct capture *c = NULL;
	struct err e = {0};
	if (measure_prompt(&c, m, text, strlen(text), o, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

/* ---- the reference implementation ---- */

struct golden {
	struct file_map map;
	struct st_file st;
};

static const struct st_tensor *tensor(const struct golden *g, const char *name)
{
	const struct st_tensor *t = st_find(&g->st, name);
	if (!t)
		test_fail(__FILE__, __LINE__, "%s is not in the golden file", name);
	return t;
}

static void check_map(const struct golden *g, const struct capture *c, const char *name)
{
	const struct st_tensor *t = tensor(g, name);
	const struct capture_map *m = capture_find(c, strchr(name, '.') + 1);
	CHECK(t && m);
	if (!t || !m)
		return;
	int n = c->n_prompt, heads = m->kind == MAP_SCORE ? c->n_kv_head : c->n_head;
	CHECK_INT(t->dim[1], heads);
	CHECK_INT(t->dim[2], n);
	float *want = malloc((size_t)n * sizeof *want);
	for (int row = 0; row < c->n_layer * heads; row++) {
		const float *got = capture_row(c, m, row / heads, row % heads);
		double largest = 0;
		CHECK_INT(st_read_f32(t, (size_t)row * (size_t)n, (size_t)n, want, NULL), 0);
		for (int j = 0; j < n; j++)
			largest = fmax(largest, fabs((double)want[j]));
		for (int j = 0; j < n; j++) {
			double sign = m->kind == MAP_SCORE ? -1 : 1; /* a key norm's score is its negative: small ones are kept */
			CHECK_NEAR(got[j], sign * (double)want[j], TOL_MEAN_REL * largest);
			if (m->kind == MAP_ROWS)
				CHECK_NEAR(got[j], want[j], TOL_MEAN_ABS);
		}
	}
	free(want);
}

/* The random modules of the golden script. */
static struct lookahead *golden_modules(const struct model *m, float soft_amplitude)
{
	struct lookahead *l = NULL;
	CHECK_INT(lookahead_untrained(&l, m, 32, 8, 32, 1, NULL), 0);
	counter_fill(l->embedding, (size_t)l->n_lookahead * (size_t)l->n_embd, 7, "lookahead.embedding", soft_amplitude);
	for (int i = 0; i < l->n_layer * N_PROJ; i++) {
		struct lora *lora = &l->lora[i];
		char name[64];
		if (!lora->a)
			continue;
		snprintf(name, sizeof name, "layers.%d.%s.lora_a", i / N_PROJ, projection_name(i % N_PROJ));
		counter_fill(lora->a, (size_t)lora->r * (size_t)lora->n_in, 7, name, sqrtf(3.0f / (float)lora->n_in));
		name[strlen(name) - 1] = 'b';
		counter_fill(lora->b, (size_t)lora->r * (size_t)lora->n_out, 7, name, 0.0625f);
	}
	return l;
}

TEST(measure, agrees_with_the_reference_on_the_sample_model)
{
	const char *path = test_sample_model();
	struct golden g;
	struct model *m = NULL;
	struct err e = {0};
	if (!path) {
		test_skip("the sample model is not in the cache");
		return;
	}
	CHECK_INT(file_map_open(&g.map, test_tree("tests/golden/smollm2/chat.safetensors"), &e), 0);
	CHECK_INT(st_parse(&g.st, g.map.data, g.map.size, "chat.safetensors", &e), 0);
	CHECK_INT(model_open(&m, path, NULL, &e), 0);
	struct lookahead *modules = golden_modules(m, strtof(st_meta(&g.st, "module_soft_amplitude"), NULL));
	const struct st_tensor *prompt = tensor(&g, "text"), *ids = tensor(&g, "tokens.prompt");
	const struct st_tensor *answer = tensor(&g, "tokens.response");
	struct measure_timings timings;
	const struct measure_options o = {.mode = PROMPT_AUTO, .n_response = 48, .modules = modules, .timings = &timings};
	const struct capture *c = NULL;
	CHECK_INT(measure_prompt(&c, m, (const char *)prompt->data, prompt->n_bytes, &o, &e), 0);
	if (c) {
		CHECK_INT(c->n_prompt, ids->dim[0]);
		CHECK_INT(c->n_response, answer->dim[0]);
		CHECK(!memcmp(c->token, ids->data, ids->n_bytes));
		CHECK(!memcmp(c->token + c->n_prompt, answer->data, answer->n_bytes));
		const char *const maps[] = {"rows.truth", "rows.truth_even", "rows.snapkv", "rows.tova", "rows.lookahead",
			"score.keynorm"};
		for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
			check_map(&g, c, maps[i]);
		CHECK_STR(capture_meta(c, "prompt_mode"), "chat");
		CHECK_STR(capture_meta(c, "response_end"), "end token");
		CHECK_STR(capture_meta(c, "response_source"), "greedy");
		CHECK_INT(strlen(capture_meta(c, "model_sha256")), 64);
		CHECK(timings.prefill > 0 && timings.lookahead > 0 && timings.decode > 0);
		CHECK(capture_find(c, "truth")->row_error < TOL_ROW_SUM);
	}
	capture_unref(c);
	lookahead_free(modules);
	model_close(m);
	st_free(&g.st);
	file_map_close(&g.map);
}

/* ---- passes made one by one ---- */

static void check_rows(const struct capture *c, const char *name, const float *sum, int n_rows)
{
	const struct capture_map *m = capture_find(c, name);
	if (!m) {
		test_fail(__FILE__, __LINE__, "%s was not measured", name);
		return;
	}
	CHECK_INT(m->n_rows, n_rows);
	CHECK_INT(m->n_rows_due, n_rows);
	CHECK(m->row_error >= 0 && m->row_error < TOL_ROW_SUM);
	size_t n = (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
	for (size_t i = 0; i < n; i++)
		CHECK_NEAR(m->data[i], sum[i] / (float)n_rows, TOL_ROW_SUM);
}

TEST(measure, maps_are_means_of_their_own_rows)
{
	for (enum tiny_kind kind = 0; kind < N_TINY; kind++) {
		struct model *m = tiny(kind);
		const char *const methods[] = {"snapkv", "snapkv_w8", "snapkv_w64", "tova", "h2o", "value_l1_wo", "oracle"};
		struct measure_options o = usual();
		o.window = 20;
		o.method = methods, o.n_method = 7;
		const struct capture *c = measured(m, &o);
		int n = c->n_prompt, w64 = n < 64 ? n : 64;
		size_t n_map = (size_t)c->n_layer * (size_t)c->n_head * (size_t)n;
		const struct {
			const char *name;
			int first, count;
		} rows[] = {
			{"snapkv", n - 20, 20}, {"snapkv_w8", n - 8, 8}, {"snapkv_w64", n - w64, w64}, {"tova", n - 1, 1},
			{"h2o", 0, n}, {"truth", n, c->n_response},
		};
		struct session *s = NULL;
		const struct session_options so = {.max_tokens = n + c->n_response};
		CHECK_INT(session_open(&s, m, &so, NULL), 0);
		struct colsum_request request[6];
		for (int i = 0; i < 6; i++)
			request[i] = (struct colsum_request){.first = rows[i].first, .count = rows[i].count, .step = 1, .n_key = n,
				.sum = calloc(n_map, sizeof(float))};
		const struct run_request all = {.ids = c->token, .n = n + c->n_response, .colsum = request, .n_colsum = 6};
		CHECK_INT(session_run(s, &all, NULL), 0);
		for (int i = 0; i < 6; i++) {
			check_rows(c, rows[i].name, request[i].sum, rows[i].count);
			free(request[i].sum);
		}
		CHECK(capture_find(c, "value_l1_wo")->kind == MAP_SCORE);
		CHECK(!capture_find(c, "keynorm") && !capture_find(c, "untrained"));
		CHECK_INT(c->window, 20);
		session_close(s);
		capture_unref(c);
		model_close(m);
	}
}

/* truth and truth_even are the even and the odd rows together: the odd mean that follows is a mean of attention
 * rows again. */
TEST(measure, truth_by_halves)
{
	struct model *m = tiny(TINY_QWEN3);
	for (int n_response = 1; n_response <= 4; n_response++) {
		struct measure_options o = usual();
		o.response = " and its harbour", o.response_bytes = (size_t)n_response * 4;
		const struct capture *c = measured(m, &o);
		const struct capture_map *truth = capture_find(c, "truth"), *even = capture_find(c, "truth_even");
		int rows = c->n_response, n_even = (rows + 1) / 2;
		CHECK(rows >= 1);
		CHECK_INT(truth->n_rows, rows);
		CHECK_INT(even->n_rows, n_even);
		CHECK_STR(capture_meta(c, "response_source"), "given");
		for (int row = 0; rows > 1 && row < c->n_layer * c->n_head; row++) {
			double sum = 0;
			for (int j = 0; j < c->n_prompt; j++) {
				int at = row * c->n_prompt + j;
				double odd = (rows * (double)truth->data[at] - n_even * (double)even->data[at]) / (rows - n_even);
				CHECK(odd > -1e-6);
				sum += odd;
			}
			CHECK(sum > 0 && sum < 1 + TOL_ROW_SUM);
		}
		capture_unref(c);
	}
	model_close(m);
}

/* A greedy response given back as text measures the same, as long as it splits into the same tokens. */
TEST(measure, given_response_as_generated)
{
	struct model *m = tiny(TINY_LLAMA3);
	struct measure_options o = usual();
	o.n_response = 70; /* more than one batch of rows */
	const struct capture *greedy = measured(m, &o);
	o.response = greedy->text + greedy->offset[greedy->n_prompt];
	o.response_bytes = (size_t)(greedy->offset[greedy->n_prompt + greedy->n_response] - greedy->offset[greedy->n_prompt]);
	const struct capture *given = NULL;
	struct err e = {0};
	int rc = measure_prompt(&given, m, text, strlen(text), &o, &e);
	CHECK(rc == 0 || strstr(e.text, "UTF-8")); /* random weights may write half a character */
	if (given && given->n_response == greedy->n_response
		&& !memcmp(given->token, greedy->token, (size_t)(given->n_prompt + given->n_response) * sizeof *given->token)) {
		const struct capture_map *a = capture_find(greedy, "truth"), *b = capture_find(given, "truth");
		for (size_t i = 0; i < (size_t)given->n_layer * (size_t)given->n_head * (size_t)given->n_prompt; i++)
			CHECK_NEAR(a->data[i], b->data[i], TOL_ROW_SUM);
	}
	capture_unref(greedy);
	capture_unref(given);
	model_close(m);
}

TEST(measure, untrained_rows_are_a_control)
{
	struct model *m = tiny(TINY_QWEN2);
	struct measure_options o = usual();
	const struct capture *plain = measured(m, &o);
	CHECK(!capture_find(plain, "lookahead"));
	CHECK_INT(capture_find(plain, "untrained")->n_rows, 32);
	struct lookahead *same = NULL;
	CHECK_INT(lookahead_untrained(&same, m, 32, 0, 0, o.seed, NULL), 0);
	o.modules = same;
	const struct capture *both = measured(m, &o);
	const struct capture_map *a = capture_find(plain, "untrained"), *b = capture_find(both, "lookahead"),
		*u = capture_find(both, "untrained");
	CHECK(b && u && b->data == u->data); /* measured once */
	CHECK(b && !memcmp(a->data, b->data,
		(size_t)plain->n_layer * (size_t)plain->n_head * (size_t)plain->n_prompt * sizeof(float)));
	CHECK_STR(capture_meta(both, "module_name"), "untrained");
	/* the prompt and its answer do not know that there were lookahead rows */
	const char *const maps[] = {"snapkv", "truth", "keynorm"};
	const char *const none[] = {"snapkv", "snapkv_w8", "snapkv_w64", "tova", "keynorm"};
	o.modules = NULL;
	o.method = none, o.n_method = 5;
	const struct capture *without = measured(m, &o);
	CHECK(!capture_find(without, "untrained"));
	for (int i = 0; i < 3; i++) {
		const struct capture_map *x = capture_find(both, maps[i]), *y = capture_find(without, maps[i]);
		int heads = x->kind == MAP_SCORE ? both->n_kv_head : both->n_head;
		CHECK(!memcmp(x->data, y->data, (size_t)both->n_layer * (size_t)heads * (size_t)both->n_prompt * sizeof(float)));
	}
	lookahead_free(same);
	capture_unref(plain);
	capture_unref(both);
	capture_unref(without);
	model_close(m);
}

/* ---- snapshots and stops ---- */

struct watched {
	int n, n_complete, last_response, last_map;
	const char *stop_stage; /* stop when this stage has got so far */
	int64_t stop_at;
	char stages[200];
};

static void take_snapshot(void *user, const struct capture *c)
{
	struct watched *w = user;
	w->n++;
	w->n_complete += c->complete;
	CHECK(c->n_response >= w->last_response && c->n_map >= w->last_map);
	const struct capture_map *truth = capture_find(c, "truth");
	CHECK(!truth == (c->n_response == 0));
	if (truth) {
		CHECK_INT(truth->n_rows, c->n_response);
		CHECK(truth->n_rows_due >= truth->n_rows);
	}
	w->last_response = c->n_response;
	w->last_map = c->n_map;
	capture_unref(c);
}

static int note_stage(void *user, const char *stage, int64_t done, int64_t total)
{
	struct watched *w = user;
	CHECK(done <= total);
	if (!strstr(w->stages, stage)) {
		strcat(w->stages, stage);
		strcat(w->stages, " ");
	}
	return w->stop_stage && !strcmp(stage, w->stop_stage) && done >= w->stop_at;
}

static int run_watched(const struct model *m, const struct measure_options *o, struct watched *w,
	const struct capture **c, struct err *e)
{
	const struct progress progress = {note_stage, w};
	const struct measure_watch watch = {.progress = &progress, .publish = take_snapshot, .user = w, .publish_ms = 1};
	struct measure_options options = *o;
	options.watch = &watch;
	return measure_prompt(c, m, text, strlen(text), &options, e);
}

TEST(measure, publishes_what_is_known)
{
	struct model *m = tiny(TINY_LLAMA);
	struct watched w = {0};
	struct measure_options o = usual();
	struct lookahead *modules = NULL;
	CHECK_INT(lookahead_untrained(&modules, m, 16, 4, 8, 1, NULL), 0);
	free(modules->name);
	modules->name = strdup("mine");
	o.modules = modules;
	const struct capture *c = NULL;
	CHECK_INT(run_watched(m, &o, &w, &c, NULL), 0);
	CHECK_STR(w.stages, "prefill lookahead untrained decode ");
	CHECK(w.n >= 4);
	CHECK_INT(w.n_complete, 1);
	CHECK_INT(w.last_response, c->n_response);
	CHECK(c->complete && capture_find(c, "lookahead")->n_rows == 16 && capture_find(c, "untrained")->n_rows == 16);
	capture_unref(c);
	lookahead_free(modules);
	model_close(m);
}

TEST(measure, a_stop_keeps_what_there_is)
{
	struct model *m = tiny(TINY_LLAMA);
	struct measure_options o = usual();
	const struct capture *whole = measured(m, &o), *c = NULL;
	struct err e = {0};
	struct watched w = {.stop_stage = "prefill"};
	CHECK_INT(run_watched(m, &o, &w, &c, &e), ERR_CANCELLED);
	CHECK(!c && w.n == 0);
	w = (struct watched){.stop_stage = "untrained"};
	CHECK_INT(run_watched(m, &o, &w, &c, &e), ERR_CANCELLED);
	CHECK(c && capture_find(c, "snapkv") && !capture_find(c, "untrained") && !capture_find(c, "truth") && !c->complete);
	capture_unref(c);
	w = (struct watched){.stop_stage = "decode", .stop_at = 5};
	CHECK_INT(run_watched(m, &o, &w, &c, &e), ERR_CANCELLED);
	if (c && whole->n_response > 6) {
		CHECK(c->n_response >= 5 && c->n_response <= 6 && !c->complete);
		CHECK_STR(capture_meta(c, "response_end"), "stopped");
		CHECK_INT(capture_find(c, "truth")->n_rows, c->n_response);
		CHECK_INT(capture_find(c, "truth")->n_rows_due, 12);
		CHECK(!memcmp(c->token, whole->token, (size_t)(c->n_prompt + c->n_response) * sizeof *c->token));
		/* truth is whole for the rows there are: the same response given, all of it */
		const struct capture_map *truth = capture_find(c, "truth");
		struct session *s = NULL;
		const struct session_options so = {.max_tokens = c->n_prompt + c->n_response};
		size_t n = (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
		float *sum = calloc(n, sizeof *sum);
		const struct colsum_request rows = {.first = c->n_prompt, .count = c->n_response, .step = 1,
			.n_key = c->n_prompt, .sum = sum};
		const struct run_request run = {.ids = c->token, .n = so.max_tokens, .colsum = &rows, .n_colsum = 1};
		CHECK_INT(session_open(&s, m, &so, NULL), 0);
		CHECK_INT(session_run(s, &run, NULL), 0);
		for (size_t i = 0; i < n; i++)
			CHECK_NEAR(truth->data[i], sum[i] / (float)c->n_response, TOL_ROW_SUM);
		free(sum);
		session_close(s);
	}
	capture_unref(c);
	capture_unref(whole);
	model_close(m);
}

/* ---- edges ---- */

TEST(measure, short_prompts_and_no_response)
{
	struct model *m = tiny(TINY_LLAMA);
	struct measure_options o = usual();
	const struct capture *c = NULL;
	struct err e = {0};
	CHECK_INT(measure_prompt(&c, m, "Hi", 2, &o, &e), 0);
	CHECK(c && c->n_prompt < 32 && c->window == 32);
	CHECK_INT(capture_find(c, "snapkv")->n_rows, c->n_prompt); /* the rows there are */
	CHECK(!capture_find(c, "snapkv_w64") && capture_find(c, "tova"));
	capture_unref(c);
	o.n_response = 0;
	c = measured(m, &o);
	CHECK(c->n_response == 0 && !capture_find(c, "truth") && c->complete && !capture_meta(c, "response_end"));
	capture_unref(c);
	o = usual();
	o.response = "", o.response_bytes = 0;
	c = measured(m, &o);
	CHECK(c->n_response == 0 && !capture_find(c, "truth"));
	capture_unref(c);
	CHECK_INT(measure_prompt(&c, m, "", 0, &o, &e), ERR_USE);
	CHECK(!c);
	model_close(m);
}

TEST(measure, refuses_before_the_model_runs)
{
	struct model *m = tiny(TINY_LLAMA);
	int n_ctx = model_info(m)->n_ctx;
	struct measure_options o = usual();
	struct err e = {0};
	const struct capture *c = NULL;
	char *longer = malloc(3 * (size_t)n_ctx);
	memset(longer, 'x', 3 * (size_t)n_ctx);
	for (int i = 0; i < 3 * n_ctx; i += 2)
		longer[i] = ' ';
	CHECK_INT(measure_prompt(&c, m, longer, 3 * (size_t)n_ctx, &o, &e), ERR_LIMIT);
	CHECK(!c && strstr(e.text, "the model's context"));
	o.response = longer, o.response_bytes = 3 * (size_t)n_ctx;
	CHECK_INT(measure_prompt(&c, m, text, strlen(text), &o, &e), ERR_LIMIT);
	CHECK(strstr(e.text, "prompt and response have"));
	free(longer);
	const char *const unknown[] = {"snapkv", "snap"};
	o = usual();
	o.method = unknown, o.n_method = 2;
	CHECK_INT(measure_prompt(&c, m, text, strlen(text), &o, &e), ERR_USE);
	CHECK(strstr(e.text, "\"snap\""));
	char name[] = "other";
	struct lookahead other = {.n_lookahead = 4, .n_embd = 3, .n_layer = 1, .name = name};
	o = usual();
	o.modules = &other;
	CHECK_INT(measure_prompt(&c, m, text, strlen(text), &o, &e), ERR_USE);
	CHECK(strstr(e.text, "modules for width 3 and 1 layers"));
	model_close(m);
}

TEST(measure, the_context_ends_a_response)
{
	struct model *m = tiny(TINY_LLAMA);
	int n_ctx = model_info(m)->n_ctx;
	struct measure_options o = usual();
	const char *const few[] = {"snapkv"};
	o.n_response = 10 * n_ctx;
	o.method = few, o.n_method = 1;
	const struct capture *c = measured(m, &o);
	CHECK(c->n_prompt + c->n_response <= n_ctx);
	const char *end = capture_meta(c, "response_end");
	CHECK(end && (!strcmp(end, "end token") || (!strcmp(end, "context") && c->n_prompt + c->n_response == n_ctx)));
	capture_unref(c);
	model_close(m);
}

/* A live capture is saved and opened like any other, and every default method but those of all rows can be judged. */
TEST(measure, save_open_evaluate)
{
	struct model *m = tiny(TINY_QWEN3);
	struct measure_options o = usual();
	const struct capture *c = measured(m, &o), *back = NULL;
	struct evaluation *ev = NULL;
	struct err e = {0};
	CHECK_INT(capture_save(c, test_scratch("run.kvg"), &e), 0);
	CHECK_INT(capture_open(&back, test_scratch("run.kvg"), &e), 0);
	CHECK_INT(back->n_map, c->n_map);
	CHECK_INT(back->n_meta, c->n_meta);
	const struct evaluation_options eo = {.protocol = protocol_default()};
	CHECK_INT(evaluation_open(&ev, back, &eo, NULL, &e), 0);
	const char *const served[] = {"oracle", "snapkv", "untrained", "random", "recency", "keynorm", "tova", "ceiling"};
	for (size_t i = 0; i < sizeof served / sizeof *served; i++)
		CHECK(evaluation_find(ev, served[i]) >= 0);
	CHECK_INT(evaluation_find(ev, "h2o"), -1);
	struct self_check check[SELF_CHECK_MAX];
	int n = evaluation_self_checks(ev, 64, check, SELF_CHECK_MAX);
	for (int i = 0; i < n; i++)
		CHECK(!strcmp(check[i].name, "response length") || !strcmp(check[i].name, "sign of correlation")
			|| (check[i].known && check[i].ok));
	evaluation_close(ev);
	capture_unref(c);
	capture_unref(back);
	model_close(m);
}

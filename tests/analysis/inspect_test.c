#include "analysis/inspect.h"

#include <string.h>

#include "engine/random.h"
#include "tests/support/measured.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static const char text[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of the hour at which "
	"it leaves again. Nobody has read the older volumes since the clerk retired.\n";

static const char answer[] = "The clerk keeps it.";

struct scene { /* a tiny model that has answered, and modules that do something */
	struct measured on;
	struct lookahead *modules;
};

static struct lookahead *busy_modules(const struct model *m, int n_rows, int r)
{
	struct lookahead *l = NULL;
	struct err e;
	struct rng rng;
	rng_seed_stream(&rng, 7, 1);
	CHECK_INT(lookahead_untrained(&l, m, n_rows, r, 4 * (float)r, 3, &e), 0);
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		for (int k = 0; l->lora[i].b && k < l->lora[i].n_out * r; k++)
			l->lora[i].b[k] = 0.05f * (float)rng_normal(&rng);
	return l;
}

static struct scene open_scene(enum tiny_kind kind, bool answered)
{
	struct scene s = {.on = measured_model(kind, 3)};
	s.modules = busy_modules(s.on.model, 6, 2);
	measured_prompt(&s.on, text, (struct measure_options){.window = 8, .response = answered ? answer : "",
		.response_bytes = answered ? strlen(answer) : 0, .seed = 5, .modules = s.modules});
	return s;
}

static void close_scene(struct scene *s)
{
	lookahead_free(s->modules);
	measured_close(&s->on);
}

static size_t map_size(const struct capture *c)
{
	return (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
}

static const struct capture *ask(const struct scene *s, const struct lookahead_switches *sw, struct inspect_rows **rows)
{
	const struct capture *c = NULL;
	struct err e = {0};
	const struct inspect_request r = {.modules = s->modules, .switches = sw, .rows = rows != NULL};
	if (inspect_run(&c, rows, s->on.live, &r, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

static double largest_difference(const struct capture *a, const struct capture *b)
{
	const float *x = capture_find(a, "lookahead")->data, *y = capture_find(b, "lookahead")->data;
	double largest = 0;
	for (size_t i = 0; i < map_size(a); i++)
		largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
	return largest;
}

TEST(inspect, as_trained_it_is_what_the_run_measured)
{
	for (enum tiny_kind kind = TINY_LLAMA; kind < N_TINY; kind++) {
		struct scene s = open_scene(kind, true);
		struct inspect_rows *rows = NULL;
		const struct capture *c = ask(&s, NULL, &rows);
		CHECK_NEAR(largest_difference(c, s.on.capture), 0, 0);
		CHECK(capture_find(c, "truth")->data == capture_find(s.on.capture, "truth")->data && !capture_meta(c, "module_switches"));
		const float *mean = capture_find(c, "lookahead")->data;
		for (int i = 0; i < rows->n_layer * rows->n_head; i++)
			for (int j = 0; j < rows->n_prompt; j++) {
				double sum = 0;
				for (int k = 0; k < rows->n_rows; k++)
					sum += (double)inspect_row(rows, i / rows->n_head, i % rows->n_head, k)[j];
				CHECK_NEAR((double)mean[i * rows->n_prompt + j], sum / rows->n_rows, TOL_SUM_REL);
			}
		inspect_rows_free(rows);
		capture_unref(c);
		close_scene(&s);
	}
}

/* Later rows are not seen by earlier ones: using the first n is taking the first n of all. */
TEST(inspect, rows_used_is_arithmetic)
{
	struct scene s = open_scene(TINY_LLAMA, true);
	struct inspect_rows *all = NULL;
	capture_unref(ask(&s, NULL, &all));
	for (int n = 1; n <= all->n_rows; n++) {
		struct inspect_rows *some = NULL;
		const struct lookahead_switches sw = {.n_rows = n, .scale = 1};
		const struct capture *c = ask(&s, &sw, &some);
		CHECK_INT(some->n_rows, n);
		CHECK_INT(capture_find(c, "lookahead")->n_rows, n);
		double largest = 0;
		for (int i = 0; i < all->n_layer * all->n_head; i++)
			for (int k = 0; k < n; k++)
				for (int j = 0; j < all->n_prompt; j++) {
					int layer = i / all->n_head, head = i % all->n_head;
					largest = fmax(largest, fabs((double)inspect_row(all, layer, head, k)[j] - (double)inspect_row(some, layer, head, k)[j]));
				}
		CHECK_NEAR(largest, 0, TOL_MEAN_ABS); /* other products, so float32 sums of other orders */
		inspect_rows_free(some);
		capture_unref(c);
	}
	inspect_rows_free(all);
	close_scene(&s);
}

TEST(inspect, switches_that_mean_the_same_give_the_same)
{
	struct scene s = open_scene(TINY_QWEN3, true); /* two layers */
	const uint8_t none[8] = {0}, last_off[8] = {1, 0};
	const struct lookahead_switches off[] = {{.scale = 0}, {.scale = 1, .proj_off = (1u << N_PROJ) - 1}, {.scale = 1, .layer_on = none}};
	const struct capture *first = ask(&s, &off[0], NULL), *half = ask(&s, &(struct lookahead_switches){.scale = 0.5f}, NULL);
	for (int i = 1; i < 3; i++) {
		const struct capture *c = ask(&s, &off[i], NULL);
		CHECK_NEAR(largest_difference(c, first), 0, 0);
		capture_unref(c);
	}
	CHECK(largest_difference(first, s.on.capture) > 1e-4 && largest_difference(half, s.on.capture) > 1e-4);
	CHECK(largest_difference(half, first) > 1e-4);
	/* only the last layer's map can know that the last layer is off */
	const struct capture *c = ask(&s, &(struct lookahead_switches){.scale = 1, .layer_on = last_off}, NULL);
	size_t layer = map_size(c) / (size_t)c->n_layer;
	CHECK(!memcmp(capture_find(c, "lookahead")->data, capture_find(s.on.capture, "lookahead")->data, layer * sizeof(float)));
	CHECK(largest_difference(c, s.on.capture) > 1e-4);
	CHECK_STR(capture_meta(c, "module_switches"), "LoRA off: layers 1");
	capture_unref(c);
	capture_unref(half);
	capture_unref(first);
	close_scene(&s);
}

TEST(inspect, switches_in_words)
{
	struct lookahead l = {.n_lookahead = 32, .n_layer = 12};
	uint8_t on[12] = {1, 1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0};
	char out[200];
	inspect_say_switches(&l, NULL, out, sizeof out);
	CHECK_STR(out, "");
	inspect_say_switches(&l, &(struct lookahead_switches){.scale = 1, .n_rows = 32}, out, sizeof out);
	CHECK_STR(out, "");
	inspect_say_switches(&l, &(struct lookahead_switches){.scale = 0.5f, .n_rows = 16, .proj_off = 3, .layer_on = on}, out, sizeof out);
	CHECK_STR(out, "LoRA off: q k, layers 3 6-8 11; alpha x 0.5; 16 of 32 rows");
	inspect_say_switches(&l, &(struct lookahead_switches){.scale = 2, .layer_on = on}, out, 12);
	CHECK_STR(out, "LoRA off: l");
}

TEST(inspect, what_cannot_be_run_is_refused)
{
	struct scene s = open_scene(TINY_LLAMA, true);
	struct err e;
	const struct capture *c = NULL;
	struct lookahead *many = busy_modules(s.on.model, 200, 1);
	CHECK_INT(inspect_run(&c, NULL, s.on.live, &(struct inspect_request){.modules = many}, &e), ERR_LIMIT);
	CHECK(strstr(e.text, "has 200 rows, behind this prompt there is room for 32"));
	many->n_layer--;
	CHECK_INT(inspect_run(&c, NULL, s.on.live, &(struct inspect_request){.modules = many}, &e), ERR_USE);
	CHECK(strstr(e.text, "2 layers, the model has width 256 and 3 layers"));
	many->n_layer++;
	lookahead_free(many);
	CHECK(!c);
	close_scene(&s);
}

/* ---- worth ----------------------------------------------------------------------------------------------------- */

static double plain_kl(const float *t, const double *q, int n)
{
	double sum_t = 0, sum_q = 0, kl = 0;
	for (int j = 0; j < n; j++) {
		sum_t += (double)t[j];
		sum_q += q[j];
	}
	for (int j = 0; j < n; j++)
		kl += (double)t[j] / sum_t * (log((double)t[j] / sum_t + 1e-12) - log(q[j] / sum_q + 1e-12));
	return kl;
}

/* Means of subsets, formed anew: leaving row k out, and the first k. */
TEST(inspect, worth_of_a_row_against_means_formed_anew)
{
	enum { ROWS = 5, N = 40 };
	float row[ROWS * N], truth[N];
	double scratch[4 * N], gain[ROWS], first[ROWS], mean[N];
	struct rng rng;
	rng_seed_stream(&rng, test_seed(), 9);
	for (int i = 0; i < ROWS * N; i++)
		row[i] = (float)rng_uniform(&rng);
	for (int j = 0; j < N; j++)
		truth[j] = (float)rng_uniform(&rng);
	double all = inspect_head(row, ROWS, truth, N, scratch, gain, first);
	CHECK_NEAR(first[ROWS - 1], all, 1e-12);
	for (int k = 0; k < ROWS; k++) {
		memset(mean, 0, sizeof mean);
		for (int i = 0; i <= k; i++)
			for (int j = 0; j < N; j++)
				mean[j] += (double)row[i * N + j] / (k + 1);
		CHECK_NEAR(first[k], plain_kl(truth, mean, N), 1e-12);
		memset(mean, 0, sizeof mean);
		for (int i = 0; i < ROWS; i++)
			for (int j = 0; j < N && i != k; j++)
				mean[j] += (double)row[i * N + j] / (ROWS - 1);
		CHECK_NEAR(gain[k], plain_kl(truth, mean, N) - all, 1e-12);
	}
	inspect_head(row, 1, truth, N, scratch, gain, NULL);
	CHECK(isnan(gain[0])); /* without its only row there is no prediction */
	memset(truth, 0, sizeof truth);
	CHECK(isnan(inspect_head(row, ROWS, truth, N, scratch, gain, first)) && isnan(gain[0]) && isnan(first[0]));
}

TEST(inspect, worth_and_objective_agree_with_the_evaluation)
{
	struct scene s = open_scene(TINY_LLAMA, true);
	struct inspect_rows *rows = NULL;
	const struct capture *c = ask(&s, NULL, &rows);
	struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
	struct inspect_worth *w = NULL;
	struct evaluation *ev = NULL;
	struct objective objective;
	struct err e;
	o.protocol.select.sink = 2;
	o.protocol.select.window = 8;
	int budget = c->n_prompt / 2, n = c->n_layer * c->n_head;
	CHECK_INT(inspect_worth_make(&w, rows, c, &o, budget, NULL, &e), 0);
	CHECK_INT(evaluation_open(&ev, c, &o, NULL, &e), 0);
	CHECK_INT(objective_make(&objective, ev, &e), 0);
	int m = evaluation_find(ev, "lookahead");
	struct agreement a = evaluation_agreement(ev, m, (struct scope){-1, -1}, evaluation_k(ev, budget, NULL));
	int last = w->n_rows - 1;
	CHECK_NEAR(w->kl[last], a.kl, TOL_SUM_REL); /* the map is a float32 mean */
	CHECK_NEAR(w->mass_ratio[last], a.mass_ratio, TOL_SUM_REL);
	CHECK_NEAR(w->overlap[last], a.overlap, TOL_SUM_REL);
	CHECK(w->overlap[0] > 0 && w->overlap[0] <= 1);
	CHECK_NEAR(objective.mean[OBJECTIVE_LOOKAHEAD], a.kl, 1e-12);
	CHECK(objective.kl[OBJECTIVE_SNAPKV] && objective.kl[OBJECTIVE_UNTRAINED]);
	double sum = 0, worst = INFINITY;
	for (int i = 0; i < n; i++) {
		double kl = objective.kl[OBJECTIVE_LOOKAHEAD][objective.worst[i]];
		CHECK(kl <= worst);
		worst = kl;
		sum += kl;
		CHECK_NEAR(kl, evaluation_kl(ev, m, objective.worst[i] / c->n_head, objective.worst[i] % c->n_head), 0);
	}
	CHECK_NEAR(sum / n, a.kl, 1e-12);
	objective_free(&objective);
	evaluation_close(ev);
	inspect_worth_free(w);
	inspect_rows_free(rows);
	capture_unref(c);
	close_scene(&s);
}

TEST(inspect, without_a_response_there_is_no_worth)
{
	struct scene s = open_scene(TINY_LLAMA, false);
	struct inspect_rows *rows = NULL;
	struct inspect_worth *w = NULL;
	struct err e;
	const struct capture *c = ask(&s, NULL, &rows);
	CHECK_INT(inspect_worth_make(&w, rows, c, &(struct evaluation_options){.protocol = protocol_default()}, 20, NULL, &e), ERR_USE);
	CHECK(!w);
	inspect_rows_free(rows);
	capture_unref(c);
	close_scene(&s);
}

/* ---- anatomy --------------------------------------------------------------------------------------------------- */

TEST(inspect, anatomy_of_modules)
{
	struct scene s = open_scene(TINY_LLAMA, false);
	struct lookahead *other = busy_modules(s.on.model, 6, 2);
	struct anatomy *a = NULL;
	struct err e;
	CHECK_INT(anatomy_make(&a, s.modules, s.on.model, 1, NULL, &e), 0);
	CHECK_INT(a->r, 2);
	for (int i = 0; i < s.modules->n_layer * N_PROJ; i++) {
		const double *sv = a->spectrum + i * a->r;
		if (!a->report->lora[i].present) {
			CHECK(isnan(sv[0]) && isnan(anatomy_effective_rank(a, i / N_PROJ, i % N_PROJ)));
			continue;
		}
		double rank = anatomy_effective_rank(a, i / N_PROJ, i % N_PROJ);
		CHECK_NEAR(hypot(sv[0], sv[1]), a->report->lora[i].delta, 1e-9 * a->report->lora[i].delta);
		CHECK(rank >= 1 && rank <= 2 && a->weight_norm[i] > 0);
		CHECK_NEAR(anatomy_alike(s.modules, other, i / N_PROJ, i % N_PROJ), 1, 1e-12);
	}
	for (int k = 0; k < other->lora[0].n_out * 2; k++)
		other->lora[0].b[k] *= -3;
	CHECK_NEAR(anatomy_alike(s.modules, other, 0, 0), -1, 1e-12);
	CHECK(isnan(anatomy_alike(s.modules, other, 2, PROJ_DOWN)));
	CHECK_NEAR((double)a->cosine[0], 1, 1e-6);
	anatomy_free(a);
	other->n_layer--;
	CHECK_INT(anatomy_make(&a, other, s.on.model, 1, NULL, &e), ERR_USE);
	other->n_layer++;
	lookahead_free(other);
	close_scene(&s);
}

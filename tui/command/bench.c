/* kvglass bench: every stage of an analysis, timed beside what the machine reaches at the same time.
 *
 * Prompts are random tokens: no speed depends on which. Each stage is repeated and the best time counts: a busy neighbour can only
 * make a round slower. What a capture adds is a difference of two near numbers, so it is measured by itself: only the rows that are
 * measured run again, in turns with and without, and the median of the differences counts.
 */
#include "tui/command/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/lookahead.h"
#include "engine/random.h"
#include "engine/random_model.h"
#include "tui/command/command.h"
#include "tui/command/nearest.h"
#include "tui/command/prompt.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"
#include "tui/work.h"

enum {
	WINDOW = 32,     /* SnapKV's rows */
	TAIL = 256,      /* rows run again to see what the window's capture adds */
	DECODE = 16,     /* tokens of one round of decoding */
	MOST_ROUNDS = 5, /* of a stage by itself */
	PAIRS = 7,       /* of one with a capture and one without */
};
static const double enough_ms = 3000; /* a stage is not repeated beyond this */

static int check(const struct options *o, struct err *e)
{
	if (o->model && o->synthetic)
		return err_set(e, ERR_USE, "--model and --synthetic exclude each other");
	if (o->modules && !o->model)
		return err_set(e, ERR_USE, "--modules needs --model");
	if (o->screen && (o->model || o->synthetic))
		return err_set(e, ERR_USE, "--screen needs no model");
	if (o->screen && o->train)
		return err_set(e, ERR_USE, "--screen and --train exclude each other");
	if (o->synthetic && random_model_check(o->synthetic, e))
		return err_prefix(e, "--synthetic");
	return 0;
}

/* ---- one length ---- */

struct run { /* what the rounds of one length share */
	struct session *session;
	struct bench_lesson lesson;
	const struct model_info *info;
	const struct lookahead *modules;
	const struct progress *progress;
	int n;           /* prompt tokens */
	int32_t *ids;    /* n + DECODE */
	float *sum;      /* (n_layer, n_head, n) */
	struct bench_length *length;
	struct err *e;
};

/* Prompt rows from `first` on, the window's among them measured or not. */
static int run_prompt(struct run *r, int first, bool captured, double *ms)
{
	const struct colsum_request window = {.first = r->n - WINDOW, .count = WINDOW, .step = 1, .n_key = r->n, .sum = r->sum};
	const struct run_request request = {
		.ids = r->ids + first, .n = r->n - first,
		.colsum = &window, .n_colsum = captured,
		.stage = bench_stage_name[captured ? BENCH_CAPTURE : BENCH_PREFILL], .progress = r->progress,
	};
	int rc = session_truncate(r->session, first);
	double began = milliseconds_now();
	if (!rc)
		rc = session_run(r->session, &request, r->e);
	*ms = milliseconds_now() - began;
	return rc;
}

static int prefill(struct run *r, bool captured, double *ms)
{
	return run_prompt(r, 0, captured, ms);
}

static int tail(struct run *r, bool captured, double *ms)
{
	return run_prompt(r, r->n > TAIL ? r->n - TAIL : 0, captured, ms);
}

static int lookahead(struct run *r, bool captured, double *ms)
{
	(void)captured; /* it is nothing else */
	const struct lookahead_request request = {.modules = r->modules, .sum = r->sum, .progress = r->progress};
	double began = milliseconds_now();
	int rc = session_lookahead(r->session, &request, r->e);
	*ms = milliseconds_now() - began;
	return rc;
}

static int decode(struct run *r, bool captured, double *ms)
{
	const struct colsum_request truth = {.first = r->n, .count = DECODE, .step = 1, .n_key = r->n, .sum = r->sum};
	double began = milliseconds_now();
	for (int i = 0; i < DECODE; i++) {
		const struct run_request request = {
			.ids = r->ids + r->n + i, .n = 1,
			.colsum = &truth, .n_colsum = captured, .gather = true,
			.stage = bench_stage_name[captured ? BENCH_TRUTH : BENCH_DECODE], .progress = r->progress,
		};
		int rc = session_run(r->session, &request, r->e);
		if (rc)
			return rc;
	}
	int rc = session_collect(r->session, r->e);
	*ms = milliseconds_now() - began;
	return rc ? rc : session_truncate(r->session, r->n);
}

static int train_step(struct run *r, bool captured, double *ms)
{
	(void)captured; /* it always is */
	return bench_lesson_step(&r->lesson, ms, r->e);
}

typedef int part_of_run(struct run *r, bool captured, double *ms);

static void keep_best(struct run *r, enum bench_stage stage, double ms)
{
	double *best = &r->length->stage[stage].ms;
	*best = *best > 0 && *best < ms ? *best : ms;
}

static int repeat(struct run *r, part_of_run *part, enum bench_stage stage)
{
	double spent = 0, ms;
	for (int round = 0; round < MOST_ROUNDS && spent < enough_ms; round++) {
		int rc = part(r, false, &ms);
		if (rc)
			return rc;
		keep_best(r, stage, ms);
		spent += ms;
	}
	return 0;
}

static int ascending_ms(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* What a capture adds to a part, and the part's best time without it. */
static int repeat_in_turns(struct run *r, part_of_run *part, double *added, double *without)
{
	double difference[PAIRS], ms[2];
	for (int pair = 0; pair < PAIRS; pair++) {
		for (int turn = 0; turn < 2; turn++) { /* each goes first in every other pair */
			bool captured = (turn + pair) % 2;
			int rc = part(r, captured, &ms[captured]);
			if (rc)
				return rc;
		}
		difference[pair] = ms[1] - ms[0];
		*without = pair && *without < ms[0] ? *without : ms[0];
	}
	qsort(difference, PAIRS, sizeof *difference, ascending_ms);
	*added = difference[PAIRS / 2];
	return 0;
}

/* Pages of the weights, buffers and threads come into being on first use, which is no stage's fault. */
static int warm_up(struct run *r)
{
	const struct run_request request = {.ids = r->ids, .n = WINDOW, .stage = "warm-up", .progress = r->progress};
	return session_run(r->session, &request, r->e);
}

/* ---- the least work of a stage ---- */

/* n lookahead rows behind a prompt, there and back: two products with every weight; with keys and values two on the way there and three
 * back (scores again, the gradient through the values, that of the queries). */
static double train_flop(const struct model_info *m, double n, double prompt)
{
	return 4 * work_layer_weights(m) * n + 10.0 * m->n_layer * m->n_head * m->head_dim * n * (prompt + n / 2);
}

static void state_work(struct bench_length *l, const struct model *model, int n_lookahead)
{
	const struct model_info *m = model_info(model);
	struct memory_estimate memory;
	model_estimate(model, l->n_prompt, 0, &memory);
	double kv = (double)memory.kv, one = kv / l->n_prompt;
	for (int stage = 0; stage < N_BENCH_STAGE; stage++) {
		struct bench_rate *rate = &l->stage[stage];
		if (stage <= BENCH_CAPTURE) {
			rate->n_tokens = l->n_prompt;
			rate->flop = work_flop(m, l->n_prompt, 0, 1);
			rate->bytes = work_bytes(m, 0);
		} else if (stage == BENCH_LOOKAHEAD) {
			rate->n_tokens = n_lookahead;
			rate->flop = work_flop(m, n_lookahead, l->n_prompt, 0);
			rate->bytes = work_bytes(m, kv);
		} else if (stage == BENCH_TRAIN) {
			rate->n_tokens = n_lookahead;
			rate->flop = train_flop(m, n_lookahead, l->n_prompt);
			rate->bytes = 2 * work_bytes(m, kv);
		} else {
			rate->n_tokens = DECODE;
			rate->flop = work_flop(m, DECODE, l->n_prompt, DECODE);
			rate->bytes = DECODE * work_bytes(m, kv + one * DECODE / 2);
		}
	}
}

/* ---- all lengths ---- */

static int measure_stages(struct run *r)
{
	struct bench_length *l = r->length;
	double ignored;
	int rc = warm_up(r);
	if (!rc)
		rc = repeat(r, prefill, BENCH_PREFILL);
	if (!rc)
		rc = repeat_in_turns(r, tail, &l->capture_ms, &ignored);
	if (!rc)
		rc = repeat(r, lookahead, BENCH_LOOKAHEAD);
	if (!rc)
		rc = repeat_in_turns(r, decode, &l->truth_ms, &l->stage[BENCH_DECODE].ms);
	/* Noise may say that measuring makes a stage faster; it does not. */
	l->stage[BENCH_CAPTURE].ms = l->stage[BENCH_PREFILL].ms + fmax(0, l->capture_ms);
	l->stage[BENCH_TRUTH].ms = l->stage[BENCH_DECODE].ms + fmax(0, l->truth_ms);
	return rc;
}

static int32_t *random_ids(const struct model_info *info, int n, uint64_t seed)
{
	struct rng rng;
	int32_t *ids = malloc((size_t)n * sizeof *ids);
	rng_seed(&rng, seed);
	for (int i = 0; ids && i < n; i++)
		ids[i] = (int32_t)rng_below(&rng, (uint32_t)info->n_vocab);
	return ids;
}

/* Steps on the prompt that is in the session, towards what the stages before have gathered in the sums. */
static int measure_training(struct run *r, const struct model *m, int n_threads)
{
	const struct bench_lesson_prompt prompt = {.session = r->session, .model = m, .modules = r->modules, .ids = r->ids, .n = r->n,
		.n_response = DECODE, .n_threads = n_threads, .truth = r->sum};
	int rc = bench_lesson_open(&r->lesson, &prompt, r->e);
	rc = rc ? rc : repeat(r, train_step, BENCH_TRAIN);
	bench_lesson_close(&r->lesson);
	return rc;
}

/* Free memory of the model's device, 0 where that is the CPU: what a process takes there is in peak_memory. */
static uint64_t free_on_device(const struct model *m)
{
	struct device_info device = {0};
	if (strcmp(model_info(m)->device, "cpu"))
		engine_device(model_info(m)->device, &device);
	return device.available;
}

static int measure_length(struct bench_length *l, const struct model *m, const struct lookahead *modules, const struct options *o,
	const struct progress *progress, struct err *e)
{
	const struct session_options options = {
		.max_tokens = l->n_prompt + (modules->n_lookahead > DECODE ? modules->n_lookahead : DECODE),
		.n_threads = (int)o->threads,
	};
	struct run r = {.info = model_info(m), .modules = modules, .progress = progress, .n = l->n_prompt, .length = l, .e = e};
	struct memory_estimate known;
	uint64_t before = free_on_device(m), now;
	model_estimate(m, options.max_tokens, 0, &known); /* its weights are 0 once they are on the device */
	int rc = session_open(&r.session, m, &options, e);
	if (rc)
		return rc;
	r.ids = random_ids(r.info, l->n_prompt + DECODE, (uint64_t)o->seed);
	r.sum = calloc((size_t)r.info->n_layer * (size_t)r.info->n_head * (size_t)l->n_prompt, sizeof *r.sum);
	if (r.ids && r.sum)
		rc = measure_stages(&r);
	else
		rc = err_set(e, ERR_MEMORY, "no memory for maps of %d tokens", l->n_prompt);
	now = free_on_device(m);
	l->beside = before > now + known.weights + known.kv ? before - now - known.weights - known.kv : 0;
	if (!rc && o->train)
		rc = measure_training(&r, m, (int)o->threads);
	session_close(r.session);
	free(r.ids);
	free(r.sum);
	state_work(l, m, modules->n_lookahead);
	l->peak_memory = engine_peak_memory();
	return rc;
}

static int ascending(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

static int check_lengths(const struct options *o, const struct model_info *info, struct err *e)
{
	for (int i = 0; i < o->lengths.n; i++)
		if (o->lengths.item[i] + DECODE > info->n_ctx || o->lengths.item[i] < WINDOW)
			return err_set(e, ERR_LIMIT, "--length %d: from %d to %d fit the model's %d positions", o->lengths.item[i], WINDOW,
				info->n_ctx - DECODE, info->n_ctx);
	return 0;
}

/* Measured again beside every length, the best counts: what is held against the machine is the best of several rounds too. */
static int measure_machine(struct machine_rates *best, const struct model *m, int n_threads, const struct progress *progress, struct err *e)
{
	struct machine_rates now;
	int rc = machine_measure(&now, m, n_threads, progress, e);
	if (rc)
		return rc;
	now.gflops = now.gflops > best->gflops ? now.gflops : best->gflops;
	now.read_gbs = now.read_gbs > best->read_gbs ? now.read_gbs : best->read_gbs;
	*best = now;
	return 0;
}

static int measure_all(struct bench *b, const struct model *m, const struct lookahead *modules, const struct options *o,
	const struct progress *progress, struct err *e)
{
	int rc = 0;
	b->n_lookahead = modules->n_lookahead;
	b->length = calloc((size_t)o->lengths.n, sizeof *b->length);
	if (!b->length)
		return err_set(e, ERR_MEMORY, "no memory for %d lengths", o->lengths.n);
	qsort(o->lengths.item, (size_t)o->lengths.n, sizeof *o->lengths.item, ascending);
	for (; b->n_length < o->lengths.n && !rc; b->n_length++) {
		b->length[b->n_length].n_prompt = o->lengths.item[b->n_length];
		rc = measure_machine(&b->machine, m, (int)o->threads, progress, e);
		if (!rc)
			rc = measure_length(&b->length[b->n_length], m, modules, o, progress, e);
	}
	return rc;
}

static int bench(struct bench *b, const struct model *m, const struct options *o, const struct progress *progress, struct err *e)
{
	enum { N_LOOKAHEAD = 32, R = 8, ALPHA = 32 }; /* LookaheadKV's published setting */
	struct lookahead *modules = NULL;
	b->model = model_info(m);
	int rc = check_lengths(o, b->model, e);
	if (!rc && o->modules)
		rc = settings_modules(&modules, m, o, e);
	else if (!rc)
		rc = lookahead_untrained(&modules, m, N_LOOKAHEAD, R, ALPHA, (uint64_t)o->seed, e);
	if (!rc)
		rc = measure_all(b, m, modules, o, progress, e);
	lookahead_free(modules);
	return rc;
}

static int run(const struct options *o, struct err *e)
{
	const struct model_options options = prompt_model_options(o);
	struct progress_line line;
	struct model *model = NULL;
	struct bench b = {0};
	if (o->screen)
		return bench_screen(o, e);
	stop_on_signals();
	progress_line_begin(&line, o);
	int rc = o->model ? model_open(&model, o->model, &options, e)
	                  : random_model_open(&model, o->synthetic ? o->synthetic : random_model_name(0), &options, &line.progress, e);
	if (!rc)
		rc = bench(&b, model, o, &line.progress, e);
	progress_line_end(&line);
	if (!rc && o->json)
		rc = bench_print_json(&b, e);
	else if (!rc)
		bench_print_text(&b);
	free(b.length);
	model_close(model);
	return rc;
}

const struct command command_bench = {.check = check, .run = run};

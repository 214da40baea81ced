#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "export/table.h"
#include "tui/command/bench.h"
#include "tui/command/terminal.h"

const char *const bench_stage_name[N_BENCH_STAGE] = {
	[BENCH_PREFILL] = "prefill",
	[BENCH_CAPTURE] = "prefill_capture",
	[BENCH_LOOKAHEAD] = "lookahead",
	[BENCH_DECODE] = "decode",
	[BENCH_TRUTH] = "decode_capture",
	[BENCH_TRAIN] = "train_step",
};

static double gflops(const struct bench_rate *r)
{
	return r->flop / r->ms * 1e-6;
}

static double gbs(const struct bench_rate *r)
{
	return r->bytes / r->ms * 1e-6;
}

static double capture_share(const struct bench_length *l)
{
	return l->capture_ms / l->stage[BENCH_PREFILL].ms;
}

static double capture_and_lookahead_share(const struct bench_length *l)
{
	return (l->capture_ms + l->stage[BENCH_LOOKAHEAD].ms) / l->stage[BENCH_PREFILL].ms;
}

static double truth_share(const struct bench_length *l)
{
	return l->truth_ms / l->stage[BENCH_DECODE].ms;
}

/* ---- people ---- */

static void print_stage(const struct bench *b, const struct bench_length *l, enum bench_stage stage)
{
	static const char *const label[N_BENCH_STAGE] = {"prefill", "  with SnapKV's capture", "lookahead rows", "decode",
		"  with truth's capture", "training step"};
	const struct bench_rate *r = &l->stage[stage];
	if (!(r->ms > 0))
		return;
	printf("  %-24s %10.1f %10.1f %9.1f %6.0f %% %8.1f %6.0f %%\n", label[stage], r->ms, 1e3 * r->n_tokens / r->ms, gflops(r),
		100 * gflops(r) / b->machine.gflops, gbs(r), 100 * gbs(r) / b->machine.read_gbs);
}

static void print_length(const struct bench *b, const struct bench_length *l)
{
	char n[32], memory[32];
	format_grouped(n, l->n_prompt);
	format_size(memory, l->peak_memory);
	printf("\n%s tokens\n  %-24s %10s %10s %9s %8s %8s %8s\n", n, "", "ms", "tokens/s", "GFLOP/s", "product", "GB/s", "read");
	for (int stage = 0; stage < N_BENCH_STAGE; stage++)
		print_stage(b, l, (enum bench_stage)stage);
	printf("  capture and lookahead rows together take %.1f %% of prefill, truth's capture %.1f %% of decoding; "
		"at most %s of memory\n", 100 * capture_and_lookahead_share(l), 100 * truth_share(l), memory);
	if (l->beside) {
		format_size(memory, l->beside);
		printf("  on the device %s beside weights and cache\n", memory);
	}
}

void bench_print_text(const struct bench *b)
{
	const struct model_info *m = b->model;
	print_visible(stdout, m->name, strlen(m->name));
	printf(": %s, %d layers, %d query heads on %d KV heads, weights mostly %s, %s %s\n", m->arch_name, m->n_layer, m->n_head,
		m->n_kv_head, m->weight_type, m->device, m->precision);
	if (b->machine.n_threads)
		printf("this machine now, %d threads: ", b->machine.n_threads);
	else
		printf("this device now: ");
	printf("%s product of %d cubed %.0f GFLOP/s, memory %s %.1f GB/s\n", b->machine.product_type, b->machine.product_size, b->machine.gflops,
		b->machine.n_threads ? "read" : "copy", b->machine.read_gbs);
	for (int i = 0; i < b->n_length; i++)
		print_length(b, &b->length[i]);
}

/* ---- JSON ---- */

static json_t *stage_json(const struct bench *b, const struct bench_rate *r)
{
	return json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o}",
		"ms", table_json_number(r->ms),
		"n_tokens", r->n_tokens,
		"tokens_per_s", table_json_number(1e3 * r->n_tokens / r->ms),
		"gflops", table_json_number(gflops(r)),
		"gflops_share", table_json_number(gflops(r) / b->machine.gflops),
		"gbs", table_json_number(gbs(r)),
		"gbs_share", table_json_number(gbs(r) / b->machine.read_gbs));
}

static json_t *length_json(const struct bench *b, const struct bench_length *l)
{
	json_t *one = json_pack("{s:i}", "length", l->n_prompt);
	int failed = 0;
	for (int stage = 0; stage < N_BENCH_STAGE; stage++)
		if (l->stage[stage].ms > 0)
			failed |= json_object_set_new(one, bench_stage_name[stage], stage_json(b, &l->stage[stage]));
	failed |= json_object_set_new(one, "capture_overhead", table_json_number(capture_share(l)));
	failed |= json_object_set_new(one, "capture_and_lookahead_overhead", table_json_number(capture_and_lookahead_share(l)));
	failed |= json_object_set_new(one, "truth_overhead", table_json_number(truth_share(l)));
	failed |= json_object_set_new(one, "peak_memory_bytes", json_integer((json_int_t)l->peak_memory));
	if (l->beside)
		failed |= json_object_set_new(one, "device_bytes_beside_weights_and_kv", json_integer((json_int_t)l->beside));
	return failed ? NULL : one;
}

int bench_print_json(const struct bench *b, struct err *e)
{
	const struct model_info *m = b->model;
	json_t *lengths = json_array();
	int failed = 0;
	for (int i = 0; i < b->n_length; i++)
		failed |= json_array_append_new(lengths, length_json(b, &b->length[i]));
	json_t *all = json_pack("{s:o, s:s, s:s, s:s, s:i, s:{s:i, s:i, s:s, s:f, s:f}, s:o}",
		"model", table_json_text(m->name, strlen(m->name)),
		"weight_type", m->weight_type,
		"device", m->device,
		"precision", m->precision,
		"n_lookahead", b->n_lookahead,
		"machine",
		"n_threads", b->machine.n_threads,
		"product_size", b->machine.product_size,
		"product_type", b->machine.product_type,
		"product_gflops", b->machine.gflops,
		"memory_read_gbs", b->machine.read_gbs,
		"lengths", lengths);
	int rc = ERR_MEMORY;
	if (all && !failed)
		rc = table_write_json(all, "-", e);
	else
		err_set(e, ERR_MEMORY, "no memory for %d lengths", b->n_length);
	json_decref(all);
	return rc;
}

/* Devices that are not there, too old, too small or lost on the way: the error says which call, which device and what to do, nothing
 * leaks, and the same model goes on on the CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/device.h"
#include "engine/engine.h"
#include "tests/cudaemu/attempt.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

enum { N_PROMPT = 20, N_DECODED = 3 };

static const struct loose_model_options shape = {.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 64, .n_embd = 64, .n_ff = 96,
	.n_vocab = 100, .type = TYPE_BF16, .rope_pairs = ROPE_HALVES};

/* ---- which devices there are --------------------------------------------------------------------------------------------- */

static void check_machine(const struct cudaemu_machine *machine, const char *said)
{
	struct err e = {0};
	cudaemu_reset(machine);
	CHECK_INT(cuda_check_device(0, &e), said ? ERR_DEVICE : 0);
	if (said && !strstr(e.text, said))
		test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e.text, said);
	cudaemu_reset(&cudaemu_usual_machine);
}

TEST(cuda_failures, devices_that_cannot_be_used)
{
	struct cudaemu_machine no_driver = cudaemu_usual_machine, old_driver = no_driver, no_device = no_driver, old_device = no_driver;
	struct err e = {0};
	no_driver.driver = 0, no_driver.n_device = 0;
	old_driver.driver = 11080;
	no_device.n_device = 0;
	old_device.major = 7, old_device.minor = 5;
	check_machine(&cudaemu_usual_machine, NULL);
	check_machine(&no_driver, "no NVIDIA driver");
	check_machine(&old_driver, "11.8");
	check_machine(&no_device, "no CUDA device");
	check_machine(&old_device, "7.5");
	CHECK_INT(cuda_check_device(1, &e), ERR_DEVICE);
	CHECK(strstr(e.text, "cuda:1") != NULL);
	cudaemu_plan_failure("cudaMemGetInfo", 1, cudaErrorDevicesUnavailable);
	CHECK_INT(cuda_check_device(0, &e), ERR_DEVICE);
	CHECK(strstr(e.text, "busy or unavailable") != NULL);
	cudaemu_plan_failure("cudaFuncSetAttribute", 1, cudaErrorNoKernelImageForDevice);
	CHECK_INT(cuda_check_device(0, &e), ERR_DEVICE);
	CHECK(strstr(e.text, "this build has code for sm_80") != NULL);
	cudaemu_reset(&cudaemu_usual_machine);
}

/* Four multiprocessors of capability 8.6 at 1.5 GHz, 512 bits of memory at 2 GHz. */
TEST(cuda_failures, peaks_come_from_the_shape)
{
	struct device_list list = {0};
	struct cudaemu_machine unknown = cudaemu_usual_machine;
	cudaemu_reset(&cudaemu_usual_machine);
	cuda_list_devices(&list);
	CHECK_INT(list.n, 1);
	CHECK_INT(list.device[0].peak_gflops, 4 * 1024 * 1.5);
	CHECK_INT(list.device[0].peak_gbs, 2 * 2 * 512 / 8);
	unknown.major = 19;
	cudaemu_reset(&unknown);
	list.n = 0;
	cuda_list_devices(&list);
	CHECK_INT(list.device[0].peak_gflops, 0);
	cudaemu_reset(&cudaemu_usual_machine);
}

/* --device auto falls back to the CPU and says why; --device cuda does not. */
TEST(cuda_failures, automatic_choice_falls_back)
{
	struct cudaemu_machine none = cudaemu_usual_machine;
	const char *path = test_scratch("tiny.gguf");
	struct model *m = NULL;
	struct err e = {0};
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 1});
	none.driver = 0, none.n_device = 0;
	cudaemu_reset(&none);
	CHECK_INT(model_open(&m, path, &(struct model_options){.device = DEVICE_AUTO}, &e), 0);
	if (m) {
		CHECK_STR(model_info(m)->device, "cpu");
		model_close(m);
	}
	CHECK_INT(model_open(&m, path, &(struct model_options){.device = DEVICE_CUDA}, &e), ERR_DEVICE);
	CHECK(strstr(e.text, "no NVIDIA driver") != NULL);
	cudaemu_reset(&cudaemu_usual_machine);
}

/* ---- failures on the way ---------------------------------------------------------------------------------------------------- */

struct attempt { /* a session on the device: a prompt, a few tokens */
	struct err e;
	struct loose_model *owner;
	struct model *model;
	int32_t *ids;
	float *sum;
};

static void begin(void *attempt)
{
	struct attempt *a = attempt;
	*a = (struct attempt){.owner = loose_model_make(&shape)};
	a->model = loose_model_get(a->owner);
	a->ids = loose_ids(a->model, N_PROMPT + N_DECODED, 3);
	a->sum = calloc((size_t)(shape.n_layer * shape.n_head * N_PROMPT), sizeof *a->sum);
	a->model->info.device = "cuda:0";
	a->model->info.precision = "bf16";
}

static void end(void *attempt)
{
	struct attempt *a = attempt;
	free(a->ids), free(a->sum);
	loose_model_free(a->owner);
}

static int run(void *attempt)
{
	struct attempt *a = attempt;
	struct session *s = NULL;
	struct colsum_request window = {.first = N_PROMPT - 8, .count = 12, .step = 1, .n_key = N_PROMPT, .sum = a->sum};
	int rc = session_open(&s, a->model, &(struct session_options){.max_tokens = N_PROMPT + 8, .chunk_rows = 12, .n_threads = 1}, &a->e);
	if (!rc)
		rc = session_run(s, &(struct run_request){.ids = a->ids, .n = N_PROMPT, .colsum = &window, .n_colsum = 1}, &a->e);
	for (int i = 0; i < N_DECODED && !rc; i++)
		rc = session_run(s, &(struct run_request){.ids = a->ids + N_PROMPT + i, .n = 1, .colsum = &window, .n_colsum = 1}, &a->e);
	session_close(s);
	return rc;
}

static void check_goes_on(struct attempt *a)
{
	struct err none = {0};
	a->e = none;
	a->model->info.device = "cpu";
	a->model->info.precision = "f32";
	CHECK_INT(run(a), 0);
	CHECK_STR(a->e.text, "");
}

/* Too small a device is refused with figures before anything is taken. */
TEST(cuda_failures, too_little_memory)
{
	struct cudaemu_machine small = cudaemu_usual_machine;
	struct attempt a;
	small.memory = 1 << 20;
	cudaemu_reset(&small);
	begin(&a);
	CHECK_INT(run(&a), ERR_MEMORY);
	CHECK(strstr(a.e.text, "MiB") != NULL || strstr(a.e.text, "MB") != NULL);
	check_goes_on(&a);
	end(&a);
	CHECK_INT(cudaemu_allocations(), 0);
	cudaemu_reset(&cudaemu_usual_machine);
}

static const struct attempt_kind kind = {.n_bytes = sizeof(struct attempt), .begin = begin, .run = run, .end = end};

TEST(cuda_failures, every_allocation_may_fail)
{
	attempt_fail_each(&kind, "cudaMalloc", cudaErrorMemoryAllocation, ERR_MEMORY);
}

TEST(cuda_failures, pinned_memory_may_fail)
{
	attempt_fail_each(&kind, "cudaHostAlloc", cudaErrorMemoryAllocation, ERR_MEMORY);
}

TEST(cuda_failures, recording_may_fail)
{
	attempt_fail_each(&kind, "cudaStreamBeginCapture", cudaErrorUnknown, ERR_DEVICE);
	attempt_fail_each(&kind, "cudaStreamEndCapture", cudaErrorUnknown, ERR_DEVICE);
	attempt_fail_each(&kind, "cudaGraphInstantiate", cudaErrorUnknown, ERR_DEVICE);
}

/* A device that is lost in the middle: at some launches of the run, spread over prefill and decode. */
TEST(cuda_failures, lost_device)
{
	struct attempt a;
	cudaemu_reset(&cudaemu_usual_machine);
	begin(&a);
	CHECK_INT(run(&a), 0);
	end(&a);
	int n = cudaemu_calls("kernel");
	CHECK(n > 20);
	for (int at = 1; at <= n; at += n / 9 + 1) {
		cudaemu_reset(&cudaemu_usual_machine);
		begin(&a);
		cudaemu_lose_device(at, cudaErrorIllegalAddress);
		CHECK_INT(run(&a), ERR_DEVICE);
		CHECK(strstr(a.e.text, "cuda:0") != NULL);
		CHECK(strstr(a.e.text, "illegal memory access") != NULL);
		CHECK(strstr(a.e.text, "--device cpu") != NULL);
		check_goes_on(&a);
		end(&a);
		CHECK_INT(cudaemu_allocations(), 0);
	}
	cudaemu_reset(&cudaemu_usual_machine);
}

/* Reports: what a GPU would have got wrong without a word ends the process with one. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/cudaemu/emulator.h"
#include "tests/cudaemu/fiber.h"

static void say_where(void)
{
	if (!cudaemu_running)
		fprintf(stderr, "cudaemu: ");
	else if (cudaemu_in_kernel())
		fprintf(stderr, "cudaemu: %s, block (%u, %u, %u), thread (%u, %u, %u): ", cudaemu_running, blockIdx.x, blockIdx.y, blockIdx.z,
			threadIdx.x, threadIdx.y, threadIdx.z);
	else
		fprintf(stderr, "cudaemu: %s: ", cudaemu_running);
}

void cudaemu_fault(const char *kind, const char *format, ...)
{
	va_list args;
	fflush(stdout);
	say_where();
	fprintf(stderr, "%s: ", kind);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(stderr);
	_exit(CUDAEMU_FAULT_STATUS);
}

/* The device's memory is guarded by pages that nobody may touch. The report is not safe in a signal handler in general; here the
 * process is at its end, and what it interrupted is a kernel or a copy. */
static void bad_address(int signal_number, siginfo_t *info, void *context)
{
	(void)context;
	int fiber = fiber_of_address(info->si_addr);
	if (fiber >= 0)
		cudaemu_fault("stack", "thread %d of the block has more local memory than the emulator gives", fiber);
	if (!cudaemu_is_device(info->si_addr)) { /* an ordinary crash */
		if (cudaemu_running)
			cudaemu_fault("bounds", "touches %p, which is not the device's memory", info->si_addr);
		signal(signal_number, SIG_DFL);
		return;
	}
	if (cudaemu_running)
		cudaemu_fault("bounds", "touches %s", cudaemu_describe(info->si_addr).c_str());
	cudaemu_fault("host-access", "host code touches device memory: %s", cudaemu_describe(info->si_addr).c_str());
}

__attribute__((constructor)) static void catch_bad_addresses(void)
{
	static char stack[256 << 10] __attribute__((aligned(16)));
	stack_t alternate = {};
	alternate.ss_sp = stack;
	alternate.ss_size = sizeof stack;
	struct sigaction action = {};
	action.sa_sigaction = bad_address;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

#include "tests/cudaemu/fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { STACK_BYTES = 128 << 10, GUARD_BYTES = 64 << 10 };

static char *stacks;
static int n_fiber;

static char *stack_of(int i)
{
	return stacks + (size_t)i * (STACK_BYTES + GUARD_BYTES) + GUARD_BYTES;
}

void fiber_reserve(int n)
{
	if (n <= n_fiber)
		return;
	if (stacks)
		munmap(stacks, (size_t)n_fiber * (STACK_BYTES + GUARD_BYTES));
	n_fiber = n;
	void *p = mmap(NULL, (size_t)n * (STACK_BYTES + GUARD_BYTES), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	stacks = (char *)p;
	for (int i = 0; p != MAP_FAILED && i < n; i++)
		if (mprotect(stack_of(i), STACK_BYTES, PROT_READ | PROT_WRITE))
			p = MAP_FAILED;
	if (p == MAP_FAILED) {
		perror("cudaemu: stacks of fibers");
		exit(2);
	}
}

int fiber_of_address(const void *address)
{
	uintptr_t at = (uintptr_t)address - (uintptr_t)stacks, each = STACK_BYTES + GUARD_BYTES;
	return stacks && at < (uintptr_t)n_fiber * each ? (int)(at / each) : -1;
}

/* ---- the change ------------------------------------------------------------------------------------------------- */

#if defined __x86_64__ || defined __aarch64__

/* Saves what a called function must keep on the stack, exchanges stacks. Nothing in a kernel changes rounding or exception modes. */
extern "C" void cudaemu_change(void **save, void *load);

#ifdef __x86_64__
asm(R"(
	.text
	.type cudaemu_change, @function
cudaemu_change:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size cudaemu_change, .-cudaemu_change
)");
enum { N_SAVED = 6, RETURN_AT = 6, FRAME_WORDS = 8 };
#else
asm(R"(
	.text
	.type cudaemu_change, %function
cudaemu_change:
	sub sp, sp, #160
	stp x19, x20, [sp]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	ret
	.size cudaemu_change, .-cudaemu_change
)");
enum { N_SAVED = 20, RETURN_AT = 11, FRAME_WORDS = 20 };
#endif

static void *saved[1024], *resumer;
static int running;

void fiber_prepare(int i, void (*entry)(void))
{
	/* as if entry() had been called and had called cudaemu_change(): 16-byte aligned before the call */
	void **top = (void **)(stack_of(i) + STACK_BYTES) - FRAME_WORDS;
	for (int k = 0; k < FRAME_WORDS; k++)
		top[k] = NULL;
	top[RETURN_AT] = (void *)entry;
	saved[i] = top;
}

void fiber_resume(int i)
{
	running = i;
	cudaemu_change(&resumer, saved[i]);
}

void fiber_leave(void)
{
	cudaemu_change(&saved[running], resumer);
}

#else /* any other machine, at the price of two system calls a change */

#include <ucontext.h>

static ucontext_t saved[1024], resumer;
static int running;

void fiber_prepare(int i, void (*entry)(void))
{
	getcontext(&saved[i]);
	saved[i].uc_stack.ss_sp = stack_of(i);
	saved[i].uc_stack.ss_size = STACK_BYTES;
	saved[i].uc_link = NULL;
	makecontext(&saved[i], entry, 0);
}

void fiber_resume(int i)
{
	running = i;
	swapcontext(&resumer, &saved[i]);
}

void fiber_leave(void)
{
	swapcontext(&saved[running], &resumer);
}

#endif

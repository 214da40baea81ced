/* Threads of execution that change hands only where they say so: one for each thread of a block. */
#ifndef KVGLASS_CUDAEMU_FIBER_H
#define KVGLASS_CUDAEMU_FIBER_H

#include <stddef.h>

struct fiber; /* a stack and, while it is away, the registers */

/* Makes n fibers in all; a stack that grows over its end runs into a page that nobody may touch. */
void fiber_reserve(int n);
/* Fiber i begins with entry() at the next fiber_resume(); entry() must not return: it ends by fiber_leave(). */
void fiber_prepare(int i, void (*entry)(void));
void fiber_resume(int i); /* from the caller's own stack: runs fiber i until it leaves */
void fiber_leave(void);   /* from a fiber: back to who resumed it */
/* Whose stack is this address on (or in the guard below it)? -1: no fiber's. */
int fiber_of_address(const void *address);

#endif

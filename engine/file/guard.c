/* Mapped files that shrink while they are open.
 *
 * Reading a page behind a file's new end raises SIGBUS. The handler puts pages of zeros there, marks the map as cut and returns, so
 * that the reader goes on with wrong bytes and whoever asks file_map_check() afterwards throws its result away and says why.
 *
 * A handler and the table it looks addresses up in belong to the process; this is the one place below main() that has such a thing.
 * Until file_guard_begin() is called the table is only filled, and a fault is what it always was.
 */
#include "engine/file/guard.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N_SLOT = 4096 }; /* maps beyond these are not guarded */

struct file_guard {
	_Atomic uintptr_t begin, end; /* begin = 0: free; end is set first */
	_Atomic bool cut;
};

static struct file_guard slot[N_SLOT];
static size_t page_bytes;
static struct sigaction before;

static struct file_guard *find(uintptr_t address)
{
	for (int i = 0; i < N_SLOT; i++) {
		uintptr_t begin = atomic_load(&slot[i].begin);
		if (begin && address >= begin && address < atomic_load(&slot[i].end))
			return &slot[i];
	}
	return NULL;
}

/* The kernel sent it for an address; nobody else's raise() or sigqueue(). */
static bool is_fault(const siginfo_t *info)
{
	return info->si_code > 0;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	(void)context;
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(page_bytes - 1);
	struct file_guard *g = is_fault(info) ? find((uintptr_t)info->si_addr) : NULL;
	if (g) {
		atomic_store(&g->cut, true);
		/* To the map's end: what lies behind the missing page is missing too. */
		if (mmap((void *)page, atomic_load(&g->end) - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
			return;
	}
	/* Not ours: it comes again as soon as this returns, to whoever handled it before. */
	sigaction(number, &before, NULL);
	if (!is_fault(info))
		raise(number);
}

void file_guard_begin(void)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	sigemptyset(&action.sa_mask);
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &action, &before);
}

struct file_guard *file_guard_add(const void *data, size_t n_bytes)
{
	for (int i = 0; i < N_SLOT; i++) {
		uintptr_t free_slot = 0, taken = 1; /* an address that nothing lies at */
		if (!atomic_compare_exchange_strong(&slot[i].begin, &free_slot, taken))
			continue;
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store(&slot[i].cut, false);
		atomic_store(&slot[i].end, (uintptr_t)data + (n_bytes + page - 1) / page * page);
		atomic_store(&slot[i].begin, (uintptr_t)data);
		return &slot[i];
	}
	return NULL;
}

void file_guard_remove(struct file_guard *g)
{
	if (g) {
		atomic_store(&g->end, 0);
		atomic_store(&g->begin, 0);
	}
}

bool file_guard_cut(const struct file_guard *g)
{
	return g && atomic_load(&g->cut);
}

/* A job is one 64-bit word: pieces in its upper half, pieces claimed so far in its lower half. Claiming is a compare-and-swap on
 * it, so a thread that holds a piece knows that the job it reads is the current one, and a thread that comes late finds nothing left.
 * Waiting threads first spin (a decode step is some hundred jobs of a few microseconds), then sleep. */
#include "engine/cpu/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Debian's oneDNN brings its own threads through OpenMP. Every thread of ours does one piece alone, so each tells OpenMP to stay
 * at one. Declared here because clang's header lies in a package of its own. */
void omp_set_num_threads(int n);
int omp_get_max_threads(void);

enum { SPINS = 4000 }; /* about 50 microseconds */

struct threads {
	int n;
	pthread_t *thread;
	_Alignas(64) _Atomic uint64_t job;
	_Alignas(64) atomic_int n_done;
	_Alignas(64) threads_work *work;
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t wake, finished;
	atomic_int n_asleep; /* workers in or about to enter `wake` */
	atomic_int caller_asleep;
	atomic_bool closing;
};

struct worker {
	struct threads *pool;
	int index;
};

static void pause_briefly(void)
{
#if defined __x86_64__ || defined __i386__
	__builtin_ia32_pause();
#endif
}

static bool has_work(uint64_t job)
{
	return (uint32_t)job < job >> 32;
}

/* Does pieces until none is left to claim. */
static void work_off(struct threads *t, int thread)
{
	uint64_t job = atomic_load_explicit(&t->job, memory_order_acquire);
	while (has_work(job)) {
		if (!atomic_compare_exchange_weak_explicit(&t->job, &job, job + 1, memory_order_acq_rel, memory_order_acquire))
			continue;
		t->work(t->context, (int)(uint32_t)job, thread);
		int n_piece = (int)(job >> 32);
		if (atomic_fetch_add(&t->n_done, 1) + 1 == n_piece && atomic_load(&t->caller_asleep)) {
			pthread_mutex_lock(&t->lock);
			pthread_cond_signal(&t->finished);
			pthread_mutex_unlock(&t->lock);
		}
		job = atomic_load_explicit(&t->job, memory_order_acquire);
	}
}

static void wait_for_job(struct threads *t)
{
	for (int spin = 0; spin < SPINS; spin++) {
		if (has_work(atomic_load_explicit(&t->job, memory_order_relaxed)) || atomic_load(&t->closing))
			return;
		pause_briefly();
	}
	pthread_mutex_lock(&t->lock);
	atomic_fetch_add(&t->n_asleep, 1);
	while (!has_work(atomic_load(&t->job)) && !atomic_load(&t->closing))
		pthread_cond_wait(&t->wake, &t->lock);
	atomic_fetch_sub(&t->n_asleep, 1);
	pthread_mutex_unlock(&t->lock);
}

static void *worker_main(void *argument)
{
	struct worker *w = argument;
	struct threads *t = w->pool;
	int index = w->index;
	free(w);
	omp_set_num_threads(1);
	while (!atomic_load(&t->closing)) {
		wait_for_job(t);
		work_off(t, index);
	}
	return NULL;
}

static void wait_until_done(struct threads *t, int n_piece)
{
	for (int spin = 0; spin < SPINS; spin++) {
		if (atomic_load(&t->n_done) == n_piece)
			return;
		pause_briefly();
	}
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->caller_asleep, 1);
	while (atomic_load(&t->n_done) != n_piece)
		pthread_cond_wait(&t->finished, &t->lock);
	atomic_store(&t->caller_asleep, 0);
	pthread_mutex_unlock(&t->lock);
}

void threads_run(struct threads *t, int n_piece, threads_work *work, void *context)
{
	if (n_piece <= 0)
		return;
	int outside = omp_get_max_threads();
	omp_set_num_threads(1);
	if (n_piece == 1 || t->n == 1) {
		for (int piece = 0; piece < n_piece; piece++)
			work(context, piece, 0);
	} else {
		t->work = work;
		t->context = context;
		atomic_store(&t->n_done, 0);
		atomic_store(&t->job, (uint64_t)n_piece << 32);
		if (atomic_load(&t->n_asleep)) {
			pthread_mutex_lock(&t->lock);
			pthread_cond_broadcast(&t->wake);
			pthread_mutex_unlock(&t->lock);
		}
		work_off(t, 0);
		wait_until_done(t, n_piece);
	}
	omp_set_num_threads(outside);
}

static int start_worker(struct threads *t, int index, struct err *e)
{
	struct worker *w = malloc(sizeof *w);
	if (!w)
		return err_set(e, ERR_MEMORY, "no memory for thread %d", index);
	*w = (struct worker){t, index};
	int rc = pthread_create(&t->thread[index], NULL, worker_main, w);
	if (rc) {
		free(w);
		return err_set(e, ERR_SYSTEM, "thread %d of %d: %s", index + 1, t->n, strerror(rc));
	}
	return 0;
}

int threads_open(struct threads **out, int n_threads, struct err *e)
{
	struct threads *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
	pthread_t *thread = calloc((size_t)n_threads, sizeof *thread);
	if (!t || !thread) {
		free(t);
		free(thread);
		return err_set(e, ERR_MEMORY, "no memory for %d threads", n_threads);
	}
	memset(t, 0, sizeof *t);
	t->n = 1;
	t->thread = thread;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
	pthread_cond_init(&t->finished, NULL);
	while (t->n < n_threads) {
		int rc = start_worker(t, t->n, e);
		if (rc) {
			threads_close(t);
			return rc;
		}
		t->n++;
	}
	*out = t;
	return 0;
}

void threads_close(struct threads *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->closing, true);
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->lock);
	for (int i = 1; i < t->n; i++)
		pthread_join(t->thread[i], NULL);
	pthread_cond_destroy(&t->finished);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t->thread);
	free(t);
}

int threads_count(const struct threads *t)
{
	return t->n;
}

/* Whole cores that the control group's quota allows, 0 when there is none. */
static int quota_cores(void)
{
	FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
	long quota, period;
	int cores = 0;
	if (!f)
		return 0;
	if (fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
		cores = (int)((quota + period - 1) / period);
	fclose(f);
	return cores;
}

int threads_default_count(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, quota = quota_cores();
	if (quota && quota < n)
		n = quota;
	return n > 0 ? n : 1;
}

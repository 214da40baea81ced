#include "engine/cpu/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/test.h"

struct tally {
	int n, n_threads;
	atomic_int *done; /* (n) times a piece was done */
	atomic_int bad;
};

static void count(void *context, int piece, int thread)
{
	struct tally *t = context;
	atomic_fetch_add(&t->done[piece], 1);
	if (piece >= t->n || thread < 0 || thread >= t->n_threads)
		atomic_fetch_add(&t->bad, 1);
}

static void run_jobs(struct threads *pool, int n_jobs)
{
	for (int job = 0; job < n_jobs; job++) {
		struct tally t = {.n = job % 50, .n_threads = threads_count(pool)};
		t.done = calloc(51, sizeof *t.done);
		threads_run(pool, t.n, count, &t);
		for (int i = 0; i < 51; i++)
			CHECK_INT(atomic_load(&t.done[i]), i < t.n);
		CHECK_INT(atomic_load(&t.bad), 0);
		free(t.done);
	}
}

TEST(threads, every_piece_once)
{
	for (int n = 1; n <= 5; n++) {
		struct threads *pool;
		struct err e;
		CHECK_INT(threads_open(&pool, n, &e), 0);
		CHECK_INT(threads_count(pool), n);
		run_jobs(pool, 300);
		threads_close(pool);
	}
	threads_close(NULL);
	CHECK(threads_default_count() >= 1);
}

/* Workers that have gone to sleep wake for the next job. */
TEST(threads, wake_after_a_pause)
{
	struct threads *pool;
	struct err e;
	CHECK_INT(threads_open(&pool, 3, &e), 0);
	for (int i = 0; i < 5; i++) {
		struct timespec nap = {.tv_nsec = 3000000};
		nanosleep(&nap, NULL);
		run_jobs(pool, 20);
	}
	threads_close(pool);
}

static void *pool_of_its_own(void *unused)
{
	struct threads *pool;
	struct err e;
	(void)unused;
	if (threads_open(&pool, 2, &e))
		return (void *)1;
	run_jobs(pool, 200);
	threads_close(pool);
	return NULL;
}

TEST(threads, two_pools_at_once)
{
	pthread_t other;
	void *failed;
	CHECK_INT(pthread_create(&other, NULL, pool_of_its_own, NULL), 0);
	CHECK(pool_of_its_own(NULL) == NULL);
	pthread_join(other, &failed);
	CHECK(failed == NULL);
}

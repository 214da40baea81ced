/* A small pool of threads that share out numbered pieces of one job.
 *
 * The calling thread works too, so a pool of one has no other thread. Pieces are claimed in order, one at a time; which thread does
 * which piece is left to chance, so a piece's result must not depend on it. One thread may call at a time.
 */
#ifndef KVGLASS_ENGINE_CPU_THREADS_H
#define KVGLASS_ENGINE_CPU_THREADS_H

#include "engine/err.h"

struct threads;

int threads_open(struct threads **out, int n_threads, struct err *e);
void threads_close(struct threads *t); /* NULL is allowed */
int threads_count(const struct threads *t);

/* Calls work(context, piece, thread) for piece = 0 .. n_piece-1, thread in [0, count), and returns when all are done.
 * n_piece is at most THREADS_MAX_PIECES. */
enum { THREADS_MAX_PIECES = 1 << 30 };
typedef void threads_work(void *context, int piece, int thread);
void threads_run(struct threads *t, int n_piece, threads_work *work, void *context);

/* Cores this process may use: its affinity mask and the control group's quota. */
int threads_default_count(void);

#endif

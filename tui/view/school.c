#include "tui/view/school.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct school {
	pthread_mutex_t lock;
	atomic_int refs;
	atomic_bool wanted;
	struct inspect_rows *rows; /* not taken yet */
	struct school_view view;
};

struct school *school_new(void)
{
	struct school *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	atomic_init(&s->refs, 1);
	return s;
}

struct school *school_ref(struct school *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void school_unref(struct school *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	inspect_rows_free(s->rows);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void school_look(struct school *s, struct school_view *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->view;
	pthread_mutex_unlock(&s->lock);
}

void school_want(struct school *s, bool run)
{
	atomic_store(&s->wanted, run);
}

bool school_wanted(struct school *s)
{
	return atomic_load(&s->wanted);
}

void school_set_running(struct school *s, bool running)
{
	pthread_mutex_lock(&s->lock);
	s->view.running = running;
	pthread_mutex_unlock(&s->lock);
}

void school_set_text(struct school *s, const char *on, const char *stopped)
{
	pthread_mutex_lock(&s->lock);
	if (on)
		snprintf(s->view.on, sizeof s->view.on, "%s", on);
	if (stopped)
		snprintf(s->view.stopped, sizeof s->view.stopped, "%s", stopped);
	pthread_mutex_unlock(&s->lock);
}

void school_add(struct school *s, double loss, double seconds, double rate)
{
	struct school_view *v = &s->view;
	pthread_mutex_lock(&s->lock);
	if (v->n_loss == SCHOOL_MAX_STEPS) /* the oldest go */
		memmove(v->loss, v->loss + 1, (size_t)(--v->n_loss) * sizeof *v->loss);
	v->loss[v->n_loss++] = loss;
	v->n_step++;
	v->seconds = seconds;
	v->rate = rate;
	pthread_mutex_unlock(&s->lock);
}

void school_rewind(struct school *s)
{
	pthread_mutex_lock(&s->lock);
	s->view.n_step = s->view.n_loss = 0;
	*s->view.stopped = '\0';
	pthread_mutex_unlock(&s->lock);
}

void school_give_rows(struct school *s, struct inspect_rows *rows)
{
	pthread_mutex_lock(&s->lock);
	struct inspect_rows *old = s->rows;
	s->rows = rows;
	pthread_mutex_unlock(&s->lock);
	inspect_rows_free(old);
}

struct inspect_rows *school_take_rows(struct school *s)
{
	pthread_mutex_lock(&s->lock);
	struct inspect_rows *rows = s->rows;
	s->rows = NULL;
	pthread_mutex_unlock(&s->lock);
	return rows;
}

#include "analysis/training_log.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

enum { MAX_LOG_BYTES = 64 << 20 };

const char *const training_method_name[N_TRAINING_METHOD] = {"lookahead", "snapkv", "untrained"};

static double number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_number(value) ? json_number_value(value) : NAN;
}

static int step_of(const json_t *line)
{
	json_int_t step = json_integer_value(json_object_get(line, "step"));
	return step < 0 || step > INT_MAX ? 0 : (int)step;
}

static void forget_judgements_from(struct training_log *l, int step)
{
	while (l->n_held && l->held_step[l->n_held - 1] >= step)
		l->n_held--;
}

static void take_judgement(struct training_log *l, int step, const json_t *held)
{
	forget_judgements_from(l, step);
	for (int i = 0; i < N_TRAINING_METHOD; i++) {
		const json_t *score = json_object_get(held, training_method_name[i]);
		l->held[i][l->n_held] = (struct training_score){number_of(score, "kl"), number_of(score, "overlap"), number_of(score, "mass_ratio")};
	}
	l->held_step[l->n_held++] = step;
}

static void take_step(struct training_log *l, int step, double loss)
{
	forget_judgements_from(l, step);
	while (l->n_step && l->step[l->n_step - 1] >= step)
		l->n_step--;
	l->loss[l->n_step] = loss;
	l->step[l->n_step++] = step;
}

static void take_line(struct training_log *l, const json_t *line)
{
	const json_t *held = json_object_get(line, "held_out");
	if (json_is_object(held))
		take_judgement(l, step_of(line), held);
	else if (json_object_get(line, "loss"))
		take_step(l, step_of(line), number_of(line, "loss"));
}

static int read_lines(struct training_log *l, const char *text, const char *path, struct err *e)
{
	int number = 1;
	for (const char *at = text; *at; number++) {
		size_t n = strcspn(at, "\n");
		bool last = !at[n] || !at[n + 1];
		json_error_t why;
		json_t *line = n ? json_loadb(at, n, 0, &why) : NULL;
		if (n && !json_is_object(line) && !last) {
			json_decref(line);
			return err_set(e, ERR_FORMAT, "%s: line %d is no JSON object: not a training log", path, number);
		}
		if (line)
			take_line(l, line);
		json_decref(line);
		at += n + (at[n] == '\n');
	}
	return l->n_step ? 0 : (int)err_set(e, ERR_FORMAT, "%s: no steps in it: not a training log", path);
}

/* With room for as many entries as the text has lines. */
static struct training_log *log_new(const char *text)
{
	size_t lines = 1;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	struct training_log *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->step = calloc(lines, sizeof *l->step);
	l->held_step = calloc(lines, sizeof *l->held_step);
	l->loss = calloc(lines, sizeof *l->loss);
	bool whole = l->step && l->held_step && l->loss;
	for (int i = 0; i < N_TRAINING_METHOD; i++)
		whole &= (l->held[i] = calloc(lines, sizeof *l->held[i])) != NULL;
	if (whole)
		return l;
	training_log_free(l);
	return NULL;
}

int training_log_open(struct training_log **out, const char *path, struct err *e)
{
	char *text;
	size_t n;
	*out = NULL;
	int rc = file_read_all(path, MAX_LOG_BYTES, &text, &n, e);
	if (rc)
		return rc;
	struct training_log *l = log_new(text);
	if (l)
		sha256_hex(text, n, l->sha256);
	rc = l ? read_lines(l, text, path, e) : (int)err_set(e, ERR_MEMORY, "%s: out of memory", path);
	free(text);
	if (rc)
		training_log_free(l);
	else
		*out = l;
	return rc;
}

void training_log_free(struct training_log *l)
{
	if (!l)
		return;
	free(l->step);
	free(l->held_step);
	free(l->loss);
	for (int i = 0; i < N_TRAINING_METHOD; i++)
		free(l->held[i]);
	free(l);
}

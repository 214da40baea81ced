#include "tui/command/train_prompts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command/prompt.h"

enum { FEWEST_TOKENS = 48 }; /* below, sinks and window leave next to nothing to predict */

static void prompt_free_one(struct train_prompt *p)
{
	free(p->text);
	token_list_free(&p->tokens);
	token_list_free(&p->response);
}

void train_prompts_free(struct train_prompts *p)
{
	for (int i = 0; i < p->n; i++)
		prompt_free_one(&p->item[i]);
	free(p->item);
	*p = (struct train_prompts){0};
}

struct reader {
	struct train_prompts *out;
	const struct model *model;
	const struct options *o;
};

static struct train_prompt *new_prompt(struct train_prompts *p)
{
	if (p->n == p->capacity) {
		int capacity = p->capacity ? 2 * p->capacity : 64;
		struct train_prompt *item = realloc(p->item, (size_t)capacity * sizeof *item);
		if (!item)
			return NULL;
		p->item = item;
		p->capacity = capacity;
	}
	p->item[p->n] = (struct train_prompt){0};
	return &p->item[p->n];
}

/* Why a prompt is of no use, NULL when it is. */
static const char *fault_of(const struct reader *r, const struct train_prompt *p)
{
	int64_t response = p->has_response ? p->response.n : r->o->response_tokens;
	if (p->tokens.n < FEWEST_TOKENS)
		return "it has fewer than 48 tokens";
	if (p->tokens.n > r->o->longest)
		return "it is longer than --longest";
	if (p->tokens.n + response > model_info(r->model)->n_ctx)
		return "prompt and response are longer than the model's context";
	if (p->has_response && p->response.n == 0)
		return "its response is empty";
	return NULL;
}

/* Takes over text. */
static int add_prompt(struct reader *r, char *text, size_t n_bytes, const json_t *response, const char *from, struct err *e)
{
	enum prompt_mode mode = prompt_mode_of(r->o);
	struct train_prompt *p = new_prompt(r->out);
	if (!p) {
		free(text);
		return err_set(e, ERR_MEMORY, "no memory for %d prompts", r->out->n + 1);
	}
	p->text = text;
	p->n_bytes = n_bytes;
	snprintf(p->from, sizeof p->from, "%s", from);
	int rc = model_prompt(r->model, text, n_bytes, &mode, &p->tokens, e);
	if (!rc && response) {
		p->has_response = true;
		if (json_string_length(response))
			rc = model_encode(r->model, json_string_value(response), json_string_length(response), &p->response, e);
	}
	if (rc) {
		prompt_free_one(p);
		return err_prefix(e, "%s", from);
	}
	const char *fault = fault_of(r, p);
	if (!fault) {
		r->out->n++;
		return 0;
	}
	if (!r->out->n_left_out++)
		snprintf(r->out->first_reason, sizeof r->out->first_reason, "%s: %s", from, fault);
	prompt_free_one(p);
	return 0;
}

static int add_line(struct reader *r, const char *line, size_t n, const char *from, struct err *e)
{
	json_error_t problem;
	json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &problem);
	const json_t *prompt = json_object_get(object, "prompt"), *response = json_object_get(object, "response");
	int rc;
	if (!object)
		rc = err_set(e, ERR_FORMAT, "%s: not JSON: %s at column %d", from, problem.text, problem.column);
	else if (!json_is_string(prompt) || (response && !json_is_string(response)))
		rc = err_set(e, ERR_FORMAT, "%s: no object with a text named \"prompt\" (and perhaps a text named \"response\")", from);
	else {
		char *text = strdup(json_string_value(prompt));
		rc = text ? add_prompt(r, text, json_string_length(prompt), response, from, e)
			  : (int)err_set(e, ERR_MEMORY, "%s: no memory for a prompt", from);
	}
	json_decref(object);
	return rc;
}

static int read_lines(struct reader *r, const char *path, const char *text, size_t n, struct err *e)
{
	int number = 0, rc = 0;
	for (size_t at = 0; at < n && !rc;) {
		char from[200];
		const char *end = memchr(text + at, '\n', n - at);
		size_t length = end ? (size_t)(end - text) - at : n - at;
		snprintf(from, sizeof from, "%.160s line %d", path, ++number);
		if (strspn(text + at, " \t\r") < length)
			rc = add_line(r, text + at, length, from, e);
		at += length + 1;
	}
	return rc;
}

static bool is_jsonl(const char *path)
{
	size_t n = strlen(path);
	return (n > 6 && !strcmp(path + n - 6, ".jsonl")) || (n > 5 && !strcmp(path + n - 5, ".json"));
}

int train_prompts_read(struct train_prompts *out, const struct model *m, const struct option_texts *files, const struct options *o,
	struct err *e)
{
	struct reader r = {.out = out, .model = m, .o = o};
	for (int i = 0; i < files->n; i++) {
		char *text;
		size_t n;
		int rc = prompt_read_file(&text, &n, files->item[i], e);
		if (rc)
			return rc;
		if (is_jsonl(files->item[i])) {
			rc = read_lines(&r, files->item[i], text, n, e);
			free(text);
		} else {
			rc = add_prompt(&r, text, n, NULL, files->item[i], e);
		}
		if (rc)
			return rc;
	}
	return 0;
}

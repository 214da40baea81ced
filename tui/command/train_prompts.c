#include "tui/command/train_prompts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command/prompt.h"

enum { FEWEST_TOKENS = 48 }; /* below, sinks and window leave next to nothing to predict */

static void prompt_free_one(struct train_prompt *p)
{
	for (int i = 0; i < p->n_message; i++) {
		free((char *)p->message[i].role);
		free((char *)p->message[i].content);
	}
	free(p->message);
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

/* ---- one prompt ---- */

/* Why a prompt is of no use; N_PROMPT_FAULT when it is of use. */
static enum prompt_fault fault_of(const struct reader *r, const struct train_prompt *p)
{
	int64_t response = p->has_response ? p->response.n : r->o->response_tokens;
	if (p->tokens.n < FEWEST_TOKENS)
		return PROMPT_SHORT;
	if (p->tokens.n > r->o->longest)
		return PROMPT_LONG;
	if (p->tokens.n + response > model_info(r->model)->n_ctx)
		return PROMPT_BEYOND_CONTEXT;
	return p->has_response && p->response.n == 0 ? PROMPT_NO_RESPONSE : N_PROMPT_FAULT;
}

static int encode_prompt(const struct reader *r, struct train_prompt *p, struct err *e)
{
	enum prompt_mode mode = prompt_mode_of(r->o);
	if (p->text)
		return model_prompt(r->model, p->text, p->n_bytes, &mode, &p->tokens, e);
	if (mode == PROMPT_RAW)
		return err_set(e, ERR_USE, "messages need the model's chat template, and --raw puts it aside");
	return model_conversation(r->model, p->message, p->n_message, &p->tokens, e);
}

/* Takes over *p, whose text or messages are there. response: NULL when there is none. */
static int add_prompt(struct reader *r, struct train_prompt *p, const char *response, struct err *e)
{
	struct train_prompt *place = new_prompt(r->out);
	int rc = place ? encode_prompt(r, p, e) : (int)err_set(e, ERR_MEMORY, "no memory for %d prompts", r->out->n + 1);
	p->has_response = response != NULL;
	if (!rc && response && *response)
		rc = model_encode(r->model, response, strlen(response), &p->response, e);
	if (rc) {
		err_prefix(e, "%s", p->from);
		prompt_free_one(p);
		return rc;
	}
	enum prompt_fault fault = fault_of(r, p);
	if (fault == N_PROMPT_FAULT) {
		*place = *p;
		r->out->n++;
		return 0;
	}
	if (!r->out->left_out[fault].n++)
		snprintf(r->out->left_out[fault].first, sizeof r->out->left_out[fault].first, "%s, %d tokens", p->from, p->tokens.n);
	prompt_free_one(p);
	return 0;
}

int train_prompts_n_left_out(const struct train_prompts *p)
{
	int n = 0;
	for (int i = 0; i < N_PROMPT_FAULT; i++)
		n += p->left_out[i].n;
	return n;
}

void train_prompts_faults(const struct train_prompts *p, const struct options *o, char *out, size_t n_out)
{
	char why[N_PROMPT_FAULT][80];
	snprintf(why[PROMPT_SHORT], sizeof why[0], "shorter than %d tokens", FEWEST_TOKENS);
	snprintf(why[PROMPT_LONG], sizeof why[0], "longer than --longest %lld tokens", (long long)o->longest);
	snprintf(why[PROMPT_BEYOND_CONTEXT], sizeof why[0], "with their response longer than the model's context");
	snprintf(why[PROMPT_NO_RESPONSE], sizeof why[0], "with an empty response");
	size_t used = 0;
	*out = '\0';
	for (int i = 0; i < N_PROMPT_FAULT; i++)
		if (p->left_out[i].n && used < n_out)
			used += (size_t)snprintf(out + used, n_out - used, "%s%d %s (first: %s)", used ? ", " : "", p->left_out[i].n, why[i],
				p->left_out[i].first);
}

/* ---- JSONL ---- */

static int misses(const char *from, struct err *e)
{
	return err_set(e, ERR_FORMAT, "%s: no object with a text \"prompt\" or a list \"messages\" of objects with \"role\" and \"content\" (and "
		"perhaps a text \"response\")", from);
}

/* The turns of a conversation, copied; a last turn of the assistant is left to the caller as *response. */
static int read_messages(const json_t *messages, struct train_prompt *p, const char **response, struct err *e)
{
	size_t n = json_array_size(messages), i;
	const json_t *last = json_array_get(messages, n - 1), *turn;
	const char *role = json_string_value(json_object_get(last, "role"));
	if (!*response && n > 1 && role && !strcmp(role, "assistant")) {
		*response = json_string_value(json_object_get(last, "content"));
		n -= *response != NULL;
	}
	if (!n)
		return misses(p->from, e);
	if (!(p->message = calloc(n, sizeof *p->message)))
		return err_set(e, ERR_MEMORY, "%s: no memory for %zu messages", p->from, n);
	json_array_foreach(messages, i, turn)
	{
		const json_t *content = json_object_get(turn, "content");
		const char *name = json_string_value(json_object_get(turn, "role"));
		if (i == n)
			break;
		if (!name || !json_is_string(content))
			return misses(p->from, e);
		struct chat_message *m = &p->message[p->n_message++];
		*m = (struct chat_message){strdup(name), strdup(json_string_value(content)), json_string_length(content)};
		if (!m->role || !m->content)
			return err_set(e, ERR_MEMORY, "%s: no memory for a message", p->from);
	}
	return 0;
}

static int read_object(const json_t *object, struct train_prompt *p, const char **response, struct err *e)
{
	const json_t *prompt = json_object_get(object, "prompt"), *messages = json_object_get(object, "messages"),
		*given = json_object_get(object, "response");
	if ((given && !json_is_string(given)) || (prompt != NULL) == (messages != NULL) || (prompt && !json_is_string(prompt)) ||
		(messages && !json_is_array(messages)))
		return misses(p->from, e);
	*response = json_string_value(given);
	if (messages)
		return read_messages(messages, p, response, e);
	p->text = strdup(json_string_value(prompt));
	p->n_bytes = json_string_length(prompt);
	return p->text ? 0 : (int)err_set(e, ERR_MEMORY, "%s: no memory for a prompt", p->from);
}

static int add_line(struct reader *r, const char *line, size_t n, const char *from, struct err *e)
{
	json_error_t problem;
	json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &problem);
	if (!object)
		return err_set(e, ERR_FORMAT, "%s: not JSON: %s at column %d", from, problem.text, problem.column);
	struct train_prompt p = {0};
	const char *response = NULL;
	snprintf(p.from, sizeof p.from, "%s", from);
	int rc = read_object(object, &p, &response, e);
	if (rc)
		prompt_free_one(&p);
	else
		rc = add_prompt(r, &p, response, e);
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
			struct train_prompt p = {.text = text, .n_bytes = n};
			snprintf(p.from, sizeof p.from, "%.190s", files->item[i]);
			rc = add_prompt(&r, &p, NULL, e);
		}
		if (rc)
			return rc;
	}
	return 0;
}

#include "engine/token/chat.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/token/jinja/jinja.h"

/* How each family frames turns. A template is of the family when a user's turn stands in this frame and an
 * assistant's begins after it. */
static const struct family {
	const char *name;
	const char *user, *system, *assistant; /* what stands before the turn's text */
	const char *end;                       /* the control token after it */
} families[] = {
	{"chatml", "<|im_start|>user\n", "<|im_start|>system\n", "<|im_start|>assistant", "<|im_end|>"},
	{"llama3", "<|start_header_id|>user<|end_header_id|>\n\n", "<|start_header_id|>system<|end_header_id|>\n\n",
		"<|start_header_id|>assistant<|end_header_id|>", "<|eot_id|>"},
};

enum { N_VARIABLE = 4 };
static const char *const variable_names[N_VARIABLE] = {"bos_token", "eos_token", "unk_token", "pad_token"};

struct chat {
	struct jinja_template *template; /* NULL: it could not be read */
	const struct family *family;     /* NULL: `problem` says why the template cannot be used */
	char *variable[N_VARIABLE];      /* texts of variable_names, or NULL */
	struct err problem;
};

void chat_text_free(struct chat_text *t)
{
	free(t->text);
	free(t->part);
	*t = (struct chat_text){0};
}

static int render(
	const struct chat *c, const struct chat_message *message, int n, time_t now, struct jinja_text *out, struct err *e)
{
	struct jinja_variable variable[N_VARIABLE];
	for (int i = 0; i < N_VARIABLE; i++)
		variable[i] = (struct jinja_variable){variable_names[i], c->variable[i]};
	struct jinja_request r = {
		.message = message, .n_message = n, .variable = variable, .n_variable = N_VARIABLE, .now = now};
	return jinja_render(c->template, &r, out, e);
}

/* Whether the probe's rendering has the message right inside the family's frame, and the assistant's turn open
 * behind it. */
static bool is_framed(const struct jinja_text *t, const struct family *f)
{
	const char *turn = strstr(t->text, f->user);
	size_t n = strlen(f->user), start = turn ? (size_t)(turn - t->text) + n : 0, end = start;
	if (!turn)
		return false;
	while (end < t->n && t->from_message[end])
		end++;
	return end > start && !strncmp(t->text + end, f->end, strlen(f->end)) && strstr(t->text + end, f->assistant);
}

static void find_family(struct chat *c)
{
	static const struct chat_message probe = {"user", "kvglass", 7};
	struct jinja_text text;
	if (render(c, &probe, 1, 0, &text, &c->problem))
		return;
	for (size_t i = 0; i < sizeof families / sizeof *families && !c->family; i++)
		if (is_framed(&text, families + i))
			c->family = families + i;
	if (!c->family)
		err_set(&c->problem, ERR_UNSUPPORTED, "the chat template is of no known family (ChatML, Llama 3)");
	free(text.text);
	free(text.from_message);
}

int chat_open(struct chat **out, const char *source, size_t n, const struct chat_tokens *tokens, struct err *e)
{
	const char *texts[N_VARIABLE] = {tokens->bos, tokens->eos, tokens->unk, tokens->pad};
	struct chat *c = *out = calloc(1, sizeof *c);
	bool complete = c != NULL;
	for (int i = 0; i < N_VARIABLE && complete; i++)
		complete = !texts[i] || (c->variable[i] = strdup(texts[i]));
	if (!complete) {
		chat_close(c);
		*out = NULL;
		return err_set(e, ERR_MEMORY, "no memory for the chat template");
	}
	if (!jinja_parse(&c->template, source, n, &c->problem))
		find_family(c);
	return 0;
}

void chat_close(struct chat *c)
{
	if (!c)
		return;
	jinja_free(c->template);
	for (int i = 0; i < N_VARIABLE; i++)
		free(c->variable[i]);
	free(c);
}

const char *chat_family(const struct chat *c)
{
	return c && c->family ? c->family->name : NULL;
}

const char *chat_end_of_turn(const struct chat *c)
{
	return c && c->family ? c->family->end : NULL;
}

/* Marks what stands inside the system turn; the frame itself stays the template's. */
static void mark_system(struct chat_text *t, const struct family *f)
{
	const char *turn = memmem(t->text, t->n, f->system, strlen(f->system));
	if (!turn || t->part[turn - t->text] == PART_USER)
		return;
	const char *start = turn + strlen(f->system),
			   *end = memmem(start, t->n - (size_t)(start - t->text), f->end, strlen(f->end));
	for (size_t i = (size_t)(start - t->text); end && i < (size_t)(end - t->text); i++)
		if (t->part[i] == PART_TEMPLATE)
			t->part[i] = PART_SYSTEM;
}

int chat_render(
	const struct chat *c, const struct chat_message *message, int n, time_t now, struct chat_text *out, struct err *e)
{
	static const char way_out[] = "--raw takes the prompt as it is";
	*out = (struct chat_text){0};
	if (!c)
		return err_set(e, ERR_UNSUPPORTED, "the model carries no chat template; %s", way_out);
	if (!c->family)
		return err_set(e, c->problem.code, "%s; %s", c->problem.text, way_out);
	struct jinja_text text;
	int rc = render(c, message, n, now, &text, e);
	if (rc)
		return rc;
	*out = (struct chat_text){text.text, text.from_message, text.n};
	for (size_t i = 0; i < out->n; i++)
		out->part[i] = out->part[i] ? PART_USER : PART_TEMPLATE;
	mark_system(out, c->family);
	return 0;
}

/* kvglass tokenize: the ids that a model would be given, and what each stands for. */
#include <jansson.h>

#include "export/table.h"
#include "tui/command/command.h"
#include "tui/command/prompt.h"
#include "tui/command/terminal.h"

static const char *const part_name[] = {
	[PART_TEMPLATE] = "template",
	[PART_SYSTEM] = "system",
	[PART_USER] = "user",
	[PART_RESPONSE] = "response",
};

static int check(const struct options *o, struct err *e)
{
	return prompt_check(o, true, e);
}

static void print_tokens(const struct model *m, const struct token_list *t)
{
	for (int i = 0; i < t->n; i++) {
		size_t n;
		const char *piece = model_piece(m, t->id[i], &n);
		printf("%6d %7d  %-9s ", i, t->id[i], part_name[t->part[i]]);
		if (model_is_special(m, t->id[i])) {
			print_visible(stdout, piece, n);
			puts(" (control)");
		} else {
			putchar('"');
			print_visible(stdout, piece, n);
			puts("\"");
		}
	}
}

static int print_json(const struct model *m, const struct token_list *t, enum prompt_mode mode, struct err *e)
{
	json_t *ids = json_array(), *pieces = json_array(), *parts = json_array();
	int failed = 0; /* jansson fails only for want of memory, and takes a NULL as such a failure */
	for (int i = 0; i < t->n; i++) {
		size_t n;
		const char *piece = model_piece(m, t->id[i], &n);
		failed |= json_array_append_new(ids, json_integer(t->id[i]));
		failed |= json_array_append_new(pieces, table_json_text(piece, n));
		failed |= json_array_append_new(parts, json_string(part_name[t->part[i]]));
	}
	json_t *all = json_pack("{s:o, s:o, s:o, s:i, s:s}", "ids", ids, "pieces", pieces, "parts", parts, "n", t->n, "mode",
		mode == PROMPT_CHAT ? "chat" : "raw");
	int rc = ERR_MEMORY;
	if (all && !failed)
		rc = table_write_json(all, "-", e);
	else
		err_set(e, ERR_MEMORY, "no memory for %d tokens", t->n);
	json_decref(all);
	return rc;
}

static int tokenize(const struct model *m, const struct prompt *p, const struct options *o, struct err *e)
{
	enum prompt_mode mode = prompt_mode_of(o);
	struct token_list tokens = {0};
	if (model_prompt(m, p->text, p->n_bytes, &mode, &tokens, e))
		return err_prefix(e, "%s", p->name);
	if (tokens.n_lost)
		remark(o, "%zu bytes of the text have no token in this vocabulary and are left out, as the reference leaves them out", tokens.n_lost);
	int rc = 0;
	if (o->json)
		rc = print_json(m, &tokens, mode, e);
	else
		print_tokens(m, &tokens);
	token_list_free(&tokens);
	return rc;
}

static int run(const struct options *o, struct err *e)
{
	struct prompt prompt;
	struct model *model = NULL;
	const struct model_options on_cpu = {.device = DEVICE_CPU};
	int rc = prompt_read(&prompt, o, e);
	if (rc)
		return rc;
	rc = model_open(&model, o->model, &on_cpu, e);
	if (!rc)
		rc = tokenize(model, &prompt, o, e);
	model_close(model);
	prompt_free(&prompt);
	return rc;
}

const struct command command_tokenize = {.check = check, .run = run};

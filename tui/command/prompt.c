#include "tui/command/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/utf8.h"
#include "tui/command/terminal.h"

/* No context is that long: a prompt beyond it is a mistake (a model file, a dump), found before it fills the memory. */
static const size_t longest_prompt = (size_t)256 << 20;

int prompt_check(const struct options *o, bool needed, struct err *e)
{
	if (o->file && o->prompt)
		return err_set(e, ERR_USE, "--file and --prompt exclude each other");
	if (o->chat && o->raw)
		return err_set(e, ERR_USE, "--chat and --raw exclude each other");
	if (needed && !o->model)
		return err_set(e, ERR_USE, "no model: -m MODEL names a .gguf file or a Hugging Face folder");
	if (needed && !o->file && !o->prompt)
		return err_set(e, ERR_USE, "no prompt: -f FILE or -p TEXT gives one");
	return 0;
}

int prompt_read_file(char **text, size_t *n_bytes, const char *path, struct err *e)
{
	int rc = file_read_all(path, longest_prompt, text, n_bytes, e);
	if (rc)
		return rc;
	size_t bad = utf8_first_invalid(*text, *n_bytes);
	if (bad == *n_bytes)
		return 0;
	err_set(e, ERR_FORMAT, "%s: not valid UTF-8: byte 0x%02x at offset %zu", strcmp(path, "-") ? path : "standard input",
		(unsigned char)(*text)[bad], bad);
	free(*text);
	*text = NULL;
	return ERR_FORMAT;
}

int prompt_read(struct prompt *out, const struct options *o, struct err *e)
{
	*out = (struct prompt){.name = o->file && strcmp(o->file, "-") ? o->file : o->file ? "standard input" : "the prompt"};
	if (o->file) {
		int rc = prompt_read_file(&out->text, &out->n_bytes, o->file, e);
		if (rc)
			return rc;
	} else {
		out->text = strdup(o->prompt);
		if (!out->text)
			return err_set(e, ERR_MEMORY, "no memory for the prompt");
		out->n_bytes = strlen(out->text);
	}
	if (out->n_bytes == 0) {
		prompt_free(out);
		return err_set(e, ERR_FORMAT, "%s is empty", o->file ? o->file : "the prompt");
	}
	return 0;
}

void prompt_free(struct prompt *p)
{
	free(p->text);
	p->text = NULL;
}

enum prompt_mode prompt_mode_of(const struct options *o)
{
	return o->chat ? PROMPT_CHAT : o->raw ? PROMPT_RAW : PROMPT_AUTO;
}

/* --precision's words stand in the order of enum precision. */
_Static_assert(PRECISION_AUTO == 0 && PRECISION_F32 == 1 && PRECISION_BF16 == 2, "order of --precision in tui/options.def");

struct model_options prompt_model_options(const struct options *o)
{
	return (struct model_options){
		.device = o->device.choice,
		.device_index = o->device.index,
		.precision = (enum precision)o->precision,
	};
}

int prompt_open_model(struct model **out, const struct options *o, struct err *e)
{
	const struct model_options options = prompt_model_options(o);
	int rc = model_open(out, o->model, &options, e);
	const char *fallback = rc ? NULL : model_info(*out)->fallback;
	bool asked = options.device != DEVICE_AUTO || options.precision == PRECISION_BF16;
	if (fallback && asked) /* that a machine has no device for models is no news to its owner */
		remark(o, "%s", fallback);
	return rc;
}

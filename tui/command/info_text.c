/* kvglass info, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tui/command/info.h"
#include "tui/command/terminal.h"

enum { SHOWN_BYTES = 100, LABEL = 14 }; /* of a metadata value; column of values */

static void print_label(const char *label)
{
	printf("%-*s", LABEL, label);
}

static void print_line(const char *label, const char *text)
{
	print_label(label);
	print_visible(stdout, text, strlen(text));
	putchar('\n');
}

static void print_head(const struct info *info)
{
	char size[32];
	const struct contents *c = info->contents;
	format_size(size, c->n_bytes);
	print_line(info_kind_name[info->kind], info->path);
	print_label("format");
	printf("%s, %s, %d tensors\n", c->format, size, c->n_tensor);
	if (info->sha256[0])
		print_line("sha256", info->sha256);
}

static void print_model(const struct model_info *m)
{
	char n[32], bytes[32];
	print_line("name", m->name);
	format_grouped(n, (int64_t)m->n_param);
	print_label("weights");
	format_size(bytes, m->weight_bytes);
	printf("%s parameters, %s, mostly %s\n", n, bytes, m->weight_type);
	print_label("shape");
	printf("%s, %d layers, %d query heads on %d KV heads of %d, width %d, feed-forward %d\n", m->arch_name, m->n_layer, m->n_head,
		m->n_kv_head, m->head_dim, m->n_embd, m->n_ff);
	format_grouped(n, m->n_ctx);
	print_label("positions");
	printf("%s, RoPE base %g%s\n", n, (double)m->rope_base, m->rope_llama3 ? " with Llama 3 scaling" : "");
	format_grouped(n, m->n_vocab);
	print_label("vocabulary");
	printf("%s tokens%s\n", n, m->tied ? ", output matrix tied to the embedding" : "");
	print_line("chat", m->chat_family ? m->chat_family : "no template that kvglass knows (use --raw)");
}

static void print_maps(const struct capture *c)
{
	print_label("maps");
	for (int i = 0; i < c->n_map; i++) {
		const struct capture_map *map = &c->map[i];
		fputs(i ? ", " : "", stdout);
		print_visible(stdout, map->name, strlen(map->name));
		if (map->n_rows > 0)
			printf(" (%d row%s)", map->n_rows, map->n_rows == 1 ? "" : "s");
	}
	putchar('\n');
}

static void print_capture(const struct capture *c)
{
	static const struct {
		const char *key, *label;
	} told[] = {{"model_name", "model"}, {"model_sha256", "model sha256"}, {"module_name", "modules"}, {"prompt_mode", "prompt mode"},
		{"response_source", "response"}, {"device", "device"}, {"precision", "precision"}};
	char prompt[32], response[32];
	format_grouped(prompt, c->n_prompt);
	format_grouped(response, c->n_response);
	print_label("tokens");
	printf("%s of prompt, %s of response%s\n", prompt, response, c->complete ? "" : "; the run was cut short");
	print_label("shape");
	printf("%d layers, %d query heads on %d KV heads of %d\n", c->n_layer, c->n_head, c->n_kv_head, c->head_dim);
	if (c->window > 0) {
		print_label("window");
		printf("%d\n", c->window);
	}
	print_maps(c);
	char why[256];
	for (int i = 0; capture_set_aside(c, i, why, sizeof why); i++)
		print_line("set aside", why);
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		const char *text = capture_meta(c, told[i].key);
		if (text)
			print_line(told[i].label, text);
	}
}

struct type_count {
	const char *type;
	int n;
	uint64_t n_bytes;
};

/* "Q4_1 x 210 (84.1 MB), F32 x 61 (0.1 MB)", in the order in which types first appear */
static void print_types(const struct contents *c)
{
	struct type_count count[64]; /* more than all formats have together */
	int n = 0;
	for (int i = 0; i < c->n_tensor; i++) {
		int at = 0;
		while (at < n && strcmp(count[at].type, c->tensor[i].type))
			at++;
		if (at == (int)(sizeof count / sizeof *count))
			continue;
		if (at == n)
			count[n++] = (struct type_count){.type = c->tensor[i].type};
		count[at].n++;
		count[at].n_bytes += c->tensor[i].n_bytes;
	}
	print_label("types");
	for (int i = 0; i < n; i++) {
		char size[32];
		format_size(size, count[i].n_bytes);
		printf("%s%s x %d (%s)", i ? ", " : "", count[i].type, count[i].n, size);
	}
	putchar('\n');
}

static void print_metadata(const struct contents *c)
{
	puts("\nmetadata");
	for (int i = 0; i < c->n_value; i++) {
		const struct contents_value *v = &c->value[i];
		fputs("  ", stdout);
		print_visible(stdout, v->key, strlen(v->key));
		fputs(" = ", stdout);
		size_t n = v->n_bytes;
		if (n > SHOWN_BYTES) {
			n = SHOWN_BYTES;
			while (n > 0 && ((unsigned char)v->text[n] & 0xc0) == 0x80) /* not in the middle of a character */
				n--;
		}
		print_visible(stdout, v->text, n);
		if (n < v->n_bytes)
			printf(" ... (%zu bytes)", v->n_bytes);
		putchar('\n');
	}
}

static void print_tensors(const struct contents *c)
{
	puts("\ntensors");
	for (int i = 0; i < c->n_tensor; i++) {
		const struct contents_tensor *t = &c->tensor[i];
		char shape[CONTENTS_MAX_DIM * 24] = "", size[32];
		size_t used = 0;
		for (int d = 0; d < t->n_dim; d++)
			used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%" PRId64, d ? " x " : "", t->dim[d]);
		format_size(size, t->n_bytes);
		printf("  %-6s %-18s %9s  ", t->type, shape, size);
		print_visible(stdout, t->name, strlen(t->name));
		putchar('\n');
	}
}

void info_print_text(const struct info *info, const struct options *o)
{
	print_head(info);
	if (info->kind == INFO_MODEL && info->model)
		print_model(model_info(info->model));
	else if (info->refusal.code)
		print_line("not usable", info->refusal.text);
	if (info->modules)
		info_print_modules(info);
	if (info->capture)
		print_capture(info->capture);
	print_types(info->contents);
	if (o->tensors) {
		print_metadata(info->contents);
		print_tensors(info->contents);
	}
}

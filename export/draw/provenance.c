#include "export/draw/provenance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/utf8.h"
#include "export/draw/printable.h"

int provenance_add(struct provenance *p, const char *name, const char *value, struct err *e)
{
	if (!value || !*value)
		return 0;
	if (p->n == PROVENANCE_MAX || strlen(name) > PROVENANCE_NAME_MAX)
		return err_set(e, ERR_LIMIT,
			"provenance: \"%s\" is entry %d or longer than %d bytes; the limit is %d entries", name, p->n + 1,
			PROVENANCE_NAME_MAX, PROVENANCE_MAX);
	struct provenance_entry entry = {.name = strdup(name), .value = utf8_clean(value, strlen(value))};
	if (!entry.name || !entry.value) {
		free(entry.name);
		free(entry.value);
		return err_set(e, ERR_MEMORY, "provenance: out of memory");
	}
	p->entry[p->n++] = entry;
	return 0;
}

const char *provenance_find(const struct provenance *p, const char *name)
{
	for (int i = 0; i < p->n; i++)
		if (!strcmp(p->entry[i].name, name))
			return p->entry[i].value;
	return NULL;
}

void provenance_free(struct provenance *p)
{
	for (int i = 0; i < p->n; i++) {
		free(p->entry[i].name);
		free(p->entry[i].value);
	}
	p->n = 0;
}

static void put_code(FILE *f, uint32_t code)
{
	if (code >= 0x10000) {
		code -= 0x10000;
		fprintf(f, "\\u%04x\\u%04x", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
	} else if (code < 0x20 || code >= 0x7f || code == '<' || code == '>' || code == '&') {
		fprintf(f, "\\u%04x", code);
	} else {
		if (code == '"' || code == '\\')
			fputc('\\', f);
		fputc((int)code, f);
	}
}

static void put_string(FILE *f, const char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n;) {
		uint32_t code = 0xfffd;
		size_t step = utf8_decode(text + i, n - i, &code);
		put_code(f, code);
		i += step ? step : 1;
	}
}

char *provenance_json(const struct provenance *p)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	fputs("{\"software\": \"" PROVENANCE_PROGRAM "\"", f);
	for (int i = 0; i < p->n; i++) {
		fputs(", \"" PROVENANCE_PREFIX, f);
		put_string(f, p->entry[i].name);
		fputs("\": \"", f);
		put_string(f, p->entry[i].value);
		fputc('"', f);
	}
	fputc('}', f);
	int failed = ferror(f);
	if (fclose(f) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/* make config=fuzz build/fuzz/export/draw/provenance_fuzz; corpus in tests/corpus/provenance. */
#include <stdlib.h>
#include <string.h>

#include "export/draw/provenance.h"
#include "engine/utf8.h"
#include "export/draw/printable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct provenance p;
	if (provenance_parse(&p, data, size, "fuzz", NULL))
		return 0;
	/* What was read is clean, and a round through JSON keeps it. */
	for (int i = 0; i < p.n; i++)
		for (const char *s = p.entry[i].value; *s;) {
			uint32_t code;
			size_t n = utf8_decode(s, strlen(s), &code);
			if (n == 0 || !utf8_is_printable(code))
				abort();
			s += n;
		}
	char *json = provenance_json(&p);
	if (!json || strchr(json, '<') || strchr(json, '&'))
		abort();
	free(json);
	provenance_free(&p);
	return 0;
}

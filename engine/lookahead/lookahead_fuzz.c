/* Whatever the bytes are: loading them with and without a model's shape, reporting on them and saving them neither reads outside
 * nor leaks. */
#include <stdlib.h>

#include "engine/lookahead/parts.h"
#include "engine/lookahead_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_shape(const struct st_file *file, const struct module_shape *shape)
{
	struct lookahead *l;
	struct lookahead_report *r;
	struct err e = {ERR_NONE, ""};
	if (lookahead_from_file(&l, &(struct load_source){.file = file, .known = shape, .path = "fuzz"}, &e)) {
		if (!e.code || !*e.text)
			abort();
		return;
	}
	if (!lookahead_report_make(&r, l, NULL, &e))
		lookahead_report_free(r);
	if (lookahead_save(l, "/dev/null", true, &e))
		abort();
	lookahead_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct module_shape shape = {.n_layer = 2, .n_embd = 6, .n_in = {6, 6, 6, 8, 6, 6, 10}, .n_out = {8, 4, 4, 6, 10, 10, 6}};
	struct st_file file;
	if (st_parse(&file, data, size, "fuzz", NULL))
		return 0;
	try_shape(&file, &shape);
	try_shape(&file, NULL);
	st_free(&file);
	return 0;
}

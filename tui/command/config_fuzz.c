/* A configuration file, any bytes: reading ends, what it sets is in range, and what is written back reads the same. */
#include <stdlib.h>
#include <string.h>

#include "tui/command/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *user, const char *text)
{
	(void)user;
	if (!*text)
		abort(); /* refused without a word */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct config_ear ear = {.hear = ignore};
	const bool changed[N_OPTION] = {[OPT_pool] = true, [OPT_budget] = true};
	struct options o, again;
	struct err e;
	char *text = malloc(size + 1), *copy = NULL, *merged = NULL;
	if (!text || options_parse(&o, COMMAND_VIEW, 0, NULL, 0, &e) || options_parse(&again, COMMAND_VIEW, 0, NULL, 0, &e))
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	copy = strdup(text);
	config_apply(&o, text, &ear);
	if (!copy || options_set(&o, OPT_pool, "max", &e) || options_set(&o, OPT_budget, "77", &e))
		abort();
	if (config_merge(&merged, copy, &o, changed, &e) == 0) {
		config_apply(&again, merged, &ear);
		if (again.pool != o.pool || again.budget != 77 || again.sink != o.sink || again.kernel != o.kernel)
			abort();
		free(merged);
	}
	options_free(&o);
	options_free(&again);
	free(copy);
	free(text);
	return 0;
}

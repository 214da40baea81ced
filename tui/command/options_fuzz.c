/* Words of a command line, one a line, the first byte choosing the command: parsing must end, and free what it took. The same
 * bytes as one line go through the splitter of a figure's own command, whose result is parsed too, as export --reproduce does. */
#include <stdlib.h>
#include <string.h>

#include "tui/command/options.h"
#include "tui/figure_command.h"

enum { MOST_WORDS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(enum command_id command, int n, char **words)
{
	struct options o;
	struct err e = {0};
	if (options_parse(&o, command, n, words, 0, &e) == 0)
		options_free(&o);
	else if (e.code == ERR_NONE || !e.text[0])
		abort(); /* refused without a word */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *words[MOST_WORDS], **split, *rest = NULL;
	struct err e;
	int n = 0;
	if (!text || size == 0) {
		free(text);
		return 0;
	}
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (figure_command_split(&split, &n, text, &e) == 0) {
		parse(COMMAND_EXPORT, n, split);
		free(split);
	}
	n = 0;
	for (char *word = strtok_r(text, "\n", &rest); word && n < MOST_WORDS; word = strtok_r(NULL, "\n", &rest))
		words[n++] = word;
	parse((enum command_id)(data[0] % N_COMMAND), n, words);
	free(text);
	return 0;
}

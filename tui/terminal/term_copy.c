/* Text for the terminal's clipboard: the escape sequence OSC 52. */
#include "tui/terminal/term.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nettle/base64.h>

static void write_all(const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(STDOUT_FILENO, bytes, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return; /* a terminal that is gone has no clipboard */
		bytes += done;
		n -= (size_t)done;
	}
}

char *term_copy_sequence(const char *text, size_t n, bool in_tmux)
{
	static const char begin[] = "\033]52;c;", end[] = "\a", through[] = "\033Ptmux;\033", back[] = "\033\\";
	size_t n_code = BASE64_ENCODE_RAW_LENGTH(n);
	char *code = malloc(n_code + 1), *out = malloc(2 * n_code + 64);
	if (!code || !out) {
		free(code);
		free(out);
		return NULL;
	}
	base64_encode_raw(code, n, (const uint8_t *)text);
	code[n_code] = '\0';
	strcpy(out, begin);
	strcat(strcat(out, code), end);
	if (in_tmux) /* tmux takes the first for itself, or hands the second on, as it is set; else it drops them */
		strcat(strcat(strcat(strcat(strcat(out, through), begin), code), end), back);
	free(code);
	return out;
}

void term_copy(struct term *t, const char *text)
{
	char *sequence = term_copy_sequence(text, strlen(text), getenv("TMUX") != NULL);
	(void)t;
	if (sequence)
		write_all(sequence, strlen(sequence));
	free(sequence);
}

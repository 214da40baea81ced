/* The history's file, any bytes: whatever is read is lines that could have been entered, and walking through them ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tui/line/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct history h = {0};
	int steps = 0;
	history_read(&h, (const char *)data, size);
	for (int i = 0; i < h.n; i++)
		if (strchr(h.line[i], '\n') || (h.line[i][0] != ':' && h.line[i][0] != '/'))
			abort();
	while (history_walk(&h, ':', -1, ""))
		if (++steps > HISTORY_MOST)
			abort();
	history_free(&h);
	return 0;
}

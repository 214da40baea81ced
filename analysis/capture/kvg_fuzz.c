/* Any bytes as a .kvg file: refused with a line of text, or a capture that can be read to its last element. */
#include <math.h>
#include <stdlib.h>

#include "analysis/capture/kvg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};
	struct capture_box *b;
	struct block *bytes = block_copy(data, size);
	if (!bytes || kvg_read(&b, bytes, "fuzz.kvg", &e))
		return 0;
	const struct capture *c = &b->c;
	size_t n_bytes, sum = 0;
	for (int i = 0; i < c->n_prompt + c->n_response; i++) {
		const char *piece = capture_piece(c, i, &n_bytes);
		for (size_t k = 0; k < n_bytes; k++)
			sum += (unsigned char)piece[k];
		sum += (size_t)c->token[i] + (c->part ? c->part[i] : 0);
	}
	for (int m = 0; m < c->n_map; m++)
		for (int layer = 0; layer < c->n_layer; layer++)
			for (int head = 0; head < map_heads(c, c->map[m].kind); head++)
				if (!isfinite(capture_row(c, &c->map[m], layer, head)[c->n_prompt - 1]))
					abort();
	for (int i = 0; i < c->n_meta; i++)
		sum += (size_t)c->meta[i].value[0];
	for (int i = 0; i < b->n_extra; i++)
		sum += b->extra[i].n_bytes ? b->extra[i].data[b->extra[i].n_bytes - 1] : 0;
	volatile size_t keep = sum;
	(void)keep;
	capture_unref(c);
	return 0;
}

#include "tui/work.h"

#include <string.h>

double work_layer_weights(const struct model_info *m)
{
	double q = (double)m->n_head * m->head_dim, kv = (double)m->n_kv_head * m->head_dim;
	return m->n_layer * (2 * q * m->n_embd + 2 * kv * m->n_embd + 3.0 * m->n_ff * m->n_embd);
}

double work_flop(const struct model_info *m, double n, double before, double output_rows)
{
	double keys = n * before + n * (n + 1) / 2;
	return 2 * work_layer_weights(m) * n + 4.0 * m->n_layer * m->n_head * m->head_dim * keys + 2.0 * output_rows * m->n_embd * m->n_vocab;
}

double work_bytes(const struct model_info *m, double kv_bytes)
{
	double unread = m->tied ? 0 : (double)m->n_embd * m->n_vocab, n_param = (double)m->n_param;
	double held = (double)m->weight_bytes; /* as the file has them, or unpacked on a device */
	if (strcmp(m->device, "cpu"))
		held = n_param * (strcmp(m->precision, "bf16") ? 4 : 2);
	return held * (n_param - unread) / n_param + kv_bytes;
}

/* Whatever a GGUF's keys and tensors or a config.json say: configuration and binding neither overflow nor leak, and a model that was
 * bound has all its weights inside the file. */
#include <stdlib.h>

#include "engine/model/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_inside(const struct weight *w, const uint8_t *data, size_t size)
{
	size_t n = tensor_type_bytes(w->type, (uint64_t)w->n_in) * (size_t)w->n_out;
	if (w->data < data || n > size || (size_t)(w->data - data) > size - n)
		abort();
}

static void use(const struct model *m, const uint8_t *data, size_t size)
{
	volatile float sum = m->output_norm[m->info.n_embd - 1] + m->rope_inv_freq[m->info.head_dim / 2 - 1];
	must_lie_inside(&m->embedding, data, size);
	must_lie_inside(&m->output, data, size);
	for (int l = 0; l < m->info.n_layer; l++) {
		sum += m->layer[l].attn_norm[m->info.n_embd - 1] + m->layer[l].ffn_norm[m->info.n_embd - 1];
		for (int p = 0; p < N_PROJ; p++) {
			must_lie_inside(&m->layer[l].proj[p], data, size);
			if (m->layer[l].bias[p])
				sum += m->layer[l].bias[p][m->layer[l].proj[p].n_out - 1];
		}
	}
	(void)sum;
}

static int bind_gguf(struct model *m, const struct gguf_file *g, struct err *e)
{
	struct model_config c;
	struct tensor_set set = {0};
	int rc = config_from_gguf(&c, g, "fuzz", e);
	if (!rc)
		rc = tensor_set_from_gguf(&set, g, "fuzz", e);
	if (!rc)
		rc = model_bind(m, &c, &set, &naming_gguf, e);
	tensor_set_free(&set);
	return rc;
}

static void try_gguf(const uint8_t *data, size_t size)
{
	struct gguf_file g;
	struct err e = {ERR_NONE, ""};
	if (gguf_parse(&g, data, size, "fuzz", NULL))
		return;
	struct model m = {.storage = calloc(1, sizeof *m.storage)};
	if (!m.storage)
		abort();
	pthread_mutex_init(&m.storage->hash_lock, NULL);
	if (!bind_gguf(&m, &g, &e))
		use(&m, data, size);
	else if (!e.code || !*e.text)
		abort();
	storage_free(m.storage);
	gguf_free(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_config c;
	struct err e = {ERR_NONE, ""};
	if (size && *data == 'G')
		try_gguf(data, size);
	else if (config_from_json(&c, (const char *)data, size, "fuzz", &e) && (!e.code || !*e.text))
		abort();
	return 0;
}

#include "engine/lookahead/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file/tensor_type.h"

enum { MAX_NAME = 48, MAX_META = 8 };

struct saver {
	struct st_tensor *tensor;
	char (*name)[MAX_NAME];
	int n;
	bool bf16;
};

/* BF16 copies are the saver's, F32 values are written from where they are. */
static int add_tensor(struct saver *s, const char *name, const float *values, int rows, int columns)
{
	size_t n = (size_t)rows * (size_t)columns;
	struct st_tensor *t = &s->tensor[s->n];
	snprintf(s->name[s->n], MAX_NAME, "%s", name);
	*t = (struct st_tensor){.name = s->name[s->n], .dtype = s->bf16 ? ST_BF16 : ST_F32, .n_dim = 2, .dim = {rows, columns}};
	t->n_bytes = n * st_dtype_size(t->dtype);
	t->data = (const uint8_t *)values;
	if (s->bf16) {
		uint16_t *narrow = malloc(t->n_bytes ? t->n_bytes : 1);
		if (!narrow)
			return ERR_MEMORY;
		for (size_t i = 0; i < n; i++)
			narrow[i] = f32_to_bf16(values[i]);
		t->data = (const uint8_t *)narrow;
	}
	s->n++;
	return 0;
}

static int collect(struct saver *s, const struct lookahead *l, const char *path, struct err *e)
{
	char name[MAX_NAME];
	int rc = add_tensor(s, "lookahead.embedding", l->embedding, l->n_lookahead, l->n_embd);
	for (int layer = 0; layer < l->n_layer && !rc; layer++)
		for (int p = 0; p < N_PROJ && !rc; p++) {
			const struct lora *lora = lora_at(l, layer, p);
			if (!lora->a)
				continue;
			snprintf(name, sizeof name, "layers.%d.%s.lora_a", layer, projection_name(p));
			rc = add_tensor(s, name, lora->a, lora->r, lora->n_in);
			name[strlen(name) - 1] = 'b';
			if (!rc)
				rc = add_tensor(s, name, lora->b, lora->n_out, lora->r);
		}
	return rc ? (int)err_set(e, ERR_MEMORY, "%s: out of memory for bfloat16 copies", path) : 0;
}

static int write_file(const struct saver *s, const struct lookahead *l, const char *path, struct err *e)
{
	int r = lookahead_rank(l);
	char count[16], rank[16], alpha[32];
	snprintf(count, sizeof count, "%d", l->n_lookahead);
	snprintf(rank, sizeof rank, "%d", r);
	snprintf(alpha, sizeof alpha, "%.9g", (double)(l->scale * (float)r));
	struct st_pair meta[MAX_META] = {{"kvglass.n_lookahead", count}, {"kvglass.r", rank}, {"kvglass.alpha", alpha}};
	int n = 3;
	const struct st_pair optional[] = {
		{"kvglass.base_name", l->base_name}, {"kvglass.base_sha256", l->base_sha256}, {"kvglass.training", l->training}};
	for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
		if (optional[i].value)
			meta[n++] = optional[i];
	return st_write(path, s->tensor, s->n, meta, n, e);
}

static int save_one_rank(const struct lookahead *l, const char *path, bool bf16, struct err *e)
{
	size_t most = 1 + 2 * (size_t)l->n_layer * N_PROJ;
	struct saver s = {.tensor = calloc(most, sizeof *s.tensor), .name = calloc(most, sizeof *s.name), .bf16 = bf16};
	int rc;
	if (!s.tensor || !s.name)
		rc = err_set(e, ERR_MEMORY, "%s: out of memory for %zu tensor records", path, most);
	else
		rc = collect(&s, l, path, e);
	if (!rc)
		rc = write_file(&s, l, path, e);
	for (int i = 0; bf16 && i < s.n; i++)
		free((void *)s.tensor[i].data);
	free(s.tensor);
	free(s.name);
	return rc;
}

int lookahead_save(const struct lookahead *l, const char *path, bool bf16, struct err *e)
{
	struct lookahead *padded;
	if (lookahead_one_rank(l))
		return save_one_rank(l, path, bf16, e);
	int rc = lookahead_padded(&padded, l, e);
	rc = rc ? rc : save_one_rank(padded, path, bf16, e);
	lookahead_free(padded);
	return rc;
}

/* Memory and file maps that live as long as the model. */
#include "engine/model/build.h"

#include <stdlib.h>
#include <string.h>

struct storage_block {
	struct storage_block *next;
	max_align_t data[];
};

void *storage_take(struct model_storage *s, size_t n_bytes)
{
	struct storage_block *block = calloc(1, sizeof *block + n_bytes);
	if (!block)
		return NULL;
	block->next = s->blocks;
	s->blocks = block;
	return block->data;
}

char *storage_text(struct model_storage *s, const char *text)
{
	char *copy = storage_take(s, strlen(text) + 1);
	if (copy)
		strcpy(copy, text);
	return copy;
}

void storage_free(struct model_storage *s)
{
	for (int i = 0; i < s->n_map; i++)
		file_map_close(&s->map[i]);
	free(s->map);
	while (s->blocks) {
		struct storage_block *block = s->blocks;
		s->blocks = block->next;
		free(block);
	}
	pthread_mutex_destroy(&s->hash_lock);
	free(s);
}

struct model_shared *model_shared_new(void)
{
	struct model_shared *s = calloc(1, sizeof *s);
	if (s)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void model_shared_free(struct model_shared *s)
{
	if (!s)
		return;
	if (s->device)
		s->free_device(s->device);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int storage_map(struct model_storage *s, const char *path, struct err *e)
{
	struct file_map *grown = realloc(s->map, (size_t)(s->n_map + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	s->map = grown;
	int rc = file_map_open(&s->map[s->n_map], path, e);
	if (!rc)
		s->n_map++;
	return rc;
}

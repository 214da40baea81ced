/* What map.c and guard.c share: the table of mapped files that the fault handler looks addresses up in. */
#ifndef KVGLASS_ENGINE_FILE_GUARD_H
#define KVGLASS_ENGINE_FILE_GUARD_H

#include <stdbool.h>

#include "engine/file.h"

struct file_guard *file_guard_add(const void *data, size_t n_bytes); /* NULL: the table is full */
void file_guard_remove(struct file_guard *g);                        /* before the map goes; NULL is allowed */
bool file_guard_cut(const struct file_guard *g);                     /* has a page of it been found missing? */

#endif

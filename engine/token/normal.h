/* Normalisation form C, for the families that ask for it (Qwen). */
#ifndef KVGLASS_ENGINE_TOKEN_NORMAL_H
#define KVGLASS_ENGINE_TOKEN_NORMAL_H

#include <stddef.h>

#include "engine/err.h"

/* text: n bytes of valid UTF-8. *out is NULL when the text is in form C as it stands (then *n_out is n), else
 * owned by the caller (free). */
int normal_nfc(const char *text, size_t n, char **out, size_t *n_out, struct err *e);

#endif

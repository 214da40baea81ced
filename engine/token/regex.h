/* Regular expressions of pre-tokenisers. The reference runs them with Oniguruma (Ruby syntax, Unicode 16), here
 * PCRE2 does; a pattern is taken over only as far as both mean the same by it, and everything else is refused by
 * name.
 */
#ifndef KVGLASS_ENGINE_TOKEN_REGEX_H
#define KVGLASS_ENGINE_TOKEN_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/err.h"

/* pattern: valid UTF-8. *out is owned by the caller (pcre2_code_free), compiled for the machine where PCRE2 can,
 * and may be shared by threads. */
int regex_compile(pcre2_code **out, const char *pattern, size_t n, struct err *e);

#endif

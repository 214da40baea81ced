/* Text for figures from bytes that may be anything: pieces of tokens, names from files. */
#ifndef KVGLASS_EXPORT_DRAW_PRINTABLE_H
#define KVGLASS_EXPORT_DRAW_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Can it stand in XML and in one line of text? Controls, surrogates and U+FFFE, U+FFFF cannot. */
bool utf8_is_printable(uint32_t code);
/* A copy that is valid UTF-8: bad bytes become U+FFFD, controls blanks. Owned by the caller; NULL: out of memory. */
char *utf8_clean(const char *s, size_t n);

#endif

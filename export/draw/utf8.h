/* UTF-8, where bytes may be anything: pieces of tokens, names from files. */
#ifndef KVGLASS_EXPORT_DRAW_UTF8_H
#define KVGLASS_EXPORT_DRAW_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the character at the start of s (n bytes, n > 0) and its code point; 0 when the bytes are not a whole, valid one
 * (overlong forms, surrogates and numbers above U+10FFFF are not valid). */
size_t utf8_decode(const char *s, size_t n, uint32_t *code);
/* Writes up to 4 bytes, returns how many; U+FFFD for what is not a character. */
size_t utf8_encode(uint32_t code, char out[4]);
/* Can it stand in XML and in one line of text? Controls, surrogates and U+FFFE, U+FFFF cannot. */
bool utf8_is_printable(uint32_t code);
/* A copy that is valid UTF-8: bad bytes become U+FFFD, controls blanks. Owned by the caller; NULL: out of memory. */
char *utf8_clean(const char *s, size_t n);

#endif

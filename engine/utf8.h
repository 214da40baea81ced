/* UTF-8: checking text at the door, taking characters out of bytes that may be anything, and walking text that is
 * known to be well-formed. Overlong forms, surrogates and values above U+10FFFF are ill-formed. */
#ifndef KVGLASS_ENGINE_UTF8_H
#define KVGLASS_ENGINE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffdu

/* Length of the character at the start of s (n bytes, n > 0) and its code point; 0 when the bytes are not a whole,
 * valid one. */
size_t utf8_decode(const char *s, size_t n, uint32_t *code);
/* Writes up to 4 bytes, returns how many; U+FFFD for what is not a character. */
size_t utf8_encode(uint32_t code, char out[4]);

/* Offset of the first byte that belongs to no well-formed character; n when all do. */
size_t utf8_first_invalid(const char *text, size_t n);
/* The code point at text, which must be well-formed there; *n_bytes receives the character's length. */
uint32_t utf8_next(const char *text, size_t *n_bytes);
/* Start of the character that ends just before text[end]; end > 0. */
size_t utf8_previous(const char *text, size_t end);

/* Unicode's White_Space. */
bool utf8_is_space(uint32_t code);

#endif

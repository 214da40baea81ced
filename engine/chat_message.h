/* One turn of a conversation, as chat templates get it. */
#ifndef KVGLASS_ENGINE_CHAT_MESSAGE_H
#define KVGLASS_ENGINE_CHAT_MESSAGE_H

#include <stddef.h>

struct chat_message {
	const char *role;    /* "system", "user", "assistant": what the template knows */
	const char *content; /* n_bytes of valid UTF-8 */
	size_t n_bytes;
};

#endif

/* Chat templates: what a model's own Jinja template makes of a conversation.
 *
 * The template is run, not recognised by name: the rendering of a probe message shows which family's frame it puts
 * around a user's turn (ChatML: <|im_start|>user ... <|im_end|>; Llama 3: <|start_header_id|>user<|end_header_id|>
 * ... <|eot_id|>), so a template that was changed renders as changed, and one of another family, or one that uses
 * what jinja.h does not have, is refused.
 */
#ifndef KVGLASS_ENGINE_TOKEN_CHAT_H
#define KVGLASS_ENGINE_TOKEN_CHAT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "engine/chat_message.h"
#include "engine/err.h"

struct chat;

/* Names that templates know the model's own tokens by; NULL: not defined. */
struct chat_tokens {
	const char *bos, *eos, *unk, *pad;
};
/* Succeeds for every template, also for one that cannot be used (chat_render() then says why); fails for want of
 * memory only. Template: valid UTF-8; nothing of the arguments is kept. */
int chat_open(struct chat **out, const char *source, size_t n, const struct chat_tokens *tokens, struct err *e);
void chat_close(struct chat *c); /* NULL is allowed */

/* All take NULL for a model without a template. */
const char *chat_family(const struct chat *c);      /* "chatml", "llama3" or NULL */
const char *chat_end_of_turn(const struct chat *c); /* the family's token that ends a turn, or NULL */

struct chat_text {
	char *text;
	uint8_t *part; /* (n) enum token_part: PART_USER, PART_SYSTEM inside the system turn, PART_TEMPLATE */
	size_t n;
};
void chat_text_free(struct chat_text *t); /* safe on a zeroed struct */
/* What the reference's apply_chat_template(messages, add_generation_prompt=True) gives at the local time of `now`. ERR_UNSUPPORTED, with the way out, when there is no template of a known
 * family. */
int chat_render(
	const struct chat *c, const struct chat_message *message, int n, time_t now, struct chat_text *out, struct err *e);

#endif

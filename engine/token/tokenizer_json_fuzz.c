/* Whatever a tokenizer.json holds: reading it neither crashes nor leaks nor takes for ever, and what it gives can
 * be used. */
#include <stdlib.h>

#include "engine/token/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct tokenizer *t)
{
	static const char text[] = "The caf\xc3\xa9's 123 <|im_end|>\n\n  e\xcc\x81 \xe4\xbd\xa0";
	enum prompt_mode mode = PROMPT_RAW;
	struct token_list raw = {0}, plain = {0};
	struct err e = {ERR_NONE, ""};
	tokenizer_complete(t);
	if (!tokenizer_prompt(t, text, sizeof text - 1, &mode, &raw, &e))
		for (int i = 0; i < raw.n; i++)
			if (!vocab_has(&t->vocab, raw.id[i]) || raw.part[i] != PART_USER)
				abort();
	if (!tokenizer_encode(t, text, sizeof text - 1, &plain, &e))
		for (int i = 0; i < plain.n; i++)
			if (!vocab_has(&t->vocab, plain.id[i]) || plain.part[i] != PART_RESPONSE)
				abort();
	token_list_free(&raw);
	token_list_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {ERR_NONE, ""};
	struct tokenizer *t = tokenizer_new(&e);
	if (!t)
		return 0;
	if (!tokenizer_read_json(t, (const char *)data, size, &e))
		use(t);
	else if (!e.code || !*e.text)
		abort();
	tokenizer_free(t);
	return 0;
}

#include "tests/support/tiny_tokens.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

/* "\u0120" is how byte-level BPE writes a space, "\u010a" a newline. */
static const char *const merges[][2] = {
	{"\xc4\xa0", "t"}, {"h", "e"},  {"\xc4\xa0t", "he"}, {"i", "n"}, {"e", "r"},    {"\xc4\xa0", "a"},       {"r", "e"},
	{"o", "n"},        {"\xc4\xa0" "a", "n"}, {"\xc4\xa0", "b"}, {"o", "r"}, {"\xc4\xa0", "o"}, {"\xc4\xa0o", "f"}, {"\xc4\x8a", "\xc4\x8a"},
	{"1", "2"},        {"12", "3"},
};
enum { N_BYTE = 256, N_MERGE = sizeof merges / sizeof *merges, MAX_CONTROL = 4, MAX_TOKEN = 512 };

/* Control tokens follow the merges; the first ends a response, the second is the BOS where there is one. */
static const struct {
	const char *control[MAX_CONTROL];
	int n_control;
	int bos, end, also_end; /* indices into control; -1: none */
	bool add_bos;
	const char *gguf_pre, *class_name, *template, *split;
} family[N_TINY] = {
#define CHATML                                                                                                        \
	"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"  \
	"{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
#define LLAMA3                                                                                                        \
	"{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "     \
	"message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"   \
	"{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"                                       \
	"{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
#define SPLIT_WORDS(digits)                                                                                           \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                                \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	[TINY_LLAMA] = {{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, 3, 1, 2, 0, false, "smollm", "GPT2Tokenizer", CHATML, NULL},
	[TINY_LLAMA3] = {{"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}, 4, 0, 3, -1, true, "llama-bpe",
		"PreTrainedTokenizerFast", LLAMA3, SPLIT_WORDS("\\p{N}{1,3}")},
	[TINY_QWEN2] = {{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, 3, -1, 2, 0, false, "qwen2", "Qwen2Tokenizer", CHATML,
		SPLIT_WORDS("\\p{N}")},
	[TINY_QWEN3] = {{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, 3, -1, 2, 0, false, "qwen2", "Qwen2Tokenizer", CHATML,
		SPLIT_WORDS("\\p{N}")},
};

int tiny_n_token(enum tiny_kind kind)
{
	return N_BYTE + N_MERGE + family[kind].n_control;
}

int tiny_end_token(enum tiny_kind kind)
{
	return N_BYTE + N_MERGE + family[kind].end;
}

/* Bytes that print stand for themselves, the others for the characters from U+0100 on, in order. */
static void byte_text(int byte, int n_unprintable_before, char out[4])
{
	bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
	int character = prints ? byte : 256 + n_unprintable_before;
	if (character < 128) {
		out[0] = (char)character;
		out[1] = '\0';
	} else {
		out[0] = (char)(0xc0 | character >> 6);
		out[1] = (char)(0x80 | (character & 63));
		out[2] = '\0';
	}
}

struct token_table {
	char text[N_BYTE + N_MERGE + MAX_CONTROL][32];
	char merge[N_MERGE][16];
};

static struct token_table *build_table(enum tiny_kind kind)
{
	struct token_table *t = calloc(1, sizeof *t);
	int n_unprintable = 0;
	for (int byte = 0; byte < N_BYTE; byte++) {
		byte_text(byte, n_unprintable, t->text[byte]);
		n_unprintable += !((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174);
	}
	for (int i = 0; i < N_MERGE; i++) {
		snprintf(t->text[N_BYTE + i], sizeof *t->text, "%s%s", merges[i][0], merges[i][1]);
		snprintf(t->merge[i], sizeof *t->merge, "%s %s", merges[i][0], merges[i][1]);
	}
	for (int i = 0; i < family[kind].n_control; i++)
		snprintf(t->text[N_BYTE + N_MERGE + i], sizeof *t->text, "%s", family[kind].control[i]);
	return t;
}

enum gguf_token_type { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_UNUSED = 5 };

/* A GGUF has a token for every row of the embedding: converters fill up with unused ones. */
void tiny_tokens_gguf(struct gguf_writer *w, enum tiny_kind kind)
{
	struct token_table *t = build_table(kind);
	int n = tiny_shape(kind)->n_vocab;
	const char *text[MAX_TOKEN], *merge[N_MERGE];
	char unused[MAX_TOKEN][24];
	int32_t type[MAX_TOKEN];
	for (int i = 0; i < n; i++) {
		snprintf(unused[i], sizeof *unused, "[PAD%d]", i);
		text[i] = i < tiny_n_token(kind) ? t->text[i] : unused[i];
		type[i] = i < N_BYTE + N_MERGE ? TOKEN_NORMAL : i < tiny_n_token(kind) ? TOKEN_CONTROL : TOKEN_UNUSED;
	}
	for (int i = 0; i < N_MERGE; i++)
		merge[i] = t->merge[i];
	gguf_put_string(w, "tokenizer.ggml.model", "gpt2");
	gguf_put_string(w, "tokenizer.ggml.pre", family[kind].gguf_pre);
	gguf_put_strings(w, "tokenizer.ggml.tokens", text, (uint64_t)n);
	gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, type, (uint64_t)n, (size_t)n * sizeof *type);
	gguf_put_strings(w, "tokenizer.ggml.merges", merge, N_MERGE);
	if (family[kind].bos >= 0)
		gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)(N_BYTE + N_MERGE + family[kind].bos));
	gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)tiny_end_token(kind));
	gguf_put_bool(w, "tokenizer.ggml.add_bos_token", family[kind].add_bos);
	gguf_put_string(w, "tokenizer.chat_template", family[kind].template);
	free(t);
}

/* ---- Hugging Face --------------------------------------------------------------------------------------------- */

void tiny_json_write(const char *folder, const char *name, void *json)
{
	char path[4096];
	struct err e = {0};
	struct file_writer *w;
	char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (!text || file_create(&w, path, &e) || file_write(w, text, strlen(text), &e) || file_commit(w, &e)) {
		fprintf(stderr, "tests: %s: %s\n", path, e.text);
		exit(2);
	}
	free(text);
	json_decref(json);
}

static json_t *pre_tokenizer(enum tiny_kind kind)
{
	if (!family[kind].split)
		return json_pack("{s:s, s:[{s:s, s:b}, {s:s, s:b, s:b, s:b}]}", "type", "Sequence", "pretokenizers", "type", "Digits",
			"individual_digits", 1, "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1);
	return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, {s:s, s:b, s:b, s:b}]}", "type", "Sequence", "pretokenizers", "type", "Split",
		"pattern", "Regex", family[kind].split, "behavior", "Isolated", "invert", 0, "type", "ByteLevel", "add_prefix_space", 0,
		"trim_offsets", 1, "use_regex", 0);
}

static json_t *post_processor(enum tiny_kind kind)
{
	json_t *bytes = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 1, "trim_offsets", 0, "use_regex", 1);
	if (!family[kind].add_bos)
		return bytes;
	const char *bos = family[kind].control[family[kind].bos];
	int id = N_BYTE + N_MERGE + family[kind].bos;
	json_t *template = json_pack(
		"{s:s, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}],"
		" s:{s:{s:s, s:[i], s:[s]}}}",
		"type", "TemplateProcessing", "single", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0, "pair",
		"SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0, "SpecialToken", "id", bos, "type_id", 1, "Sequence",
		"id", "B", "type_id", 1, "special_tokens", bos, "id", bos, "ids", id, "tokens", bos);
	return json_pack("{s:s, s:[o, o]}", "type", "Sequence", "processors", bytes, template);
}

static json_t *bpe_model(const struct token_table *t)
{
	json_t *vocab = json_object(), *pairs = json_array();
	for (int i = 0; i < N_BYTE + N_MERGE; i++)
		json_object_set_new(vocab, t->text[i], json_integer(i));
	for (int i = 0; i < N_MERGE; i++)
		json_array_append_new(pairs, json_string(t->merge[i]));
	return json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token",
		"continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab,
		"merges", pairs);
}

void tiny_tokens_folder(const char *folder, enum tiny_kind kind)
{
	struct token_table *t = build_table(kind);
	json_t *added = json_array(), *ends = json_pack("[i]", tiny_end_token(kind));
	for (int i = N_BYTE + N_MERGE; i < tiny_n_token(kind); i++)
		json_array_append_new(added, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i, "content", t->text[i], "single_word", 0,
			"lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
	bool nfc = kind == TINY_QWEN2 || kind == TINY_QWEN3;
	tiny_json_write(folder, "tokenizer.json",
		json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:{s:s, s:b, s:b, s:b}, s:o}", "version", "1.0", "truncation", "padding",
			"added_tokens", added, "normalizer", nfc ? json_pack("{s:s}", "type", "NFC") : json_null(), "pre_tokenizer",
			pre_tokenizer(kind), "post_processor", post_processor(kind), "decoder", "type", "ByteLevel", "add_prefix_space", 1,
			"trim_offsets", 1, "use_regex", 1, "model", bpe_model(t)));
	free(t);
	const char *bos = family[kind].bos >= 0 ? family[kind].control[family[kind].bos] : NULL;
	tiny_json_write(folder, "tokenizer_config.json",
		json_pack("{s:s, s:b, s:s?, s:s, s:s, s:b}", "tokenizer_class", family[kind].class_name, "add_bos_token", family[kind].add_bos,
			"bos_token", bos, "eos_token", family[kind].control[family[kind].end], "chat_template", family[kind].template,
			"clean_up_tokenization_spaces", 0));
	if (family[kind].also_end >= 0)
		json_array_append_new(ends, json_integer(N_BYTE + N_MERGE + family[kind].also_end));
	tiny_json_write(folder, "generation_config.json", json_pack("{s:o}", "eos_token_id", ends));
}

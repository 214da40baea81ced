/* Tokenizers out of files: what the files beside tokenizer.json say, other kinds refused by name, damage found. */
#include "engine/token/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/token/parts.h"
#include "tests/support/golden_tokens.h"
#include "tests/support/test.h"

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static const char *new_folder(const char *name)
{
	char own[64];
	snprintf(own, sizeof own, "token-%s", name);
	const char *folder = test_scratch(own);
	CHECK_INT(mkdir(folder, 0777), 0);
	return folder;
}

/* Opens a folder with the Llama 3 fixture's tokenizer.json and other files beside it: name, text, ..., NULL. */
static struct tokenizer *open_with(const char *name, const char *const *files, struct err *e)
{
	const char *folder = new_folder(name);
	json_t *spec = golden_json("llama3/tokenizer.json");
	char *text = json_dumps(spec, JSON_COMPACT);
	write_file(folder, "tokenizer.json", text);
	free(text);
	json_decref(spec);
	for (; *files; files += 2)
		write_file(folder, files[0], files[1]);
	struct tokenizer *t = NULL;
	*e = (struct err){ERR_NONE, ""};
	tokenizer_from_folder(&t, folder, e);
	return t;
}

/* Spells the end tokens, in the order of their ids. */
static void check_ends(const struct tokenizer *t, const char *want)
{
	char ends[512] = "";
	for (int id = 0; t && id < tokenizer_n_vocab(t); id++) {
		size_t n;
		const char *piece = tokenizer_piece(t, id, &n);
		if (tokenizer_is_end(t, id))
			strncat(ends, piece, n);
	}
	CHECK_STR(ends, want);
}

TEST(token_files, every_end_token_that_is_declared)
{
	struct err e;
	struct tokenizer *t = open_with("ends-none", (const char *const[]){NULL}, &e);
	check_ends(t, "");
	tokenizer_free(t);
	t = open_with(
		"ends-one", (const char *const[]){"generation_config.json", "{\"eos_token_id\": 1401}", NULL}, &e);
	check_ends(t, "<|end_of_text|>");
	tokenizer_free(t);
	t = open_with("ends-list",
		(const char *const[]){"generation_config.json", "{\"eos_token_id\": [1401, 1404, 1405, 99999, -1, \"x\"]}",
			"config.json", "{\"eos_token_id\": 1400}", NULL},
		&e);
	check_ends(t, "<|begin_of_text|><|end_of_text|><|eom_id|><|eot_id|>");
	tokenizer_free(t);
	t = open_with("ends-config",
		(const char *const[]){"tokenizer_config.json", "{\"eos_token\": {\"content\": \"<|eom_id|>\"}}", NULL},
		&e);
	check_ends(t, "<|eom_id|>");
	tokenizer_free(t);
	/* the template of a family ends its turns with a token of its own */
	t = open_with("ends-chat",
		(const char *const[]){"chat_template.jinja",
			"<|start_header_id|>user<|end_header_id|>\n\n{{ messages[0].content }}<|eot_id|>"
			"<|start_header_id|>assistant<|end_header_id|>\n\n",
			NULL},
		&e);
	check_ends(t, "<|eot_id|>");
	CHECK_STR(tokenizer_chat_family(t), "llama3");
	tokenizer_free(t);
}

static void put_all_ends(struct gguf_writer *w)
{
	gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1400);
	gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 7);
	gguf_put_u32(w, "tokenizer.ggml.eot_token_id", 8);
	gguf_put_u32(w, "tokenizer.ggml.eom_token_id", 123456);
}

/* A GGUF names some of its end tokens; the usual ones are ends too. */
TEST(token_files, end_tokens_of_a_gguf)
{
	struct tokenizer *t = golden_gguf("llama3", "llama-bpe", put_all_ends);
	check_ends(t, "()<|end_of_text|><|eom_id|><|eot_id|>");
	tokenizer_free(t);
}

static int n_raw(const struct tokenizer *t)
{
	struct token_list got = {0};
	struct err e;
	enum prompt_mode mode = PROMPT_RAW;
	CHECK_INT(tokenizer_prompt(t, "a", 1, &mode, &got, &e), 0);
	int n = got.n;
	token_list_free(&got);
	return n;
}

TEST(token_files, bos_as_the_settings_ask)
{
	struct err e;
	struct tokenizer *t = open_with("bos-template", (const char *const[]){NULL}, &e);
	CHECK_INT(n_raw(t), 2);
	tokenizer_free(t);
	t = open_with("bos-off",
		(const char *const[]){
			"tokenizer_config.json", "{\"add_bos_token\": false, \"bos_token\": \"<|begin_of_text|>\"}", NULL},
		&e);
	CHECK_INT(n_raw(t), 1);
	tokenizer_free(t);
	t = open_with("bos-on",
		(const char *const[]){
			"tokenizer_config.json", "{\"add_bos_token\": true, \"bos_token\": \"<|eom_id|>\"}", NULL},
		&e);
	CHECK_INT(n_raw(t), 2);
	tokenizer_free(t);
	t = open_with("bos-null",
		(const char *const[]){"tokenizer_config.json", "{\"add_bos_token\": true, \"bos_token\": null}", NULL},
		&e);
	CHECK(!t && e.code == ERR_FORMAT && strstr(e.text, "add_bos_token is set, but bos_token"));
}

TEST(token_files, control_tokens_named_beside)
{
	struct err e;
	const char *config =
		"{\"additional_special_tokens\": [\"in\"], \"pad_token\": \"nowhere\", \"added_tokens_decoder\": {"
		"\"1500\": {\"content\": \"<new>\", \"special\": true}, \"3\": {\"content\": \"<taken>\", \"special\": "
		"true},"
		"\"x\": {\"content\": \"<x>\"}, \"99999999999\": {\"content\": \"<far>\"}}}";
	struct tokenizer *t = open_with("named", (const char *const[]){"tokenizer_config.json", config, NULL}, &e);
	CHECK(t != NULL);
	CHECK_INT(tokenizer_n_vocab(t), 1501);
	CHECK(tokenizer_is_special(t, 1500) && !tokenizer_is_special(t, 3));
	struct token_list got;
	enum prompt_mode mode = PROMPT_RAW;
	CHECK_INT(tokenizer_prompt(t, "<new>in", 7, &mode, &got, &e), 0);
	CHECK_INT(got.n, 3);
	CHECK(got.n == 3 && got.id[1] == 1500 && tokenizer_is_special(t, got.id[2]));
	token_list_free(&got);
	tokenizer_free(t);
}

TEST(token_files, where_the_template_comes_from)
{
#define TURN(text) "<|im_start|>user\n{{ messages[0].content }}<|im_end|>\n<|im_start|>assistant\n" text
	static const char *const configs[] = {
		"{\"chat_template\": \"<|im_start|>user\\n{{ messages[0].content }}<|im_end|><|im_start|>assistant one\"}",
		"{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"no\"}, {\"name\": \"default\", "
		"\"template\": "
		"\"<|im_start|>user\\n{{ messages[0].content }}<|im_end|><|im_start|>assistant one\"}]}",
		"{\"chat_template\": {\"default\": \"<|im_start|>user\\n{{ messages[0].content "
		"}}<|im_end|><|im_start|>assistant one\"}}",
		"{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"no\"}]}",
		"{\"chat_template\": null}",
		"{}",
	};
	struct err e;
	for (int i = 0; i < 6; i++) {
		char name[32];
		snprintf(name, sizeof name, "template-%d", i);
		struct tokenizer *t = open_with(
			name, (const char *const[]){"tokenizer_config.json", configs[i], NULL}, &e);
		CHECK(t && (tokenizer_chat_family(t) != NULL) == (i < 3));
		tokenizer_free(t);
		snprintf(name, sizeof name, "template-file-%d", i); /* the file goes before the setting */
		t = open_with(name,
			(const char *const[]){"tokenizer_config.json", configs[i], "chat_template.jinja", TURN("two"), NULL},
			&e);
		struct token_list got = {0};
		enum prompt_mode mode = PROMPT_AUTO;
		CHECK(t && tokenizer_prompt(t, "x", 1, &mode, &got, &e) == 0 && mode == PROMPT_CHAT);
		size_t n = 0;
		const char *last = got.n ? tokenizer_piece(t, got.id[got.n - 1], &n) : "";
		CHECK(n > 0 && last[n - 1] == 'o');
		token_list_free(&got);
		tokenizer_free(t);
	}
}

/* ---- other kinds and damage
 * ----------------------------------------------------------------------------------------- */

static void check_json(const char *text, enum err_code code, const char *part)
{
	struct err e = {ERR_NONE, ""};
	struct tokenizer *t = tokenizer_new(&e);
	int rc = tokenizer_read_json(t, text, strlen(text), &e);
	if (rc != (int)code || (part && !strstr(e.text, part)))
		test_fail(__FILE__, __LINE__, "%.100s: code %d, \"%s\"; expected %d, \"%s\"", text, rc, e.text, code,
			part ? part : "");
	tokenizer_free(t);
}

#define BYTES "\"a\":0,\"b\":1,\"ab\":2"
#define MODEL(rest) "\"model\":{\"type\":\"BPE\"," rest "}"
#define PRE "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"

TEST(token_files, other_kinds_are_refused_by_name)
{
	check_json("{" PRE "," MODEL("\"vocab\":{" BYTES "},\"merges\":[\"a b\"]") "}", ERR_NONE, NULL);
	check_json(
		"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.5]]}}", ERR_UNSUPPORTED, "model.type is Unigram");
	check_json("{\"model\":{\"vocab\":[[\"a\",-1.5]]}}", ERR_UNSUPPORTED, "unigram");
	check_json("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", ERR_UNSUPPORTED, "model.type is WordPiece");
	check_json("{" MODEL("\"byte_fallback\":true,\"vocab\":{" BYTES "},\"merges\":[]") "}", ERR_UNSUPPORTED,
		"byte_fallback is true");
	check_json(
		"{" MODEL("\"dropout\":0.1,\"vocab\":{" BYTES "},\"merges\":[]") "}", ERR_UNSUPPORTED, "dropout is 0.1");
	check_json("{" MODEL("\"end_of_word_suffix\":\"</w>\",\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_UNSUPPORTED, "end_of_word_suffix");
	check_json("{" MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}", ERR_UNSUPPORTED, "no ByteLevel");
	check_json("{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_UNSUPPORTED, "Metaspace");
	check_json("{\"normalizer\":{\"type\":\"NFKC\"}," PRE "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_UNSUPPORTED, "NFKC");
	check_json("{\"post_processor\":{\"type\":\"BertProcessing\"}," PRE
			   "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_UNSUPPORTED, "BertProcessing");
	check_json("{\"added_tokens\":[{\"id\":3,\"content\":\"w\",\"single_word\":true}]," PRE
			   "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_UNSUPPORTED, "single_word");
	check_json(
		"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Sideways\"}," MODEL(
			"\"vocab\":{" BYTES "}") "}",
		ERR_UNSUPPORTED, "Sideways");
}

TEST(token_files, damage_is_found_and_named)
{
	check_json("", ERR_FORMAT, "ends at byte 0");
	check_json("[]", ERR_FORMAT, "byte 0 is '[' where an object is expected");
	check_json("{}", ERR_FORMAT, "no model");
	check_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0", ERR_FORMAT, "ends at byte");
	check_json(
		"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0.5}}}", ERR_FORMAT, "where a whole number is expected");
	check_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}}", ERR_LIMIT, "token id -1 is outside");
	check_json(
		"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999}}}", ERR_LIMIT, "token id 99999999 is outside");
	check_json(
		"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999999999999}}}", ERR_FORMAT, "too many digits");
	check_json("{" MODEL("\"vocab\":{" BYTES "},\"merges\":[\"a b c\"]") "}", ERR_FORMAT,
		"merge 0 (\"a b c\") is not two tokens");
	check_json("{" MODEL("\"vocab\":{" BYTES "},\"merges\":[\"a b\",\"b b\"]") "}", ERR_FORMAT,
		"merge 1: what it becomes is not in");
	check_json("{" MODEL("\"vocab\":{" BYTES "},\"merges\":[[\"a\",\"c\"]]") "}", ERR_FORMAT,
		"merge 0: its right part is not in");
	check_json("{" MODEL("\"vocab\":{" BYTES "},\"merges\":[[\"a\"]]") "}", ERR_FORMAT, "merge 0 is not a pair");
	check_json("{" MODEL("\"vocab\":{" BYTES "},\"merges\":[[\"a\",\"b\",\"a\"]]") "}", ERR_FORMAT,
		"merge 0 is not a pair");
	check_json(
		"{" MODEL("\"merges\":[[\"a\",\"b\"]],\"vocab\":{" BYTES "}") "," PRE "}", ERR_NONE, NULL); /* any order */
	check_json("{" MODEL("\"unk_token\":\"zz\",\"vocab\":{" BYTES "},\"merges\":[]") "}", ERR_FORMAT,
		"unk_token \"zz\" is not in");
	check_json("{\"model\":{\"vocab\":{\"\\ud800\":1}}}", ERR_FORMAT, "half of a surrogate pair");
	check_json("{\"model\":{\"vocab\":{\"\\q\":1}}}", ERR_FORMAT, "unknown escape");
	check_json("{\"model\":{\"vocab\":{\"a\xff\":1}}}", ERR_FORMAT, "not valid UTF-8 at byte 21");
	check_json("{\"added_tokens\":[{\"id\":1,\"content\":\"<s>\"}]," PRE
			   "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_FORMAT, "\"<s>\" has id 1 of another token");
	check_json("{\"added_tokens\":[{\"content\":\"<s>\"}]," PRE
			   "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_FORMAT, "without id");
	check_json("{" PRE "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "} x", ERR_FORMAT,
		"is 'x' where the end of the file is expected");
	check_json("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>"
			   "\"}}]}," PRE "," MODEL("\"vocab\":{" BYTES "},\"merges\":[]") "}",
		ERR_FORMAT, "\"<s>\" has no ids");
	char deep[600] = "{\"x\":";
	memset(deep + 5, '[', 300);
	check_json(deep, ERR_LIMIT, "more than 64 brackets inside each other");
}

/* A whole file cut anywhere is an error that says so, never a tokenizer. */
TEST(token_files, truncated_anywhere)
{
	json_t *spec = golden_json("odd_merged/tokenizer.json");
	char *text = json_dumps(spec, JSON_COMPACT);
	for (size_t n = 0; n < strlen(text); n += n < 200 ? 1 : 97) {
		struct err e = {ERR_NONE, ""};
		struct tokenizer *t = tokenizer_new(&e);
		CHECK(tokenizer_read_json(t, text, n, &e) != 0 && *e.text);
		tokenizer_free(t);
	}
	free(text);
	json_decref(spec);
}

TEST(token_files, folders_without_a_tokenizer)
{
	struct tokenizer *t;
	struct err e;
	const char *empty = new_folder("empty"), *piece = new_folder("sentencepiece");
	CHECK_INT(tokenizer_from_folder(&t, empty, &e), ERR_SYSTEM);
	CHECK(!t && strstr(e.text, "tokenizer.json is missing"));
	write_file(piece, "tokenizer.model", "x");
	CHECK_INT(tokenizer_from_folder(&t, piece, &e), ERR_UNSUPPORTED);
	CHECK(!t && strstr(e.text, "SentencePiece"));
	t = open_with("bad-config", (const char *const[]){"tokenizer_config.json", "{\"x\": }", NULL}, &e);
	CHECK(!t && e.code == ERR_FORMAT && strstr(e.text, "tokenizer_config.json: line 1"));
	t = open_with("list-config", (const char *const[]){"generation_config.json", "[1]", NULL}, &e);
	CHECK(!t && e.code == ERR_FORMAT && strstr(e.text, "generation_config.json is no JSON object"));
	t = open_with("bad-template", (const char *const[]){"chat_template.jinja", "\xff", NULL}, &e);
	CHECK(!t && e.code == ERR_FORMAT && strstr(e.text, "chat_template.jinja is not valid UTF-8 at byte 0"));
}

/* ---- GGUF
 * ------------------------------------------------------------------------------------------------------------ */

static const char *const few_tokens[] = {"a", "b", "ab", "<|im_end|>"};

struct gguf_case { /* NULL: the key is left out */
	const char *model, *pre, *merge, *template;
	int n_type, bos;
	bool add_bos;
};

static int open_gguf(const struct gguf_case *c, struct err *e)
{
	static const int32_t types[] = {1, 1, 1, 3};
	struct gguf_writer w = {.version = 3};
	if (c->model)
		gguf_put_string(&w, "tokenizer.ggml.model", c->model);
	if (c->pre)
		gguf_put_string(&w, "tokenizer.ggml.pre", c->pre);
	gguf_put_strings(&w, "tokenizer.ggml.tokens", few_tokens, 4);
	gguf_put_array(
		&w, "tokenizer.ggml.token_type", GGUF_I32, types, (uint64_t)c->n_type, (size_t)c->n_type * sizeof *types);
	if (c->merge)
		gguf_put_strings(&w, "tokenizer.ggml.merges", &c->merge, 1);
	if (c->template)
		gguf_put_string(&w, "tokenizer.chat_template", c->template);
	gguf_put_bool(&w, "tokenizer.ggml.add_bos_token", c->add_bos);
	gguf_put_u32(&w, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos);
	struct byte_string file = gguf_finish(&w);
	struct gguf_file g;
	struct tokenizer *t = NULL;
	CHECK_INT(gguf_parse(&g, file.data, file.n, "m.gguf", e), 0);
	int rc = tokenizer_from_gguf(&t, &g, "m.gguf", e);
	CHECK((rc == 0) == (t != NULL));
	tokenizer_free(t);
	gguf_free(&g);
	bytes_free(&file);
	return rc;
}

TEST(token_files, gguf_refusals)
{
	static const struct {
		struct gguf_case file;
		enum err_code code;
		const char *part;
	} cases[] = {
		{{"gpt2", "gpt-2", "a b", NULL, 4, 0, false}, ERR_NONE, ""},
		{{"gpt2", "gpt-2", "a b", NULL, 4, 3, true}, ERR_NONE, ""},
		{{NULL, "gpt-2", "a b", NULL, 4, 0, false}, ERR_FORMAT, "m.gguf: tokenizer.ggml.model is missing"},
		{{"llama", "default", "a b", NULL, 4, 0, false}, ERR_UNSUPPORTED,
			"\"llama\" (SentencePiece), not byte-level BPE"},
		{{"bert", "bert", "a b", NULL, 4, 0, false}, ERR_UNSUPPORTED, "\"bert\" (WordPiece)"},
		{{"t5", "t5", "a b", NULL, 4, 0, false}, ERR_UNSUPPORTED, "\"t5\" (SentencePiece unigram)"},
		{{"gpt2", NULL, "a b", NULL, 4, 0, false}, ERR_UNSUPPORTED, "tokenizer.ggml.pre is missing"},
		{{"gpt2", "tekken", "a b", NULL, 4, 0, false}, ERR_UNSUPPORTED, "no pre-tokeniser \"tekken\""},
		{{"gpt2", "gpt-2", NULL, NULL, 4, 0, false}, ERR_FORMAT, "no list of merges"},
		{{"gpt2", "gpt-2", "ab", NULL, 4, 0, false}, ERR_FORMAT, "merge 0 (\"ab\") is not two tokens"},
		{{"gpt2", "gpt-2", "a z", NULL, 4, 0, false}, ERR_FORMAT,
			"merge 0: its right part is not in the vocabulary"},
		{{"gpt2", "gpt-2", "a b", NULL, 3, 0, false}, ERR_FORMAT, "token_type has 3 entries for 4 tokens"},
		{{"gpt2", "gpt-2", "a b", NULL, 4, 77, true}, ERR_FORMAT, "bos_token_id"},
		{{"gpt2", "gpt-2", "a \xc3", NULL, 4, 0, false}, ERR_FORMAT, "merge 0 is not valid UTF-8 at its byte 2"},
		{{"gpt2", "gpt-2", "a b", "\xff", 4, 0, false}, ERR_FORMAT, "chat_template is not valid UTF-8"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = {ERR_NONE, ""};
		int rc = open_gguf(&cases[i].file, &e);
		if (rc != (int)cases[i].code || !strstr(e.text, cases[i].part))
			test_fail(__FILE__, __LINE__, "case %zu: code %d, \"%s\"; expected %d, \"%s\"", i, rc, e.text,
				cases[i].code, cases[i].part);
	}
}

/* ---- patterns
 * -------------------------------------------------------------------------------------------------------- */

TEST(token_files, patterns_that_mean_something_else_are_refused)
{
	static const struct {
		const char *pattern;
		bool fine;
	} patterns[] = {
		{"\\p{L}+", true},
		{"[^\\s\\p{L}\\p{N}]+", true},
		{"(?i:'s|'t)", true},
		{"a|b", true},
		{"\\s+(?!\\S)", true},
		{"x{2,3}", true},
		{"a++b", true},
		{"[\\p{Lu}-]", true},
		{"\\P{L}", true},
		{"(ab)+", true},
		{"(?<=a)b", true},
		{"\\d", true},
		{"\\.", true},
		{"\\h", false},
		{"\\w+", false},
		{"^a", false},
		{"a$", false},
		{"(?m)a", false},
		{"[a&&b]", false},
		{"[[:alpha:]]", false},
		{"a{,3}", false},
		{"a{2}+", false},
		{"\\1", false},
		{"a*", false},
		{"", false},
		{"\\", false},
		{"(a", false},
		{"[a", false},
		{"\\p{Nonsense}", false},
		{"\\p{^L}", false},
		{"[\\P{N}]", false},
		{"(?<name>a)", false},
		{"\\x41", false},
		{"[]a]", false},
	};
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		pcre2_code *code = NULL;
		struct err e = {ERR_NONE, ""};
		int rc = regex_compile(&code, patterns[i].pattern, strlen(patterns[i].pattern), &e);
		if ((rc == 0) != patterns[i].fine || (rc && rc != ERR_UNSUPPORTED))
			test_fail(__FILE__, __LINE__, "\"%s\": %d %s", patterns[i].pattern, rc, e.text);
		pcre2_code_free(code);
	}
}

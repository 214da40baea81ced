/* Values of the Jinja interpreter and what Python does with them. Everything lives in the arena of one rendering.
 */
#ifndef KVGLASS_ENGINE_TOKEN_JINJA_VALUE_H
#define KVGLASS_ENGINE_TOKEN_JINJA_VALUE_H

#include "engine/token/jinja/jinja_tree.h"

/* ---- text: Python's str over UTF-8, counted in characters ----------------------------------------------------
 */

/* Bytes of the white space character (str.isspace) at text[at], 0 when it is none. */
size_t string_space_at(const char *text, size_t at);
/* Where the text start .. end ends without its trailing white space. */
size_t string_strip_end(const char *text, size_t start, size_t end);
struct jinja_string string_part(struct jinja_string s, size_t start, size_t end); /* bytes */
size_t string_length(struct jinja_string s);
size_t string_offset(struct jinja_string s, size_t n_characters); /* of the character with that number, at most s.n */
bool string_find(struct jinja_string s, struct jinja_string what, size_t from, size_t *at);
bool string_equal(struct jinja_string a, struct jinja_string b);
enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
/* chars NULL: white space; else any character of it. */
struct jinja_string string_strip(struct jinja_string s, const struct jinja_string *chars, int sides);

/* ---- values ---------------------------------------------------------------------------------------------------
 */

enum value_kind {
	VALUE_UNDEFINED,
	VALUE_NONE,
	VALUE_BOOL,
	VALUE_INTEGER,
	VALUE_STRING,
	VALUE_LIST,
	VALUE_DICT,
	VALUE_LOOP,
	VALUE_MACRO,
	VALUE_FUNCTION,
	VALUE_METHOD,
};

struct jinja_call;
struct jinja_value {
	enum value_kind kind;
	union {
		int64_t number; /* BOOL, INTEGER */
		struct jinja_string string;
		struct jinja_list *list;
		struct jinja_dict *dict;
		const struct jinja_loop *loop;
		const struct jinja_node *macro;
		struct jinja_value (*function)(struct jinja_call *call); /* FUNCTION */
		struct jinja_method *method;
	};
};
struct jinja_list {
	struct jinja_value *item;
	size_t n, capacity;
};
struct jinja_dict {
	struct jinja_entry {
		struct jinja_value key, value;
	} * entry;
	size_t n, capacity;
	bool is_namespace; /* attributes may be set */
};
struct jinja_loop {
	const struct jinja_list *items;
	size_t index;
};
struct jinja_method {
	struct jinja_value self;
	struct jinja_value (*function)(struct jinja_call *call);
};

struct jinja_builder { /* text being put together */
	char *text;
	uint8_t *mark;
	size_t n, capacity;
};

/* One rendering. */
struct jinja {
	struct arena arena;
	const struct jinja_request *request;
	struct jinja_builder *out; /* where output goes now */
	struct jinja_binding {
		struct jinja_string name;
		struct jinja_value value;
	} * binding;
	size_t n_binding, binding_capacity;
	size_t scope;    /* names bound from here on belong to the innermost scope */
	size_t floor;    /* and these are seen down to here, */
	size_t n_global; /* then those before this one */
	int depth;
	long steps;
	enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
	int rc; /* the first failure; what is evaluated after it does not matter */
	struct err *e;
};

struct jinja_call {
	struct jinja *j;
	const struct jinja_node *at;
	struct jinja_value self; /* a filter's or test's operand, a method's object */
	struct jinja_argument {
		struct jinja_string name; /* n 0: positional */
		struct jinja_value value;
	} * argument;
	int n_argument;
};

static inline struct jinja_value value_bool(bool b)
{
	return (struct jinja_value){.kind = VALUE_BOOL, .number = b};
}
static inline struct jinja_value value_integer(int64_t n)
{
	return (struct jinja_value){.kind = VALUE_INTEGER, .number = n};
}
static inline struct jinja_value value_string(struct jinja_string s)
{
	return (struct jinja_value){.kind = VALUE_STRING, .string = s};
}
static inline struct jinja_value value_literal(const char *text)
{
	return value_string((struct jinja_string){text, NULL, strlen(text)});
}
static inline struct jinja_value value_none(void)
{
	return (struct jinja_value){.kind = VALUE_NONE};
}
static inline struct jinja_value value_undefined(void)
{
	return (struct jinja_value){.kind = VALUE_UNDEFINED};
}

/* Ends the rendering with "chat template, line N: ..."; the value is undefined. */
struct jinja_value jinja_fail(struct jinja *j, const struct jinja_node *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void *jinja_take(struct jinja *j, size_t n); /* from the arena; NULL only after a failure */

void builder_add(struct jinja *j, struct jinja_builder *b, struct jinja_string s);
struct jinja_string builder_string(const struct jinja_builder *b);

struct jinja_value value_new_list(struct jinja *j);
void list_append(struct jinja *j, struct jinja_list *l, struct jinja_value v);
struct jinja_value value_new_dict(struct jinja *j);
void dict_set(struct jinja *j, struct jinja_dict *d, struct jinja_value key, struct jinja_value v);
const struct jinja_value *dict_get(const struct jinja_dict *d, struct jinja_value key);

/* Can be a key, as hashable things can in Python; a failure otherwise. */
bool value_is_key(struct jinja *j, const struct jinja_node *at, struct jinja_value v);
bool value_truth(struct jinja_value v);
bool value_equal(struct jinja_value a, struct jinja_value b);
/* op: == != < <= > >= in, "not" (for not in) */
bool value_compare(struct jinja *j, const struct jinja_node *at, struct jinja_string op, struct jinja_value a,
	struct jinja_value b);
struct jinja_string value_text(struct jinja *j, const struct jinja_node *at, struct jinja_value v); /* str(v) */
const char *value_kind_name(struct jinja_value v);
/* What a for loop runs over: items, keys, characters. */
const struct jinja_list *value_items(struct jinja *j, const struct jinja_node *at, struct jinja_value v);
struct jinja_value value_item(
	struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_value key); /* v[key] */
struct jinja_value value_attribute(
	struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_string name); /* v.name */
/* v[start:stop:step]; undefined bounds are left out. */
struct jinja_value value_slice(
	struct jinja *j, const struct jinja_node *at, struct jinja_value v, const struct jinja_value bound[3]);

/* jinja_builtin.c */
struct jinja_value builtin_filter(struct jinja_call *c, struct jinja_string name);
bool builtin_test(struct jinja_call *c, struct jinja_string name);
/* True with *out set when v, a string, list or dict, has an attribute of the name in Python; a method that is not
 * here is a failure. */
bool builtin_method(struct jinja *j, const struct jinja_node *at, struct jinja_value v, struct jinja_string name,
	struct jinja_value *out);
struct jinja_value builtin_function(struct jinja_string name); /* a global function, or undefined */

#endif

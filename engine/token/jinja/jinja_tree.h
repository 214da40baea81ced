/* What a template is parsed into, for the files of the Jinja interpreter. */
#ifndef KVGLASS_ENGINE_TOKEN_JINJA_TREE_H
#define KVGLASS_ENGINE_TOKEN_JINJA_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/err.h"
#include "engine/token/jinja/arena.h"
#include "engine/token/jinja/jinja.h"

struct jinja_string {
	const char *text;
	const uint8_t *mark; /* (n) 1 for bytes of the message, or NULL: none is */
	size_t n;
};

static inline bool string_is(struct jinja_string s, const char *text)
{
	size_t n = strlen(text);
	return s.n == n && !memcmp(s.text, text, n);
}

enum token_kind {
	TOKEN_DATA,
	TOKEN_OUTPUT_BEGIN, /* {{ */
	TOKEN_OUTPUT_END,
	TOKEN_BLOCK_BEGIN, /* {% */
	TOKEN_BLOCK_END,
	TOKEN_NAME,
	TOKEN_STRING,
	TOKEN_INTEGER,
	TOKEN_FLOAT,
	TOKEN_OPERATOR,
	TOKEN_STOP,
};
struct jinja_token {
	enum token_kind kind;
	int line;
	struct jinja_string text; /* data, name, the value of a string, the operator */
	int64_t number;
};
/* The whole source as tokens, the last one TOKEN_STOP; all in the arena. */
int jinja_lex(struct arena *a, const char *source, size_t n, struct jinja_token **out, struct err *e);

enum node_kind {
	/* expressions */
	NODE_STRING,  /* text */
	NODE_INTEGER, /* number */
	NODE_BOOL,    /* number */
	NODE_NONE,
	NODE_FLOAT,     /* parsed, never evaluated */
	NODE_NAME,      /* text */
	NODE_LIST,      /* items: list */
	NODE_DICT,      /* items: keys in a, values in b of the list's nodes */
	NODE_ENTRY,     /* a: b */
	NODE_ATTRIBUTE, /* a . text */
	NODE_ITEM,      /* a [ b ] */
	NODE_SLICE,     /* a [ b : c : list ] */
	NODE_CALL,      /* a ( list ) */
	NODE_ARGUMENT,  /* text = a, text empty when positional */
	NODE_FILTER,    /* a | text ( list ) */
	NODE_TEST,      /* a is text ( list ) */
	NODE_NOT,
	NODE_NEGATE,
	NODE_AND,
	NODE_OR,
	NODE_BINARY,  /* a text b: + - * / // % ~ */
	NODE_COMPARE, /* a, then (text, a) of the list's NODE_COMPARE_PART in a chain */
	NODE_COMPARE_PART,
	NODE_CONDITION, /* a if b else c */
	/* statements */
	NODE_DATA,         /* text */
	NODE_OUTPUT,       /* a */
	NODE_IF,           /* if a: list, else: b (a block or another NODE_IF in a block) */
	NODE_BLOCK,        /* list */
	NODE_FOR,          /* for a in b if c: list, else: other */
	NODE_SET,          /* a = b */
	NODE_SET_BLOCK,    /* a = rendering of list, through the filters in b (whose innermost operand is missing) */
	NODE_FILTER_BLOCK, /* the rendering of list through the filters in b */
	NODE_MACRO,        /* text ( parameters in a's list ): list */
	NODE_SCOPE,        /* list, with names of its own */
	NODE_BREAK,
	NODE_CONTINUE,
};
struct jinja_node {
	enum node_kind kind;
	int line;
	struct jinja_string text;
	int64_t number;
	struct jinja_node *a, *b, *c, *other;
	struct jinja_node *list, *next;
};

struct jinja_template {
	struct arena arena;
	struct jinja_node *root; /* NODE_BLOCK */
};

#endif

/* What a user does, whatever terminal or script it came from. */
#ifndef KVGLASS_TUI_EVENT_H
#define KVGLASS_TUI_EVENT_H

#include <stdbool.h>

/* A key is the code point it types, a control character as CTRL('a'), or one of these. */
enum key {
	K_NONE = 0x110000,
	K_UP, K_DOWN, K_LEFT, K_RIGHT,
	K_PAGE_UP, K_PAGE_DOWN, K_HOME, K_END,
	K_ENTER, K_ESCAPE, K_TAB, K_BACK_TAB, K_BACKSPACE, K_DELETE,
	K_F1, K_F2, K_F3, K_F4, K_F5, K_F6, K_F7, K_F8, K_F9, K_F10, K_F11, K_F12,
};
enum { KEY_CONTROL_MASK = 0x1f };

enum event_kind {
	EVENT_NONE,
	EVENT_KEY,
	EVENT_CLICK,      /* first button */
	EVENT_WHEEL,      /* wheel: -1 up, 1 down */
	EVENT_RESIZE,
	EVENT_REDRAW,     /* the terminal was somebody else's for a while: draw everything anew */
	EVENT_SIGNAL,     /* asked to end from outside */
};

struct event {
	enum event_kind kind;
	int key;          /* EVENT_KEY */
	bool pasted;      /* the key is part of pasted text: it types, it never commands */
	int row, col;     /* EVENT_CLICK, EVENT_WHEEL */
	int wheel;
	bool control;     /* EVENT_WHEEL with the Control key: zoom */
	int signal;       /* EVENT_SIGNAL */
};

/* "Left", "^U", "F1", "S-Tab", "é" to a key; K_NONE when it names none. */
int event_key_from_name(const char *name);
/* The other way; out holds at least 16 bytes. */
const char *event_key_name(int key, char *out);
/* How a hint bar shows it: arrows as arrows. */
const char *event_key_sign(int key, char *out);
bool event_key_types(int key); /* types a visible character or a blank */

#endif

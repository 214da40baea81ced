/* Lines that are asked for at the bottom of the screen: a file's name, a command, a search. One table of callbacks a purpose. */
#ifndef KVGLASS_TUI_LINE_ASK_H
#define KVGLASS_TUI_LINE_ASK_H

struct app;

struct ask {
	const char *label;
	void (*accept)(struct app *app, const char *text); /* Enter; the line is closed before, and may be asked for again */
	/* Tab: completes in app->line_field and writes what fits into app->line_names; NULL: names of files */
	void (*complete)(struct app *app);
	void (*changed)(struct app *app, const char *text); /* after every change of the text; may be NULL */
	void (*left)(struct app *app);                      /* Esc; may be NULL */
	void (*write)(struct app *app, const char *path);   /* of asks for a file to be written: also over one that is there */
	char history; /* mark of its lines in the history; 0: none */
};

#endif

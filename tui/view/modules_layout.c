#include "tui/view/modules.h"

enum {
	LABEL_COLS = 5,
	WORST_COLS = 17,
	WORST_LINES = 8,  /* under the grid, with its title */
	HERE_LINES = 4,
	LIVE_LINES = 1 + N_LIVE_LINE,
	PAGE_COLS = 60,   /* a page more for each so many columns */
	PAGE_LINES = 22,  /* and a row of pages more for each so many lines */
	GAP = 2,
};

static int min(int a, int b)
{
	return a < b ? a : b;
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

/* The loss grid with the worst heads beside it, or under it where that leaves too little for the pages. */
static int lay_left(struct modules_layout *out, struct rect body, int n_head)
{
	int grid = min(LABEL_COLS + n_head, body.cols / 2 - GAP), beside = grid + 1 + WORST_COLS;
	bool under = beside > 2 * body.cols / 5;
	int cols = under ? max(grid, WORST_COLS) : beside;
	int rows = body.rows - HERE_LINES - 1;
	out->here = rect_sub(body, body.rows - HERE_LINES, 0, HERE_LINES, max(cols, 26));
	out->pane[PANE_LOSS] = rect_sub(body, 0, 0, under ? rows - WORST_LINES : rows, grid);
	out->pane[PANE_WORST] = under ? rect_sub(body, rows - WORST_LINES + 1, 0, WORST_LINES - 1, cols)
	                              : rect_sub(body, 0, grid + 1, rows, WORST_COLS);
	return max(cols, 26);
}

static void lay_pages(struct modules_layout *out, struct rect r, enum modules_pane focus, int *first_page)
{
	int across = max(1, min(N_PAGE, r.cols / PAGE_COLS)), down = max(1, min(N_PAGE / across, r.rows / PAGE_LINES));
	int n = across * down, cols = (r.cols - GAP * (across - 1)) / across, rows = r.rows / down;
	int page = (int)focus - FIRST_PAGE;
	if (page >= 0)
		*first_page = layout_scroll(*first_page, page, 1, n, N_PAGE);
	*first_page = max(0, min(*first_page, N_PAGE - n));
	for (int i = 0; i < n; i++)
		out->pane[FIRST_PAGE + *first_page + i] = rect_sub(r, i / across * rows, i % across * (cols + GAP),
			i / across == down - 1 ? r.rows - i / across * rows : rows - 1, cols);
}

void modules_layout(struct modules_layout *out, const struct app *app, enum modules_pane focus, int *first_page)
{
	struct rect whole = {0, 0, app->rows, app->cols};
	*out = (struct modules_layout){.title = rect_sub(whole, 0, 0, 1, app->cols), .status = rect_sub(whole, 1, 0, 1, app->cols),
		.hint = rect_sub(whole, app->rows - 1, 0, 1, app->cols)};
	bool roomy = app->rows >= 30;
	struct rect body = rect_sub(whole, roomy ? 3 : 2, 0, app->rows - (roomy ? 4 : 3), app->cols);
	int left = lay_left(out, body, app->look.snap->capture->n_head);
	struct rect right = rect_sub(body, 0, left + GAP, body.rows, body.cols - left - GAP);
	out->pane[PANE_LIVE] = rect_sub(right, 0, 0, LIVE_LINES, right.cols);
	int from = LIVE_LINES + (body.rows >= 24);
	lay_pages(out, rect_sub(right, from, 0, right.rows - from, right.cols), focus, first_page);
}

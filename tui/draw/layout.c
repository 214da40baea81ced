#include "tui/draw/layout.h"

enum {
	LABEL_COLS = 5,
	GAP_COLS = 1,
	AGREE_ONE = 4,  /* " 100" */
	AGREE_TWO = 8,  /* " 100 100": two rows a line */
	MAP_LEAST = 18, /* of all panes but the fourth, which must leave the others MAP_GOOD */
	MAP_GOOD = 36,
	MAP_CHOSEN = 10, /* of panes that were chosen */
};

static int min(int a, int b)
{
	return a < b ? a : b;
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

static int half_lines(int n, bool half)
{
	return half ? (n + 1) / 2 : n;
}

int layout_head_lines(int n_head, int n_kv_head, bool half)
{
	int groups = max(1, n_kv_head);
	return groups * half_lines(max(1, n_head / groups), half);
}

int layout_head_line(int head, int n_head, int n_kv_head, bool half)
{
	int group = max(1, n_head / max(1, n_kv_head));
	return head / group * half_lines(group, half) + (half ? head % group / 2 : head % group);
}

int layout_scroll(int first, int line, int n, int shown, int total)
{
	if (line + n > first + shown)
		first = line + n - shown;
	if (line < first)
		first = line;
	return max(0, min(first, total - shown));
}

/* Columns of every pane's map when n panes stand side by side. */
static int map_cols(const struct layout_request *r, int n, int agree)
{
	int with_agree = r->truth_first && !(r->full) ? n - 1 : n;
	return (r->cols - LABEL_COLS - (n - 1) * GAP_COLS - with_agree * agree) / n;
}

static int choose_panes(const struct layout_request *r, int agree)
{
	int n = r->full ? 1 : max(1, min(r->n_pane, LAYOUT_MAX_PANE));
	while (n > 1 && map_cols(r, n, agree) < (r->chosen ? MAP_CHOSEN : n == LAYOUT_MAX_PANE ? MAP_GOOD : MAP_LEAST))
		n--;
	return n;
}

struct lines {
	int layers, heads, heads_title, n_strip, gap; /* gap: lines left free before the text, and before the numbers */
};

/* Deals out the lines between the pane titles and the hint: everything in single rows if it fits, then layers in
 * half blocks, then heads too; when even that does not fit, both scroll and the heads keep at least one KV head's
 * group. What is left shows more text. */
static struct lines deal_lines(struct layout *out, const struct layout_request *r, int rows, int strip_lines)
{
	struct lines d = {.n_strip = 1};
	int single_l = r->n_layer, single_h = layout_head_lines(r->n_head, r->n_kv_head, false);
	int half_l = half_lines(r->n_layer, r->half_blocks),
		half_h = layout_head_lines(r->n_head, r->n_kv_head, r->half_blocks);
	out->layers_half = r->half_blocks && single_l + single_h > rows;
	out->heads_half = r->half_blocks && half_l + single_h > rows;
	d.layers = out->layers_half ? half_l : single_l;
	d.heads = out->heads_half ? half_h : single_h;
	if (d.layers + d.heads > rows) {
		int group = half_lines(max(1, r->n_head / max(1, r->n_kv_head)), out->heads_half);
		d.heads = min(d.heads, max(min(group, rows / 2), rows / 4));
		d.layers = min(d.layers, rows - d.heads);
		d.heads = min(out->heads_half ? half_h : single_h, rows - d.layers);
	}
	int spare = rows - d.layers - d.heads;
	d.heads_title = spare > 0;
	spare -= d.heads_title;
	int strips = min(LAYOUT_MAX_STRIP - 1, spare / strip_lines);
	d.n_strip += strips;
	d.gap = spare - strips * strip_lines >= 2;
	return d;
}

static void place_pane(struct layout_pane *p, int col, int width, int agree, int row, const struct lines *d)
{
	int heads_row = row + 1 + d->layers + 2 + d->heads_title;
	p->title = (struct rect){row, col, 1, width + agree};
	p->layers = (struct rect){row + 1, col, d->layers, width};
	p->layers_agree = (struct rect){row + 1, col + width, d->layers, agree};
	p->ruler = (struct rect){row + 1 + d->layers, col, 1, width};
	p->heads = (struct rect){heads_row, col, d->heads, width};
	p->heads_agree = (struct rect){heads_row, col + width, d->heads, agree};
}

void layout_maps(struct layout *out, const struct layout_request *r)
{
	*out = (struct layout){.fits = r->rows >= LAYOUT_MIN_ROWS && r->cols >= LAYOUT_MIN_COLS};
	if (!out->fits)
		return;
	int strip_lines = 1 + r->n_mark;
	int taken = 6 /* title, status, pane titles, ruler, legend, hint */ + strip_lines + r->n_number;
	struct lines d = deal_lines(out, r, max(2, r->rows - taken), strip_lines);
	int agree = out->layers_half ? AGREE_TWO : AGREE_ONE;
	int n = out->n_pane = choose_panes(r, agree);
	int width = map_cols(r, n, agree), col = LABEL_COLS;
	for (int i = 0; i < n; i++) {
		int beside = r->truth_first && !r->full && i == 0 ? 0 : agree;
		place_pane(&out->pane[i], col, width, beside, 2, &d);
		col += width + beside + GAP_COLS;
	}
	int row = 3 + d.layers;
	out->title = (struct rect){0, 0, 1, r->cols};
	out->status = (struct rect){1, 0, 1, r->cols};
	out->layer_label = (struct rect){3, 0, d.layers, LABEL_COLS};
	out->legend = (struct rect){row + 1, 0, 1, r->cols};
	out->heads_title = (struct rect){row + 2, 0, d.heads_title, r->cols};
	out->head_label = (struct rect){row + 2 + d.heads_title, 0, d.heads, LABEL_COLS};
	row += 2 + d.heads_title + d.heads + d.gap;
	out->n_strip = d.n_strip;
	for (int i = 0; i < d.n_strip; i++, row += strip_lines)
		out->strip[i] = (struct rect){row, 0, strip_lines, r->cols};
	out->numbers = rect_sub((struct rect){0, 0, r->rows - 1, r->cols}, row + d.gap, 0, r->n_number, r->cols);
	out->hint = (struct rect){r->rows - 1, 0, 1, r->cols};
}

void layout_page(struct layout_page *out, int rows, int cols, int n_info)
{
	*out = (struct layout_page){.fits = rows >= LAYOUT_MIN_ROWS && cols >= LAYOUT_MIN_COLS};
	if (!out->fits)
		return;
	out->title = (struct rect){0, 0, 1, cols};
	out->status = (struct rect){1, 0, 1, cols};
	out->body = (struct rect){2, 0, rows - 3 - n_info, cols};
	out->info = (struct rect){rows - 1 - n_info, 0, n_info, cols};
	out->hint = (struct rect){rows - 1, 0, 1, cols};
}

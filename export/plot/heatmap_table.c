/* A heatmap's data as CSV (one line a cell of a token) and JSON (rows of numbers). */

#include "export/plot/heatmap.h"
#include "export/table.h"

static void csv_row(const struct heatmap *h, const struct heatmap_panel *p, int row, FILE *f)
{
	int layer, head, n = h->last - h->first;
	heatmap_row(h, row, &layer, &head);
	for (int i = 0; i < n; i++) {
		size_t n_bytes;
		const char *piece = capture_piece(evaluation_capture(h->ev), h->first + i, &n_bytes);
		fprintf(f, "%s,%d,", p->name, layer);
		if (head >= 0)
			fprintf(f, "%d", head);
		fprintf(f, ",%d,", h->first + i);
		plot_csv_text(f, piece, n_bytes);
		fputc(',', f);
		plot_csv_number(f, (double)p->value[(size_t)row * (size_t)n + (size_t)i]);
		if (p->kept)
			fprintf(f, ",%d", p->kept[i]);
		fputc('\n', f);
	}
}

void heatmap_csv(const void *plot, FILE *f)
{
	const struct heatmap *h = plot;
	fprintf(f, "method,layer,head,position,token,%s%s\n", plot_scale_name(h->spec->scale), h->spec->rows == FIGURE_ONE ? ",kept" : "");
	for (int i = 0; i < h->n_panel; i++)
		for (int row = 0; row < h->n_row; row++)
			csv_row(h, &h->panel[i], row, f);
}

static json_t *json_row(const struct heatmap *h, const struct heatmap_panel *p, int row)
{
	int layer, head, n = h->last - h->first, failed = 0;
	heatmap_row(h, row, &layer, &head);
	json_t *object = json_object(), *values = json_array();
	for (int i = 0; i < n; i++)
		failed |= json_array_append_new(values, table_json_number((double)p->value[(size_t)row * (size_t)n + (size_t)i]));
	failed |= plot_json_set(object, "layer", json_integer(layer));
	failed |= plot_json_set(object, "head", head < 0 ? json_null() : json_integer(head));
	failed |= plot_json_set(object, "values", values);
	if (p->best)
		failed |= plot_json_set(object, "mass_ratio", table_json_number(p->best[row]));
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *json_panel(const struct heatmap *h, const struct heatmap_panel *p)
{
	int failed = 0;
	json_t *object = plot_json_method(p->name, p->label, &failed), *rows = json_array(), *kept = p->kept ? json_array() : NULL;
	for (int row = 0; row < h->n_row; row++)
		failed |= json_array_append_new(rows, json_row(h, p, row));
	for (int i = 0; p->kept && i < h->last - h->first; i++)
		failed |= json_array_append_new(kept, json_boolean(p->kept[i]));
	failed |= plot_json_set(object, "rows", rows);
	if (kept)
		failed |= plot_json_set(object, "kept", kept);
	return plot_json_unless(failed, object);
}

int heatmap_json(const void *plot, json_t *root)
{
	static const char *const rows[] = {[FIGURE_LAYERS] = "layers", [FIGURE_HEADS] = "heads", [FIGURE_ONE] = "one"};
	const struct heatmap *h = plot;
	json_t *panels = json_array(), *sinks = json_array();
	int failed = 0;
	for (int i = 0; i < h->n_panel; i++)
		failed |= json_array_append_new(panels, json_panel(h, &h->panel[i]));
	for (int j = h->first; j < h->last; j++)
		if (h->prompt_sink[j - h->first])
			failed |= json_array_append_new(sinks, json_integer(j));
	failed |= plot_json_set(root, "rows", json_string(rows[h->spec->rows]));
	failed |= plot_json_set(root, "scale", json_string(plot_scale_name(h->spec->scale)));
	failed |= plot_json_set(root, "first", json_integer(h->first));
	failed |= plot_json_set(root, "last", json_integer(h->last));
	failed |= plot_json_set(root, "masked_first", json_integer(h->n_sink));
	failed |= plot_json_set(root, "masked_last", json_integer(h->n_window));
	failed |= plot_json_set(root, "cell", json_string(heatmap_cell_is_mean(h->spec->scale) ? "mean" : "max"));
	failed |= plot_json_set(root, "prompt_sinks", sinks);
	failed |= plot_json_set(root, "panels", panels);
	return failed ? -1 : 0;
}

/* The command line that draws a figure: options of `kvglass export`, only those that differ from their defaults. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/plot/origin.h"

static void put_word(FILE *f, const char *name, const char *value)
{
	char *quoted = shell_quote(value);
	fprintf(f, "%s%s", name, quoted ? quoted : "");
	free(quoted);
}

static void put_methods(FILE *f, const struct figure_spec *spec)
{
	for (int i = 0; spec->method && i < spec->n_method; i++)
		put_word(f, i ? "," : " --method ", spec->method[i]);
}

static void put_protocol(FILE *f, const struct protocol *p)
{
	static const char *const pools[] = {[POOL_AVG] = "avg", [POOL_MAX] = "max"};
	const struct protocol usual = protocol_default();
	if (p->select.sink != usual.select.sink)
		fprintf(f, " --sink %d", p->select.sink);
	if (p->select.window != usual.select.window)
		fprintf(f, " --window %d", p->select.window);
	if (p->score.pool != POOL_NONE)
		fprintf(f, " --pool %s --kernel %d", pools[p->score.pool], p->score.kernel);
}

static void put_spec(FILE *f, const struct figure_spec *s)
{
	static const char *const kinds[] = {[FIGURE_HEATMAP] = "heatmap", [FIGURE_OVERLAY] = "overlay", [FIGURE_CURVES] = "curves"};
	static const char *const rows[] = {[FIGURE_LAYERS] = "layers", [FIGURE_HEADS] = "heads", [FIGURE_ONE] = "one"};
	const struct figure_spec usual = figure_spec_default();
	fprintf(f, " --figure %s", kinds[s->kind]);
	if (s->kind == FIGURE_HEATMAP)
		fprintf(f, " --rows %s", rows[s->rows]);
	if (s->layer >= 0)
		fprintf(f, " --layer %d", s->layer);
	if (s->head >= 0)
		fprintf(f, " --head %d", s->head);
	put_methods(f, s);
	if (s->budget != usual.budget)
		fprintf(f, " --budget %d", s->budget);
	if (s->first || s->last)
		fprintf(f, " --range %d:%d", s->first, s->last);
	if (s->scale != usual.scale)
		fprintf(f, " --scale %s", plot_scale_name(s->scale));
	if (s->colour != usual.colour)
		fprintf(f, " --colormap %s", plot_colour_name(s->colour));
	if (fabs(s->width_in - usual.width_in) > 1e-9 && s->width_in > 0)
		fprintf(f, " --width %g", s->width_in);
	if (s->height_in > 0)
		fprintf(f, " --height %g", s->height_in);
	if (s->dpi != usual.dpi)
		fprintf(f, " --dpi %d", s->dpi);
	if (s->seed != usual.seed)
		fprintf(f, " --seed %llu", (unsigned long long)s->seed);
	if (s->anonymous)
		fputs(" --anonymous", f);
}

char *figure_command(const struct figure_spec *spec, const struct protocol *protocol, const char *capture, const char *path)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	put_word(f, "kvglass export ", capture ? capture : "CAPTURE.kvg");
	put_spec(f, spec);
	put_protocol(f, protocol);
	if (path)
		put_word(f, " -o ", path);
	int failed = ferror(f);
	if (fclose(f) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

#include "tui/figure_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command/options.h"

static bool needs_quotes(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
	return !*word || word[strspn(word, plain)];
}

/* A quote inside single quotes: end them, an escaped quote, begin again. */
static void write_quoted(FILE *out, const char *word)
{
	if (!needs_quotes(word)) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

static void write_word(FILE *out, const char *word)
{
	fputc(' ', out);
	write_quoted(out, word);
}

static void write_whole(FILE *out, enum option_id id, int64_t value, bool wanted)
{
	if (wanted)
		fprintf(out, " --%s %" PRId64, option_table[id].name, value);
}

static void write_real(FILE *out, enum option_id id, double value, bool wanted)
{
	if (wanted)
		fprintf(out, " --%s %.6g", option_table[id].name, value);
}

static void write_choice(FILE *out, enum option_id id, int value, bool wanted)
{
	char word[24];
	if (!wanted)
		return;
	option_choice_word(id, value, word);
	fprintf(out, " --%s %s", option_table[id].name, word);
}

static void write_protocol(FILE *out, const struct figure_command *f)
{
	const struct preset *preset = f->preset ? preset_find(f->preset) : NULL;
	const struct protocol usual = preset ? preset->protocol : protocol_default();
	const struct protocol *p = &f->protocol;
	write_whole(out, OPT_sink, p->select.sink, p->select.sink != usual.select.sink);
	write_whole(out, OPT_window, p->select.window, p->select.window != usual.select.window);
	write_choice(out, OPT_pool, (int)p->score.pool, p->score.pool != usual.score.pool);
	write_choice(out, OPT_group, (int)p->score.group, p->score.group != usual.score.group);
	write_whole(out, OPT_kernel, p->score.kernel, p->score.pool != POOL_NONE && p->score.kernel != usual.score.kernel);
	if (preset) {
		fprintf(out, " --%s", option_table[OPT_preset].name);
		write_word(out, preset->name);
	}
}

static void write_methods(FILE *out, const struct figure_spec *s)
{
	if (s->n_method)
		fprintf(out, " --%s ", option_table[OPT_method].name);
	for (int i = 0; i < s->n_method; i++) {
		fputs(i ? "," : "", out);
		write_quoted(out, s->method[i]);
	}
}

/* What a heatmap's rows are when only --layer and --head speak. */
static enum figure_rows usual_rows(const struct figure_spec *s)
{
	return s->layer < 0 ? FIGURE_LAYERS : s->head < 0 ? FIGURE_HEADS : FIGURE_ONE;
}

static void write_figure(FILE *out, const struct figure_spec *s)
{
	const struct figure_spec usual = figure_spec_default();
	write_choice(out, OPT_figure, (int)s->kind, true);
	write_choice(out, OPT_measure, (int)s->measure, s->kind == FIGURE_GRID && s->measure != usual.measure);
	write_choice(out, OPT_rows, (int)s->rows, s->kind == FIGURE_HEATMAP && s->rows != usual_rows(s));
	write_whole(out, OPT_layer, s->layer, s->layer >= 0);
	write_whole(out, OPT_head, s->head, s->head >= 0);
	if (s->last > 0)
		fprintf(out, " --%s %d:%d", option_table[OPT_range].name, s->first, s->last);
	write_choice(out, OPT_scale, (int)s->scale, s->scale != usual.scale);
	write_choice(out, OPT_colormap, (int)s->colour, s->colour != usual.colour);
	write_real(out, OPT_width, s->width_in, s->width_in != usual.width_in);
	write_real(out, OPT_height, s->height_in, s->height_in != usual.height_in);
	write_whole(out, OPT_dpi, s->dpi, s->dpi != usual.dpi);
	if (s->anonymous)
		fprintf(out, " --%s", option_table[OPT_anonymous].name);
}

int figure_command_write(char **out, const struct figure_command *f, struct err *e)
{
	size_t n;
	const struct figure_spec usual = figure_spec_default();
	const char *capture = f->capture && !f->spec.anonymous ? f->capture : FIGURE_NO_CAPTURE;
	FILE *line = open_memstream(out, &n);
	if (!line)
		return err_set(e, ERR_MEMORY, "no memory for the figure's command line");
	fputs(capture[0] == '-' ? "kvglass export ./" : "kvglass export ", line); /* a path, not an option */
	write_quoted(line, capture);
	write_methods(line, &f->spec);
	write_whole(line, OPT_seed, (int64_t)f->seed, f->seed != 1);
	write_whole(line, OPT_budget, f->spec.budget, f->spec.budget != usual.budget);
	write_protocol(line, f);
	write_figure(line, &f->spec);
	bool failed = ferror(line);
	if (fclose(line) || failed) {
		free(*out);
		*out = NULL;
		return err_set(e, ERR_MEMORY, "no memory for the figure's command line");
	}
	return 0;
}

/* ---- the way back ---- */

/* Copies one word to *to, quotes taken off, and ends it; NULL for a quote that does not end. */
static const char *split_word(const char *at, char **to)
{
	bool quoted = false;
	for (; *at && (quoted || *at != ' '); at++) {
		if (*at == '\'')
			quoted = !quoted;
		else if (*at == '\\' && !quoted && at[1])
			*(*to)++ = *++at;
		else
			*(*to)++ = *at;
	}
	*(*to)++ = '\0';
	return quoted ? NULL : at;
}

int figure_command_split(char ***words, int *n, const char *line, struct err *e)
{
	size_t length = strlen(line), most = length / 2 + 2; /* a word and its blank take two bytes at least; and the NULL */
	char **list = malloc(most * sizeof *list + length + 1);
	if (!list)
		return err_set(e, ERR_MEMORY, "no memory for a line of %zu bytes", length);
	char *to = (char *)(list + most);
	for (*n = 0; line && *(line += strspn(line, " ")); ++*n) {
		list[*n] = to;
		line = split_word(line, &to);
	}
	list[*n] = NULL;
	*words = list;
	if (line)
		return 0;
	free(list);
	*words = NULL;
	return err_set(e, ERR_FORMAT, "the command line ends inside quotes");
}

/* kvglass export: figures from captures, and figures again from figures. */
#include <stdlib.h>
#include <string.h>

#include "export/figure.h"
#include "tui/command/command.h"
#include "tui/command/nearest.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"
#include "tui/figure_command.h"

_Static_assert(FIGURE_HEATMAP == 0 && FIGURE_OVERLAY == 1 && FIGURE_CURVES == 2 && FIGURE_TRAINING == 3 && FIGURE_GRID == 4,
	"order of --figure in tui/options.def");
_Static_assert(FIGURE_MASS == 0 && FIGURE_PICKS == 1 && FIGURE_GAIN == 2 && FIGURE_GAP == 3 && FIGURE_KL == 4,
	"order of --measure in tui/options.def");
_Static_assert(FIGURE_LAYERS == 0 && FIGURE_HEADS == 1 && FIGURE_ONE == 2, "order of --rows in tui/options.def");
_Static_assert(RAMP_LIFT == 0 && RAMP_PERCENTILE == 1 && RAMP_RAW == 2 && RAMP_DIFFERENCE == 3, "order of --scale in tui/options.def");
_Static_assert(RAMP_VIRIDIS == 0 && RAMP_CIVIDIS == 1 && RAMP_MAGMA == 2 && RAMP_GREY == 3 && RAMP_DIVERGING == 4,
	"order of --colormap in tui/options.def");

/* ---- use ---- */

static int unknown_venue(const char *name, struct err *e)
{
	struct nearest near = nearest_begin(name, strlen(name));
	char hint[80], known[200] = "";
	size_t used = 0;
	int n;
	const char *const *list = figure_venues(&n);
	for (int i = 0; i < n; i++) {
		nearest_offer(&near, list[i]);
		if (used < sizeof known)
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", list[i]);
	}
	nearest_hint(&near, "", hint, sizeof hint);
	return err_set(e, ERR_USE, "--venue %.60s: not one of %s%s", name, known, hint);
}

/* The figure's own switches, wherever they come from: the command line or a figure that is drawn again. */
static int check_figure(const struct options *o, struct err *e)
{
	if (!o->n_argument)
		return err_set(e, ERR_USE, "no capture: kvglass export %s", command_table[COMMAND_EXPORT].arguments);
	if (o->figure < 0)
		return err_set(e, ERR_USE, "--figure is missing: %s", option_table[OPT_figure].argument);
	if (o->head >= 0 && o->layer < 0)
		return err_set(e, ERR_USE, "--head %d of which layer? --layer says it", (int)o->head);
	if (o->rows == FIGURE_HEADS && o->layer < 0)
		return err_set(e, ERR_USE, "--rows heads needs --layer");
	if (o->rows == FIGURE_ONE && o->head < 0)
		return err_set(e, ERR_USE, "--rows one needs --layer and --head");
	if (o->range.first >= 0 && o->range.first >= o->range.second)
		return err_set(e, ERR_USE, "--range %d:%d: nothing in it", o->range.first, o->range.second);
	if (o->venue && figure_venue_width(o->venue) <= 0)
		return unknown_venue(o->venue, e);
	if (o->venue && GIVEN(o, width))
		return err_set(e, ERR_USE, "--venue and --width exclude each other");
	return settings_check(o, e);
}

/* --reproduce takes every switch from the figure; only where to write, and where the capture is, may be said beside it. */
static int check_alone(const struct options *o, struct err *e)
{
	static const bool beside[N_OPTION] = {[OPT_reproduce] = true, [OPT_output] = true, [OPT_quiet] = true};
	for (int id = 0; id < N_OPTION; id++)
		if (o->given[id] && !beside[id])
			return err_set(e, ERR_USE, "--%s beside --reproduce: the figure itself says how it is drawn", option_table[id].name);
	return 0;
}

static int check(const struct options *o, struct err *e)
{
	if (o->reproduce ? check_alone(o, e) : check_figure(o, e))
		return ERR_USE;
	if (!o->output)
		return err_set(e, ERR_USE, "-o is missing: the file to draw");
	return 0;
}

/* ---- drawing ---- */

static struct figure_command command_of(const struct options *o)
{
	struct figure_command f = {
		.capture = o->argument[0],
		.preset = o->preset,
		.protocol = settings_protocol(o),
		.seed = (uint64_t)o->seed,
		.spec = figure_spec_default(),
	};
	struct figure_spec *s = &f.spec;
	s->kind = (enum figure_kind)o->figure;
	s->layer = (int)o->layer;
	s->head = (int)o->head;
	s->rows = o->rows >= 0 ? (enum figure_rows)o->rows : o->layer < 0 ? FIGURE_LAYERS : o->head < 0 ? FIGURE_HEADS : FIGURE_ONE;
	s->measure = (enum figure_measure)o->measure;
	s->method = (const char *const *)o->method.item;
	s->n_method = o->method.n;
	s->budget = (int)o->budget;
	s->dpi = (int)o->dpi;
	s->scale = (enum ramp_scale)o->scale;
	s->colour = (enum ramp_colour)o->colormap;
	s->anonymous = o->anonymous;
	if (o->range.first >= 0) {
		s->first = o->range.first;
		s->last = o->range.second;
	}
	if (o->venue)
		s->width_in = figure_venue_width(o->venue);
	if (GIVEN(o, width))
		s->width_in = o->width;
	if (GIVEN(o, height))
		s->height_in = o->height;
	return f;
}

static int draw(const struct options *o, const struct figure_command *f, const struct capture *c, const char *line, struct err *e)
{
	struct evaluation *ev;
	struct preset preset;
	const struct evaluation_options options = {
		.protocol = f->protocol,
		.seed = f->seed,
		.preset = settings_preset(f->preset, &f->protocol, &preset),
	};
	struct figure_spec spec = f->spec;
	char missing[FIGURE_REMARK];
	spec.command = line;
	spec.remark = missing;
	int rc = evaluation_open(&ev, c, &options, NULL, e);
	if (rc)
		return rc;
	rc = figure_write(ev, &spec, o->output, e);
	if (!rc && *missing)
		remark(o, "%s: %s", o->output, missing);
	evaluation_close(ev);
	return rc;
}

/* The log at `path`, which must have this hash unless it is NULL. */
static int draw_log(const struct figure_command *f, const char *path, const char *sha256, const char *line, const char *to, struct err *e)
{
	struct training_log *log;
	struct figure_spec spec = f->spec;
	spec.command = line;
	int rc = training_log_open(&log, path, e);
	if (rc)
		return rc;
	if (sha256 && strcmp(log->sha256, sha256))
		rc = err_set(e, ERR_FORMAT, "drawn from a log with sha256 %.16s..., %s has %.16s...", sha256, path, log->sha256);
	rc = rc ? rc : figure_write_training(log, &spec, to, e);
	training_log_free(log);
	return rc;
}

static int draw_new(const struct options *o, struct err *e)
{
	const struct figure_command f = command_of(o);
	const struct capture *c;
	char *line;
	int rc = figure_command_write(&line, &f, e);
	if (rc)
		return rc;
	if (f.spec.kind == FIGURE_TRAINING) {
		rc = draw_log(&f, o->argument[0], NULL, line, o->output, e);
		free(line);
		return rc;
	}
	rc = settings_capture(&c, o->argument[0], o, e);
	if (!rc) {
		rc = draw(o, &f, c, line, e);
		capture_unref(c);
	}
	free(line);
	return rc;
}

/* ---- drawing again ---- */

/* `path` as it stands, or else in the figure's own folder: figures and captures travel together. */
static int open_near(const struct capture **out, const char *path, const char *figure, struct err *e)
{
	int rc = capture_open(out, path, e);
	const char *slash = strrchr(figure, '/'), *name = strrchr(path, '/');
	if (rc != ERR_SYSTEM || !slash)
		return rc;
	char *beside;
	if (asprintf(&beside, "%.*s%s", (int)(slash + 1 - figure), figure, name ? name + 1 : path) < 0)
		return err_set(e, ERR_MEMORY, "no memory for a path");
	struct err second;
	if (capture_open(out, beside, &second) == 0)
		rc = 0;
	free(beside);
	return rc;
}

static int open_same(const struct capture **out, const struct options *o, const char *path, const char sha256[65], struct err *e)
{
	bool named = o->n_argument > 0;
	if (!sha256[0])
		return err_set(e, ERR_FORMAT, "%s: does not say which capture it was drawn from", o->reproduce);
	if (!named && !strcmp(path, FIGURE_NO_CAPTURE))
		return err_set(e, ERR_FORMAT, "%s: does not tell the path of its capture (sha256 %.16s...); name it after the options",
			o->reproduce, sha256);
	int rc = named ? capture_open(out, o->argument[0], e) : open_near(out, path, o->reproduce, e);
	if (rc)
		return err_prefix(e, "%s: its capture", o->reproduce);
	if (!strcmp(capture_sha256(*out), sha256))
		return 0;
	err_set(e, ERR_FORMAT, "%s: drawn from a capture with sha256 %.16s..., %s has %.16s...", o->reproduce, sha256,
		named ? o->argument[0] : path, capture_sha256(*out));
	capture_unref(*out);
	*out = NULL;
	return ERR_FORMAT;
}

static int draw_same_log(const struct options *kept, const struct options *o, const char *line, const char sha256[65], struct err *e)
{
	const struct figure_command f = command_of(kept);
	const char *path = o->n_argument ? o->argument[0] : kept->argument[0];
	if (!strcmp(path, FIGURE_NO_CAPTURE))
		return err_set(e, ERR_FORMAT, "%s: does not tell the path of its log (sha256 %.16s...); name it after the options", o->reproduce,
			sha256);
	int rc = draw_log(&f, path, sha256, line, o->output, e);
	return rc ? err_prefix(e, "%s", o->reproduce) : 0;
}

static int draw_from(const struct options *kept, const struct options *o, const char *line, const char sha256[65], struct err *e)
{
	const struct capture *c;
	if (check_figure(kept, e))
		return err_prefix(e, "%s: the command inside", o->reproduce);
	if (kept->figure == FIGURE_TRAINING)
		return draw_same_log(kept, o, line, sha256, e);
	int rc = open_same(&c, o, kept->argument[0], sha256, e);
	if (rc)
		return rc;
	const struct figure_command f = command_of(kept);
	rc = draw(o, &f, c, line, e);
	capture_unref(c);
	return rc;
}

static int draw_again(const struct options *o, struct err *e)
{
	char *line, **words, sha256[65];
	int n;
	struct options kept;
	int rc = figure_provenance(o->reproduce, &line, sha256, e);
	if (rc)
		return rc;
	rc = figure_command_split(&words, &n, line, e);
	if (!rc && (n < 3 || strcmp(words[1], command_table[COMMAND_EXPORT].name)))
		rc = err_set(e, ERR_FORMAT, "\"%.100s\" is not a command that draws a figure", line);
	if (!rc)
		rc = options_parse(&kept, COMMAND_EXPORT, n, words, 2, e);
	if (rc) {
		err_prefix(e, "%s: the command inside", o->reproduce);
	} else {
		rc = draw_from(&kept, o, line, sha256, e);
		options_free(&kept);
	}
	free(words);
	free(line);
	return rc;
}

static int run(const struct options *o, struct err *e)
{
	return o->reproduce ? draw_again(o, e) : draw_new(o, e);
}

const struct command command_export = {.check = check, .run = run};

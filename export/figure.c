#include "export/figure.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/file.h"
#include "export/plot/origin.h"
#include "export/plot/plot.h"
#include "export/plot/training.h"

/* Column and page widths of the venues' style files, inches. */
static const struct {
	const char *name;
	double width_in;
} venues[] = {
	{"icml", 3.25},
	{"icml-full", 6.75},
	{"neurips", 5.5},
	{"neurips-half", 2.65},
	{"iclr", 5.5},
	{"acl", 3.3},
	{"acl-full", 6.8},
};
enum { N_VENUE = sizeof venues / sizeof *venues };

struct figure_spec figure_spec_default(void)
{
	return (struct figure_spec){.layer = -1, .head = -1, .budget = 128, .width_in = 6.75, .dpi = 300};
}

double figure_venue_width(const char *venue)
{
	for (int i = 0; i < N_VENUE; i++)
		if (!strcmp(venues[i].name, venue))
			return venues[i].width_in;
	return 0;
}

const char *const *figure_venues(int *n)
{
	static const char *const names[] = {"icml", "icml-full", "neurips", "neurips-half", "iclr", "acl", "acl-full"};
	_Static_assert(sizeof names / sizeof *names == N_VENUE, "one list of venues");
	*n = N_VENUE;
	return names;
}

/* ---- what is asked for ---- */

static int check_spec(const struct figure_spec *s, struct err *e)
{
	if ((unsigned)s->kind > FIGURE_GRID || (unsigned)s->rows > FIGURE_ONE)
		return err_set(e, ERR_USE, "figure: kind %d with rows %d is not one", (int)s->kind, (int)s->rows);
	if ((unsigned)s->measure > FIGURE_KL)
		return err_set(e, ERR_USE, "figure: measure %d is not one", (int)s->measure);
	if ((unsigned)s->scale > RAMP_DIFFERENCE || (unsigned)s->colour > RAMP_DIVERGING)
		return err_set(e, ERR_USE, "figure: scale %d with colours %d is not one", (int)s->scale, (int)s->colour);
	if (!(s->width_in >= 0 && s->width_in <= 100) || !(s->height_in >= 0 && s->height_in <= 100))
		return err_set(e, ERR_USE, "figure: %g x %g in, sides must be at most 100 in", s->width_in, s->height_in);
	if (s->dpi < 36 || s->dpi > 2400)
		return err_set(e, ERR_USE, "figure: %d dpi, it must be 36 to 2400", s->dpi);
	return 0;
}

enum format { FORMAT_PNG, FORMAT_PDF, FORMAT_SVG, FORMAT_TEX, FORMAT_CSV, FORMAT_JSON };

static int find_format(const char *path, enum format *out, struct err *e)
{
	static const char *const endings[] = {[FORMAT_PNG] = ".png",
		[FORMAT_PDF] = ".pdf",
		[FORMAT_SVG] = ".svg",
		[FORMAT_TEX] = ".tex",
		[FORMAT_CSV] = ".csv",
		[FORMAT_JSON] = ".json"};
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
		if (!strcasecmp(dot, endings[i])) {
			*out = (enum format)i;
			return 0;
		}
	return err_set(e, ERR_USE, "%s: a figure's name must end in .png, .pdf, .svg, .tex, .csv or .json", path);
}

/* ---- a plot into bytes ---- */

struct bytes {
	uint8_t *data; /* malloc'ed */
	size_t n;
};

static const struct plot_ops *const plots[] = {
	[FIGURE_HEATMAP] = &plot_heatmap,
	[FIGURE_OVERLAY] = &plot_overlay,
	[FIGURE_CURVES] = &plot_curves,
	[FIGURE_TRAINING] = &plot_training,
	[FIGURE_GRID] = &plot_heads,
};

struct source { /* one of both */
	const struct evaluation *ev;
	const struct training_log *log;
};

struct job {
	const struct plot_ops *op;
	void *plot;
	const struct figure_spec *spec;
	struct provenance origin;
	enum format format;
};

static int draw_on(struct job *job, struct text_engine *t, struct bytes *out, struct err *e)
{
	static const enum canvas_kind kinds[] = {
		[FORMAT_PNG] = CANVAS_PNG, [FORMAT_PDF] = CANVAS_PDF, [FORMAT_SVG] = CANVAS_SVG};
	struct canvas_options o = {.kind = kinds[job->format], .dpi = job->spec->dpi, .provenance = &job->origin};
	struct canvas *c;
	int rc = job->op->lay_out(job->plot, t, &o.width, &o.height, e);
	if (rc || (rc = canvas_open(&c, &o, e)))
		return rc;
	job->op->draw(job->plot, t, c);
	rc = canvas_finish(c, &out->data, &out->n, e);
	canvas_close(c);
	return rc;
}

/* Boxes where there should be text are seen too late, so they are said. */
static void remark_missing(const struct text_engine *t, char *out)
{
	uint32_t first;
	int n = text_engine_missing(t, &first);
	if (n == 1)
		snprintf(out, FIGURE_REMARK, "no font of this machine has U+%04X, drawn as a box with its code", first);
	else if (n)
		snprintf(out, FIGURE_REMARK, "no font of this machine has %d of the characters (U+%04X, ...), drawn as boxes with their codes; "
			"the package fonts-droid-fallback has most scripts", n, first);
}

static int draw(struct job *job, struct bytes *out, struct err *e)
{
	struct text_engine *t;
	int rc = text_engine_open(&t, e);
	if (rc)
		return rc;
	rc = draw_on(job, t, out, e);
	if (!rc && job->spec->remark)
		remark_missing(t, job->spec->remark);
	job->op->free(job->plot); /* its shaped text refers to the engine */
	text_engine_close(t);
	return rc;
}

static void write_tex(struct job *job, FILE *f)
{
	fputs("% Made by " PROVENANCE_PROGRAM ".\n", f);
	for (int i = 0; i < job->origin.n; i++)
		fprintf(f, "%% " PROVENANCE_PREFIX "%s: %s\n", job->origin.entry[i].name, job->origin.entry[i].value);
	job->op->tex(job->plot, f);
}

static int write_text(struct job *job, struct bytes *out, struct err *e)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, &out->n);
	if (!f)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	if (job->format == FORMAT_TEX)
		write_tex(job, f);
	else
		job->op->csv(job->plot, f);
	int failed = ferror(f);
	if (fclose(f) || failed) {
		free(text);
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	}
	out->data = (uint8_t *)text;
	return 0;
}

static json_t *origin_json(const struct provenance *p)
{
	json_t *object = json_object();
	int failed = plot_json_set(object, "software", json_string(PROVENANCE_PROGRAM));
	for (int i = 0; i < p->n; i++)
		failed |= plot_json_set(object, p->entry[i].name, json_string(p->entry[i].value));
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

static int write_json(struct job *job, struct bytes *out, struct err *e)
{
	json_t *root = json_object();
	int failed = plot_json_set(root, "figure", json_string(job->op->name));
	failed |= plot_json_set(root, "provenance", origin_json(&job->origin));
	failed |= job->op->json(job->plot, root);
	char *text = failed ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(root);
	if (!text)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	out->n = strlen(text);
	text[out->n++] = '\n'; /* in place of the NUL */
	out->data = (uint8_t *)text;
	return 0;
}

static int make_plot(struct job *job, const struct source *from, struct err *e)
{
	int rc = from->log ? training_make(job->plot, from->log, job->spec, e) : job->op->make(job->plot, from->ev, job->spec, e);
	if (rc)
		return rc;
	return from->log ? origin_collect_log(&job->origin, from->log, job->spec, e) : origin_collect(&job->origin, from->ev, job->spec, e);
}

static int make_bytes(struct job *job, const struct source *from, const char *path, struct bytes *out, struct err *e)
{
	int rc = make_plot(job, from, e);
	if (rc)
		return rc;
	if (job->format == FORMAT_TEX && !job->op->tex)
		return err_set(e, ERR_USE, "%s: only an overlay can be written as TeX, this is a %s", path, job->op->name);
	if (job->format == FORMAT_JSON)
		return write_json(job, out, e);
	return job->format < FORMAT_TEX ? draw(job, out, e) : write_text(job, out, e);
}

static int write_bytes(const char *path, const struct bytes *b, struct err *e)
{
	struct file_writer *w;
	int rc = file_create(&w, path, e);
	if (rc)
		return rc;
	rc = file_write(w, b->data, b->n, e);
	if (!rc)
		return file_commit(w, e);
	file_abandon(w);
	return rc;
}

static int write_figure(struct job *job, const struct source *from, const char *path, struct err *e)
{
	struct bytes b = {0};
	job->plot = calloc(1, job->op->bytes);
	int rc = job->plot ? make_bytes(job, from, path, &b, e) : (int)err_set(e, ERR_MEMORY, "figure: out of memory");
	if (!rc && from->ev)
		rc = capture_intact(evaluation_capture(from->ev), e);
	if (!rc)
		rc = write_bytes(path, &b, e);
	if (job->plot)
		job->op->free(job->plot);
	free(job->plot);
	provenance_free(&job->origin);
	free(b.data);
	return rc;
}

static int write_from(const struct source *from, const struct figure_spec *spec, const char *path, struct err *e)
{
	struct figure_spec usual = figure_spec_default(), s = *spec;
	s.width_in = s.width_in > 0 ? s.width_in : usual.width_in;
	struct job job = {.spec = &s};
	if (s.remark)
		s.remark[0] = '\0';
	int rc = check_spec(spec, e);
	if (!rc && (spec->kind == FIGURE_TRAINING) != (from->log != NULL))
		rc = err_set(e, ERR_USE, "figure: a training is drawn from its log, everything else from a capture");
	if (!rc)
		rc = find_format(path, &job.format, e);
	if (rc)
		return rc;
	job.op = plots[s.kind];
	/* Numbers have a point in files, whatever the user's locale; this thread only. */
	locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	locale_t before = plain ? uselocale(plain) : (locale_t)0;
	rc = plain ? write_figure(&job, from, path, e) : (int)err_set(e, ERR_MEMORY, "figure: out of memory");
	if (plain) {
		uselocale(before);
		freelocale(plain);
	}
	return rc;
}

int figure_write(const struct evaluation *ev, const struct figure_spec *spec, const char *path, struct err *e)
{
	return write_from(&(struct source){.ev = ev}, spec, path, e);
}

int figure_write_training(const struct training_log *log, const struct figure_spec *spec, const char *path, struct err *e)
{
	return write_from(&(struct source){.log = log}, spec, path, e);
}

int figure_provenance(const char *path, char **command, char source_sha256[65], struct err *e)
{
	struct file_map map;
	struct provenance p;
	int rc = file_map_open(&map, path, e);
	if (rc)
		return rc;
	rc = provenance_parse(&p, map.data, map.size, path, e);
	int changed = file_map_check(&map, e);
	file_map_close(&map);
	if (rc || changed)
		return changed ? changed : rc;
	const char *line = provenance_find(&p, "command"), *hash = provenance_find(&p, "capture_sha256");
	hash = hash ? hash : provenance_find(&p, "log_sha256");
	if (!line)
		rc = err_set(e, ERR_FORMAT, "%s: carries no command", path);
	else if (hash && strlen(hash) != 64)
		rc = err_set(e, ERR_FORMAT, "%s: the hash of what it was drawn from has %zu digits, not 64", path, strlen(hash));
	else if (!(*command = strdup(line)))
		rc = err_set(e, ERR_MEMORY, "%s: out of memory", path);
	if (!rc)
		strcpy(source_sha256, hash ? hash : "");
	provenance_free(&p);
	return rc;
}

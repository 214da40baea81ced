/* Origin: what a figure says about itself, gathered from the capture, the protocol and the spec; and command
 * lines as text. */
#ifndef KVGLASS_EXPORT_PLOT_ORIGIN_H
#define KVGLASS_EXPORT_PLOT_ORIGIN_H

#include "export/draw/provenance.h"
#include "export/plot/plot.h"

/* Fills out (zeroed; provenance_free it). With spec->anonymous, values keep the last part of paths only. */
int origin_collect(struct provenance *out, const struct evaluation *ev, const struct figure_spec *spec,
	struct err *e);

/* The same for a training's log. */
int origin_collect_log(struct provenance *out, const struct training_log *log, const struct figure_spec *spec, struct err *e);

/* A word as a POSIX shell would need it. Owned by the caller; NULL: out of memory. */
char *shell_quote(const char *word);
/* A command line as it is kept inside a figure: without the name of the figure itself (-o), so that a copy is
 * the same to the byte, and where wanted without paths: of /home/me/x.kvg, x.kvg; of --f=/tmp/y, --f=y. Words
 * are read as a POSIX shell reads them (quotes, backslashes) and quoted again. Owned by the caller; NULL: out
 * of memory. */
char *shell_to_keep(const char *command, bool without_paths);

#endif

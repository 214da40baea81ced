/* From options to what analysis and export want: methods, protocol, modules, device. */
#ifndef KVGLASS_TUI_COMMAND_SETTINGS_H
#define KVGLASS_TUI_COMMAND_SETTINGS_H

#include "analysis/compare.h"
#include "analysis/measure.h"
#include "tui/command/options.h"

/* --kernel is odd, --preset is known, and the like: what words alone can tell. */
int settings_check(const struct options *o, struct err *e);
/* The common protocol or that of --preset, with --sink, --window, --pool, --kernel and --group where they were typed. */
struct protocol settings_protocol(const struct options *o);
/* The preset of that name with another protocol, in *room; NULL for no name. */
const struct preset *settings_preset(const char *name, const struct protocol *protocol, struct preset *room);
/* Without modules and response. Lists point into o, or into names: a preset without --methods has everything measured that is
 * cheap, and what it needs itself. */
enum { SETTINGS_MAX_METHODS = 64 };
struct measure_options settings_measure(const struct options *o, const char *names[SETTINGS_MAX_METHODS]);
/* Lists point into o, the preset into *room. */
struct compare_options settings_compare(const struct options *o, struct preset *room);
/* Names of projections as bits 1 << PROJ_*; `option` is the one they were given to, for the error. */
int settings_projections(unsigned *out, const struct option_texts *names, const char *option, struct err *e);
/* Opens a capture, and remarks on maps that were set aside. */
int settings_capture(const struct capture **out, const char *path, const struct options *o, struct err *e);
/* --alpha, --any-base */
struct lookahead_load_options settings_load(const struct options *o);
/* A path, or "untrained"; NULL gives NULL in *out. */
int settings_modules_named(struct lookahead **out, const struct model *m, const char *name, const struct options *o, struct err *e);
/* The same for -l. */
int settings_modules(struct lookahead **out, const struct model *m, const struct options *o, struct err *e);

#endif

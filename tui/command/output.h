/* The file that -o names, looked at before the work that is to fill it: whether the disk has room only the end tells. */
#ifndef KVGLASS_TUI_COMMAND_OUTPUT_H
#define KVGLASS_TUI_COMMAND_OUTPUT_H

#include "engine/err.h"

enum output_kind {
	OUTPUT_ANYTHING, /* pipes and devices are written to as they are */
	OUTPUT_FILE,     /* other files come to lie beside it, so it has to be one */
};

/* By the word alone: "-" names no file. */
int output_check_word(const char *path, struct err *e);
/* A folder, a folder that is not there or not ours to write in: ERR_SYSTEM, with the path. */
int output_check(const char *path, enum output_kind kind, struct err *e);

#endif

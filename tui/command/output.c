#include "tui/command/output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_check_word(const char *path, struct err *e)
{
	if (strcmp(path, "-"))
		return 0;
	return err_set(e, ERR_USE, "-o -: standard output has the results already, -o names a file (./- is one of that name)");
}

int output_check(const char *path, enum output_kind kind, struct err *e)
{
	struct stat st;
	const char *slash = strrchr(path, '/');
	bool exists = stat(path, &st) == 0;
	if (exists && S_ISDIR(st.st_mode))
		return err_set(e, ERR_SYSTEM, "%s: is a folder", path);
	if (exists && !S_ISREG(st.st_mode)) /* pipes and devices are not replaced, so their folder may be anybody's */
		return kind == OUTPUT_ANYTHING ? 0 : err_set(e, ERR_SYSTEM, "%s: is no regular file", path);
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int rc = !folder ? err_set(e, ERR_MEMORY, "no memory for a path")
		: access(folder, W_OK | X_OK) ? err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno)) : 0;
	free(folder);
	return rc;
}

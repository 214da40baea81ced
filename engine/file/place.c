/* Where a user's own files go: the XDG base directory specification, version 0.8. */
#include "engine/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct {
	const char *variable, *below_home;
} place_rule[] = {
	[FILE_PLACE_CACHE] = {"XDG_CACHE_HOME", ".cache"},
	[FILE_PLACE_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
	[FILE_PLACE_STATE] = {"XDG_STATE_HOME", ".local/state"},
};

/* Makes every missing folder of an absolute path; 0700 as the specification asks. */
static bool make_folders(char *path)
{
	for (char *at = path + 1;; at++) {
		if (*at && *at != '/')
			continue;
		char kept = *at;
		*at = '\0';
		bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
		*at = kept;
		if (!made)
			return false;
		if (!kept)
			return true;
	}
}

static char *place_folder(enum file_place place)
{
	const char *base = getenv(place_rule[place].variable), *home = getenv("HOME");
	char *folder = NULL;
	int n = -1;
	if (base && *base == '/') /* the specification: relative paths are to be ignored */
		n = asprintf(&folder, "%s/kvglass", base);
	else if (home && *home == '/')
		n = asprintf(&folder, "%s/%s/kvglass", home, place_rule[place].below_home);
	return n < 0 ? NULL : folder;
}

char *file_place(enum file_place place, const char *name)
{
	char *folder = place_folder(place), *path = NULL;
	if (folder && make_folders(folder) && asprintf(&path, "%s/%s", folder, name) < 0)
		path = NULL;
	free(folder);
	return path;
}

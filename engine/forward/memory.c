/* How much memory there is, and how much was taken (Linux). */
#include "engine/forward/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Number behind "name:" or "name " in a file of such lines, 0 when it is not there. */
static uint64_t field_of(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	unsigned long long value = 0;
	size_t n = strlen(name);
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, name, n) && (line[n] == ':' || line[n] == ' ') && sscanf(line + n + 1, "%llu", &value) == 1)
			break;
	fclose(f);
	return value;
}

/* The one number of a control group's file; UINT64_MAX when there is none ("max", or no such file). */
static uint64_t number_in(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long value;
	bool found = f && fscanf(f, "%llu", &value) == 1;
	if (f)
		fclose(f);
	return found ? value : UINT64_MAX;
}

/* Memory the control group still allows; pages of files that nobody changed count as free, as the kernel drops them first. */
static uint64_t group_available(const char *limit, const char *usage, const char *stat, const char *file_pages)
{
	uint64_t most = number_in(limit), used = number_in(usage), cached = field_of(stat, file_pages);
	if (most == UINT64_MAX || used == UINT64_MAX)
		return UINT64_MAX;
	used = used > cached ? used - cached : 0;
	return most > used ? most - used : 0;
}

uint64_t memory_available(void)
{
	uint64_t machine = field_of("/proc/meminfo", "MemAvailable") * 1024;
	uint64_t v2 = group_available("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat",
		"inactive_file");
	uint64_t v1 = group_available("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
		"/sys/fs/cgroup/memory/memory.stat", "total_inactive_file");
	uint64_t group = v1 < v2 ? v1 : v2;
	return group < machine ? group : machine;
}

uint64_t memory_total(void)
{
	return field_of("/proc/meminfo", "MemTotal") * 1024;
}

uint64_t engine_peak_memory(void)
{
	struct rusage use;
	return getrusage(RUSAGE_SELF, &use) == 0 ? (uint64_t)use.ru_maxrss * 1024 : 0;
}

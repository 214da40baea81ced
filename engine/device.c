#include "engine/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/threads.h"
#include "engine/cuda/device.h"
#include "engine/engine.h"
#include "engine/forward/session.h"

/* "model name : ..." of the first processor, where the kernel says it. */
static void name_processor(char *out, size_t n_bytes)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];
	snprintf(out, n_bytes, "CPU");
	while (f && fgets(line, sizeof line, f)) {
		char *value = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
		if (!value)
			continue;
		value += 1 + strspn(value + 1, " ");
		value[strcspn(value, "\n")] = 0;
		snprintf(out, n_bytes, "%.*s", (int)n_bytes - 1, value);
		break;
	}
	if (f)
		fclose(f);
}

static void look_at_cpu(struct device_info *cpu)
{
	*cpu = (struct device_info){.memory = memory_total(), .available = memory_available(), .n_unit = threads_default_count()};
	snprintf(cpu->id, sizeof cpu->id, "cpu");
	name_processor(cpu->name, sizeof cpu->name);
}

void engine_devices(struct device_list *out)
{
	*out = (struct device_list){.n = 1};
	look_at_cpu(&out->device[0]);
	cuda_list_devices(out);
}

void engine_device(const char *id, struct device_info *out)
{
	*out = (struct device_info){0};
	if (!strcmp(id, "cpu"))
		look_at_cpu(out);
	else if (!strncmp(id, "cuda:", 5))
		cuda_look_at(atoi(id + 5), out);
}

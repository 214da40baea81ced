#include "engine/device.h"

#include <stdio.h>
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

void engine_devices(struct device_list *out)
{
	*out = (struct device_list){.n = 1};
	struct device_info *cpu = &out->device[0];
	snprintf(cpu->id, sizeof cpu->id, "cpu");
	name_processor(cpu->name, sizeof cpu->name);
	cpu->memory = memory_total();
	cpu->available = memory_available();
	cpu->n_unit = threads_default_count();
	cuda_list_devices(out);
}

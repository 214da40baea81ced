/* kvglass info --devices: what models can be run on here, and why something cannot be used. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "engine/device.h"
#include "export/table.h"
#include "tui/command/info.h"

static double gib(uint64_t n_bytes)
{
	return (double)n_bytes / (1024.0 * 1024.0 * 1024.0);
}

static void print_device(const struct device_info *d)
{
	printf("%-8s%s: %.1f GiB", d->id, *d->name ? d->name : "unknown", gib(d->memory));
	if (d->available)
		printf(", %.1f GiB free", gib(d->available));
	if (d->compute_major)
		printf(", compute capability %d.%d, %d multiprocessors", d->compute_major, d->compute_minor, d->n_unit);
	else if (d->n_unit)
		printf(", %d threads", d->n_unit);
	putchar('\n');
	if (d->peak_gflops > 0 && d->peak_gbs > 0)
		printf("        at its highest clocks %.0f TFLOP/s in bfloat16, %.0f GB/s from memory\n", 1e-3 * d->peak_gflops, d->peak_gbs);
	if (*d->unusable)
		printf("        cannot be used: %s\n", d->unusable);
}

static json_t *device_json(const struct device_info *d)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:o, s:i, s:f, s:f, s:s?}", "device", d->id, "name", table_json_text(d->name, strlen(d->name)),
		"memory_bytes", (json_int_t)d->memory, "available_bytes", (json_int_t)d->available, "compute_capability",
		d->compute_major ? json_sprintf("%d.%d", d->compute_major, d->compute_minor) : json_null(), "units", d->n_unit, "peak_gflops", d->peak_gflops, "peak_gbs", d->peak_gbs, "unusable",
		*d->unusable ? d->unusable : NULL);
}

static int print_json(const struct device_list *list, struct err *e)
{
	const struct engine_build *build = engine_build();
	json_t *devices = json_array();
	int failed = 0;
	for (int i = 0; i < list->n; i++)
		failed |= json_array_append_new(devices, device_json(&list->device[i]));
	json_t *all = json_pack("{s:s?, s:s?, s:s?, s:s?, s:o}", "cuda", build->cuda, "code", build->cuda_code, "driver", *list->driver ? list->driver : NULL, "problem",
		*list->problem ? list->problem : NULL, "devices", devices);
	int rc = all && !failed ? table_write_json(all, "-", e) : (int)err_set(e, ERR_MEMORY, "no memory for the list of devices");
	json_decref(all);
	return rc;
}

int info_print_devices(bool json, struct err *e)
{
	struct device_list list;
	engine_devices(&list);
	if (json)
		return print_json(&list, e);
	for (int i = 0; i < list.n; i++)
		print_device(&list.device[i]);
	if (*list.problem)
		printf("%-8s%s\n", "cuda", list.problem);
	if (*list.driver)
		printf("%-8sCUDA %s\n", "driver", list.driver);
	return 0;
}

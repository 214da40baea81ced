/* What stands in for this room in a build without CUDA. */
#include "engine/cuda/device.h"

#include <stddef.h>
#include <stdio.h>

static const char reason[] = "this build of kvglass has no CUDA device support";

const char *cuda_version(void)
{
	return NULL;
}

const char *cuda_code(void)
{
	return NULL;
}

void cuda_list_devices(struct device_list *out)
{
	snprintf(out->problem, sizeof out->problem, "%s", reason);
}

void cuda_look_at(int index, struct device_info *out)
{
	(void)index;
	snprintf(out->unusable, sizeof out->unusable, "%s", reason);
}

int cuda_check_device(int index, struct err *e)
{
	return err_set(e, ERR_DEVICE, "device cuda:%d: %s", index, reason);
}

int cuda_measure(struct machine_rates *out, const struct model *m, struct err *e)
{
	(void)out, (void)m;
	return err_set(e, ERR_DEVICE, "%s", reason);
}

const struct backend_ops *cuda_backend(void)
{
	return NULL;
}

const struct step_ops *cuda_step_ops(void)
{
	return NULL;
}

/* Which CUDA devices this build and machine can run a model on. Compiles without the toolkit: a build without CUDA has absent.c. */
#ifndef KVGLASS_ENGINE_CUDA_DEVICE_H
#define KVGLASS_ENGINE_CUDA_DEVICE_H

#include "engine/device.h"

/* "13.0", or NULL when built without. */
const char *cuda_version(void);
/* "sm_80 sm_90": what its kernels were compiled for; the last one's PTX serves later devices. NULL when built without. */
const char *cuda_code(void);
/* Adds what cuda:N there are to a list; sets its driver and problem. */
void cuda_list_devices(struct device_list *out);
/* What there is to know of device `index`; `unusable` says why models cannot run there. */
void cuda_look_at(int index, struct device_info *out);
/* 0 when device `index` can run models; else ERR_DEVICE with why, in words of one line. */
int cuda_check_device(int index, struct err *e);

/* The device of a model as a yardstick: a product and a copy (engine/machine.h). */
struct model;
struct machine_rates;
int cuda_measure(struct machine_rates *out, const struct model *m, struct err *e);

struct backend_ops;
const struct backend_ops *cuda_backend(void); /* NULL when built without */
struct step_ops;
const struct step_ops *cuda_step_ops(void); /* the same; engine/train/step_ops.h */

#endif

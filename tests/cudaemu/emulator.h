/* What the files of the emulator share.
 *
 *     fiber.cc    threads of a block                 block.cc    blocks, barriers, collectives
 *     shared.cc   shared memory and its rules        memory.cc   device memory, pinned memory
 *     copy.cc     copies and fills
 *     stream.cc   queues of work, events             graph.cc    recorded work
 *     call.cc     errors, planned failures           device.cc   devices and their properties
 *     fault.cc    reports, bad addresses             cublas.cc   matrix products
 *
 * Work runs only when somebody waits for it: host code that reads before it has waited reads what was there before. Between such
 * device phases the device's memory cannot be touched at all, as on a real machine.
 */
#ifndef KVGLASS_CUDAEMU_EMULATOR_H
#define KVGLASS_CUDAEMU_EMULATOR_H

#include <functional>
#include <mutex>
#include <string>

#include "tests/cudaemu/include/cuda_runtime.h"

/* One device, one lock: held while queues change and while work runs. */
extern std::recursive_mutex cudaemu_lock;
typedef std::lock_guard<std::recursive_mutex> cudaemu_guard;

/* ---- call.cc ---- */
/* Every call begins here: what tests planned for it, and the error of a lost device. */
cudaError_t cudaemu_enter(const char *call);
cudaError_t cudaemu_return(cudaError_t error); /* remembered as this thread's last error */

/* ---- device.cc ---- */
cudaError_t cudaemu_device_usable(void); /* driver and devices as tests set them */
const cudaDeviceProp *cudaemu_properties(void);
int cudaemu_shared_optin(const void *kernel); /* bytes of dynamic shared memory that cudaFuncSetAttribute() allowed */
void cudaemu_device_set(const struct cudaemu_machine &machine);

/* ---- stream.cc ---- */
void cudaemu_queue(cudaStream_t stream, const std::string &what, const std::function<void()> &run); /* or into its graph */
void cudaemu_finish(cudaStream_t stream);  /* runs what the stream waits for */
void cudaemu_finish_all(void);
void cudaemu_drop_all(void);
bool cudaemu_capturing(cudaStream_t stream);
cudaError_t cudaemu_may_wait(const char *call, cudaStream_t stream); /* not while that stream is being captured */
extern const char *cudaemu_running; /* what of the queues runs now, for reports; NULL: nothing */

/* ---- memory.cc ---- */
void cudaemu_open_memory(void); /* device phases nest */
void cudaemu_close_memory(void);
/* What an address in the device's range is: "12 bytes past the end of ..."; empty when it is none of the device's. */
std::string cudaemu_describe(const void *address);
bool cudaemu_is_device(const void *address);
bool cudaemu_was_allocated(const void *address); /* by anybody, ever */
bool cudaemu_is_live(const void *address, size_t n_bytes); /* all of it in one allocation */
bool cudaemu_is_pinned(const void *address);
bool cudaemu_is_host(const void *address); /* mapped memory of the process that kernels may not touch */
size_t cudaemu_used(void);
void cudaemu_memory_forget(void);

/* ---- block.cc ---- */
void cudaemu_run_kernel(const cudaemu_launch_request &k);
bool cudaemu_in_kernel(void);

/* ---- shared.cc ---- */
void cudaemu_shared_begin_block(size_t dynamic_bytes);
uint32_t cudaemu_clock_advance(void);
uint32_t cudaemu_clock(void);

#endif

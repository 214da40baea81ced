/* Where every call begins: counted, made to fail where a test planned it, and its error remembered. */
#include <map>
#include <string>
#include <string.h>
#include <vector>

#include "tests/cudaemu/control.h"
#include "tests/cudaemu/emulator.h"

struct plan {
	std::string call;
	int nth;
	cudaError_t error;
};
static std::vector<plan> plans;
static std::map<std::string, int> counts;
static int launches_left = -1; /* until the device is lost */
static cudaError_t lost;       /* what every call gives then */
static thread_local cudaError_t last_error;

cudaError_t cudaemu_return(cudaError_t error)
{
	if (error)
		last_error = error;
	return error;
}

static bool needs_device(const char *call)
{
	static const char *const without[] = {"cudaGetDeviceCount", "cudaDriverGetVersion", "cudaRuntimeGetVersion", "cudaFreeHost"};
	for (const char *name : without)
		if (!strcmp(call, name))
			return false;
	return true;
}

cudaError_t cudaemu_enter(const char *call)
{
	counts[call]++;
	for (size_t i = 0; i < plans.size(); i++) {
		plan &p = plans[i];
		if ((p.call == call || p.call == "*") && !--p.nth) {
			cudaError_t error = p.error;
			plans.erase(plans.begin() + (ptrdiff_t)i);
			return cudaemu_return(error);
		}
	}
	if (!strcmp(call, "kernel") && launches_left > 0 && !--launches_left)
		cudaemu_drop_all(); /* what was queued on a lost device never happens */
	if (!launches_left && needs_device(call))
		return cudaemu_return(lost);
	return needs_device(call) ? cudaemu_return(cudaemu_device_usable()) : cudaSuccess;
}

void cudaemu_plan_failure(const char *call, int nth, cudaError_t error)
{
	cudaemu_guard guard(cudaemu_lock);
	plans.push_back({call, nth, error});
}

void cudaemu_lose_device(int nth_launch, cudaError_t error)
{
	cudaemu_guard guard(cudaemu_lock);
	launches_left = nth_launch ? nth_launch : -1;
	lost = error;
}

int cudaemu_calls(const char *call)
{
	cudaemu_guard guard(cudaemu_lock);
	return counts[call];
}

/* ---- launches ---------------------------------------------------------------------------------------------------------- */

/* The arguments as they were captured: every word that is the address of host memory is a pointer that a device cannot follow, and
 * every word in the part of the device's range that was ever used must lie in a live allocation (one past its end is what loops compare with). A bool and the padding
 * behind it can look like an old pointer: what ends in 0 or 1 is not looked at. */
static void search_arguments(const cudaemu_launch_request &r)
{
	for (size_t at = 0; at + sizeof(void *) <= r.n_argument_bytes; at += sizeof(void *)) {
		const void *p;
		memcpy(&p, (const char *)r.arguments + at, sizeof p);
		if (((uintptr_t)p & 0xff) <= 1)
			continue;
		if (cudaemu_was_allocated(p) && !cudaemu_is_live(p, 0))
			cudaemu_fault("argument", "%s is given %s", r.name, cudaemu_describe(p).c_str());
		if (cudaemu_is_host(p))
			cudaemu_fault("host-pointer", "%s is given %p, an address of the host (byte %zu of its arguments)", r.name, p, at);
	}
}

static cudaError_t check_launch(const cudaemu_launch_request &r)
{
	const cudaDeviceProp *p = cudaemu_properties();
	size_t n = (size_t)r.block.x * r.block.y * r.block.z;
	if (!n || n > (size_t)p->maxThreadsPerBlock || r.block.z > (unsigned)p->maxThreadsDim[2])
		return cudaErrorInvalidConfiguration;
	if (!r.grid.x || !r.grid.y || !r.grid.z || r.grid.x > (unsigned)p->maxGridSize[0] || r.grid.y > (unsigned)p->maxGridSize[1] ||
		r.grid.z > (unsigned)p->maxGridSize[2])
		return cudaErrorInvalidConfiguration;
	if (r.shared_bytes > p->sharedMemPerBlock && r.shared_bytes > (size_t)cudaemu_shared_optin(r.kernel))
		return cudaErrorInvalidValue;
	return cudaSuccess;
}

void cudaemu_queue_kernel(const cudaemu_launch_request &r)
{
	cudaemu_guard guard(cudaemu_lock);
	if (cudaemu_enter("kernel") || cudaemu_return(check_launch(r)))
		return;
	search_arguments(r);
	cudaemu_launch_request kept = r;
	kept.arguments = NULL;
	cudaemu_queue(r.stream, r.name, [=] { cudaemu_run_kernel(kept); });
}

/* ---- errors --------------------------------------------------------------------------------------------------------------- */

cudaError_t cudaGetLastError(void)
{
	cudaError_t error = last_error;
	if (!(lost && error == lost)) /* a lost device stays lost */
		last_error = cudaSuccess;
	return error;
}

cudaError_t cudaPeekAtLastError(void)
{
	return last_error;
}

static const struct {
	cudaError_t error;
	const char *name, *text;
} errors[] = {
	{cudaSuccess, "cudaSuccess", "no error"},
	{cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
	{cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
	{cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
	{cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
	{cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"},
	{cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"},
	{cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
	{cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
	{cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice", "no kernel image is available for execution on the device"},
	{cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
	{cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
	{cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
	{cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
	{cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
	{cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"},
};

const char *cudaGetErrorName(cudaError_t error)
{
	for (const auto &e : errors)
		if (e.error == error)
			return e.name;
	return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
	for (const auto &e : errors)
		if (e.error == error)
			return e.text;
	return "unrecognized error code";
}

void cudaemu_reset(const cudaemu_machine *machine)
{
	cudaemu_guard guard(cudaemu_lock);
	plans.clear();
	counts.clear();
	launches_left = -1;
	lost = last_error = cudaSuccess;
	cudaemu_finish_all();
	cudaemu_memory_forget();
	cudaemu_device_set(*machine);
}

/* The emulated device: what it says about itself. */
#include <map>
#include <stdio.h>
#include <string.h>

#include "tests/cudaemu/control.h"
#include "tests/cudaemu/emulator.h"

const cudaemu_machine cudaemu_usual_machine = {13000, 1, 8, 6, (size_t)8 << 30};
static cudaemu_machine machine = cudaemu_usual_machine;
static cudaDeviceProp properties;
static std::map<const void *, int> optin;
static thread_local int device;

/* The smallest limits among the architectures that kvglass is built for, so that what passes here passes on all. */
static void fill_properties(void)
{
	cudaDeviceProp p = {};
	snprintf(p.name, sizeof p.name, "kvglass CUDA emulator");
	p.totalGlobalMem = machine.memory;
	p.sharedMemPerBlock = 48 << 10;
	p.sharedMemPerBlockOptin = 99 << 10; /* compute capability 8.6 and 8.9; 163 KiB on 8.0, 227 KiB from 9.0 on */
	p.sharedMemPerMultiprocessor = 100 << 10;
	p.regsPerBlock = 65536;
	p.warpSize = 32;
	p.maxThreadsPerBlock = 1024;
	p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
	p.maxThreadsDim[2] = 64;
	p.maxGridSize[0] = 0x7fffffff;
	p.maxGridSize[1] = p.maxGridSize[2] = 65535;
	p.major = machine.major;
	p.minor = machine.minor;
	p.multiProcessorCount = 4;
	p.maxThreadsPerMultiProcessor = 1536;
	p.maxBlocksPerMultiProcessor = 16;
	p.l2CacheSize = 4 << 20;
	p.memoryBusWidth = 64;
	p.unifiedAddressing = p.canMapHostMemory = 1;
	properties = p;
}

const cudaDeviceProp *cudaemu_properties(void)
{
	if (!properties.warpSize)
		fill_properties();
	return &properties;
}

void cudaemu_device_set(const cudaemu_machine &m)
{
	machine = m;
	optin.clear();
	fill_properties();
}

cudaError_t cudaemu_device_usable(void)
{
	if (machine.driver < CUDART_VERSION / 1000 * 1000) /* any driver of the runtime's major version serves it */
		return cudaErrorInsufficientDriver;
	return machine.n_device ? cudaSuccess : cudaErrorNoDevice;
}

int cudaemu_shared_optin(const void *kernel)
{
	auto it = optin.find(kernel);
	return it == optin.end() ? 0 : it->second;
}

cudaError_t cudaGetDeviceCount(int *count)
{
	cudaemu_guard guard(cudaemu_lock);
	*count = 0;
	cudaError_t error = cudaemu_enter("cudaGetDeviceCount");
	if (!error)
		error = cudaemu_return(cudaemu_device_usable());
	if (!error)
		*count = machine.n_device;
	return error;
}

cudaError_t cudaSetDevice(int index)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaSetDevice");
	if (error)
		return error;
	if (index < 0 || index >= machine.n_device)
		return cudaemu_return(cudaErrorInvalidDevice);
	device = index;
	return cudaSuccess;
}

cudaError_t cudaGetDevice(int *index)
{
	cudaemu_guard guard(cudaemu_lock);
	*index = device;
	return cudaemu_enter("cudaGetDevice");
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int index)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaGetDeviceProperties");
	if (error)
		return error;
	if (index < 0 || index >= machine.n_device)
		return cudaemu_return(cudaErrorInvalidDevice);
	*out = *cudaemu_properties();
	return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int index)
{
	cudaDeviceProp p;
	cudaError_t error = cudaGetDeviceProperties(&p, index);
	if (error)
		return error;
	switch (attribute) {
	case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
	case cudaDevAttrMaxSharedMemoryPerBlock: *value = (int)p.sharedMemPerBlock; break;
	case cudaDevAttrWarpSize: *value = p.warpSize; break;
	case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
	case cudaDevAttrClockRate: *value = 1500000; break;
	case cudaDevAttrMemoryClockRate: *value = 2000000; break;
	case cudaDevAttrGlobalMemoryBusWidth: *value = 512; break;
	case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
	case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; break;
	case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
	case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
	case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = (int)p.sharedMemPerBlockOptin; break;
	case cudaDevAttrMemoryPoolsSupported: *value = 1; break;
	}
	return cudaSuccess;
}

cudaError_t cudaDeviceReset(void)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaemu_memory_forget();
	return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
	cudaemu_guard guard(cudaemu_lock);
	*version = machine.driver;
	return cudaemu_enter("cudaDriverGetVersion");
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
	*version = CUDART_VERSION;
	return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaFuncSetAttribute");
	if (error)
		return error;
	if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
		if (value < 0 || (size_t)value > cudaemu_properties()->sharedMemPerBlockOptin)
			return cudaemu_return(cudaErrorInvalidValue);
		optin[function] = value;
	}
	return cudaSuccess;
}

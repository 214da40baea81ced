#include "engine/cuda/cublas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* Written once, read-only afterwards. */
static struct {
	struct cublas table;
	bool found;
	struct err why_not;
} library;

#ifdef KVGLASS_CUDAEMU

static void find(void)
{
	library.table = (struct cublas){cublasCreate_v2, cublasDestroy_v2, cublasSetStream_v2, cublasSetWorkspace_v2, cublasGemmEx,
		cublasGemmStridedBatchedEx, cublasGetStatusString};
	library.found = true;
}

#else

static const char *const names[] = {"libcublas.so." TEXT(CUBLAS_VER_MAJOR), "libcublas.so",
	"/usr/local/cuda/lib64/libcublas.so." TEXT(CUBLAS_VER_MAJOR)};

/* dlsym's result as a function of some type: POSIX promises that the bits are right. */
static bool find_function(void *handle, const char *name, void *function)
{
	void *symbol = dlsym(handle, name);
	*(void **)function = symbol;
	if (!symbol)
		err_set(&library.why_not, ERR_DEVICE, "the CUDA device's library %s has no %s", names[0], name);
	return symbol != NULL;
}

static void find(void)
{
	void *handle = NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names && !handle; i++)
		handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		err_set(&library.why_not, ERR_DEVICE, "the device needs %s, which was not found (%s)", names[0], dlerror());
		return;
	}
	struct cublas *t = &library.table;
	library.found = find_function(handle, "cublasCreate_v2", &t->create) && find_function(handle, "cublasDestroy_v2", &t->destroy) &&
		find_function(handle, "cublasSetStream_v2", &t->set_stream) && find_function(handle, "cublasSetWorkspace_v2", &t->set_workspace) &&
		find_function(handle, "cublasGemmEx", &t->gemm) &&
		find_function(handle, "cublasGemmStridedBatchedEx", &t->gemm_batch) && find_function(handle, "cublasGetStatusString", &t->status);
}

#endif

const struct cublas *cublas_find(struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, find);
	if (library.found)
		return &library.table;
	err_set(e, library.why_not.code, "%s", library.why_not.text);
	return NULL;
}

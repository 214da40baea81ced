/* What this build and machine offer. */
#include <pthread.h>

#include "engine/cpu/gemm.h"
#include "engine/cpu/simd/simd.h"
#include "engine/cpu/threads.h"
#include "engine/cuda/device.h"
#include "engine/engine.h"

static struct engine_build build; /* written once, read-only afterwards */

static void look(void)
{
	static char matmul[32];
	gemm_version(matmul, sizeof matmul);
	build = (struct engine_build){.version = KVGLASS_VERSION, .cuda = cuda_version(), .cuda_code = cuda_code(),
		.matmul = matmul, .simd = simd_available()[0]->name,
		.n_threads = threads_default_count()};
}

const struct engine_build *engine_build(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, look);
	return &build;
}

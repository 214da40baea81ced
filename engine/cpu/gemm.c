/* dnnl_sgemm is the one call whose C interface is the same in oneDNN 2.x and 3.x. With B not transposed it runs at 95 % of the
 * core's peak from 32 rows on; with B transposed at half of that for few rows. So weights are unpacked transposed. */
#include "engine/cpu/gemm.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

int gemm_run(const struct gemm *g)
{
	if (g->m <= 0 || g->n <= 0)
		return 0;
	dnnl_status_t status = dnnl_sgemm(g->a_transposed ? 'T' : 'N', g->b_transposed ? 'T' : 'N', g->m, g->n, g->k, 1.0f, g->a, g->lda,
		g->b, g->ldb, g->add ? 1.0f : 0.0f, g->c, g->ldc);
	return status == dnnl_success ? 0 : ERR_MEMORY;
}

void gemm_version(char *out, int n_bytes)
{
	const dnnl_version_t *v = dnnl_version();
	snprintf(out, (size_t)n_bytes, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}

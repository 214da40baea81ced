/* The C interface of oneDNN's primitives changed in 3.0: memory descriptors became objects and operation descriptors went away. What
 * differs stands together in make_primitive(); Debian 12 has 2.6. */
#include "engine/cpu/bf16_gemm.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* oneDNN keeps compiled products in a cache of the whole process. It is safe by itself; the lock lets thread checkers see that. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

struct shape {
	int m, n, k, lda, ldb, ldc, b_transposed, add;
};

struct product {
	struct shape shape;
	dnnl_primitive_t primitive;
	dnnl_memory_t a, b, c, scratch;
	size_t scratch_bytes;
};

struct bf16_gemm_cache {
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	struct product *product;
	int n, room;
	void *scratch;
	size_t scratch_bytes;
};

int bf16_gemm_cache_open(struct bf16_gemm_cache **out, struct err *e)
{
	struct bf16_gemm_cache *c = calloc(1, sizeof *c);
	if (!c || dnnl_engine_create(&c->engine, dnnl_cpu, 0) || dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags)) {
		bf16_gemm_cache_close(c);
		return err_set(e, ERR_MEMORY, "oneDNN has no engine for this processor");
	}
	*out = c;
	return 0;
}

static void forget(struct product *p)
{
	dnnl_memory_destroy(p->a);
	dnnl_memory_destroy(p->b);
	dnnl_memory_destroy(p->c);
	dnnl_memory_destroy(p->scratch);
	dnnl_primitive_destroy(p->primitive);
}

void bf16_gemm_cache_close(struct bf16_gemm_cache *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->n; i++)
		forget(&c->product[i]);
	if (c->stream)
		dnnl_stream_destroy(c->stream);
	if (c->engine)
		dnnl_engine_destroy(c->engine);
	free(c->product);
	free(c->scratch);
	free(c);
}

static dnnl_primitive_attr_t make_attributes(bool add)
{
	dnnl_primitive_attr_t attr = NULL;
	dnnl_post_ops_t after = NULL;
	if (dnnl_primitive_attr_create(&attr) || dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user))
		return NULL;
	if (!add)
		return attr;
#if DNNL_VERSION_MAJOR >= 3
	bool failed = dnnl_post_ops_create(&after) || dnnl_post_ops_append_sum(after, 1.0f, 0, dnnl_f32);
#else
	bool failed = dnnl_post_ops_create(&after) || dnnl_post_ops_append_sum(after, 1.0f);
#endif
	failed = failed || dnnl_primitive_attr_set_post_ops(attr, after);
	dnnl_post_ops_destroy(after);
	if (!failed)
		return attr;
	dnnl_primitive_attr_destroy(attr);
	return NULL;
}

struct strides {
	dnnl_dims_t a_size, a, b_size, b, c_size, c;
};

static struct strides strides_of(const struct shape *s)
{
	struct strides t = {{s->m, s->k}, {s->lda, 1}, {s->k, s->n}, {s->ldb, 1}, {s->m, s->n}, {s->ldc, 1}};
	if (s->b_transposed) {
		t.b[0] = 1;
		t.b[1] = s->ldb;
	}
	return t;
}

/* The primitive of a shape and its four memories, which are given their addresses at every run. */
static int make_product(const struct bf16_gemm_cache *cache, struct product *p)
{
	struct strides s = strides_of(&p->shape);
	dnnl_primitive_attr_t attr = make_attributes(p->shape.add);
	dnnl_primitive_desc_t desc = NULL;
	int failed = !attr;
#if DNNL_VERSION_MAJOR >= 3
	dnnl_memory_desc_t a = NULL, b = NULL, c = NULL;
	failed = failed || dnnl_memory_desc_create_with_strides(&a, 2, s.a_size, dnnl_bf16, s.a);
	failed = failed || dnnl_memory_desc_create_with_strides(&b, 2, s.b_size, dnnl_bf16, s.b);
	failed = failed || dnnl_memory_desc_create_with_strides(&c, 2, s.c_size, dnnl_f32, s.c);
	failed = failed || dnnl_matmul_primitive_desc_create(&desc, cache->engine, a, b, NULL, c, attr);
	const_dnnl_memory_desc_t a_memory = a, b_memory = b, c_memory = c, scratch = NULL;
#else
	dnnl_memory_desc_t a, b, c;
	dnnl_matmul_desc_t matmul;
	failed = failed || dnnl_memory_desc_init_by_strides(&a, 2, s.a_size, dnnl_bf16, s.a);
	failed = failed || dnnl_memory_desc_init_by_strides(&b, 2, s.b_size, dnnl_bf16, s.b);
	failed = failed || dnnl_memory_desc_init_by_strides(&c, 2, s.c_size, dnnl_f32, s.c);
	failed = failed || dnnl_matmul_desc_init(&matmul, &a, &b, NULL, &c);
	failed = failed || dnnl_primitive_desc_create(&desc, &matmul, attr, cache->engine, NULL);
	const dnnl_memory_desc_t *a_memory = &a, *b_memory = &b, *c_memory = &c, *scratch = NULL;
#endif
	if (!failed) {
		scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
		p->scratch_bytes = dnnl_memory_desc_get_size(scratch);
	}
	failed = failed || dnnl_primitive_create(&p->primitive, desc);
	failed = failed || dnnl_memory_create(&p->a, a_memory, cache->engine, DNNL_MEMORY_NONE);
	failed = failed || dnnl_memory_create(&p->b, b_memory, cache->engine, DNNL_MEMORY_NONE);
	failed = failed || dnnl_memory_create(&p->c, c_memory, cache->engine, DNNL_MEMORY_NONE);
	failed = failed || dnnl_memory_create(&p->scratch, scratch, cache->engine, DNNL_MEMORY_NONE);
#if DNNL_VERSION_MAJOR >= 3
	dnnl_memory_desc_destroy(a), dnnl_memory_desc_destroy(b), dnnl_memory_desc_destroy(c);
#endif
	dnnl_primitive_desc_destroy(desc);
	dnnl_primitive_attr_destroy(attr);
	return failed ? ERR_MEMORY : 0;
}

static int grow(struct bf16_gemm_cache *c, size_t scratch_bytes)
{
	if (c->n == c->room) {
		int room = c->room ? 2 * c->room : 32;
		struct product *product = realloc(c->product, (size_t)room * sizeof *product);
		if (!product)
			return ERR_MEMORY;
		c->product = product;
		c->room = room;
	}
	if (scratch_bytes > c->scratch_bytes) {
		void *scratch = aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
		if (!scratch)
			return ERR_MEMORY;
		free(c->scratch);
		c->scratch = scratch;
		c->scratch_bytes = scratch_bytes;
	}
	return 0;
}

static const struct product *find_or_make(struct bf16_gemm_cache *c, const struct shape *shape)
{
	for (int i = 0; i < c->n; i++)
		if (!memcmp(&c->product[i].shape, shape, sizeof *shape))
			return &c->product[i];
	struct product p = {.shape = *shape};
	pthread_mutex_lock(&making);
	int rc = make_product(c, &p);
	pthread_mutex_unlock(&making);
	if (rc || grow(c, p.scratch_bytes)) {
		forget(&p);
		return NULL;
	}
	c->product[c->n] = p;
	return &c->product[c->n++];
}

int bf16_gemm_run(struct bf16_gemm_cache *c, const struct bf16_gemm *g)
{
	if (g->m <= 0 || g->n <= 0)
		return 0;
	struct shape shape = {g->m, g->n, g->k, g->lda, g->ldb, g->ldc, g->b_transposed, g->add};
	const struct product *p = find_or_make(c, &shape);
	if (!p)
		return ERR_MEMORY;
	bool failed = dnnl_memory_set_data_handle(p->a, (void *)g->a) || dnnl_memory_set_data_handle(p->b, (void *)g->b)
		|| dnnl_memory_set_data_handle(p->c, g->c) || dnnl_memory_set_data_handle(p->scratch, c->scratch);
	dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c},
		{DNNL_ARG_SCRATCHPAD, p->scratch}};
	failed = failed || dnnl_primitive_execute(p->primitive, c->stream, 4, arguments);
	return failed || dnnl_stream_wait(c->stream) ? ERR_MEMORY : 0;
}

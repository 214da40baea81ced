/* Architectures, and the checks that both formats' configurations pass. */
#include "engine/model/build.h"

#include <math.h>
#include <string.h>

static const char *const arch_names[N_ARCH] = {[ARCH_LLAMA] = "llama", [ARCH_QWEN2] = "qwen2", [ARCH_QWEN3] = "qwen3"};

const char *arch_name(enum arch a)
{
	return arch_names[a];
}

bool arch_find(const char *name, enum arch *out)
{
	for (int a = 0; a < N_ARCH; a++)
		if (!strcmp(arch_names[a], name)) {
			*out = (enum arch)a;
			return true;
		}
	return false;
}

/* Every model of these families lies far below; any product of two of them fits 64 bits and rows fit an int. */
enum { MAX_LAYER = 1024, MAX_HEAD = 4096, MAX_HEAD_DIM = 1024, MAX_WIDTH = 1 << 20, MAX_FF = 1 << 22, MAX_COUNT = 1 << 30 };

int config_check(const struct model_config *c, const char *path, struct err *e)
{
	const struct {
		const char *what;
		int value, limit;
	} count[] = {
		{"layers", c->n_layer, MAX_LAYER},
		{"query heads", c->n_head, MAX_HEAD},
		{"KV heads", c->n_kv_head, MAX_HEAD},
		{"dimensions per head", c->head_dim, MAX_HEAD_DIM},
		{"model dimensions", c->n_embd, MAX_WIDTH},
		{"feed-forward dimensions", c->n_ff, MAX_FF},
		{"context positions", c->n_ctx, MAX_COUNT},
	};
	for (size_t i = 0; i < sizeof count / sizeof *count; i++)
		if (count[i].value < 1 || count[i].value > count[i].limit)
			return err_set(e, ERR_FORMAT, "%s: %d %s, 1 to %d are possible", path, count[i].value, count[i].what, count[i].limit);
	if (c->n_head % c->n_kv_head)
		return err_set(e, ERR_FORMAT, "%s: %d query heads cannot share %d KV heads evenly", path, c->n_head, c->n_kv_head);
	if (c->head_dim % 2)
		return err_set(e, ERR_FORMAT, "%s: %d dimensions per head, rotary embedding needs an even number", path, c->head_dim);
	if (!(c->norm_eps >= 0 && c->norm_eps < 1))
		return err_set(e, ERR_FORMAT, "%s: RMSNorm epsilon is %g, it must lie in [0, 1)", path, (double)c->norm_eps);
	if (!(c->rope.base > 1 && c->rope.base < 1e30))
		return err_set(e, ERR_FORMAT, "%s: RoPE base is %g, it must be above 1", path, c->rope.base);
	const struct rope_config *r = &c->rope;
	if (r->llama3 && !(r->factor >= 1 && r->low_freq_factor > 0 && r->high_freq_factor > r->low_freq_factor &&
			r->original_context >= 1 && isfinite(r->factor + r->high_freq_factor + r->original_context)))
		return err_set(e, ERR_FORMAT, "%s: Llama-3 RoPE scaling by factor %g, low %g, high %g, original context %g makes no sense", path,
			r->factor, r->low_freq_factor, r->high_freq_factor, r->original_context);
	return 0;
}

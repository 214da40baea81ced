#include "engine/random_model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/cuda/device.h"
#include "engine/file/gguf.h"
#include "engine/file/tensor_type.h"
#include "engine/forward/session.h"
#include "engine/random.h"

/* Shapes as their makers publish them (config.json of the models). */
static const struct shape {
	const char *name, *arch, *pre;
	int n_layer, n_embd, n_head, n_kv_head, head_dim, n_ff, n_vocab, n_ctx;
	float rope_base, norm_eps;
	bool tied;
} shapes[] = {
	{"smollm2-135m", "llama", "smollm", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5f, 1e-5f, true},
	{"smollm2-360m", "llama", "smollm", 32, 960, 15, 5, 64, 2560, 49152, 8192, 1e5f, 1e-5f, true},
	{"qwen3-0.6b", "qwen3", "qwen2", 28, 1024, 16, 8, 128, 3072, 151936, 40960, 1e6f, 1e-6f, true},
	{"llama3.2-1b", "llama", "llama-bpe", 16, 2048, 32, 8, 64, 8192, 128256, 131072, 5e5f, 1e-5f, true},
	{"qwen3-1.7b", "qwen3", "qwen2", 28, 2048, 16, 8, 128, 6144, 151936, 40960, 1e6f, 1e-6f, true},
	{"qwen3-4b", "qwen3", "qwen2", 36, 2560, 32, 8, 128, 9728, 151936, 40960, 1e6f, 1e-6f, true},
	{"llama3-8b", "llama", "llama-bpe", 32, 4096, 32, 8, 128, 14336, 128256, 8192, 5e5f, 1e-5f, false},
	{"llama3.1-8b", "llama", "llama-bpe", 32, 4096, 32, 8, 128, 14336, 128256, 131072, 5e5f, 1e-5f, false},
	{"qwen3-8b", "qwen3", "qwen2", 36, 4096, 32, 8, 128, 12288, 151936, 40960, 1e6f, 1e-6f, false},
	{"llama3-70b", "llama", "llama-bpe", 80, 8192, 64, 8, 128, 28672, 128256, 8192, 5e5f, 1e-5f, false},
};
enum { N_SHAPE = sizeof shapes / sizeof *shapes };

/* Stored types that random bytes can be made into: code in a GGUF, where a block's float16 scale and minimum lie (-1: none). */
static const struct stored {
	const char *name;
	enum tensor_type type;
	uint32_t code;
	int scale_at, least_at;
	float scale, least; /* so that values have mean 0 and deviation about 0.02, as trained weights do */
} stored_types[] = {
	{"bf16", TYPE_BF16, 30, -1, -1, 0, 0},
	{"f16", TYPE_F16, 1, -1, -1, 0, 0},
	{"f32", TYPE_F32, 0, -1, -1, 0, 0},
	{"q8_0", TYPE_Q8_0, 8, 0, -1, 0.02f / 74, 0},
	{"q4_0", TYPE_Q4_0, 2, 0, -1, 0.02f / 4.6f, 0},
	{"q4_1", TYPE_Q4_1, 3, 0, 2, 0.02f / 4.6f, -7.5f * 0.02f / 4.6f},
};
enum { N_STORED = sizeof stored_types / sizeof *stored_types };

static const float deviation = 0.02f; /* of all matrices */

enum { ALIGNMENT = 32, PATTERN_BLOCKS = 32749 /* a prime: no row of a matrix is a whole number of patterns */ };

const char *random_model_name(int i)
{
	return i >= 0 && i < N_SHAPE ? shapes[i].name : NULL;
}

/* ---- name ---- */

static int unknown_name(const char *name, struct err *e)
{
	char known[300] = "";
	size_t used = 0;
	for (int i = 0; i < N_SHAPE; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", shapes[i].name);
	return err_set(e, ERR_USE, "%.60s: not one of %s", name, known);
}

static int unknown_type(const char *name, struct err *e)
{
	char known[100] = "";
	size_t used = 0;
	for (int i = 0; i < N_STORED; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", stored_types[i].name);
	return err_set(e, ERR_USE, "%.60s: the type after : is not one of %s", name, known);
}

static int find(const char *name, const struct shape **shape, const struct stored **stored, struct err *e)
{
	size_t n = strcspn(name, ":");
	*shape = NULL;
	*stored = name[n] ? NULL : &stored_types[0];
	for (int i = 0; i < N_SHAPE; i++)
		if (strlen(shapes[i].name) == n && !memcmp(shapes[i].name, name, n))
			*shape = &shapes[i];
	for (int i = 0; name[n] && i < N_STORED; i++)
		if (!strcasecmp(stored_types[i].name, name + n + 1))
			*stored = &stored_types[i];
	if (!*shape)
		return unknown_name(name, e);
	return *stored ? 0 : unknown_type(name, e);
}

int random_model_check(const char *name, struct err *e)
{
	const struct shape *shape;
	const struct stored *stored;
	return find(name, &shape, &stored, e);
}

/* ---- tensors ---- */

struct tensor {
	char name[64];
	int n_in, n_out; /* n_out 0: a vector of ones */
};

/* Calls each() for every tensor of a shape, in the file's order; stops at the first failure. */
typedef int each_tensor(void *user, const struct tensor *t);

static int visit(each_tensor *each, void *user, int layer, const char *name, int n_in, int n_out)
{
	struct tensor t = {.n_in = n_in, .n_out = n_out};
	if (layer < 0)
		snprintf(t.name, sizeof t.name, "%s.weight", name);
	else
		snprintf(t.name, sizeof t.name, "blk.%d.%s.weight", layer, name);
	return each(user, &t);
}

static int visit_layer(const struct shape *s, int layer, each_tensor *each, void *user)
{
	int q = s->n_head * s->head_dim, kv = s->n_kv_head * s->head_dim;
	bool qwen3 = !strcmp(s->arch, "qwen3");
	const struct {
		const char *name;
		int n_in, n_out;
	} parts[] = {
		{"attn_norm", s->n_embd, 0}, {"attn_q", s->n_embd, q}, {"attn_k", s->n_embd, kv}, {"attn_v", s->n_embd, kv},
		{"attn_output", q, s->n_embd}, {"ffn_norm", s->n_embd, 0}, {"ffn_gate", s->n_embd, s->n_ff},
		{"ffn_up", s->n_embd, s->n_ff}, {"ffn_down", s->n_ff, s->n_embd},
		{"attn_q_norm", s->head_dim, 0}, {"attn_k_norm", s->head_dim, 0},
	};
	int n = (int)(sizeof parts / sizeof *parts) - (qwen3 ? 0 : 2), rc = 0;
	for (int i = 0; i < n && !rc; i++)
		rc = visit(each, user, layer, parts[i].name, parts[i].n_in, parts[i].n_out);
	return rc;
}

static int visit_all(const struct shape *s, each_tensor *each, void *user)
{
	int rc = visit(each, user, -1, "token_embd", s->n_embd, s->n_vocab);
	for (int layer = 0; layer < s->n_layer && !rc; layer++)
		rc = visit_layer(s, layer, each, user);
	if (!rc)
		rc = visit(each, user, -1, "output_norm", s->n_embd, 0);
	if (!rc && !s->tied)
		rc = visit(each, user, -1, "output", s->n_embd, s->n_vocab);
	return rc;
}

static uint64_t tensor_bytes(const struct stored *stored, const struct tensor *t)
{
	uint64_t n = (uint64_t)t->n_in * (uint64_t)(t->n_out ? t->n_out : 1);
	return tensor_type_bytes(t->n_out ? stored->type : TYPE_F32, n);
}

static uint64_t padded(uint64_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- header ---- */

struct header {
	FILE *out;
	const struct shape *shape;
	const struct stored *stored;
	uint32_t n_value, n_tensor;
	uint64_t offset; /* of the next tensor's data */
};

static void put(struct header *h, const void *data, size_t n)
{
	fwrite(data, 1, n, h->out);
}

static void put_u32(struct header *h, uint32_t x)
{
	put(h, &x, sizeof x);
}

static void put_u64(struct header *h, uint64_t x)
{
	put(h, &x, sizeof x);
}

static void put_text(struct header *h, const char *text)
{
	put_u64(h, strlen(text));
	put(h, text, strlen(text));
}

static void put_key(struct header *h, const char *prefix, const char *key, enum gguf_kind kind)
{
	char full[96];
	snprintf(full, sizeof full, "%s%s%s", prefix, *prefix ? "." : "", key);
	put_text(h, full);
	put_u32(h, kind);
	h->n_value++;
}

static void put_count(struct header *h, const char *key, int value)
{
	put_key(h, h->shape->arch, key, GGUF_U32);
	put_u32(h, (uint32_t)value);
}

static void put_real(struct header *h, const char *key, float value)
{
	put_key(h, h->shape->arch, key, GGUF_F32);
	put(h, &value, sizeof value);
}

static void put_string(struct header *h, const char *key, const char *value)
{
	put_key(h, "", key, GGUF_STRING);
	put_text(h, value);
}

static void put_strings_head(struct header *h, const char *key, uint64_t n)
{
	put_key(h, "", key, GGUF_ARRAY);
	put_u32(h, GGUF_STRING);
	put_u64(h, n);
}

/* A byte-level vocabulary in which every byte is a token (GPT-2's alphabet: printable bytes stand for themselves, the others for
 * characters from U+0100 on) and nothing merges; the other ids only have to exist. */
static void put_vocabulary(struct header *h)
{
	int next = 0x100;
	put_strings_head(h, "tokenizer.ggml.tokens", (uint64_t)h->shape->n_vocab);
	for (int id = 0; id < h->shape->n_vocab; id++) {
		char text[24];
		bool itself = (id > 32 && id < 127) || (id > 160 && id != 173 && id < 256);
		int c = itself ? id : next++;
		if (id >= 256)
			snprintf(text, sizeof text, "unused%d", id);
		else if (c < 128)
			snprintf(text, sizeof text, "%c", c);
		else
			snprintf(text, sizeof text, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
		put_text(h, text);
	}
	put_strings_head(h, "tokenizer.ggml.merges", 0);
}

static void put_values(struct header *h)
{
	const struct shape *s = h->shape;
	char name[64];
	snprintf(name, sizeof name, "random %s %s", s->name, h->stored->name);
	put_string(h, "general.architecture", s->arch);
	put_string(h, "general.name", name);
	put_count(h, "block_count", s->n_layer);
	put_count(h, "embedding_length", s->n_embd);
	put_count(h, "feed_forward_length", s->n_ff);
	put_count(h, "context_length", s->n_ctx);
	put_count(h, "attention.head_count", s->n_head);
	put_count(h, "attention.head_count_kv", s->n_kv_head);
	put_count(h, "attention.key_length", s->head_dim);
	put_count(h, "attention.value_length", s->head_dim);
	put_real(h, "rope.freq_base", s->rope_base);
	put_real(h, "attention.layer_norm_rms_epsilon", s->norm_eps);
	put_string(h, "tokenizer.ggml.model", "gpt2");
	put_string(h, "tokenizer.ggml.pre", s->pre);
	put_key(h, "", "tokenizer.ggml.add_bos_token", GGUF_BOOL);
	put(h, &(uint8_t){0}, 1);
	put_vocabulary(h);
}

static int put_record(void *user, const struct tensor *t)
{
	struct header *h = user;
	put_text(h, t->name);
	put_u32(h, t->n_out ? 2 : 1);
	put_u64(h, (uint64_t)t->n_in);
	if (t->n_out)
		put_u64(h, (uint64_t)t->n_out);
	put_u32(h, t->n_out ? h->stored->code : 0);
	put_u64(h, h->offset);
	h->offset += padded(tensor_bytes(h->stored, t));
	h->n_tensor++;
	return 0;
}

/* Magic, version and counts come first but are known last, so what follows them is gathered before. */
static int write_header(int fd, const struct shape *shape, const struct stored *stored, uint64_t *data_bytes, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	struct header h = {.out = open_memstream(&text, &n), .shape = shape, .stored = stored};
	if (!h.out)
		return err_set(e, ERR_MEMORY, "no memory for a model's header");
	put_values(&h);
	visit_all(shape, put_record, &h);
	bool failed = ferror(h.out);
	failed |= fclose(h.out) != 0;
	*data_bytes = h.offset;
	struct {
		char magic[4];
		uint32_t version;
		uint64_t n_tensor, n_value;
	} head = {{'G', 'G', 'U', 'F'}, 3, h.n_tensor, h.n_value};
	char zeros[ALIGNMENT] = {0};
	size_t gap = (size_t)(padded(sizeof head + n) - (sizeof head + n));
	failed = failed || write(fd, &head, sizeof head) != (ssize_t)sizeof head || write(fd, text, n) != (ssize_t)n ||
	         write(fd, zeros, gap) != (ssize_t)gap;
	free(text);
	return failed ? err_set(e, ERR_MEMORY, "no memory for a model's header of %zu bytes", n) : 0;
}

/* ---- data ---- */

struct filler {
	int fd;
	const struct stored *stored;
	bool on_device; /* which makes the matrices */
	uint8_t *pattern;
	size_t pattern_bytes;
	uint64_t done, total;
	const struct progress *progress;
	struct err *e;
};

static void fill_plain(enum tensor_type type, uint8_t *at, float value)
{
	if (type == TYPE_F32) {
		memcpy(at, &value, sizeof value);
	} else {
		uint16_t half = type == TYPE_F16 ? f32_to_f16(value) : f32_to_bf16(value);
		memcpy(at, &half, sizeof half);
	}
}

/* Random bytes are sound quantised blocks once their scales are set; plain types are drawn one by one. */
static int make_pattern(struct filler *f)
{
	const struct tensor_type_info *info = tensor_type_info(f->stored->type);
	struct rng rng;
	f->pattern_bytes = (size_t)PATTERN_BLOCKS * (size_t)info->block_bytes;
	f->pattern = malloc(f->pattern_bytes);
	if (!f->pattern)
		return err_set(f->e, ERR_MEMORY, "no memory for random weights");
	rng_seed(&rng, 1);
	uint16_t scale = f32_to_f16(f->stored->scale), least = f32_to_f16(f->stored->least);
	for (size_t at = 0; at < f->pattern_bytes; at += (size_t)info->block_bytes) {
		uint8_t *block = f->pattern + at;
		if (f->stored->scale_at < 0) {
			fill_plain(f->stored->type, block, (float)((double)deviation * rng_normal(&rng)));
			continue;
		}
		for (int i = 0; i < info->block_bytes; i++)
			block[i] = (uint8_t)rng_next(&rng);
		memcpy(block + f->stored->scale_at, &scale, sizeof scale);
		if (f->stored->least_at >= 0)
			memcpy(block + f->stored->least_at, &least, sizeof least);
	}
	return 0;
}

static int put_bytes(struct filler *f, const uint8_t *data, uint64_t n)
{
	for (ssize_t got; n > 0; data += got, n -= (uint64_t)got, f->done += (uint64_t)got)
		if ((got = write(f->fd, data, n)) <= 0)
			return err_set(f->e, ERR_MEMORY, "random weights: %s after %" PRIu64 " of %" PRIu64 " bytes", strerror(errno), f->done,
				f->total);
	if (progress_report(f->progress, "random weights", (int64_t)f->done, (int64_t)f->total))
		return err_set(f->e, ERR_CANCELLED, "stopped while making random weights");
	return 0;
}

static int put_ones(struct filler *f, int n)
{
	float ones[256];
	int rc = 0;
	for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
		ones[i] = 1;
	for (int piece; n > 0 && !rc; n -= piece) {
		piece = n < (int)(sizeof ones / sizeof *ones) ? n : (int)(sizeof ones / sizeof *ones);
		rc = put_bytes(f, (const uint8_t *)ones, (uint64_t)piece * sizeof *ones);
	}
	return rc;
}

/* Is the tensor left to the device? Lookahead modules are drawn at the scale of the embedding, so that one is here in any case. */
static bool is_left_out(bool on_device, const struct tensor *t)
{
	return on_device && t->n_out && strcmp(t->name, "token_embd.weight");
}

/* Zeros that take no memory until they are read. */
static int skip(struct filler *f, uint64_t n)
{
	off_t end = lseek(f->fd, (off_t)n, SEEK_CUR);
	if (end < 0 || ftruncate(f->fd, end))
		return err_set(f->e, ERR_MEMORY, "random weights: %s after %" PRIu64 " of %" PRIu64 " bytes", strerror(errno), f->done, f->total);
	f->done += n;
	return 0;
}

static int put_data(void *user, const struct tensor *t)
{
	static const uint8_t zeros[ALIGNMENT];
	struct filler *f = user;
	uint64_t n = tensor_bytes(f->stored, t);
	if (is_left_out(f->on_device, t))
		return skip(f, padded(n));
	int rc = t->n_out ? 0 : put_ones(f, t->n_in);
	for (uint64_t left = t->n_out ? n : 0; left > 0 && !rc;) {
		uint64_t piece = left < f->pattern_bytes ? left : f->pattern_bytes;
		rc = put_bytes(f, f->pattern, piece);
		left -= piece;
	}
	return rc ? rc : put_bytes(f, zeros, padded(n) - n);
}

struct plan {
	const char *name;
	const struct shape *shape;
	const struct stored *stored;
	bool on_device; /* which makes the matrices by itself */
};

static int write_model(int fd, const struct plan *plan, const struct progress *progress, struct err *e)
{
	const struct shape *shape = plan->shape;
	const struct stored *stored = plan->stored;
	struct filler f = {.fd = fd, .stored = stored, .on_device = plan->on_device, .progress = progress, .e = e};
	int rc = write_header(fd, shape, stored, &f.total, e);
	if (!rc)
		rc = make_pattern(&f);
	if (!rc)
		rc = visit_all(shape, put_data, &f);
	free(f.pattern);
	return rc;
}

/* ---- memory ---- */

struct size {
	const struct plan *plan;
	uint64_t here; /* bytes of what is not left to the device */
};

static int add_size(void *user, const struct tensor *t)
{
	struct size *s = user;
	s->here += is_left_out(s->plan->on_device, t) ? 0 : padded(tensor_bytes(s->plan->stored, t));
	return 0;
}

static int check_memory(const struct plan *plan, struct err *e)
{
	struct size size = {.plan = plan};
	visit_all(plan->shape, add_size, &size);
	/* Memory without a name cannot be given back under pressure as the pages of a file can: half is left for caches and buffers. */
	uint64_t available = memory_available();
	if (!available || size.here <= available / 2)
		return 0;
	return err_set(e, ERR_MEMORY, "%s: %.1f GB of random weights are kept in memory and may take half of the %.1f GB that is free",
		plan->name, (double)size.here * 1e-9, (double)available * 1e-9);
}

static int open_plan(struct model **out, const struct plan *plan, const struct model_options *options, const struct progress *progress,
	struct err *e)
{
	int rc = check_memory(plan, e);
	if (rc)
		return rc;
	int fd = memfd_create("kvglass random model", MFD_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_SYSTEM, "%s: memory for a file without a name: %s", plan->name, strerror(errno));
	rc = write_model(fd, plan, progress, e);
	if (!rc) {
		char path[40];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		rc = model_open(out, path, options, e);
	}
	close(fd);
	if (!rc && plan->on_device)
		(*out)->random_deviation = deviation;
	return rc;
}

int random_model_open(struct model **out, const char *name, const struct model_options *options, const struct progress *progress,
	struct err *e)
{
	struct plan plan = {.name = name};
	struct err why;
	*out = NULL;
	int rc = find(name, &plan.shape, &plan.stored, e);
	if (rc)
		return rc;
	bool wanted = options && options->device != DEVICE_CPU;
	plan.on_device = wanted && !cuda_check_device(options->device_index, &why);
	if (wanted && !plan.on_device && options->device == DEVICE_CUDA)
		return err_set(e, ERR_DEVICE, "%s", why.text);
	rc = open_plan(out, &plan, options, progress, e);
	if (rc || !plan.on_device || backend_for(*out) != &backend_cpu)
		return rc;
	model_close(*out); /* the device has gone since, and the processor reads what lies in memory */
	plan.on_device = false;
	return open_plan(out, &plan, options, progress, e);
}

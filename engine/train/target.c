/* Targets that are missing are made: prompts in groups, their responses written together, each kept as a file whose name is the hash of
 * everything that it depends on.
 *
 * On a CUDA device a group is one prompt, which its session answers itself: a recorded step reads the weights at the memory's rate, and
 * together.h, which shares that reading among many, is the CPU's. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/file.h"
#include "engine/train/store.h"
#include "engine/train/together.h"

enum {
	VERSION = 1,
	GROUP_PROMPTS = 32,    /* decoded at once: products of 32 rows run near the machine's rate */
	GROUP_TOKENS = 24576,  /* of all sessions of a group, prompts and responses: bounds their caches */
};

/* What a target depends on, hashed: format, model, its arithmetic where that is not float32, prompt, response or the length of the model's
 * own. */
static int target_path(const struct target_store *s, const struct target_request *r, char **path, struct err *e)
{
	size_t n_given = r->response ? (size_t)r->n_response : 0, n_int = 4 + (size_t)r->n + n_given;
	int32_t *key = malloc(n_int * sizeof *key);
	char hash[65], all[64 + 64 + 16];
	const char *precision = s->model->info.precision;
	if (!key)
		return err_set(e, ERR_MEMORY, "no memory for a target's name");
	memcpy(key, (int32_t[]){VERSION, r->n, r->n_response, r->response != NULL}, 4 * sizeof *key);
	memcpy(key + 4, r->ids, (size_t)r->n * sizeof *key);
	if (n_given)
		memcpy(key + 4 + r->n, r->response, n_given * sizeof *key);
	sha256_hex(key, n_int * sizeof *key, hash);
	free(key);
	snprintf(all, sizeof all, "%s%s%s", hash, s->model_sha256, strcmp(precision, "f32") ? precision : "");
	sha256_hex(all, strlen(all), hash);
	if (asprintf(path, "%s/%.32s.safetensors", s->folder, hash) < 0)
		return err_set(e, ERR_MEMORY, "no memory for a target's name");
	return 0;
}

/* ---- one target being made ---- */

struct making {
	const struct target_request *request;
	char *path;
	struct session *session;
	float *truth;           /* sums, then means */
	uint16_t *key, *value;
	int32_t *response;
	int n_response;
	bool complete;
};

/* How far the making of all targets is, in tokens: one stage for whoever watches, though prompts run in several threads and
 * responses follow them. */
struct tally {
	const struct progress *outer;
	pthread_mutex_t lock;
	int64_t done, total;
};

struct group {
	struct target_store *store;
	struct making *making;
	int n;
	struct tally *tally;
};

static int tally_report(struct tally *t, int64_t more)
{
	pthread_mutex_lock(&t->lock);
	int stop = progress_report(t->outer, "targets", t->done + more, t->total);
	pthread_mutex_unlock(&t->lock);
	return stop;
}

static void tally_add(struct tally *t, int64_t tokens)
{
	pthread_mutex_lock(&t->lock);
	t->done += tokens;
	pthread_mutex_unlock(&t->lock);
}

/* A prompt beside others: what it has done so far counts when it is through. */
static int prompt_progress(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)stage;
	(void)done;
	(void)total;
	return tally_report(user, 0);
}

static int response_progress(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)stage;
	(void)total;
	return tally_report(user, done);
}

static uint64_t target_bytes(const struct model_info *info, const struct target_request *r)
{
	return target_map_floats(info, r->n) * sizeof(float) + 2 * target_cache_halves(info, r->n) * sizeof(uint16_t) +
		(uint64_t)(r->n + r->n_response) * sizeof(int32_t);
}

static int keep_cache(const struct model *m, struct making *k, struct err *e)
{
	size_t halves = target_cache_halves(&m->info, k->request->n);
	k->key = malloc(halves * sizeof *k->key);
	k->value = malloc(halves * sizeof *k->value);
	if (!k->key || !k->value)
		return err_set(e, ERR_MEMORY, "no memory for the keys and values of %d tokens", k->request->n);
	return target_read_cache(k->session, k->request->n, k->key, k->value, e);
}

static struct colsum_request truth_request(struct making *k, int count)
{
	return (struct colsum_request){.first = k->request->n, .count = count, .step = 1, .n_key = k->request->n, .sum = k->truth};
}

static bool is_on_device(const struct model *m)
{
	return backend_for(m) != &backend_cpu;
}

static int given_response(struct making *k, const struct progress *progress, struct err *e)
{
	struct colsum_request truth = truth_request(k, k->request->n_response);
	struct run_request run = {.ids = k->request->response, .n = k->request->n_response, .colsum = &truth, .n_colsum = 1,
		.stage = "responses", .progress = progress};
	memcpy(k->response, k->request->response, (size_t)k->request->n_response * sizeof *k->response);
	k->n_response = k->request->n_response;
	return k->n_response ? session_run(k->session, &run, e) : 0;
}

/* Prefill of one prompt, in one thread beside others. */
static int prepare(void *context, int i, struct err *e)
{
	struct group *g = context;
	struct making *k = &g->making[i];
	const struct model *m = g->store->model;
	struct session_options options = {.max_tokens = k->request->n + k->request->n_response, .n_threads = 1};
	k->truth = calloc(target_map_floats(&m->info, k->request->n), sizeof *k->truth);
	k->response = malloc(((size_t)k->request->n_response + 1) * sizeof *k->response);
	if (!k->truth || !k->response)
		return err_set(e, ERR_MEMORY, "no memory for the truth of %d tokens", k->request->n);
	const struct progress progress = {prompt_progress, g->tally};
	struct run_request run = {.ids = k->request->ids, .n = k->request->n, .stage = "prefill", .progress = &progress};
	int rc = session_open(&k->session, m, &options, e);
	rc = rc ? rc : session_run(k->session, &run, e);
	rc = rc ? rc : keep_cache(m, k, e);
	if (!rc && k->request->response)
		rc = given_response(k, &progress, e);
	k->complete = !rc && k->request->response;
	tally_add(g->tally, k->request->n + (k->request->response ? k->request->n_response : 0));
	return rc;
}

static int respond_alone(struct making *k, const struct progress *progress, struct err *e)
{
	struct colsum_request truth = truth_request(k, k->request->n_response);
	const struct generate_options o = {.n_max = k->request->n_response, .colsum = &truth, .n_colsum = 1, .progress = progress};
	bool stopped;
	int rc = session_generate(k->session, &o, k->response, &k->n_response, &stopped, e);
	k->complete = !rc;
	return rc;
}

static int respond_together(struct group *g, const struct progress *progress, struct err *e)
{
	struct together_voice voice[GROUP_PROMPTS];
	int of[GROUP_PROMPTS], n = 0;
	for (int i = 0; i < g->n; i++) {
		struct making *k = &g->making[i];
		if (k->request->response)
			continue;
		struct colsum_request truth = truth_request(k, k->request->n_response);
		voice[n] = (struct together_voice){.session = k->session, .n_max = k->request->n_response, .ids = k->response};
		int rc = capture_from_request(&voice[n].capture, &truth, e);
		if (rc)
			return rc;
		of[n++] = i;
	}
	int rc = n ? together_generate(g->store->model, voice, n, g->store->n_threads, progress, e) : 0;
	for (int i = 0; i < n; i++) {
		g->making[of[i]].n_response = voice[i].n;
		g->making[of[i]].complete = voice[i].ended;
	}
	return rc;
}

static int respond(struct group *g, struct err *e)
{
	const struct progress progress = {response_progress, g->tally};
	int64_t most = 0;
	int rc = 0;
	for (int i = 0; i < g->n; i++)
		most += g->making[i].request->response ? 0 : g->making[i].request->n_response;
	if (!is_on_device(g->store->model))
		rc = respond_together(g, &progress, e);
	for (int i = 0; i < g->n && !rc && is_on_device(g->store->model); i++)
		if (!g->making[i].request->response)
			rc = respond_alone(&g->making[i], &progress, e);
	tally_add(g->tally, most); /* those that ended early too */
	return rc;
}

static int write_target(struct target_store *s, struct making *k, struct err *e)
{
	const struct model_info *info = &s->model->info;
	int n = k->request->n, m = k->n_response;
	size_t floats = target_map_floats(info, n), halves = target_cache_halves(info, n);
	for (size_t i = 0; i < floats && m; i++)
		k->truth[i] /= (float)m;
	const struct st_tensor tensor[] = {
		{.name = "tokens.prompt", .dtype = ST_I32, .n_dim = 1, .dim = {n}, .data = (const uint8_t *)k->request->ids,
			.n_bytes = (size_t)n * sizeof(int32_t)},
		{.name = "tokens.response", .dtype = ST_I32, .n_dim = 1, .dim = {m}, .data = (const uint8_t *)k->response,
			.n_bytes = (size_t)m * sizeof(int32_t)},
		{.name = "rows.truth", .dtype = ST_F32, .n_dim = 3, .dim = {info->n_layer, info->n_head, n}, .data = (const uint8_t *)k->truth,
			.n_bytes = floats * sizeof(float)},
		{.name = "cache.key", .dtype = ST_F16, .n_dim = 4, .dim = {info->n_layer, info->n_kv_head, n, info->head_dim},
			.data = (const uint8_t *)k->key, .n_bytes = halves * sizeof(uint16_t)},
		{.name = "cache.value", .dtype = ST_F16, .n_dim = 4, .dim = {info->n_layer, info->n_kv_head, n, info->head_dim},
			.data = (const uint8_t *)k->value, .n_bytes = halves * sizeof(uint16_t)},
	};
	struct st_pair meta = {"kvglass.target", "1"};
	return st_write(k->path, tensor, sizeof tensor / sizeof *tensor, &meta, 1, e);
}

static void making_free(struct making *k)
{
	session_close(k->session);
	free(k->truth);
	free(k->key);
	free(k->value);
	free(k->response);
	free(k->path);
}

/* ---- making what is missing ---- */

/* Whoever stops keeps what is complete of the group. */
static int make_group(struct group *g, struct err *e)
{
	int rc = together_each(g->n, g->store->n_threads, prepare, g, e);
	rc = rc ? rc : respond(g, e);
	int failed = 0;
	for (int i = 0; i < g->n && (!rc || rc == ERR_CANCELLED) && !failed; i++) {
		if (!g->making[i].complete)
			continue;
		failed = write_target(g->store, &g->making[i], e);
		if (!failed)
			g->store->bytes += target_bytes(&g->store->model->info, g->making[i].request);
	}
	return failed ? failed : rc;
}

static int room_for(const struct target_store *s, const struct target_request *r, struct err *e)
{
	uint64_t bytes = target_bytes(&s->model->info, r);
	if (!s->limit_bytes || s->bytes + bytes <= s->limit_bytes)
		return 0;
	return err_set(e, ERR_LIMIT, "%s: targets take %llu MiB, one more of %d tokens %llu, the limit is %llu", s->folder,
		(unsigned long long)(s->bytes >> 20), r->n, (unsigned long long)(bytes >> 20), (unsigned long long)(s->limit_bytes >> 20));
}

/* Requests from `first` on that are not there yet, as many as one group takes; returns where to go on. */
static int gather_group(struct target_store *s, const struct target_request *request, int n, int first, struct group *g, struct err *e,
	int *rc)
{
	int tokens = 0, i = first, most = is_on_device(s->model) ? 1 : GROUP_PROMPTS;
	for (; i < n && g->n < most; i++) {
		char *path;
		struct stat st;
		*rc = target_path(s, &request[i], &path, e);
		if (*rc)
			return i;
		int own = request[i].n + request[i].n_response;
		bool there = stat(path, &st) == 0;
		if (there || (g->n && tokens + own > GROUP_TOKENS)) {
			free(path);
			if (there)
				continue;
			return i;
		}
		g->making[g->n++] = (struct making){.request = &request[i], .path = path};
		tokens += own;
		*rc = room_for(s, &request[i], e);
		if (*rc)
			return i;
	}
	return i;
}

struct missing { /* the targets that are not there */
	int n, longest; /* tokens of the longest, with its response */
	int64_t tokens;
};

static int count_missing(const struct target_store *s, const struct target_request *request, int n, struct missing *out, struct err *e)
{
	*out = (struct missing){0};
	for (int i = 0; i < n; i++) {
		char *path;
		struct stat st;
		int rc = target_path(s, &request[i], &path, e), own = request[i].n + request[i].n_response;
		if (rc)
			return rc;
		if (stat(path, &st)) {
			out->n++;
			out->longest = own > out->longest ? own : out->longest;
			out->tokens += own;
		}
		free(path);
	}
	return 0;
}

static int stopped(const struct target_store *s, const struct target_request *request, int n, struct err *e)
{
	struct missing missing;
	int rc = count_missing(s, request, n, &missing, e);
	return rc ? rc : (int)err_set(e, ERR_CANCELLED, "stopped while targets are made; those of %d of %d prompts are kept", n - missing.n, n);
}

static int make_groups(struct target_store *s, const struct target_request *request, int n, struct tally *tally, struct err *e)
{
	for (int at = 0, rc = 0; at < n;) {
		struct making making[GROUP_PROMPTS] = {0};
		struct group g = {.store = s, .making = making, .tally = tally};
		if (tally_report(tally, 0))
			rc = err_set(e, ERR_CANCELLED, "stopped");
		else
			at = gather_group(s, request, n, at, &g, e, &rc);
		if (!rc && g.n)
			rc = make_group(&g, e);
		for (int i = 0; i < g.n; i++)
			making_free(&making[i]);
		if (rc == ERR_CANCELLED)
			return stopped(s, request, n, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int make_missing(struct target_store *s, const struct target_request *request, int n, const struct progress *progress,
	struct err *e)
{
	struct tally tally = {.outer = progress, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct memory_estimate memory;
	struct missing missing;
	int rc = count_missing(s, request, n, &missing, e);
	if (rc)
		return rc;
	tally.total = missing.tokens;
	int tokens = is_on_device(s->model) ? missing.longest : tally.total < GROUP_TOKENS ? (int)tally.total : GROUP_TOKENS;
	model_estimate(s->model, tokens, 1, &memory);
	if (memory.available && memory.kv + memory.scratch + memory.maps > memory.available)
		return err_set(e, ERR_MEMORY, "making targets of %d tokens at once needs %.0f MiB, %.0f MiB are free", tokens,
			(double)(memory.kv + memory.scratch + memory.maps) / 1048576, (double)memory.available / 1048576);
	rc = make_groups(s, request, n, &tally, e);
	if (!rc)
		progress_report(progress, "targets", tally.total, tally.total);
	return rc;
}

int target_store_make(struct target_store *s, const struct target_request *request, int n_request, int *made, const char **note,
	const struct progress *progress, struct err *e)
{
	if (!s->folder)
		return err_set(e, ERR_USE, "targets are made in a folder, and this store has none");
	int rc = make_missing(s, request, n_request, progress, e);
	for (int i = 0; i < n_request && !rc; i++) {
		char *path;
		struct target t;
		rc = target_path(s, &request[i], &path, e);
		if (rc)
			return rc;
		rc = store_open_file(s, path, &made[i], e);
		free(path);
		if (rc)
			return rc;
		rc = target_get(s, made[i], &t, e);
		bool empty = !rc && t.n_response == 0;
		if (note)
			note[i] = empty ? "the response is empty" : NULL;
		made[i] = empty ? -1 : made[i];
	}
	return rc;
}

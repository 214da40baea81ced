#include "engine/lookahead/parts.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void module_shape_of(struct module_shape *out, const struct model_info *i)
{
	int n_q = i->n_head * i->head_dim, n_kv = i->n_kv_head * i->head_dim;
	*out = (struct module_shape){
		.n_layer = i->n_layer,
		.n_embd = i->n_embd,
		.n_in = {i->n_embd, i->n_embd, i->n_embd, n_q, i->n_embd, i->n_embd, i->n_ff},
		.n_out = {n_q, n_kv, n_kv, i->n_embd, i->n_ff, i->n_ff, i->n_embd},
	};
}

struct matcher {
	struct matches *out;
	const struct st_file *file;
	const struct module_settings *settings;
	const char *path;
	bool model_known;
	struct err *e;
};

/* ---- messages ------------------------------------------------------------------------------------------------- */

static int describe(const struct st_tensor *t, char *text, size_t size)
{
	char shape[ST_SHAPE_TEXT];
	st_shape_text(t, shape, sizeof shape);
	return snprintf(text, size, "%.60s %.60s", t->name, shape);
}

/* The first few tensors of the file: what kind of file it is shows in them. */
static void list_some(const struct st_file *f, char *text, size_t size)
{
	size_t n = 0;
	*text = '\0';
	for (int i = 0; i < f->n_tensor && i < 3 && n < size; i++) {
		n += (size_t)snprintf(text + n, size - n, i ? ", " : "");
		if (n < size)
			n += (size_t)describe(&f->tensor[i], text + n, size - n);
	}
	if (f->n_tensor > 3 && n < size)
		snprintf(text + n, size - n, ", ...");
}

static int refuse(const struct matcher *m, const struct st_tensor *t, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct matcher *m, const struct st_tensor *t, const char *format, ...)
{
	char what[128], why[160], found[240];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	describe(t, what, sizeof what);
	list_some(m->file, found, sizeof found);
	return err_set(m->e, ERR_FORMAT, "%s: tensor %s %s; found %d tensors: %s", m->path, what, why, m->file->n_tensor, found);
}

/* ---- one tensor ------------------------------------------------------------------------------------------------ */

/* Leading dimensions of 1 say nothing. */
static bool as_matrix(const struct st_tensor *t, int *rows, int *columns)
{
	int skip = 0;
	while (t->n_dim - skip > 2 && t->dim[skip] == 1)
		skip++;
	if (t->n_dim - skip != 2)
		return false;
	int64_t a = t->dim[skip], b = t->dim[skip + 1];
	if (a < 1 || b < 1 || a > INT_MAX || b > INT_MAX)
		return false;
	*rows = (int)a;
	*columns = (int)b;
	return true;
}

static bool is_written_name(const struct match *k)
{
	char name[64];
	if (k->layer < 0)
		return !strcmp(k->tensor->name, "lookahead.embedding");
	snprintf(name, sizeof name, "layers.%d.%s.lora_%c", k->layer, projection_name(k->proj), k->role == ROLE_A ? 'a' : 'b');
	return !strcmp(k->tensor->name, name);
}

/* Does (rows, columns) of the file, one way or the other, make (want_rows, want_columns)? 0 in what is wanted fits anything. */
static bool fits(int rows, int columns, int want_rows, int want_columns, bool *transposed)
{
	bool straight = (!want_rows || rows == want_rows) && (!want_columns || columns == want_columns);
	bool turned = (!want_rows || columns == want_rows) && (!want_columns || rows == want_columns);
	*transposed = turned && !straight;
	return straight || turned;
}

/* A is (r, n_in), B is (n_out, r). */
static void wanted_shape(const struct module_shape *shape, int proj, enum role role, int r, int *rows, int *columns)
{
	*rows = role == ROLE_A ? r : shape->n_out[proj];
	*columns = role == ROLE_A ? shape->n_in[proj] : r;
}

static int place_adapter(struct matcher *m, struct match *k, int rows, int columns)
{
	struct matches *all = m->out;
	bool can[3] = {false}, turned[3] = {false};
	int r = settings_rank(m->settings, k->layer, k->proj);
	if (!r)
		r = rows < columns ? rows : columns;
	for (int role = ROLE_A; role <= ROLE_B; role++) {
		int want_rows, want_columns;
		wanted_shape(&all->shape, k->proj, (enum role)role, r, &want_rows, &want_columns);
		can[role] = (!k->role || k->role == (enum role)role) && fits(rows, columns, want_rows, want_columns, &turned[role]);
	}
	if (!can[ROLE_A] && !can[ROLE_B]) {
		int n_in = all->shape.n_in[k->proj], n_out = all->shape.n_out[k->proj];
		return refuse(m, k->tensor, "does not fit %s of %s: rank %d, %d inputs, %d outputs", projection_name(k->proj),
			m->model_known ? "this model" : "the other layers", r, n_in, n_out);
	}
	if (can[ROLE_A] && can[ROLE_B])
		return refuse(m, k->tensor, "fits both A and B of %s, and its name does not say which", projection_name(k->proj));
	k->role = can[ROLE_A] ? ROLE_A : ROLE_B;
	if (rows == columns && !is_written_name(k))
		return refuse(m, k->tensor, "is square: it could lie either way");
	k->transposed = turned[k->role];
	k->rows = k->transposed ? columns : rows;
	k->columns = k->transposed ? rows : columns;
	/* Without a model the first layer that has a projection says how wide it is. */
	int *width = k->role == ROLE_A ? &all->shape.n_in[k->proj] : &all->shape.n_out[k->proj];
	if (!*width)
		*width = k->role == ROLE_A ? k->columns : k->rows;
	return 0;
}

static int place_embedding(struct matcher *m, struct match *k, int rows, int columns)
{
	struct module_shape *shape = &m->out->shape;
	if (!shape->n_embd) /* fewer soft tokens than dimensions, unless the name is the written one */
		shape->n_embd = is_written_name(k) || columns > rows ? columns : rows;
	if (!fits(rows, columns, 0, shape->n_embd, &k->transposed))
		return refuse(m, k->tensor, "is of no layer and projection and no embedding of %d dimensions", shape->n_embd);
	if (rows == columns && !is_written_name(k))
		return refuse(m, k->tensor, "is square: it could lie either way");
	k->rows = k->transposed ? columns : rows;
	k->columns = shape->n_embd;
	return 0;
}

static bool is_scalar(const struct st_tensor *t)
{
	return t->n_bytes == st_dtype_size(t->dtype);
}

static int place(struct matcher *m, struct match *k)
{
	int rows = 1, columns = 1;
	struct name_facts name;
	name_read(k->tensor->name, &name);
	k->layer = name.layer;
	k->proj = name.proj;
	k->role = name.role;
	if (name.doubt)
		return refuse(m, k->tensor, "names %s", name.doubt);
	if (k->role == ROLE_ALPHA ? !is_scalar(k->tensor) : !as_matrix(k->tensor, &rows, &columns))
		return refuse(m, k->tensor, k->role == ROLE_ALPHA ? "is no single number" : "is no matrix");
	if (k->layer < 0 && k->proj < 0 && !k->role)
		return place_embedding(m, k, rows, columns);
	if (k->layer < 0 || k->proj < 0)
		return refuse(m, k->tensor, "names no %s", k->layer < 0 ? "layer" : "projection");
	if (m->model_known && k->layer >= m->out->shape.n_layer)
		return refuse(m, k->tensor, "is for layer %d, this model has %d", k->layer, m->out->shape.n_layer);
	if (k->layer >= 4096)
		return refuse(m, k->tensor, "is for layer %d, the limit is 4096", k->layer);
	k->rows = k->columns = 1;
	return k->role == ROLE_ALPHA ? 0 : place_adapter(m, k, rows, columns);
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static int compare_matches(const void *a, const void *b)
{
	const struct match *x = a, *y = b;
	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->proj != y->proj)
		return x->proj < y->proj ? -1 : 1;
	return (x->role > y->role) - (x->role < y->role);
}

/* Sorted: A, B and perhaps alpha of one place follow each other. */
static bool has_partner(const struct match *k, int n, int i)
{
	int other = k[i].role == ROLE_A ? i + 1 : i - 1;
	return other < n && k[other].layer == k[i].layer && k[other].proj == k[i].proj &&
		k[other].role == (k[i].role == ROLE_B ? ROLE_A : ROLE_B);
}

/* One tensor a place, A and B together, one embedding. */
static int check_pairs(struct matcher *m)
{
	struct matches *all = m->out;
	const struct match *k = all->match;
	for (int i = 1; i < all->n; i++)
		if (compare_matches(&k[i - 1], &k[i]) == 0)
			return refuse(m, k[i].tensor, "goes where %.60s goes", k[i - 1].tensor->name);
	if (all->n == 0 || k[0].layer >= 0)
		return err_set(m->e, ERR_FORMAT, "%s: no embedding of the lookahead tokens among its %d tensors", m->path, m->file->n_tensor);
	for (int i = 1; i < all->n; i++)
		if (!has_partner(k, all->n, i))
			return refuse(m, k[i].tensor, "has no %s beside it", k[i].role == ROLE_A ? "B" : k[i].role == ROLE_B ? "A" : "pair");
	for (int i = 1; i < all->n; i++) /* where no settings say it, each tensor's rank was its shorter side */
		if (k[i].role == ROLE_B && k[i].columns != k[i - 1].rows)
			return refuse(m, k[i].tensor, "has rank %d, its A has %d", k[i].columns, k[i - 1].rows);
	return 0;
}

static int largest_rank(const struct matches *all)
{
	int r = 0;
	for (int i = 1; i < all->n; i++)
		if (all->match[i].role == ROLE_A && all->match[i].rows > r)
			r = all->match[i].rows;
	return r;
}

int match_tensors(struct matches *out, const struct st_file *file, const struct module_shape *known, const struct module_settings *s,
	const char *path, struct err *e)
{
	*out = (struct matches){0};
	if (known)
		out->shape = *known;
	struct matcher m = {out, file, s, path, known != NULL, e};
	out->match = calloc((size_t)file->n_tensor + 1, sizeof *out->match);
	if (!out->match)
		return err_set(e, ERR_MEMORY, "%s: out of memory for %d tensors", path, file->n_tensor);
	int rc = 0;
	for (int i = 0; i < file->n_tensor && !rc; i++) {
		out->match[i].tensor = &file->tensor[i];
		rc = place(&m, &out->match[i]);
		out->n = i + 1;
	}
	qsort(out->match, (size_t)out->n, sizeof *out->match, compare_matches);
	if (!rc)
		rc = check_pairs(&m);
	out->r = largest_rank(out) && s->r ? s->r : largest_rank(out);
	if (!rc && !known)
		out->shape.n_layer = out->n ? out->match[out->n - 1].layer + 1 : 0;
	if (rc) {
		free(out->match);
		out->match = NULL;
	}
	return rc;
}

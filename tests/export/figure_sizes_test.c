/* Figures of every shape of capture at any size, range, method and scale: each is a file or one line that says why not, and nothing
 * divides by what is not there. */
#include "export/figure.h"

#include <string.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "engine/random.h"
#include "tests/support/test.h"

static const struct {
	int n_layer, n_head, n_kv_head, n_prompt, n_response;
	bool every_method;
} shape[] = {
	{1, 1, 1, 1, 1, true},     {1, 1, 1, 2, 0, false},  {2, 2, 1, 36, 4, true},    {2, 4, 4, 37, 33, true},
	{3, 9, 3, 38, 5, false},   {1, 8, 2, 100, 0, true}, {5, 6, 2, 333, 40, true},  {2, 3, 3, 5, 64, true},
};

static double pick(struct rng *rng, const double *from, size_t n)
{
	return from[rng_below(rng, (uint32_t)n)];
}
#define PICK(rng, ...) pick((rng), (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static struct figure_spec any_spec(struct rng *rng, const struct capture *c)
{
	static const char *const method[] = {"truth", "snapkv", "lookahead", "random", "recency", "keynorm", "ceiling", "tova"};
	static const char *chosen[4];
	struct figure_spec s = figure_spec_default();
	s.kind = (enum figure_kind)rng_below(rng, 3);
	s.rows = (enum figure_rows)rng_below(rng, 3);
	s.layer = rng_below(rng, 3) ? (int)rng_below(rng, (uint32_t)c->n_layer) : -1;
	s.head = s.layer >= 0 && rng_below(rng, 2) ? (int)rng_below(rng, (uint32_t)c->n_head) : -1;
	s.n_method = rng_below(rng, 2) ? (int)rng_below(rng, 5) : 0;
	for (int i = 0; i < s.n_method; i++)
		chosen[i] = method[rng_below(rng, sizeof method / sizeof *method)];
	s.method = s.n_method ? chosen : NULL;
	s.budget = (int)PICK(rng, 1, 36, 37, 64, 128, 128, 100000);
	s.width_in = PICK(rng, 0, 0.4, 1, 1.3, 2, 2.65, 3.25, 5.5, 6.75, 20);
	s.height_in = PICK(rng, 0, 0, 0, 0, 0, 1, 3, 9);
	s.dpi = (int)PICK(rng, 36, 36, 72, 72, 150);
	if (rng_below(rng, 2)) {
		s.first = (int)rng_below(rng, (uint32_t)c->n_prompt);
		s.last = s.first + 1 + (int)rng_below(rng, (uint32_t)(c->n_prompt - s.first));
	}
	s.scale = (enum ramp_scale)rng_below(rng, RAMP_DIFFERENCE + 1);
	s.colour = (enum ramp_colour)rng_below(rng, RAMP_DIVERGING + 1);
	return s;
}

static bool check_one(const struct evaluation *ev, const struct figure_spec *spec, const char *path)
{
	struct err e = {0};
	unlink(path);
	int rc = figure_write(ev, spec, path, &e);
	CHECK_INT(rc != 0, access(path, F_OK) != 0);
	CHECK_INT(rc != 0, e.text[0] != '\0');
	CHECK(!strchr(e.text, '\n'));
	if (rc && rc != ERR_USE) /* nothing here is the machine's fault */
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return !rc;
}

TEST(figure_sizes, any_figure_is_drawn_or_refused_in_one_line)
{
	const struct evaluation_options options = {.protocol = protocol_default(), .seed = 1, .n_threads = 1};
	const char *path[6];
	int n_drawn = 0;
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (int i = 0; i < 6; i++) {
		static const char *const name[] = {"any.png", "any.svg", "any.pdf", "any.csv", "any.json", "any.tex"};
		path[i] = test_scratch(name[i]);
	}
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
		struct synthetic_spec spec = synthetic_default();
		const struct capture *c;
		struct evaluation *ev;
		struct err e;
		spec.n_layer = shape[i].n_layer;
		spec.n_head = shape[i].n_head;
		spec.n_kv_head = shape[i].n_kv_head;
		spec.n_prompt = shape[i].n_prompt;
		spec.n_response = shape[i].n_response;
		spec.every_method = shape[i].every_method;
		CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
		CHECK_INT(evaluation_open(&ev, c, &options, NULL, &e), 0);
		for (int figure = 0; figure < 150; figure++) {
			struct figure_spec s = any_spec(&rng, c);
			n_drawn += check_one(ev, &s, path[figure % 6]);
		}
		evaluation_close(ev);
		capture_unref(c);
	}
	CHECK(n_drawn > 200); /* and not everything is refused */
}

/* Curves: the evaluation's numbers at every budget drawn. */
#include "export/plot/curves.h"

#include <string.h>

#include "tests/support/evaluated.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

TEST(curves, numbers_are_those_of_the_evaluation)
{
	struct evaluation *ev = evaluated(500, 40);
	struct figure_spec spec = figure_spec_default();
	struct curves c;
	struct err e = {0};
	spec.kind = FIGURE_CURVES;
	spec.layer = 1;
	CHECK_INT(curves_make(&c, ev, &spec, &e), 0);
	CHECK_INT(c.budget[0], 37);
	CHECK_INT(c.budget[c.n_point - 1], 500);
	for (int i = 0; i < c.n_line; i++)
		for (int p = 0; p < c.n_point; p++) {
			const struct curves_line *l = &c.line[i];
			CHECK(p == 0 || c.budget[p] > c.budget[p - 1]);
			CHECK_INT(c.k[p], c.budget[p] - 36);
			if (l->method < 0) {
				CHECK_NEAR(l->mass[p], (double)c.k[p] / 464, TOL_EXACT);
				continue;
			}
			struct agreement a = evaluation_agreement(ev, l->method, (struct scope){1, -1}, c.k[p]);
			CHECK_NEAR(l->mass[p], a.mass, TOL_EXACT);
			CHECK_NEAR(l->overlap[p], a.overlap, TOL_EXACT);
			/* The oracle is the upper line. The ceiling is judged against half of truth, which has an oracle of
			 * its own. */
			CHECK(l->mass[p] <= c.line[0].mass[p] + 1e-6 || !strcmp(l->name, "ceiling"));
			CHECK(p + 1 < c.n_point || fabs(l->mass[p] - 1) < 1e-5);
		}
	CHECK_STR(c.line[0].name, "truth");
	CHECK_STR(c.line[c.n_line - 1].name, "chance");
	curves_free(&c);
	evaluation_close(ev);
}

TEST(curves, every_method_and_control_has_a_line)
{
	struct evaluation *ev = evaluated(300, 40);
	struct figure_spec spec = figure_spec_default();
	struct curves c;
	struct err e = {0};
	spec.kind = FIGURE_CURVES;
	CHECK_INT(curves_make(&c, ev, &spec, &e), 0);
	static const char *const wanted[] = {"truth", "snapkv", "lookahead", "untrained", "random", "recency", "keynorm",
		"h2o", "tova", "ceiling", "chance"};
	for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++) {
		int found = 0;
		for (int i = 0; i < c.n_line; i++)
			found += !strcmp(c.line[i].name, wanted[k]);
		if (found != 1)
			test_fail(__FILE__, __LINE__, "%d curves of %s", found, wanted[k]);
	}
	curves_free(&c);
	evaluation_close(ev);
}

#include "engine/machine.h"

#include "tests/support/test.h"

static int stop(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)stage, (void)done, (void)total;
	++*(int *)user;
	return 1;
}

TEST(machine, rates_are_rates)
{
	struct machine_rates r;
	struct err e;
	CHECK_INT(machine_measure(&r, NULL, 1, NULL, &e), 0);
	CHECK_INT(r.n_threads, 1);
	CHECK(r.product_size >= 1024);
	CHECK(r.gflops > 0.1 && r.gflops < 1e5); /* between an emulator and anything one core will reach */
	CHECK(r.read_gbs > 0.01 && r.read_gbs < 1e4);
}

TEST(machine, stops_when_asked)
{
	struct machine_rates r;
	struct err e = {0};
	int asked = 0;
	const struct progress progress = {.report = stop, .user = &asked};
	CHECK_INT(machine_measure(&r, NULL, 0, &progress, &e), ERR_CANCELLED);
	CHECK_INT(asked, 1);
}

/* The test harness: cases register themselves, the runner (tests/support/run.c) lists, filters and counts them.
 *
 *     TEST(gguf, truncated_header) { ... CHECK(rc != 0); CHECK_NEAR(x, y, TOL_F32_SUM); ... }
 *
 * A failed check prints file, line and both values and the case goes on; one failed check fails the case.
 * Comparisons are written !(diff <= tol), so NaN fails. Tolerances live in tests/support/tolerance.h with their reasons.
 */
#ifndef KVGLASS_TESTS_TEST_H
#define KVGLASS_TESTS_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus /* the emulator of CUDA is tested in its language */
extern "C" {
#endif

struct test_case {
	const char *suite, *name;
	void (*run)(void);
	struct test_case *next;
};
void test_register(struct test_case *t);
void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Marks the running case as skipped, with a reason that is printed and counted; return from the case afterwards. */
void test_skip(const char *reason);
/* Paths: tests run from anywhere. tree: "tests/golden/x" inside the checkout; scratch: a fresh temporary folder, removed at the end;
 * model: the sample model in the cache, NULL when it is not there (skip, then). Strings live until the case ends. */
const char *test_tree(const char *relative);
const char *test_scratch(const char *name);
const char *test_sample_model(void);
uint64_t test_seed(void); /* printed; --seed changes it */
bool test_rewrite(void);  /* --rewrite: cases that compare with committed files write them anew instead */
void test_check_str(const char *file, int line, const char *what, const char *got, const char *want);

#ifdef __cplusplus
}
#endif

#define TEST(suite_, name_)                                                                                      \
	static void test_##suite_##_##name_(void);                                                                   \
	static struct test_case case_##suite_##_##name_ = {#suite_, #name_, test_##suite_##_##name_, NULL};           \
	__attribute__((constructor)) static void register_##suite_##_##name_(void)                                   \
	{                                                                                                            \
		test_register(&case_##suite_##_##name_);                                                                 \
	}                                                                                                            \
	static void test_##suite_##_##name_(void)

#define CHECK(condition)                                                                                         \
	do {                                                                                                         \
		if (!(condition))                                                                                        \
			test_fail(__FILE__, __LINE__, "%s", #condition);                                                     \
	} while (0)
#define CHECK_INT(got, want)                                                                                     \
	do {                                                                                                         \
		long long got_ = (long long)(got), want_ = (long long)(want);                                            \
		if (got_ != want_)                                                                                       \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, got_, want_);                            \
	} while (0)
#define CHECK_STR(got, want) test_check_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_NEAR(got, want, tolerance)                                                                         \
	do {                                                                                                         \
		double got_ = (got), want_ = (want), tol_ = (tolerance);                                                 \
		if (!(fabs(got_ - want_) <= tol_))                                                                       \
			test_fail(__FILE__, __LINE__, "%s is %.9g, not %.9g (off by %.3g, allowed %.3g)", #got, got_, want_,  \
				fabs(got_ - want_), tol_);                                                                       \
	} while (0)

#endif

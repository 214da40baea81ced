/* Runs the registered test cases: --list, --seed N, --rewrite, and names or prefixes ("gguf", "gguf.truncated") to choose.
 * --tiny FOLDER writes the tiny models instead, for the scripts that make golden files. */
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct test_case *first;
static int n_failed_checks;
static const char *skip_reason;
static uint64_t seed = 1;
static bool rewrite;
static char scratch_root[4096];
static char *path_pool[256];
static int n_path;

void test_register(struct test_case *t)
{
	struct test_case **at = &first;
	while (*at && (strcmp((*at)->suite, t->suite) < 0 || (!strcmp((*at)->suite, t->suite) && strcmp((*at)->name, t->name) < 0)))
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (++n_failed_checks <= 20) {
		printf("    %s:%d: ", file, line);
		vprintf(format, args);
		putchar('\n');
	}
	va_end(args);
}

void test_check_str(const char *file, int line, const char *what, const char *got, const char *want)
{
	if (!got || !want || strcmp(got, want))
		test_fail(file, line, "%s is \"%s\", not \"%s\"", what, got ? got : "(null)", want ? want : "(null)");
}

void test_skip(const char *reason)
{
	skip_reason = reason;
}

uint64_t test_seed(void)
{
	return seed;
}

bool test_rewrite(void)
{
	return rewrite;
}

static const char *keep_path(const char *folder, const char *name)
{
	char *path = NULL;
	if (n_path == (int)(sizeof path_pool / sizeof *path_pool) || asprintf(&path, "%s/%s", folder, name) < 0) {
		fprintf(stderr, "tests: too many paths in one case\n");
		exit(2);
	}
	return path_pool[n_path++] = path;
}

static void forget_paths(void)
{
	while (n_path)
		free(path_pool[--n_path]);
}

const char *test_tree(const char *relative)
{
	return keep_path(KVGLASS_TREE, relative);
}

/* The tests run inside their scratch folder: what a program under test writes to a relative name, whatever keys it is given,
 * never lands in the tree. */
static void enter_scratch(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(scratch_root, sizeof scratch_root, "%s/kvglass-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(scratch_root) || chdir(scratch_root)) {
		perror(scratch_root);
		exit(2);
	}
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void leave_scratch(void)
{
	if (chdir("/"))
		perror("/");
	nftw(scratch_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_scratch(const char *name)
{
	return keep_path(scratch_root, name);
}

const char *test_sample_model(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	const char *name = "kvglass/SmolLM2-135M-Instruct.Q4_1.gguf";
	const char *path = NULL;
	if (cache && *cache) {
		path = keep_path(cache, name);
	} else if (home) {
		char folder[4096];
		snprintf(folder, sizeof folder, "%s/.cache", home);
		path = keep_path(folder, name);
	}
	return path && access(path, R_OK) == 0 ? path : NULL;
}

static bool chosen(const struct test_case *t, char **filter, int n_filter)
{
	char full[256];
	snprintf(full, sizeof full, "%s.%s", t->suite, t->name);
	for (int i = 0; i < n_filter; i++)
		if (!strncmp(full, filter[i], strlen(filter[i])))
			return true;
	return n_filter == 0;
}

int main(int argc, char **argv)
{
	bool list = false;
	int at = 1;
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--list")) {
			list = true;
		} else if (!strcmp(argv[at], "--seed") && at + 1 < argc) {
			seed = strtoull(argv[++at], NULL, 0);
		} else if (!strcmp(argv[at], "--rewrite")) {
			rewrite = true;
		} else if (!strcmp(argv[at], "--tiny") && at + 1 < argc) {
			tiny_models_write_all(argv[++at]);
			return 0;
		} else {
			fprintf(stderr, "usage: run [--list] [--seed N] [--rewrite] [--tiny FOLDER] [suite[.case]]...\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	int n_passed = 0, n_failed = 0, n_skipped = 0;
	enter_scratch();
	for (struct test_case *t = first; t; t = t->next) {
		if (!chosen(t, argv + at, argc - at))
			continue;
		if (list) {
			printf("%s.%s\n", t->suite, t->name);
			continue;
		}
		struct timespec begin, end;
		n_failed_checks = 0;
		skip_reason = NULL;
		clock_gettime(CLOCK_MONOTONIC, &begin);
		t->run();
		clock_gettime(CLOCK_MONOTONIC, &end);
		double ms = 1e3 * (double)(end.tv_sec - begin.tv_sec) + 1e-6 * (double)(end.tv_nsec - begin.tv_nsec);
		if (n_failed_checks) {
			n_failed++;
			printf("FAIL %s.%s (%d checks)\n", t->suite, t->name, n_failed_checks);
		} else if (skip_reason) {
			n_skipped++;
			printf("skip %s.%s: %s\n", t->suite, t->name, skip_reason);
		} else {
			n_passed++;
			printf("ok   %s.%s  %.0f ms\n", t->suite, t->name, ms);
		}
		forget_paths();
	}
	leave_scratch();
	if (list)
		return 0;
	printf("seed %llu\n%d passed, %d failed, %d skipped\n", (unsigned long long)seed, n_passed, n_failed, n_skipped);
	return n_failed || n_passed == 0;
}

/* Runs the registered test cases: --list, --seed N, --rewrite, --jobs N (processes), and names or prefixes ("gguf", "gguf.truncated") to
 * choose. --tiny FOLDER writes the tiny models instead, for the scripts that make golden files. */
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* ---- running them ------------------------------------------------------------------------------------------------------------- */

enum { MOST_JOBS = 64 };
struct board { /* of all processes that run cases */
	atomic_int next, n_passed, n_failed, n_skipped; /* next: the case whose turn it is */
	const char *running[MOST_JOBS][2]; /* suite and name */
};

static void run_case(const struct test_case *t, struct board *board)
{
	struct timespec begin, end;
	n_failed_checks = 0;
	skip_reason = NULL;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	t->run();
	clock_gettime(CLOCK_MONOTONIC, &end);
	double ms = 1e3 * (double)(end.tv_sec - begin.tv_sec) + 1e-6 * (double)(end.tv_nsec - begin.tv_nsec);
	if (n_failed_checks) {
		board->n_failed++;
		printf("FAIL %s.%s (%d checks)\n", t->suite, t->name, n_failed_checks);
	} else if (skip_reason) {
		board->n_skipped++;
		printf("skip %s.%s: %s\n", t->suite, t->name, skip_reason);
	} else {
		board->n_passed++;
		printf("ok   %s.%s  %.0f ms\n", t->suite, t->name, ms);
	}
	forget_paths();
}

/* Cases, as long as there are some that no other process has taken. */
static void run_cases(struct board *board, int job, char **filter, int n_filter)
{
	int index = 0, mine = board->next++;
	enter_scratch();
	for (const struct test_case *t = first; t; t = t->next) {
		if (!chosen(t, filter, n_filter) || index++ != mine)
			continue;
		board->running[job][0] = t->suite;
		board->running[job][1] = t->name;
		run_case(t, board);
		fflush(stdout); /* what one case says stays together */
		mine = board->next++;
	}
	leave_scratch();
}

static void run_in_processes(struct board *board, int n_job, char **filter, int n_filter)
{
	pid_t child[MOST_JOBS];
	for (int job = 0; job < n_job; job++) {
		child[job] = fork();
		if (child[job] == 0) {
			setvbuf(stdout, NULL, _IOFBF, 1 << 16);
			run_cases(board, job, filter, n_filter);
			exit(0);
		}
	}
	for (int job = 0, status; job < n_job; job++)
		if (child[job] < 0 || waitpid(child[job], &status, 0) != child[job] || status) {
			const char *const *name = board->running[job];
			board->n_failed++;
			printf("FAIL %s.%s (its process ended)\n", name[0] ? name[0] : "", name[1] ? name[1] : "");
		}
}

static void list_cases(char **filter, int n_filter)
{
	for (const struct test_case *t = first; t; t = t->next)
		if (chosen(t, filter, n_filter))
			printf("%s.%s\n", t->suite, t->name);
}

int main(int argc, char **argv)
{
	bool list = false;
	int at = 1, n_job = 1;
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--list")) {
			list = true;
		} else if (!strcmp(argv[at], "--seed") && at + 1 < argc) {
			seed = strtoull(argv[++at], NULL, 0);
		} else if (!strcmp(argv[at], "--jobs") && at + 1 < argc) {
			n_job = atoi(argv[++at]);
		} else if (!strcmp(argv[at], "--rewrite")) {
			rewrite = true;
		} else if (!strcmp(argv[at], "--tiny") && at + 1 < argc) {
			tiny_models_write_all(argv[++at]);
			return 0;
		} else {
			fprintf(stderr, "usage: run [--list] [--seed N] [--jobs N] [--rewrite] [--tiny FOLDER] [suite[.case]]...\n");
			return 2;
		}
	}
	if (list) {
		list_cases(argv + at, argc - at);
		return 0;
	}
	struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED) {
		perror("tests");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (n_job > 1)
		run_in_processes(board, n_job < MOST_JOBS ? n_job : MOST_JOBS, argv + at, argc - at);
	else
		run_cases(board, 0, argv + at, argc - at);
	printf("seed %llu\n%d passed, %d failed, %d skipped\n", (unsigned long long)seed, board->n_passed, board->n_failed, board->n_skipped);
	return board->n_failed || board->n_passed == 0;
}

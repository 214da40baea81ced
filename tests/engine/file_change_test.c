/* Files that are cut or rewritten while somebody reads them: no signal ends the program, no number from them is handed out. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/capture.h"
#include "analysis/evaluation.h"
#include "analysis/synthetic.h"
#include "engine/engine.h"
#include "engine/file.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static void write_pages(const char *path, int n)
{
	struct file_writer *w;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char byte = 1;
	CHECK_INT(file_create(&w, path, NULL), 0);
	for (size_t i = 0; i < page * (size_t)n; i++)
		file_write(w, &byte, 1, NULL);
	CHECK_INT(file_commit(w, NULL), 0);
}

TEST(file_change, pages_that_went_missing_read_as_zeros_and_are_told)
{
	const char *path = test_scratch("cut");
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct file_map map, other;
	struct err e;
	file_guard_begin();
	write_pages(path, 4);
	write_pages(test_scratch("whole"), 1);
	CHECK_INT(file_map_open(&map, path, &e), 0);
	CHECK_INT(file_map_open(&other, test_scratch("whole"), &e), 0);
	CHECK_INT(file_map_check(&map, &e), 0);
	CHECK_INT(truncate(path, (off_t)page), 0);
	CHECK_INT(map.data[page - 1], 1);
	CHECK_INT(map.data[2 * page], 0); /* without a guard this ends the process */
	CHECK_INT(map.data[3 * page], 0);
	CHECK_INT(map.data[page], 0);
	CHECK_INT(file_map_check(&map, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, path) && strstr(e.text, "was cut to"));
	CHECK_INT(file_map_check(&other, &e), 0);
	CHECK_INT(unlink(path), 0); /* its name is gone: what happened to it is still known */
	CHECK_INT(file_map_check(&map, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "was cut short") != NULL);
	file_map_close(&map);
	file_map_close(&other);
}

TEST(file_change, a_file_replaced_under_its_name_stays_as_it_was)
{
	const char *path = test_scratch("replaced");
	struct file_map map;
	struct err e;
	write_pages(path, 2);
	CHECK_INT(file_map_open(&map, path, &e), 0);
	write_pages(path, 1); /* a new file under the old name */
	CHECK_INT(map.data[map.size - 1], 1);
	CHECK_INT(file_map_check(&map, &e), 0);
	file_map_close(&map);
}

TEST(file_change, writing_into_a_mapped_file_is_told)
{
	const char *path = test_scratch("rewritten");
	struct file_map map;
	struct err e;
	write_pages(path, 1);
	struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	CHECK_INT(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	CHECK_INT(file_map_open(&map, path, &e), 0);
	int fd = open(path, O_WRONLY);
	CHECK_INT(write(fd, "x", 1), 1);
	close(fd);
	CHECK_INT(file_map_check(&map, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "was written to") != NULL);
	file_map_close(&map);
}

static int run_five(struct session *s, struct err *e)
{
	static const int32_t ids[] = {1, 2, 3, 4, 5};
	return session_run(s, &(struct run_request){.ids = ids, .n = 5, .stage = "prefill"}, e);
}

TEST(file_change, a_model_cut_while_it_runs_is_an_error_that_names_it)
{
	const char *path = test_scratch("cut.gguf"), *hex;
	struct model *m;
	struct session *s;
	struct stat st;
	struct err e;
	file_guard_begin();
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
	CHECK_INT(model_open(&m, path, NULL, &e), 0);
	CHECK_INT(session_open(&s, m, &(struct session_options){.max_tokens = 20, .n_threads = 2}, &e), 0);
	CHECK_INT(run_five(s, &e), 0);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(truncate(path, st.st_size / 3), 0);
	CHECK_INT(run_five(s, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "cut.gguf: was cut to") != NULL);
	CHECK_INT(session_length(s), 5); /* as before the call */
	CHECK(session_logits(s) == NULL);
	CHECK_INT(model_sha256(m, &hex, &e), ERR_SYSTEM);
	session_close(s);
	model_close(m);
}

TEST(file_change, a_capture_cut_while_it_is_looked_at_is_an_error_that_names_it)
{
	const char *path = test_scratch("cut.kvg"), *copy = test_scratch("cut-copy.kvg");
	struct synthetic_spec spec = synthetic_default();
	const struct evaluation_options options = {.protocol = protocol_default()};
	const struct capture *c;
	struct evaluation *ev;
	struct stat st;
	struct err e;
	file_guard_begin();
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, path, &e), 0);
	capture_unref(c);
	CHECK_INT(capture_open(&c, path, &e), 0);
	CHECK_INT(capture_save(c, path, &e), 0); /* over its own name: what is open is the old file */
	CHECK_INT(capture_intact(c, &e), 0);
	capture_unref(c);
	CHECK_INT(capture_open(&c, path, &e), 0);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(truncate(path, st.st_size / 2), 0);
	CHECK_INT(evaluation_open(&ev, c, &options, NULL, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "cut.kvg: was cut to") != NULL);
	CHECK_INT(capture_save(c, copy, &e), ERR_SYSTEM);
	CHECK(access(copy, F_OK) != 0);
	capture_unref(c);
}

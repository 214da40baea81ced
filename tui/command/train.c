/* kvglass train: lookahead modules for a model. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/train.h"
#include "tui/command/command.h"
#include "tui/command/output.h"
#include "tui/command/prompt.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"
#include "tui/command/train_judge.h"
#include "tui/command/train_prompts.h"

enum { JUDGED = 8 }; /* times that held-out prompts are judged in a training */

struct job {
	const struct options *o;
	struct model *model;
	struct lookahead *start; /* -l, or NULL */
	struct train_prompts prompts, held_out;
	struct target_store *store;
	int *target, n_target;
	struct judge *judge; /* NULL without --eval */
	struct trainer *trainer;
	char *checkpoint, *log_path, *note;
	FILE *log;
};

static int check(const struct options *o, struct err *e)
{
	unsigned targets;
	if (!o->model)
		return err_set(e, ERR_USE, "no model: -m MODEL names a .gguf file or a Hugging Face folder");
	if (!o->prompts.n)
		return err_set(e, ERR_USE, "no prompts: --prompts names .jsonl or text files");
	if (o->modules && !strcmp(o->modules, "untrained"))
		return err_set(e, ERR_USE, "-l untrained: training without -l begins there");
	if (!o->output)
		return err_set(e, ERR_USE, "no place for the modules: -o names a .safetensors file");
	if (output_check_word(o->output, e))
		return ERR_USE;
	if (o->chat && o->raw)
		return err_set(e, ERR_USE, "--chat and --raw exclude each other");
	return settings_projections(&targets, &o->targets, "--targets", e);
}

/* ---- before the steps ---- */

static int longest_of(const struct train_prompts *p)
{
	int longest = 0;
	for (int i = 0; i < p->n; i++)
		longest = p->item[i].tokens.n > longest ? p->item[i].tokens.n : longest;
	return longest;
}

static int read_prompts(struct job *job, struct train_prompts *p, const struct option_texts *files, const char *what, struct err *e)
{
	char faults[400];
	int rc = train_prompts_read(p, job->model, files, job->o, e), n_out = train_prompts_n_left_out(p);
	if (rc || !files->n)
		return rc;
	train_prompts_faults(p, job->o, faults, sizeof faults);
	if (!p->n)
		return n_out ? err_set(e, ERR_USE, "no usable %s: %s", what, faults) : err_set(e, ERR_USE, "no %s in %s", what, files->item[0]);
	if (n_out)
		remark(job->o, "%d of %d %s left out: %s", n_out, p->n + n_out, what, faults);
	return 0;
}

static struct train_options train_options_of(const struct job *job)
{
	const struct options *o = job->o;
	struct train_options t;
	train_options_default(&t);
	t.start = job->start;
	t.n_lookahead = job->start ? job->start->n_lookahead : (int)o->lookahead;
	t.r = (int)o->rank;
	t.alpha = (float)o->lora_alpha;
	t.lr = (float)o->lr;
	t.batch = (int)o->batch;
	t.steps = (int)o->steps;
	t.warmup = (int)o->warmup;
	t.seed = (uint64_t)o->seed;
	t.n_threads = (int)o->threads;
	t.checkpoint = job->checkpoint;
	t.note = job->note;
	t.longest = longest_of(&job->held_out);
	return t;
}

/* A step's memory before anything long begins. */
static int check_memory(const struct job *job, struct err *e)
{
	const struct train_options t = train_options_of(job);
	struct memory_estimate memory;
	int longest = longest_of(&job->prompts);
	longest = t.longest > longest ? t.longest : longest;
	uint64_t bytes = trainer_bytes(job->model, &t, longest);
	model_estimate(job->model, 1, 0, &memory);
	if (!memory.available || bytes <= memory.available)
		return 0;
	return err_set(e, ERR_MEMORY, "a step of %d prompts of up to %d tokens needs %.0f MiB, %.0f MiB are free: take a smaller --batch or "
		"--longest", t.batch, longest, (double)bytes / 1048576, (double)memory.available / 1048576);
}

static int open_all(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	if (output_check(o->output, OUTPUT_FILE, e)) /* the checkpoint and the log come to lie beside it */
		return ERR_SYSTEM;
	if (asprintf(&job->checkpoint, "%s.checkpoint", o->output) < 0 || asprintf(&job->log_path, "%s.log", o->output) < 0)
		return err_set(e, ERR_MEMORY, "no memory for a path");
	if (!o->resume && access(job->checkpoint, F_OK) == 0)
		return err_set(e, ERR_USE, "%s is there from an earlier training: --resume goes on with it; remove it to begin anew",
			job->checkpoint);
	int rc = prompt_open_model(&job->model, o, e);
	rc = rc ? rc : settings_modules(&job->start, job->model, o, e);
	rc = rc ? rc : read_prompts(job, &job->prompts, &o->prompts, "prompts", e);
	rc = rc ? rc : read_prompts(job, &job->held_out, &o->eval, "held-out prompts", e);
	return rc ? rc : check_memory(job, e);
}

static int open_store(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	char *folder = o->target_folder ? strdup(o->target_folder) : file_place(FILE_PLACE_CACHE, "targets");
	if (!folder)
		return err_set(e, ERR_SYSTEM, "no folder for targets: neither XDG_CACHE_HOME nor HOME is set; --target-folder names one");
	const struct target_store_options options = {.folder = folder, .limit_bytes = (uint64_t)(o->target_limit * 1e9),
		.n_threads = (int)o->threads};
	int rc = target_store_open(&job->store, job->model, &options, e);
	free(folder);
	return rc;
}

static int make_targets(struct job *job, const struct progress *progress, struct err *e)
{
	int n = job->prompts.n, empty = 0;
	struct target_request *request = calloc((size_t)n, sizeof *request);
	job->target = calloc((size_t)n, sizeof *job->target);
	if (!request || !job->target) {
		free(request);
		return err_set(e, ERR_MEMORY, "no memory for %d targets", n);
	}
	for (int i = 0; i < n; i++) {
		const struct train_prompt *p = &job->prompts.item[i];
		request[i] = (struct target_request){.ids = p->tokens.id, .n = p->tokens.n, .response = p->has_response ? p->response.id : NULL,
			.n_response = p->has_response ? p->response.n : (int)job->o->response_tokens};
	}
	int rc = target_store_make(job->store, request, n, job->target, NULL, progress, e);
	free(request);
	for (int i = 0; !rc && i < n; i++) {
		if (job->target[i] >= 0)
			job->target[job->n_target++] = job->target[i];
		else
			empty++;
	}
	if (!rc && empty)
		remark(job->o, "%d of %d prompts left out: the model answers them with nothing", empty, n);
	return rc;
}

/* What the module's file will say of its origin. */
static char *training_note(const struct job *job)
{
	const struct options *o = job->o;
	char *note = NULL;
	char from[200] = "", where[64] = "";
	const struct model_info *m = model_info(job->model);
	if (job->start)
		snprintf(from, sizeof from, " -l %.100s (sha256 %.16s)", job->start->name, job->start->sha256);
	if (strcmp(m->device, "cpu"))
		snprintf(where, sizeof where, ", %s on a CUDA device", m->precision);
	if (asprintf(&note, "kvglass " KVGLASS_VERSION " train%s --lookahead %lld --rank %lld --alpha %g --lr %g --warmup %lld --batch %lld "
			"--steps %lld --response-tokens %lld --seed %lld; %d prompts%s", from, (long long)o->lookahead, (long long)o->rank, o->lora_alpha,
			o->lr, (long long)o->warmup, (long long)o->batch, (long long)o->steps, (long long)o->response_tokens,
			(long long)o->seed, job->n_target, where) < 0)
		return NULL;
	return note;
}

static int open_trainer(struct job *job, int *resumed, struct err *e)
{
	job->note = training_note(job);
	struct train_options t = train_options_of(job);
	int rc = settings_projections(&t.targets, &job->o->targets, "--targets", e);
	return rc ? rc : trainer_open(&job->trainer, job->model, job->store, job->target, job->n_target, &t, resumed, e);
}

/* ---- the steps ---- */

/* What was written to the log has reached it: a full disk is found out here. */
static int log_end(struct job *job, struct err *e)
{
	if (fflush(job->log) == 0 && !ferror(job->log))
		return 0;
	return err_set(e, ERR_SYSTEM, "%s: cannot be written: %s", job->log_path, strerror(errno));
}

static int log_step(struct job *job, const struct train_report *r, struct err *e)
{
	fprintf(job->log, "{\"step\": %d, \"loss\": %.6f, \"norm\": %.4f, \"rate\": %.4g, \"seconds\": %.3f, \"tokens\": %lld}\n", r->step,
		r->loss, r->norm, r->rate, r->seconds, (long long)r->tokens);
	return log_end(job, e);
}

static int judge_now(struct job *job, int step, struct err *e)
{
	static const char *const name[N_JUDGE] = {"snapkv", "untrained", "lookahead"};
	struct judge_score score[N_JUDGE];
	int rc = judge_run(job->judge, job->trainer, score, e);
	if (rc)
		return rc;
	fprintf(job->log, "{\"step\": %d, \"held_out\": {", step);
	for (int i = 0; i < N_JUDGE; i++)
		fprintf(job->log, "%s\"%s\": {\"kl\": %.6f, \"overlap\": %.4f, \"mass_ratio\": %.4f}", i ? ", " : "", name[i], score[i].kl,
			score[i].overlap, score[i].mass_ratio);
	fputs("}}\n", job->log);
	printf("%8d  %8.3f %8.3f %8.3f   %8.0f %8.0f %8.0f   %8.0f %8.0f %8.0f\n", step, score[0].kl, score[1].kl, score[2].kl,
		100 * score[0].overlap, 100 * score[1].overlap, 100 * score[2].overlap, 100 * score[0].mass_ratio, 100 * score[1].mass_ratio,
		100 * score[2].mass_ratio);
	fflush(stdout); /* whoever reads it through a pipe waits for it too */
	return log_end(job, e);
}

static void print_head(const struct job *job)
{
	printf("%d prompts held out        KL                  truth's picks found, %%         best mass, %%\n", judge_n_prompt(job->judge));
	printf("    step    SnapKV untrained  modules     SnapKV untrained modules     SnapKV untrained modules\n");
}

/* The parameters are still those of the step before: kept as a checkpoint, and the error says so. */
static int keep_last_good(struct job *job, int step, struct err *e)
{
	const struct err found = *e;
	if (trainer_save_checkpoint(job->trainer, NULL))
		return found.code;
	return err_set(e, found.code, "%s; the parameters after step %d are in %s", found.text, step, job->checkpoint);
}

static int take_steps(struct job *job, int from, const struct progress *progress, struct err *e)
{
	int steps = (int)job->o->steps, every = steps / JUDGED > 0 ? steps / JUDGED : 1, rc = 0;
	if (job->judge) {
		print_head(job);
		rc = judge_now(job, from, e);
	}
	for (int step = from; step < steps && !rc; step++) {
		struct train_report report;
		if (progress_report(progress, "steps", step, steps)) {
			rc = trainer_save_checkpoint(job->trainer, e);
			return rc ? rc : (int)err_set(e, ERR_CANCELLED, "stopped after step %d of %d; --resume goes on from %s", step, steps,
				job->checkpoint);
		}
		rc = trainer_step(job->trainer, &report, e);
		if (rc == ERR_NUMBER)
			return keep_last_good(job, step, e);
		rc = rc ? rc : log_step(job, &report, e);
		if (!rc && job->judge && ((step + 1) % every == 0 || step + 1 == steps))
			rc = judge_now(job, step + 1, e);
	}
	return rc;
}

static int save(struct job *job, struct err *e)
{
	struct lookahead *modules;
	int rc = trainer_export(job->trainer, &modules, e);
	if (rc)
		return rc;
	rc = lookahead_save(modules, job->o->output, true, e);
	lookahead_free(modules);
	if (!rc) {
		unlink(job->checkpoint); /* its training is over */
		remark(job->o, "saved %s", job->o->output);
	}
	return rc;
}

static int work(struct job *job, struct err *e)
{
	struct progress_line line;
	int resumed = 0, rc = open_all(job, e);
	if (rc)
		return rc;
	stop_on_signals();
	progress_line_begin(&line, job->o);
	rc = open_store(job, e);
	if (!rc && job->held_out.n)
		rc = judge_open(&job->judge, job->model, job->store, &job->held_out, job->o, &line.progress, e);
	rc = rc ? rc : make_targets(job, &line.progress, e);
	rc = rc ? rc : open_trainer(job, &resumed, e);
	if (!rc && !(job->log = fopen(job->log_path, resumed ? "a" : "w")))
		rc = err_set(e, ERR_SYSTEM, "%s: cannot be written", job->log_path);
	if (!rc && resumed)
		remark(job->o, "going on after step %d", resumed);
	rc = rc ? rc : take_steps(job, resumed, &line.progress, e);
	progress_line_end(&line);
	return rc ? rc : save(job, e);
}

static int run(const struct options *o, struct err *e)
{
	struct job job = {.o = o};
	int rc = work(&job, e);
	if (job.log)
		fclose(job.log);
	trainer_close(job.trainer);
	judge_close(job.judge);
	target_store_close(job.store);
	lookahead_free(job.start);
	train_prompts_free(&job.prompts);
	train_prompts_free(&job.held_out);
	model_close(job.model);
	free(job.target);
	free(job.checkpoint);
	free(job.log_path);
	free(job.note);
	return rc;
}

const struct command command_train = {.check = check, .run = run};

/* kvglass train: lookahead modules for a model. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/train.h"
#include "tui/command/command.h"
#include "tui/command/prompt.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"
#include "tui/command/train_judge.h"
#include "tui/command/train_prompts.h"

enum { JUDGED = 8 }; /* times that held-out prompts are judged in a training */

struct job {
	const struct options *o;
	struct model *model;
	struct train_prompts prompts, held_out;
	struct target_store *store;
	int *target, n_target;
	struct judge *judge; /* NULL without --eval */
	struct trainer *trainer;
	char *checkpoint, *log_path, *note;
	FILE *log;
};

/* ---- words ---- */

static int targets_of(const struct options *o, unsigned *out, struct err *e)
{
	*out = (1u << N_PROJ) - 1;
	return o->targets.n ? settings_projections(out, &o->targets, "--targets", e) : 0;
}

static int check(const struct options *o, struct err *e)
{
	unsigned targets;
	if (!o->model)
		return err_set(e, ERR_USE, "no model: -m MODEL names a .gguf file or a Hugging Face folder");
	if (!o->prompts.n)
		return err_set(e, ERR_USE, "no prompts: --prompts names .jsonl or text files");
	if (!o->output)
		return err_set(e, ERR_USE, "no place for the modules: -o names a .safetensors file");
	if (o->chat && o->raw)
		return err_set(e, ERR_USE, "--chat and --raw exclude each other");
	return targets_of(o, &targets, e);
}

/* ---- before the steps ---- */

static int open_all(struct job *job, struct err *e)
{
	const struct options *o = job->o;
	const struct model_options options = {.device = DEVICE_CPU, .precision = PRECISION_F32};
	if (asprintf(&job->checkpoint, "%s.checkpoint", o->output) < 0 || asprintf(&job->log_path, "%s.log", o->output) < 0)
		return err_set(e, ERR_MEMORY, "no memory for a path");
	if (!o->resume && access(job->checkpoint, F_OK) == 0)
		return err_set(e, ERR_USE, "%s is there from an earlier training: --resume goes on with it; remove it to begin anew",
			job->checkpoint);
	int rc = model_open(&job->model, o->model, &options, e);
	rc = rc ? rc : train_prompts_read(&job->prompts, job->model, &o->prompts, o, e);
	rc = rc ? rc : train_prompts_read(&job->held_out, job->model, &o->eval, o, e);
	if (rc)
		return rc;
	const struct train_prompts *read[] = {&job->prompts, &job->held_out};
	for (int i = 0; i < 2; i++)
		if (read[i]->n_left_out)
			remark(o, "%d of %d %s left out; the first is %s", read[i]->n_left_out, read[i]->n + read[i]->n_left_out,
				i ? "held-out prompts" : "prompts", read[i]->first_reason);
	return job->prompts.n ? 0 : err_set(e, ERR_USE, "no usable prompts in the files of --prompts");
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
	if (asprintf(&note, "kvglass " KVGLASS_VERSION " train --lookahead %lld --rank %lld --alpha %g --lr %g --warmup %lld --batch %lld "
			"--steps %lld --response-tokens %lld --seed %lld; %d prompts", (long long)o->lookahead, (long long)o->rank, o->lora_alpha,
			o->lr, (long long)o->warmup, (long long)o->batch, (long long)o->steps, (long long)o->response_tokens,
			(long long)o->seed, job->n_target) < 0)
		return NULL;
	return note;
}

static int open_trainer(struct job *job, int *resumed, struct err *e)
{
	const struct options *o = job->o;
	struct train_options t;
	struct memory_estimate memory;
	train_options_default(&t);
	job->note = training_note(job);
	t.n_lookahead = (int)o->lookahead;
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
	t.longest = job->judge ? judge_longest(job->judge) : 0;
	int rc = targets_of(o, &t.targets, e);
	if (rc)
		return rc;
	uint64_t bytes = trainer_bytes(job->model, &t, (int)o->longest);
	model_estimate(job->model, 1, 0, &memory);
	if (memory.available && bytes > memory.available)
		return err_set(e, ERR_MEMORY, "a step of %d prompts of up to %d tokens needs %.0f MiB, %.0f MiB are free: take a smaller --batch",
			t.batch, (int)o->longest, (double)bytes / 1048576, (double)memory.available / 1048576);
	return trainer_open(&job->trainer, job->model, job->store, job->target, job->n_target, &t, resumed, e);
}

/* ---- the steps ---- */

static void log_step(struct job *job, const struct train_report *r)
{
	fprintf(job->log, "{\"step\": %d, \"loss\": %.6f, \"norm\": %.4f, \"rate\": %.4g, \"seconds\": %.3f, \"tokens\": %lld}\n", r->step,
		r->loss, r->norm, r->rate, r->seconds, (long long)r->tokens);
	fflush(job->log);
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
	return 0;
}

static void print_head(const struct job *job)
{
	printf("%d prompts held out        KL                  truth's picks found, %%         best mass, %%\n", judge_n_prompt(job->judge));
	printf("    step    SnapKV untrained  modules     SnapKV untrained modules     SnapKV untrained modules\n");
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
		if (rc)
			return rc;
		log_step(job, &report);
		if (job->judge && ((step + 1) % every == 0 || step + 1 == steps))
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

/* kvglass inspect, for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/command/inspect.h"
#include "tui/command/terminal.h"

enum { TOP_TOKENS = 3, NEAR_TOKENS = 3, NUMBER = 10 };

static void print_number(double x, int decimals)
{
	if (isnan(x))
		printf("%*s", NUMBER, "-");
	else
		printf("%*.*f", NUMBER, decimals, x);
}

static void print_token(const struct inspection *in, int32_t id)
{
	size_t n;
	const char *piece = model_piece(in->model, id, &n);
	putchar('"');
	print_visible(stdout, piece, n);
	putchar('"');
}

/* ---- head ---- */

static void print_head(const struct inspection *in)
{
	char n_prompt[32], n_response[32];
	const struct lookahead_report *r = in->own.anatomy->report;
	format_grouped(n_prompt, in->measured->n_prompt);
	format_grouped(n_response, in->measured->n_response);
	print_visible(stdout, in->own.modules->name, strlen(in->own.modules->name));
	fputs(" on ", stdout);
	print_visible(stdout, in->prompt.name, strlen(in->prompt.name));
	printf(": %s tokens, truth from %s\n", n_prompt, n_response);
	if (*in->own.switches)
		printf("not as trained: %s\n", in->own.switches);
	for (int i = 0; i < r->n_listed && i < 10; i++)
		printf("fault: %s\n", r->fault[i].text);
	if (r->n_fault > 10)
		printf("... and %d faults more (kvglass info)\n", r->n_fault - 10);
}

/* ---- the objective ---- */

static const char *const column_title[N_OBJECTIVE] = {"modules", "SnapKV", "untrained"};

static void print_titles(const struct inspection *in, int indent)
{
	printf("%*s", indent, "");
	for (int which = 0; which < N_OBJECTIVE; which++)
		printf("%*s", NUMBER, column_title[which]);
	puts(in->other.modules ? "   against" : "");
}

static void print_kl(const struct inspection *in, double (*of)(const struct objective *, enum objective_of, int), int at)
{
	for (int which = 0; which < N_OBJECTIVE; which++)
		print_number(of(&in->own.objective, which, at), 3);
	if (in->other.modules)
		print_number(of(&in->other.objective, OBJECTIVE_LOOKAHEAD, at), 3);
	putchar('\n');
}

static double of_all(const struct objective *o, enum objective_of which, int at)
{
	(void)at;
	return o->mean[which];
}

static double of_head(const struct objective *o, enum objective_of which, int at)
{
	return o->kl[which] ? o->kl[which][at] : NAN;
}

static double agreement_of(const struct inspection *in, const struct inspected *x, int which, bool mass)
{
	int k = evaluation_k(x->evaluation, (int)in->o->budget, NULL), m = evaluation_find(x->evaluation, objective_name(which));
	if (k <= 0 || m < 0 || !evaluation_has_truth(x->evaluation))
		return NAN;
	struct agreement a = evaluation_agreement(x->evaluation, m, (struct scope){-1, -1}, k);
	return 100 * (mass ? a.mass_ratio : a.overlap);
}

static void print_agreement(const struct inspection *in, const char *label, bool mass)
{
	printf("%-16s", label);
	for (int which = 0; which < N_OBJECTIVE; which++)
		print_number(agreement_of(in, &in->own, which, mass), 0);
	if (in->other.modules)
		print_number(agreement_of(in, &in->other, OBJECTIVE_LOOKAHEAD, mass), 0);
	putchar('\n');
}

static void print_objective(const struct inspection *in)
{
	const struct objective *o = &in->own.objective;
	printf("\nOBJECTIVE  KL(truth || prediction) over all prompt tokens; picks and mass at budget %d\n", (int)in->o->budget);
	print_titles(in, 16);
	printf("%-16s", "all heads");
	print_kl(in, of_all, 0);
	print_agreement(in, "truth's picks %", false);
	print_agreement(in, "best mass %", true);
	for (int layer = 0; layer < o->n_layer; layer++) {
		printf("L %-14d", layer);
		print_kl(in, objective_layer, layer);
	}
	if (!o->worst || in->n_worst == 0)
		return;
	puts("\nWORST HEADS");
	print_titles(in, 16);
	for (int i = 0; i < in->n_worst && i < o->n_layer * o->n_head; i++) {
		int at = o->worst[i], head = at % o->n_head;
		char name[40];
		snprintf(name, sizeof name, "L%d Q%d (KV%d)", at / o->n_head, head, head / (o->n_head / in->measured->n_kv_head));
		printf("%-16s", name);
		print_kl(in, of_head, at);
	}
}

/* ---- rows ---- */

static void print_reads(const struct inspection *in, double *attention)
{
	for (int i = 0; i < TOP_TOKENS; i++) {
		int best = inspection_read_most(in, attention);
		if (best < 0)
			break;
		printf("%s%.1f %% ", i ? ", " : "", 100 * attention[best]);
		print_token(in, in->measured->token[best]);
		printf(" #%d", best);
		attention[best] = 0;
	}
}

static void print_near(const struct inspection *in, int row)
{
	const struct near_token *near = in->own.anatomy->near + (size_t)row * ANATOMY_NEAR;
	for (int i = 0; i < NEAR_TOKENS && near[i].id >= 0; i++) {
		printf("%s%.2f ", i ? ", " : "", (double)near[i].cosine);
		print_token(in, near[i].id);
	}
}

static void print_rows(const struct inspection *in)
{
	double *attention = malloc((size_t)in->own.rows->n_prompt * sizeof *attention);
	if (in->layer < 0)
		puts("\nROWS, mean over all heads (--layer and --head: one)");
	else
		printf("\nROWS of L%d Q%d\n", in->layer, in->head);
	printf("gain: how much the loss would grow without the row; on prompt: share of its attention; norm: the vocabulary's mean is %.3g\n",
		in->own.anatomy->word_norm);
	puts(" row      gain on prompt      norm   reads most of the candidates; nearest words by cosine");
	for (int i = 0; attention && i < in->own.rows->n_rows; i++) {
		double share = 0;
		inspection_row(in, i, attention);
		for (int j = 0; j < in->own.rows->n_prompt; j++)
			share += attention[j];
		printf("%4d", i);
		print_number(inspection_gain(in, i), 4);
		printf(" %7.0f %%", 100 * share);
		print_number(in->own.anatomy->report->row_norm[i], 3);
		fputs("   ", stdout);
		print_reads(in, attention);
		fputs("; ", stdout);
		print_near(in, i);
		putchar('\n');
	}
	free(attention);
}

static void print_rows_used(const struct inspection *in)
{
	const struct inspect_worth *w = in->own.worth;
	if (!w)
		return;
	printf("\nROWS USED\n first        KL   picks %%    mass %%\n");
	for (int i = 0; i < w->n_rows; i++) {
		printf("%6d", i + 1);
		print_number(w->kl[i], 3);
		print_number(100 * w->overlap[i], 0);
		print_number(100 * w->mass_ratio[i], 0);
		putchar('\n');
	}
}

/* ---- anatomy ---- */

/* Of every adapter: what it adds as a share of the weight, and how many ranks carry it. */
static void print_adapters(const struct inspection *in)
{
	const struct anatomy *a = in->own.anatomy;
	puts("\nADAPTERS  scale |BA| / |W| in percent, and ranks that carry it: (sum of singular values)^2 / sum of squares");
	fputs("      ", stdout);
	for (int p = 0; p < N_PROJ; p++)
		printf("%13s", projection_name(p));
	putchar('\n');
	for (int layer = 0; layer < in->own.modules->n_layer; layer++) {
		printf("L %-4d", layer);
		for (int p = 0; p < N_PROJ; p++) {
			const struct lora_norms *n = &a->report->lora[layer * N_PROJ + p];
			if (n->present)
				printf("%6.1f %% r%-4.1f", 100 * n->delta / a->weight_norm[layer * N_PROJ + p], anatomy_effective_rank(a, layer, p));
			else
				printf("%13s", "-");
		}
		putchar('\n');
	}
}

static void print_alike(const struct inspection *in)
{
	puts("\nAGAINST  cosine of what the adapters add, with that of the other modules");
	fputs("      ", stdout);
	for (int p = 0; p < N_PROJ; p++)
		printf("%8s", projection_name(p));
	putchar('\n');
	for (int layer = 0; layer < in->own.modules->n_layer; layer++) {
		printf("L %-4d", layer);
		for (int p = 0; p < N_PROJ; p++) {
			double x = anatomy_alike(in->own.modules, in->other.modules, layer, p);
			if (isnan(x))
				printf("%8s", "-");
			else
				printf("%8.2f", x);
		}
		putchar('\n');
	}
}

static void print_cosines(const struct inspection *in)
{
	const struct anatomy *a = in->own.anatomy;
	int n = in->own.modules->n_lookahead;
	double sum = 0;
	float most = -2;
	int at[2] = {0, 0};
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++) {
			float x = a->cosine[i * n + j];
			sum += (double)x;
			if (x > most) {
				most = x;
				at[0] = j;
				at[1] = i;
			}
		}
	if (n > 1)
		printf("\nSOFT TOKENS  cosine among themselves: mean %.3f, the most alike are %d and %d (%.3f)\n", sum / (0.5 * n * (n - 1)), at[0],
			at[1], (double)most);
}

void inspection_print(const struct inspection *in)
{
	print_head(in);
	print_objective(in);
	print_rows(in);
	print_rows_used(in);
	print_cosines(in);
	print_adapters(in);
	if (in->other.modules && in->other.anatomy->r > 0 && in->own.anatomy->r > 0)
		print_alike(in);
}

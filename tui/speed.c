#include "tui/speed.h"

#include <stdio.h>
#include <string.h>

#include "tui/draw/number.h"

static bool counts_tokens(const struct stage *s)
{
	static const char *const names[] = {"prefill", "decode", "response", "words", "lookahead", "untrained"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(s->name, names[i]))
			return true;
	return false;
}

void speed_of_stage(const struct stage *s, char *out, size_t out_bytes)
{
	char rate[32], share[32];
	*out = '\0';
	if (!counts_tokens(s) || s->done < 1 || !(s->seconds > 0))
		return;
	int at = snprintf(out, out_bytes, "%s tokens/s", number_grouped(rate, (long long)((double)s->done / s->seconds)));
	if (s->share > 0)
		snprintf(out + at, out_bytes - (size_t)at, ", %s of peak", number_percent(share, s->share));
}

static double gib(uint64_t n_bytes)
{
	return (double)n_bytes / (1024.0 * 1024.0 * 1024.0);
}

void speed_of_device(const struct worker_state *w, char *out, size_t out_bytes)
{
	const struct device_info *d = &w->device;
	*out = '\0';
	if (!*d->id)
		return;
	int at = snprintf(out, out_bytes, "%s %s", d->id, d->name);
	if (d->available && d->memory > d->available && (size_t)at < out_bytes)
		snprintf(out + at, out_bytes - (size_t)at, " \xc2\xb7 %.1f of %.1f GiB in use", gib(d->memory - d->available), gib(d->memory));
}

void speed_say(const struct worker_state *w, char *out, size_t out_bytes)
{
	char stage[80];
	bool shares = false;
	speed_of_device(w, out, out_bytes);
	if (!*out) {
		snprintf(out, out_bytes, "no run was made here: a saved capture does not say how fast it was");
		return;
	}
	size_t at = strlen(out);
	for (int i = 0; i < w->n_stage && at < out_bytes; i++) {
		speed_of_stage(&w->stage[i], stage, sizeof stage);
		shares |= w->stage[i].share > 0;
		if (*stage)
			at += (size_t)snprintf(out + at, out_bytes - at, " \xc2\xb7 %s %s", w->stage[i].name, stage);
	}
	if (at < out_bytes && shares)
		snprintf(out + at, out_bytes - at, " (peak: of its products for prefill, of its memory for decode, at its highest clocks, by its shape)");
	else if (at < out_bytes)
		snprintf(out + at, out_bytes - at, " \xc2\xb7 kvglass bench measures which share of the machine that is");
}

/* What of a snapshot is shown: which methods as panes, and lift with in-prompt sinks or without. */
#include "tui/look.h"

#include <stdio.h>
#include <string.h>

/* ---- lift ---- */

const float *look_layer_lift(const struct look *l, int series, int layer, float *largest)
{
	return l->no_sinks ? snapshot_layer_bare_lift(l->snap, series, layer, largest)
	                   : snapshot_layer_lift(l->snap, series, layer, largest);
}

const float *look_all_lift(const struct look *l, int series)
{
	return l->no_sinks ? snapshot_all_bare_lift(l->snap, series) : snapshot_all_lift(l->snap, series);
}

bool look_head_lift(const struct look *l, int series, int layer, int head, float *out)
{
	if (!snapshot_head_lift(l->snap, series, layer, head, out))
		return false;
	if (l->no_sinks)
		snapshot_leave_sinks_out(l->snap, layer, out);
	return true;
}

bool look_unit_lift(const struct look *l, int series, int layer, int unit, float *out)
{
	if (!snapshot_unit_lift(l->snap, series, layer, unit, out))
		return false;
	if (l->no_sinks)
		snapshot_leave_sinks_out(l->snap, layer, out);
	return true;
}

bool look_hides(const struct look *l, int layer, int token)
{
	return l->no_sinks && l->snap->prompt_sink[(size_t)layer * (size_t)l->snap->capture->n_prompt + (size_t)token];
}

enum ramp_colour look_ramp(const struct look *l, int series)
{
	return look_scale(l) == RAMP_DIFFERENCE && series > 0 ? RAMP_DIVERGING : RAMP_VIRIDIS;
}

/* ---- panes ---- */

int look_panes(const struct look *l, int series[LOOK_MAX_PANE])
{
	int n = 0;
	for (int i = 0; i < l->n_pane; i++) {
		int found = snapshot_find(l->snap, l->pane[i]);
		if (found >= 0)
			series[n++] = found;
	}
	for (int i = 0; l->n_pane == 0 && i < l->snap->n_series && n < LOOK_MAX_PANE; i++)
		series[n++] = i;
	if (n == 0) /* none of the chosen ones is in this capture */
		series[n++] = 0;
	return n;
}

void look_choose_panes(struct look *l, const int *series, int n)
{
	l->n_pane = n;
	for (int i = 0; i < n; i++)
		snprintf(l->pane[i], sizeof l->pane[i], "%s", l->snap->series[series[i]].name);
}

static int refuse_pane(const struct look *l, const char *name, size_t n, const char *why, struct err *e)
{
	char known[300] = "";
	for (int i = 0, at = 0; i < l->snap->n_series && at < (int)sizeof known; i++)
		at += snprintf(known + at, sizeof known - (size_t)at, "%s%s", i ? " " : "", l->snap->series[i].name);
	return err_set(e, ERR_USE, "panes: \"%.*s\" %s; there are %s", (int)(n > 40 ? 40 : n), name, why, known);
}

int look_set_panes(struct look *l, const char *names, struct err *e)
{
	int series[LOOK_MAX_PANE], n = 0;
	while (*names) {
		char name[32];
		names += strspn(names, " ");
		size_t length = strcspn(names, ", ");
		snprintf(name, sizeof name, "%.*s", (int)length, names);
		int found = length < sizeof name ? snapshot_find(l->snap, name) : -1;
		if (found < 0)
			return refuse_pane(l, names, length, "is no method of this capture that can be drawn", e);
		if (n == LOOK_MAX_PANE)
			return refuse_pane(l, names, length, "would be the fifth, four fit", e);
		for (int i = 0; i < n; i++)
			if (series[i] == found)
				return refuse_pane(l, names, length, "is named twice", e);
		series[n++] = found;
		names += length;
		names += strspn(names, " ");
		names += *names == ',';
	}
	look_choose_panes(l, series, n);
	return 0;
}

bool look_toggle_pane(struct look *l, int series)
{
	int now[LOOK_MAX_PANE + 1], n = look_panes(l, now), at = 0;
	while (at < n && now[at] != series)
		at++;
	if (at < n && n > 1)
		memmove(now + at, now + at + 1, (size_t)(--n - at) * sizeof *now);
	else if (at == n && n < LOOK_MAX_PANE)
		now[n++] = series;
	else if (at == n)
		return false;
	look_choose_panes(l, now, n);
	return true;
}

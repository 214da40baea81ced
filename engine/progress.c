#include "engine/progress.h"

int progress_report(const struct progress *p, const char *stage, int64_t done, int64_t total)
{
	return p && p->report ? p->report(p->user, stage, done, total) : 0;
}

#include "tui/draw/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OUT_BYTES = 32 };
static const char undefined[] = "\xe2\x80\x93"; /* en dash */

const char *number_grouped(char *out, long long value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%lld", value), at = 0;
	for (int i = 0; i < n; i++) {
		if (i > 0 && digits[i - 1] != '-' && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

const char *number_percent(char *out, double share)
{
	if (isnan(share))
		return strcpy(out, undefined);
	snprintf(out, OUT_BYTES, "%.0f %%", 100 * share);
	return out;
}

const char *number_count(char *out, double count)
{
	if (isnan(count))
		return strcpy(out, undefined);
	if (fabs(count - round(count)) < 0.05 || count >= 1000)
		return number_grouped(out, llround(count));
	snprintf(out, OUT_BYTES, "%.1f", count);
	return out;
}

const char *number_lift(char *out, double lift)
{
	if (isnan(lift))
		return strcpy(out, undefined);
	int decimals = lift >= 9.95 ? 0 : lift >= 0.995 ? 1 : 2;
	snprintf(out, OUT_BYTES, "%.*f\xc3\x97", decimals, lift);
	return out;
}

const char *number_duration(char *out, double seconds)
{
	if (isnan(seconds) || seconds > 359999)
		return strcpy(out, undefined);
	long s = lround(seconds);
	if (s < 60)
		snprintf(out, OUT_BYTES, "%ld s", s);
	else if (s < 3600)
		snprintf(out, OUT_BYTES, "%ld:%02ld", s / 60, s % 60);
	else
		snprintf(out, OUT_BYTES, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	return out;
}

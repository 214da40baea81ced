/* Numbers as the screen writes them. Each returns out, which holds at least 32 bytes. */
#ifndef KVGLASS_TUI_NUMBER_H
#define KVGLASS_TUI_NUMBER_H

const char *number_grouped(char *out, long long value);       /* 1,954 */
const char *number_percent(char *out, double share);          /* 0.787 -> "79 %"; NaN -> "–" */
const char *number_count(char *out, double count);            /* mean count: 53, 52.7; NaN -> "–" */
const char *number_lift(char *out, double lift);              /* 35×, 1.2×, 0.04×; NaN -> "–" */
const char *number_duration(char *out, double seconds);       /* 8 s, 2:05, 1:02:05 */

#endif

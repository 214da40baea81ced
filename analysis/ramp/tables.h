#ifndef KVGLASS_ANALYSIS_RAMP_TABLES_H
#define KVGLASS_ANALYSIS_RAMP_TABLES_H

#include <stdint.h>

enum { RAMP_LEVELS = 256 };
extern const uint32_t ramp_viridis[RAMP_LEVELS], ramp_cividis[RAMP_LEVELS], ramp_magma[RAMP_LEVELS], ramp_diverging[RAMP_LEVELS];

#endif

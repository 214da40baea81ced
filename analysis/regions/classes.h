/* What kind of text a token is: private to analysis/regions/. */
#ifndef KVGLASS_ANALYSIS_REGIONS_CLASSES_H
#define KVGLASS_ANALYSIS_REGIONS_CLASSES_H

#include "analysis/regions.h"

/* Classes of the prompt's tokens by their text alone: out (n_prompt), CLASS_CONTROL to CLASS_OTHER. False: out of
 * memory. */
bool classes_of_text(const struct capture *c, uint8_t *out);

#endif

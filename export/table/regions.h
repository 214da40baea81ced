/* Regions in the tables of a comparison. Private to export/table/. */
#ifndef KVGLASS_EXPORT_TABLE_REGIONS_H
#define KVGLASS_EXPORT_TABLE_REGIONS_H

#include "export/table.h"
#include "export/table/sheet.h"

json_t *regions_json(const struct comparison *cmp); /* {parts: {NAME: {tokens, truth}}, classes: ...} */
json_t *regions_kept_json(const struct comparison *cmp, int budget, int method); /* the same of {kept, share, covered} */
void regions_text(struct sheet *s, const struct comparison *cmp);

#endif

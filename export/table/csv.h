/* What the tables of comma-separated values share. Private to export/table/. */
#ifndef KVGLASS_EXPORT_TABLE_CSV_H
#define KVGLASS_EXPORT_TABLE_CSV_H

#include "export/table/sheet.h"

void csv_field(struct sheet *s, const char *text);
void csv_number(struct sheet *s, double x); /* with the comma before it; empty when not finite */

#endif

/* load/report.h: what was measured, as one JSON object on one line of standard output. */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include "load/fleet.h"

/* After load_fleet_run. */
void load_report_print(const struct load_fleet *f);

#endif

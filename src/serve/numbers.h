/* serve/numbers.h: the numbers of a front in the forms that the public headers promise. */
#ifndef SERVE_NUMBERS_H
#define SERVE_NUMBERS_H

#include "front/server.h"
#include <routed/metrics.h>

size_t serve_numbers_list(const struct front_server *front, routed_metric *out, size_t max);
size_t serve_numbers_json(const struct front_server *front, char *out, size_t size);

#endif

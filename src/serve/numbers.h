/* serve/numbers.h: the numbers of a front in the forms that the public headers promise, with those
 * of its process for HTTP/3 added; `quic` is NULL without one. */
#ifndef SERVE_NUMBERS_H
#define SERVE_NUMBERS_H

#include "front/server.h"
#include "serve/quic_process.h"
#include <routed/metrics.h>

size_t serve_numbers_list(const struct front_server *front, const struct serve_quic *quic,
                          routed_metric *out, size_t max);
size_t serve_numbers_json(const struct front_server *front, const struct serve_quic *quic,
                          char *out, size_t size);

#endif

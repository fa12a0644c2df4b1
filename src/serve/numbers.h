/* serve/numbers.h: the numbers of a front in the forms that the public headers promise, with those
 * of its process for HTTP/3 added. */
#ifndef SERVE_NUMBERS_H
#define SERVE_NUMBERS_H

#include "front/server.h"
#include "serve/quic_process.h"
#include <routed/metrics.h>

struct serve_sources {
    const struct front_server *front;
    const struct serve_quic *quic;           /* NULL without one */
    const struct serve_processes *processes; /* the same */
};

size_t serve_numbers_list(const struct serve_sources *s, routed_metric *out, size_t max);
size_t serve_numbers_json(const struct serve_sources *s, char *out, size_t size);

#endif

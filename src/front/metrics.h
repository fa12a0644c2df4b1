/* front/metrics.h: what the front counts, in one list. The limits of routed/limits.h follow the
 * list, each under its own name, and are counted by front_metrics_hit. */
#ifndef FRONT_METRICS_H
#define FRONT_METRICS_H

#include "base/metrics.h"
#include "http3/endpoint.h"
#include <stddef.h>

enum front_metric {
    FRONT_CONNECTIONS_ACCEPTED,
    FRONT_CONNECTIONS_OPEN,
    FRONT_CONNECTIONS_IDLE,
    FRONT_CONNECTIONS_EVICTED,     /* idle ones closed to make room */
    FRONT_CONNECTIONS_OVER_BUDGET, /* of HTTP/2 and HTTP/3, closed for what has no limit of its own:
                                    * memory out of proportion, oversized or too many odd messages
                                    */
    FRONT_ACCEPT_FAILURES,
    FRONT_REQUESTS,         /* heads that became an exchange */
    FRONT_REQUESTS_REFUSED, /* answered before they became one */
    FRONT_EXCHANGES_OPEN,
    FRONT_EXCHANGES_CANCELLED, /* the client left */
    FRONT_EXCHANGES_FAILED,    /* ended otherwise before both sides were complete */
    FRONT_RESPONSES_2XX,
    FRONT_RESPONSES_3XX,
    FRONT_RESPONSES_4XX,
    FRONT_RESPONSES_5XX,
    FRONT_RESPONSES_OTHER,
    FRONT_BYTES_READ, /* from clients, as on the wire */
    FRONT_BYTES_WRITTEN,
    FRONT_LOG_LINES,
    FRONT_LOG_DROPPED, /* access log lines that could not be written */
    FRONT_HANDSHAKES,  /* TLS, completed */
    FRONT_HANDSHAKES_RESUMED,
    FRONT_HANDSHAKES_FAILED,
    FRONT_REQUESTS_HTTP1,
    FRONT_REQUESTS_HTTP2,
    FRONT_REQUESTS_HTTP3,
    FRONT_QUIC_CONNECTIONS, /* with those whose handshake is under way */
    FRONT_QUIC,             /* and each of enum http3_endpoint_count behind it */
    FRONT_METRIC_COUNT = FRONT_QUIC + HTTP3_COUNT
};

/* Every name of the list, and how many. */
const struct metric_name *front_metrics_names(unsigned *count);

/* Takes the values from `rows`, or allocates them where that is NULL. ROUTED_OK or
 * ROUTED_ERROR_MEMORY. */
int front_metrics_init(struct metric_set *s, struct metric_rows *rows);
/* Twice is harmless. */
void front_metrics_release(struct metric_set *s);

/* Counts a limit by its member's offset in routed_limits. */
void front_metrics_hit(struct metric_set *s, size_t limit_offset);
void front_metrics_hits(struct metric_set *s, size_t limit_offset, uint64_t times);
/* Counts the limit that an error reports, if it reports one. */
void front_metrics_error(struct metric_set *s, int error);
/* Counts a final status. */
void front_metrics_status(struct metric_set *s, unsigned status);

#endif

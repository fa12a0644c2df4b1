/* routed/metrics.h: one number of a server. The names are listed in docs/architecture.md.
 *
 * Those that end in "_us" are sums of microseconds. The round trips of QUIC connections are a
 * histogram of Prometheus's kind: "quic.rtt_le_10ms" counts connections with at most that,
 * "quic.rtt_sum_us" is the sum, "quic.rtt_count" the count; a connection counts when it ends. */
#ifndef ROUTED_METRICS_H
#define ROUTED_METRICS_H

#include <stdint.h>

typedef struct routed_metric {
    const char *name;    /* static, for example "requests" or "limit.request_line" */
    uint32_t is_counter; /* 1: only grows; 0: a gauge */
    uint32_t reserved;
    uint64_t value;
} routed_metric;

#endif

#include "front/metrics.h"

#include "base/limits.h"
#include "base/memory.h"
#include <pthread.h>
#include <routed/error.h>
#include <string.h>

/* Room for the front's own numbers and one for each limit. */
#define NAMES_MAX 160

static const struct metric_name own_names[FRONT_METRIC_COUNT] = {
    [FRONT_CONNECTIONS_ACCEPTED] = {"connections.accepted", METRIC_COUNTER},
    [FRONT_CONNECTIONS_OPEN] = {"connections.open", METRIC_GAUGE},
    [FRONT_CONNECTIONS_IDLE] = {"connections.idle", METRIC_GAUGE},
    [FRONT_CONNECTIONS_EVICTED] = {"connections.evicted", METRIC_COUNTER},
    [FRONT_CONNECTIONS_OVER_BUDGET] = {"connections.over_budget", METRIC_COUNTER},
    [FRONT_ACCEPT_FAILURES] = {"accept.failures", METRIC_COUNTER},
    [FRONT_REQUESTS] = {"requests", METRIC_COUNTER},
    [FRONT_REQUESTS_REFUSED] = {"requests.refused", METRIC_COUNTER},
    [FRONT_EXCHANGES_OPEN] = {"exchanges.open", METRIC_GAUGE},
    [FRONT_EXCHANGES_CANCELLED] = {"exchanges.cancelled", METRIC_COUNTER},
    [FRONT_EXCHANGES_FAILED] = {"exchanges.failed", METRIC_COUNTER},
    [FRONT_RESPONSES_2XX] = {"responses.2xx", METRIC_COUNTER},
    [FRONT_RESPONSES_3XX] = {"responses.3xx", METRIC_COUNTER},
    [FRONT_RESPONSES_4XX] = {"responses.4xx", METRIC_COUNTER},
    [FRONT_RESPONSES_5XX] = {"responses.5xx", METRIC_COUNTER},
    [FRONT_RESPONSES_OTHER] = {"responses.other", METRIC_COUNTER},
    [FRONT_BYTES_READ] = {"bytes.read", METRIC_COUNTER},
    [FRONT_BYTES_WRITTEN] = {"bytes.written", METRIC_COUNTER},
    [FRONT_LOG_LINES] = {"log.lines", METRIC_COUNTER},
    [FRONT_LOG_DROPPED] = {"log.dropped", METRIC_COUNTER},
    [FRONT_HANDSHAKES] = {"tls.handshakes", METRIC_COUNTER},
    [FRONT_HANDSHAKES_RESUMED] = {"tls.handshakes_resumed", METRIC_COUNTER},
    [FRONT_HANDSHAKES_FAILED] = {"tls.handshakes_failed", METRIC_COUNTER},
    [FRONT_REQUESTS_HTTP1] = {"requests.http1", METRIC_COUNTER},
    [FRONT_REQUESTS_HTTP2] = {"requests.http2", METRIC_COUNTER},
    [FRONT_REQUESTS_HTTP3] = {"requests.http3", METRIC_COUNTER},
    [FRONT_QUIC_CONNECTIONS] = {"quic.connections", METRIC_GAUGE},
    [FRONT_QUIC + (int) HTTP3_TABLE_INSERTS] = {"quic.table_inserts", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_TABLE_ERRORS] = {"quic.table_errors", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_SECTIONS_BLOCKED] = {"quic.sections_blocked", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_SECTIONS_OVER] = {"quic.sections_over", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_ANSWER_INSERTS] = {"quic.answer_inserts", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_ANSWER_TABLES_FULL] = {"quic.answer_tables_full", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_DATAGRAMS_IN] = {"quic.datagrams_in", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_DATAGRAMS_OUT] = {"quic.datagrams_out", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_BYTES_IN] = {"quic.bytes_in", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_BYTES_OUT] = {"quic.bytes_out", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_BATCHES_OUT] = {"quic.batches_out", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_DATAGRAMS_DROPPED] = {"quic.datagrams_dropped", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_DATAGRAMS_FORWARDED] = {"quic.datagrams_forwarded", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_HANDSHAKES] = {"quic.handshakes", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_HANDSHAKES_FAILED] = {"quic.handshakes_failed", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_HANDSHAKES_DROPPED] = {"quic.handshakes_dropped", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_REFUSALS] = {"quic.refusals", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_OVER_BUDGET] = {"quic.over_budget", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_RETRIES] = {"quic.retries", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_VERSION_NEGOTIATIONS] = {"quic.version_negotiations", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_TOKENS_REFUSED] = {"quic.tokens_refused", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_TOKENS_SPENT] = {"quic.tokens_spent", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_STATELESS_RESETS] = {"quic.stateless_resets", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_PACKETS_LOST] = {"quic.packets_lost", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_MIGRATIONS] = {"quic.migrations", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_EARLY_DATA] = {"quic.early_data", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_KEY_UPDATES] = {"quic.key_updates", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_RTT_COUNT] = {"quic.rtt_count", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_RTT_SUM] = {"quic.rtt_sum_us", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_RTT_MIN_SUM] = {"quic.rtt_min_sum_us", METRIC_COUNTER},
    [FRONT_QUIC + (int) HTTP3_RTT_LE_1MS] = {"quic.rtt_le_1ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 1] = {"quic.rtt_le_2ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 2] = {"quic.rtt_le_5ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 3] = {"quic.rtt_le_10ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 4] = {"quic.rtt_le_20ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 5] = {"quic.rtt_le_50ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 6] = {"quic.rtt_le_100ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 7] = {"quic.rtt_le_200ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 8] = {"quic.rtt_le_500ms", METRIC_COUNTER},
    [FRONT_QUIC + (int)HTTP3_RTT_LE_1MS + 9] = {"quic.rtt_le_1s", METRIC_COUNTER},
};

static struct metric_name names[NAMES_MAX];
static unsigned name_count;
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static void gather_names(void)
{
    memcpy(names, own_names, sizeof(own_names));
    name_count = FRONT_METRIC_COUNT;
    for (unsigned i = 0; i < limit_count && name_count < NAMES_MAX; i++)
        names[name_count++] = (struct metric_name){limit_entries[i].metric, METRIC_COUNTER};
}

const struct metric_name *front_metrics_names(unsigned *count)
{
    pthread_once(&names_once, gather_names);
    *count = name_count;
    return names;
}

int front_metrics_init(struct metric_set *s, struct metric_rows *rows)
{
    s->names = front_metrics_names(&s->count);
    s->is_in_rows = rows != NULL;
    s->values = rows ? metric_rows_take(rows) : memory_new_zeroed(s->count * sizeof(*s->values));
    return s->values ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

void front_metrics_release(struct metric_set *s)
{
    if (!s->is_in_rows)
        memory_free((void *)s->values);
    s->values = NULL;
}

void front_metrics_hit(struct metric_set *s, size_t limit_offset)
{
    front_metrics_hits(s, limit_offset, 1);
}

void front_metrics_hits(struct metric_set *s, size_t limit_offset, uint64_t times)
{
    metric_add(s, FRONT_METRIC_COUNT + limit_number(limit_offset), times);
}

void front_metrics_error(struct metric_set *s, int error)
{
    unsigned number;
    if (limit_of_error(error, &number))
        metric_add(s, FRONT_METRIC_COUNT + number, 1);
}

void front_metrics_status(struct metric_set *s, unsigned status)
{
    unsigned class = status / 100;
    metric_add(
        s, class >= 2 && class <= 5 ? FRONT_RESPONSES_2XX + class - 2 : FRONT_RESPONSES_OTHER, 1);
}

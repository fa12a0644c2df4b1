/* What loss recovery (RFC 9002) learns of a connection, for the numbers of the endpoint and for how
 * much leaves at once. */
#include "http3/inside.h"

/* Until there is a sample, RFC 9002 section 5.2. */
#define NO_SAMPLE UINT64_MAX
/* RFC 9002 section 7.7: the initial window, and the pace by which a window is used up. */
#define BURST_DATAGRAMS 10
#define PACE_PERCENT    125

ngtcp2_conn_info http3_recovery_state(const struct http3_connection *c)
{
    ngtcp2_conn_info state;
    ngtcp2_conn_get_conn_info(c->conn, &state);
    return state;
}

/* What was on its way is kept as well: there is most of it before an acknowledgement is read. */
static void note_flight(struct http3_connection *c, const ngtcp2_conn_info *state)
{
    if (c->most_in_flight < state->bytes_in_flight)
        c->most_in_flight = state->bytes_in_flight;
}

#ifdef NGTCP2_CONN_INFO_V2 /* from 1.16 on ngtcp2 counts every packet */

static void note_losses(struct http3_connection *c, const ngtcp2_conn_info *state)
{
    c->endpoint->counts[HTTP3_PACKETS_LOST] += state->pkt_lost - c->losses_told;
    c->losses_told = state->pkt_lost;
}

void http3_recovery_stream_closed(struct http3_connection *c, int64_t stream)
{
    (void)c;
    (void)stream;
}

#else

static void note_losses(struct http3_connection *c, const ngtcp2_conn_info *state)
{
    (void)c;
    (void)state;
}

void http3_recovery_stream_closed(struct http3_connection *c, int64_t stream)
{
    c->endpoint->counts[HTTP3_PACKETS_LOST] += ngtcp2_conn_get_stream_loss_count(c->conn, stream);
}

#endif

void http3_recovery_note(struct http3_connection *c)
{
    ngtcp2_conn_info state = http3_recovery_state(c);
    note_flight(c, &state);
    note_losses(c, &state);
}

nanoseconds http3_recovery_round_trip(const struct http3_connection *c)
{
    ngtcp2_conn_info state = http3_recovery_state(c);
    return state.min_rtt == NO_SAMPLE ? 0 : state.smoothed_rtt;
}

/* Earlier versions than 1.17 of ngtcp2 allow 64 KiB on any path, which a slow one cannot keep. */
size_t http3_recovery_burst(const struct http3_connection *c, const ngtcp2_conn_info *state,
                            size_t datagram)
{
    nanoseconds trip = state->min_rtt == NO_SAMPLE ? NGTCP2_MILLISECONDS : state->smoothed_rtt;
    size_t quantum = ngtcp2_conn_get_send_quantum(c->conn);
    size_t burst = (size_t)(state->cwnd * PACE_PERCENT / 100 * NGTCP2_MILLISECONDS / (trip + 1));
    if (burst < BURST_DATAGRAMS * datagram)
        burst = BURST_DATAGRAMS * datagram;
    return burst < quantum ? burst : quantum;
}

static void count_round_trip(uint64_t *counts, const ngtcp2_conn_info *state)
{
    static const uint16_t bounds[HTTP3_RTT_BOUNDS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    counts[HTTP3_RTT_COUNT]++;
    counts[HTTP3_RTT_SUM] += state->smoothed_rtt / NGTCP2_MICROSECONDS;
    counts[HTTP3_RTT_MIN_SUM] += state->min_rtt / NGTCP2_MICROSECONDS;
    for (unsigned i = HTTP3_RTT_BOUNDS; i > 0; i--) {
        if (state->smoothed_rtt > bounds[i - 1] * NGTCP2_MILLISECONDS)
            return;
        counts[HTTP3_RTT_LE_1MS + i - 1]++;
    }
}

void http3_recovery_end(struct http3_connection *c)
{
    ngtcp2_conn_info state = http3_recovery_state(c);
    note_losses(c, &state);
    if (c->phase == HTTP3_OPEN && state.min_rtt != NO_SAMPLE)
        count_round_trip(c->endpoint->counts, &state);
}

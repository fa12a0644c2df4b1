#include "load/quic_state.h"

#define BATCH_MAX 64 /* datagrams of one batch */
#define VECTORS   16

struct batch {
    size_t filled;
    size_t segment;
    unsigned count;
    uint8_t ecn;
};

/* What the socket does not take is lost, as the network loses some. */
static void send_batch(struct load_quic *q, struct batch *b)
{
    struct datagram_batch out = {.remote = &q->client->fleet->address,
                                 .bytes = span_of(q->context->out, b->filled),
                                 .segment = b->segment,
                                 .ecn = b->ecn};
    if (b->count)
        q->client->fleet->tally.bytes_out += datagram_send(&q->socket, &out);
    *b = (struct batch){.count = 0};
}

/* Adds what was written behind the others. */
static void add_datagram(struct load_quic *q, struct batch *b, size_t size, uint8_t ecn)
{
    if (b->count && (size > b->segment || ecn != b->ecn)) {
        const uint8_t *datagram = q->context->out + b->filled;
        send_batch(q, b);
        memmove(q->context->out, datagram, size);
    }
    if (b->count == 0)
        *b = (struct batch){.segment = size, .ecn = ecn};
    b->filled += size;
    b->count++;
    if (size < b->segment)
        send_batch(q, b);
}

/* What a stream could not send. False: the connection failed. */
static bool pass_over(nghttp3_conn *machine, int64_t stream, ngtcp2_ssize result)
{
    if (result == NGTCP2_ERR_STREAM_DATA_BLOCKED)
        nghttp3_conn_block_stream(machine, stream);
    else if (result == NGTCP2_ERR_STREAM_SHUT_WR || result == NGTCP2_ERR_STREAM_NOT_FOUND)
        nghttp3_conn_shutdown_stream_write(machine, stream);
    else
        return result == NGTCP2_ERR_WRITE_MORE;
    return true;
}

/* One datagram: its bytes, 0 for none now, or a negative result of a library. */
static ngtcp2_ssize write_datagram(struct load_quic *q, uint8_t *out, size_t size,
                                   ngtcp2_pkt_info *mark)
{
    nghttp3_conn *machine = q->client->http3->conn;
    bool is_open = q->client->phase == LOAD_CLIENT_READY;
    ngtcp2_ssize result;
    int64_t stream;
    do {
        nghttp3_vec parts[VECTORS];
        ngtcp2_ssize taken = -1;
        int ends = 0;
        stream = -1;
        nghttp3_ssize count =
            is_open ? nghttp3_conn_writev_stream(machine, &stream, &ends, parts, VECTORS) : 0;
        if (count < 0)
            return NGTCP2_ERR_CALLBACK_FAILURE;
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (ends ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U);
        result = ngtcp2_conn_writev_stream(q->conn, NULL, mark, out, size, &taken, flags, stream,
                                           (const ngtcp2_vec *)(const void *)parts, (size_t)count,
                                           loop_now_precise(q->client->fleet->loop));
        if (taken >= 0 && stream >= 0 &&
            nghttp3_conn_add_write_offset(machine, stream, (size_t)taken))
            return NGTCP2_ERR_CALLBACK_FAILURE;
    } while (result < 0 && pass_over(machine, stream, result));
    return result;
}

static void set_timer(struct load_quic *q)
{
    struct loop *loop = q->client->fleet->loop;
    ngtcp2_tstamp due = ngtcp2_conn_get_expiry(q->conn);
    if (due == UINT64_MAX)
        loop_timer_clear(loop, &q->timer);
    else
        loop_timer_set(loop, &q->timer, due / NGTCP2_MILLISECONDS + 1);
}

enum load_error load_quic_output_flush(struct load_client *c)
{
    struct load_quic *q = c->quic;
    size_t largest = ngtcp2_conn_get_max_tx_udp_payload_size(q->conn), written = 0;
    size_t quantum = ngtcp2_conn_get_send_quantum(q->conn);
    struct batch batch = {.count = 0};
    ngtcp2_ssize size = 1;
    while (size > 0 && written < quantum) {
        ngtcp2_pkt_info mark;
        if (batch.filled + largest > LOAD_QUIC_BATCH_SIZE || batch.count == BATCH_MAX)
            send_batch(q, &batch);
        size = write_datagram(q, q->context->out + batch.filled, largest, &mark);
        if (size > 0) {
            add_datagram(q, &batch, (size_t)size, mark.ecn);
            written += (size_t)size;
        }
    }
    send_batch(q, &batch);
    if (size < 0)
        return LOAD_ERROR_PROTOCOL;
    ngtcp2_conn_update_pkt_tx_time(q->conn, loop_now_precise(c->fleet->loop));
    set_timer(q);
    return LOAD_ERROR_NONE;
}

void load_quic_output_goodbye(struct load_quic *q)
{
    ngtcp2_ccerr why;
    ngtcp2_pkt_info mark;
    ngtcp2_ccerr_set_application_error(&why, NGHTTP3_H3_NO_ERROR, NULL, 0);
    ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
        q->conn, NULL, &mark, q->context->out, LOAD_QUIC_BATCH_SIZE, &why,
        loop_now_precise(q->client->fleet->loop));
    struct batch last = {.count = 0};
    if (size > 0)
        add_datagram(q, &last, (size_t)size, mark.ecn);
    send_batch(q, &last);
}

#include "load/quic_state.h"

/* ---- what ngtcp2 tells ---- */

static nghttp3_conn *machine_of(void *user)
{
    return ((struct load_quic *)user)->client->http3->conn;
}

/* Does this beginning of an answer refer to the dynamic table? RFC 9114 section 7.2.2: type and
 * length of a HEADERS frame; RFC 9204 section 4.5.1: the inserts that it needs, 0 for none. */
static bool is_from_table(const uint8_t *data, size_t size)
{
    size_t length = size > 1 ? (size_t)1 << (data[1] >> 6) : 0;
    return size > 1 + length && data[0] == 0x01 && data[1 + length] != 0;
}

static int on_data(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t offset,
                   const uint8_t *data, size_t size, void *user, void *stream_user)
{
    (void)conn;
    (void)stream_user;
    if (offset == 0 && ngtcp2_is_bidi_stream(stream) && is_from_table(data, size))
        ((struct load_quic *)user)->client->fleet->tally.from_table++;
    nghttp3_ssize taken = nghttp3_conn_read_stream(machine_of(user), stream, data, size,
                                                   (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    if (taken < 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    load_quic_streams_grant(user, stream, (size_t)taken);
    return 0;
}

static int on_acknowledged(ngtcp2_conn *conn, int64_t stream, uint64_t offset, uint64_t size,
                           void *user, void *stream_user)
{
    (void)conn;
    (void)offset;
    (void)stream_user;
    return nghttp3_conn_add_ack_offset(machine_of(user), stream, size) ? NGTCP2_ERR_CALLBACK_FAILURE
                                                                       : 0;
}

static int on_close(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t code, void *user,
                    void *stream_user)
{
    (void)conn;
    (void)flags;
    (void)stream_user;
    int result = nghttp3_conn_close_stream(machine_of(user), stream, code);
    return result && result != NGHTTP3_ERR_STREAM_NOT_FOUND ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_reset(ngtcp2_conn *conn, int64_t stream, uint64_t size, uint64_t code, void *user,
                    void *stream_user)
{
    (void)conn;
    (void)size;
    (void)code;
    (void)stream_user;
    return nghttp3_conn_shutdown_stream_read(machine_of(user), stream) ? NGTCP2_ERR_CALLBACK_FAILURE
                                                                       : 0;
}

static int on_window(ngtcp2_conn *conn, int64_t stream, uint64_t max, void *user, void *stream_user)
{
    (void)conn;
    (void)max;
    (void)stream_user;
    return nghttp3_conn_unblock_stream(machine_of(user), stream) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

void load_quic_streams_set_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->recv_stream_data = on_data;
    callbacks->acked_stream_data_offset = on_acknowledged;
    callbacks->stream_close = on_close;
    callbacks->stream_reset = on_reset;
    callbacks->extend_max_stream_data = on_window;
}

/* ---- for http3.c ---- */

int64_t load_quic_streams_open(struct load_quic *q, bool is_bidirectional)
{
    int64_t id;
    int result = is_bidirectional ? ngtcp2_conn_open_bidi_stream(q->conn, &id, NULL)
                                  : ngtcp2_conn_open_uni_stream(q->conn, &id, NULL);
    return result ? -1 : id;
}

bool load_quic_streams_has_room(const struct load_quic *q)
{
    return ngtcp2_conn_get_streams_bidi_left(q->conn) > 0;
}

void load_quic_streams_grant(struct load_quic *q, int64_t stream, size_t bytes)
{
    ngtcp2_conn_extend_max_stream_offset(q->conn, stream, bytes);
    ngtcp2_conn_extend_max_offset(q->conn, bytes);
}

void load_quic_streams_reset(struct load_quic *q, int64_t stream, uint64_t code)
{
    ngtcp2_conn_shutdown_stream_write(q->conn, 0, stream, code);
}

void load_quic_streams_stop(struct load_quic *q, int64_t stream, uint64_t code)
{
    ngtcp2_conn_shutdown_stream_read(q->conn, 0, stream, code);
}

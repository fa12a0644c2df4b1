#include "load/http3.h"

#include "base/decimal.h"
#include "base/memory.h"
#include "load/fleet.h"
#include "load/quic_streams.h"

struct load_http3_slot {
    microseconds intended;
    int64_t stream;
    struct load_http3_slot *next;
    uint16_t status;
};

static struct load_client *client_of(void *user)
{
    return user;
}

/* ---- what comes ---- */

/* The stream may live on, until the peer has all that was sent on it. */
static void finish(struct load_client *c, struct load_http3_slot *slot, uint16_t status)
{
    nghttp3_conn_set_stream_user_data(c->http3->conn, slot->stream, NULL);
    slot->next = c->http3->free;
    c->http3->free = slot;
    load_client_done(c, slot->intended, status);
}

static int on_header(nghttp3_conn *conn, int64_t stream, int32_t token, nghttp3_rcbuf *name,
                     nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user)
{
    struct load_http3_slot *slot = stream_user;
    nghttp3_vec text = nghttp3_rcbuf_get_buf(value);
    uint64_t status;
    (void)conn;
    (void)stream;
    (void)name;
    (void)flags;
    (void)user;
    if (slot && token == NGHTTP3_QPACK_TOKEN__STATUS &&
        decimal_read(span_of(text.base, text.len), 999, &status))
        slot->status = (uint16_t)status;
    return 0;
}

static int on_data(nghttp3_conn *conn, int64_t stream, const uint8_t *data, size_t size, void *user,
                   void *stream_user)
{
    struct load_client *c = client_of(user);
    (void)conn;
    (void)data;
    (void)stream_user;
    c->fleet->tally.content += size;
    load_quic_streams_grant(c->quic, stream, size);
    return 0;
}

static int on_consume(nghttp3_conn *conn, int64_t stream, size_t size, void *user,
                      void *stream_user)
{
    (void)conn;
    (void)stream_user;
    load_quic_streams_grant(client_of(user)->quic, stream, size);
    return 0;
}

static int on_end(nghttp3_conn *conn, int64_t stream, void *user, void *stream_user)
{
    struct load_http3_slot *slot = stream_user;
    (void)conn;
    (void)stream;
    if (slot)
        finish(client_of(user), slot, slot->status);
    return 0;
}

/* Status 0 is counted as what it is: no answer. */
static int on_close(nghttp3_conn *conn, int64_t stream, uint64_t code, void *user,
                    void *stream_user)
{
    (void)conn;
    (void)stream;
    (void)code;
    if (stream_user)
        finish(client_of(user), stream_user, 0);
    return 0;
}

static int on_stop(nghttp3_conn *conn, int64_t stream, uint64_t code, void *user, void *stream_user)
{
    (void)conn;
    (void)stream_user;
    load_quic_streams_stop(client_of(user)->quic, stream, code);
    return 0;
}

static int on_reset(nghttp3_conn *conn, int64_t stream, uint64_t code, void *user,
                    void *stream_user)
{
    (void)conn;
    (void)stream_user;
    load_quic_streams_reset(client_of(user)->quic, stream, code);
    return 0;
}

/* After GOAWAY the streams that are open come to their end, and others go elsewhere. */
static int on_shutdown(nghttp3_conn *conn, int64_t id, void *user)
{
    (void)conn;
    (void)id;
    client_of(user)->is_spent = true;
    return 0;
}

/* ---- life ---- */

#define BLOCKED_STREAMS 100 /* answers that may come before the inserts they need, in Chromium */

static bool make_conn(struct load_http3 *h, struct load_client *c)
{
    static const nghttp3_callbacks callbacks = {.stream_close = on_close,
                                                .recv_data = on_data,
                                                .deferred_consume = on_consume,
                                                .recv_header = on_header,
                                                .stop_sending = on_stop,
                                                .end_stream = on_end,
                                                .reset_stream = on_reset,
                                                .shutdown = on_shutdown};
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    int64_t table = c->fleet->options->table;
    settings.qpack_max_dtable_capacity = table < 0 ? LOAD_TABLE_DEFAULT : (size_t)table;
    settings.qpack_blocked_streams = table ? BLOCKED_STREAMS : 0;
    return nghttp3_conn_client_new(&h->conn, &callbacks, &settings, NULL, c) == 0;
}

static void free_http3(struct load_http3 *h)
{
    if (h->conn)
        nghttp3_conn_del(h->conn);
    memory_free(h->slots);
    memory_free(h);
}

struct load_http3 *load_http3_new(struct load_client *c)
{
    uint32_t depth = c->fleet->options->depth;
    struct load_http3 *h = memory_new_zeroed(sizeof(*h));
    if (!h)
        return NULL;
    h->slots = memory_new_array(depth, sizeof(*h->slots));
    if (!h->slots || !make_conn(h, c)) {
        free_http3(h);
        return NULL;
    }
    for (uint32_t i = 0; i < depth; i++) {
        h->slots[i].next = h->free;
        h->free = &h->slots[i];
    }
    return h;
}

static enum load_error open_http3(struct load_client *c)
{
    int64_t control = load_quic_streams_open(c->quic, false);
    int64_t encoder = load_quic_streams_open(c->quic, false);
    int64_t decoder = load_quic_streams_open(c->quic, false);
    if (decoder < 0 || nghttp3_conn_bind_control_stream(c->http3->conn, control) != 0 ||
        nghttp3_conn_bind_qpack_streams(c->http3->conn, encoder, decoder) != 0)
        return LOAD_ERROR_CONNECT;
    load_client_ready(c);
    return LOAD_ERROR_NONE;
}

static void close_http3(struct load_client *c)
{
    if (c->http3)
        free_http3(c->http3);
    c->http3 = NULL;
}

/* ---- requests ---- */

static bool has_room(const struct load_client *c)
{
    return c->http3->free && load_quic_streams_has_room(c->quic);
}

/* All of the content at once: it outlives the connection. */
static nghttp3_ssize read_content(nghttp3_conn *conn, int64_t stream, nghttp3_vec *into,
                                  size_t count, uint32_t *flags, void *user, void *stream_user)
{
    struct span all = buffer_span(&client_of(user)->fleet->requests.content);
    (void)conn;
    (void)stream;
    (void)count;
    (void)stream_user;
    *flags |= NGHTTP3_DATA_FLAG_EOF;
    into[0] = (nghttp3_vec){(uint8_t *)(uintptr_t)all.data, all.size};
    return all.size ? 1 : 0;
}

static nghttp3_nv pair(const char *name, const char *value)
{
    return (nghttp3_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP3_NV_FLAG_NO_COPY_NAME | NGHTTP3_NV_FLAG_NO_COPY_VALUE};
}

static enum load_error send_request(struct load_client *c, microseconds intended)
{
    static const nghttp3_data_reader content = {.read_data = read_content};
    struct load_http3 *h = c->http3;
    struct load_requests *requests = &c->fleet->requests;
    bool has_content = c->fleet->options->body >= 0;
    struct load_http3_slot *slot = h->free;
    nghttp3_nv fields[] = {pair(":method", has_content ? "POST" : "GET"), pair(":scheme", "https"),
                           pair(":authority", requests->authority),
                           pair(":path", load_requests_next(requests)->path),
                           pair("content-length", requests->length)};
    int64_t stream = load_quic_streams_open(c->quic, true);
    if (stream < 0)
        return LOAD_ERROR_CLOSED;
    h->free = slot->next;
    *slot = (struct load_http3_slot){.intended = intended, .stream = stream};
    int result = nghttp3_conn_submit_request(h->conn, stream, fields, has_content ? 5 : 4,
                                             has_content ? &content : NULL, slot);
    return result ? LOAD_ERROR_CLOSED : LOAD_ERROR_NONE;
}

/* Bytes come and go by streams, in quic.c. */
const struct load_machine load_http3_machine = {
    .open = open_http3, .has_room = has_room, .send = send_request, .close = close_http3};

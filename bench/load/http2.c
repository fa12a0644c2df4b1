/* http2.c: requests on HTTP/2 streams; nghttp2 is the machine. */
#include "base/decimal.h"
#include "base/memory.h"
#include "load/fleet.h"

#include <nghttp2/nghttp2.h>

#define WINDOW ((1U << 30) - 1) /* the client never holds the server back */

struct slot {
    microseconds intended;
    size_t sent; /* of the content */
    struct slot *next;
    uint16_t status;
};

struct load_http2 {
    nghttp2_session *session;
    struct slot *slots;
    struct slot *free;
};

static struct load_client *client_of(void *user)
{
    return user;
}

/* ---- what comes ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    uint64_t status;
    (void)flags;
    (void)user;
    struct slot *slot = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (slot && span_equals(span_of(name, name_size), SPAN(":status")) &&
        decimal_read(span_of(value, value_size), 999, &status))
        slot->status = (uint16_t)status;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *user)
{
    (void)session;
    (void)flags;
    (void)stream;
    (void)data;
    client_of(user)->fleet->tally.content += size;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct load_client *c = client_of(user);
    struct slot *slot = nghttp2_session_get_stream_user_data(session, stream);
    if (!slot)
        return 0;
    slot->next = c->http2->free;
    c->http2->free = slot;
    /* Status 0 is counted as what it is: no answer. */
    load_client_done(c, slot->intended, code == NGHTTP2_NO_ERROR ? slot->status : 0);
    return 0;
}

static ssize_t read_content(nghttp2_session *session, int32_t stream, uint8_t *into, size_t size,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct slot *slot = source->ptr;
    struct span all = buffer_span(&client_of(user)->fleet->requests.content);
    (void)session;
    (void)stream;
    if (size > all.size - slot->sent)
        size = all.size - slot->sent;
    if (size)
        memcpy(into, all.data + slot->sent, size);
    slot->sent += size;
    if (slot->sent == all.size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

/* ---- life ---- */

static bool make_session(struct load_client *c, struct load_http2 *h)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return false;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int error = nghttp2_session_client_new(&h->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    return error == 0;
}

static void free_http2(struct load_http2 *h)
{
    nghttp2_session_del(h->session);
    memory_free(h->slots);
    memory_free(h);
}

static struct load_http2 *new_http2(struct load_client *c)
{
    uint32_t depth = c->fleet->options->depth;
    struct load_http2 *h = memory_new_zeroed(sizeof(*h));
    if (!h)
        return NULL;
    h->slots = memory_new_array(depth, sizeof(*h->slots));
    if (!h->slots || !make_session(c, h)) {
        free_http2(h);
        return NULL;
    }
    for (uint32_t i = 0; i < depth; i++) {
        h->slots[i].next = h->free;
        h->free = &h->slots[i];
    }
    return h;
}

static enum load_error open_http2(struct load_client *c)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
    c->http2 = new_http2(c);
    if (!c->http2 ||
        nghttp2_submit_settings(c->http2->session, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(c->http2->session, NGHTTP2_FLAG_NONE, 0,
                                              (int32_t)WINDOW) != 0)
        return LOAD_ERROR_CONNECT;
    load_client_ready(c);
    return LOAD_ERROR_NONE;
}

static void close_http2(struct load_client *c)
{
    if (c->http2)
        free_http2(c->http2);
    c->http2 = NULL;
}

/* ---- requests ---- */

static bool has_room(const struct load_client *c)
{
    return c->http2->free != NULL;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static enum load_error send_request(struct load_client *c, microseconds intended)
{
    struct load_http2 *h = c->http2;
    struct load_requests *requests = &c->fleet->requests;
    bool has_content = c->fleet->options->body >= 0;
    struct slot *slot = h->free;
    nghttp2_data_provider content = {.source = {.ptr = slot}, .read_callback = read_content};
    nghttp2_nv fields[] = {
        pair(":method", has_content ? "POST" : "GET"), pair(":scheme", c->seal ? "https" : "http"),
        pair(":authority", requests->authority), pair(":path", load_requests_next(requests)->path),
        pair("content-length", requests->length)};
    h->free = slot->next;
    *slot = (struct slot){.intended = intended};
    int32_t stream = nghttp2_submit_request(h->session, NULL, fields, has_content ? 5 : 4,
                                            has_content ? &content : NULL, slot);
    return stream < 0 ? LOAD_ERROR_CLOSED : LOAD_ERROR_NONE;
}

static enum load_error drain(struct load_client *c)
{
    if (!c->http2)
        return LOAD_ERROR_NONE;
    while (load_client_room(c) > 0) {
        const uint8_t *bytes;
        ssize_t size = nghttp2_session_mem_send(c->http2->session, &bytes);
        if (size < 0)
            return LOAD_ERROR_PROTOCOL;
        if (size == 0)
            break;
        enum load_error error = load_client_write(c, span_of(bytes, (size_t)size), false);
        if (error)
            return error;
    }
    return LOAD_ERROR_NONE;
}

static enum load_error feed(struct load_client *c, struct span plain)
{
    nghttp2_session *session = c->http2->session;
    if (nghttp2_session_mem_recv(session, plain.data, plain.size) < 0)
        return LOAD_ERROR_PROTOCOL;
    /* After GOAWAY the streams that are open come to their end, and others go elsewhere. */
    if (!nghttp2_session_check_request_allowed(session))
        c->is_spent = true;
    return LOAD_ERROR_NONE;
}

static enum load_error end(struct load_client *c)
{
    c->is_spent = true;
    return LOAD_ERROR_CLOSED;
}

const struct load_machine load_http2_machine = {.open = open_http2,
                                                .has_room = has_room,
                                                .send = send_request,
                                                .feed = feed,
                                                .drain = drain,
                                                .end = end,
                                                .close = close_http2};

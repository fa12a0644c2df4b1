/* sessions.c: the protocol machines, from the bytes of a request to the bytes of its response. */
#include "pure/pure.h"

#include "front/native_direct.h"
#include "http1/session.h"
#include "http1/spare.h"
#include "http2/session.h"
#include <nghttp2/nghttp2.h>

#define SPANS_MAX 64

static struct face face;
static uint64_t answered;

static void on_exchange(void *host, struct exchange *x)
{
    (void)host;
    x->peer = (struct exchange_peer){.address = SPAN("127.0.0.1"), .port = 1};
    exchange_open(x, face.application, NULL);
}

static void on_exchange_end(void *host, struct exchange *x, int error)
{
    (void)host;
    (void)x;
    answered += error == ROUTED_OK;
}

static void on_ready(void *host)
{
    (void)host;
}

static void on_refused(void *host, const struct exchange *x, int error, uint16_t status)
{
    (void)host;
    (void)x;
    (void)error;
    (void)status;
}

static const struct session_host host = {.on_exchange = on_exchange,
                                         .on_exchange_end = on_exchange_end,
                                         .on_ready = on_ready,
                                         .on_refused = on_refused};

/* Takes the output of a session off it; `sink` may be NULL. */
static void take_output(struct session *s, void (*sink)(void *user, struct span bytes), void *user)
{
    struct span spans[SPANS_MAX];
    size_t count;
    while ((count = s->ops->drain(s, spans, SPANS_MAX)) > 0) {
        size_t size = 0;
        for (size_t i = 0; i < count; i++) {
            if (sink)
                sink(user, spans[i]);
            size += spans[i].size;
        }
        s->ops->drained(s, size);
    }
}

/* ---- HTTP/1.1 ---- */

static PURE_MEASURED bool measured_http1(struct session *s, struct span request)
{
    size_t taken = s->ops->feed(s, NULL, request);
    take_output(s, NULL, NULL);
    return taken == request.size;
}

bool pure_http1(uint64_t count)
{
    static const char request[] = "GET /bench?x=1 HTTP/1.1\r\nhost: localhost:8080\r\n"
                                  "user-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
                                  "accept: text/html,application/json;q=0.9\r\n"
                                  "accept-encoding: gzip, br\r\ncookie: session=0123456789\r\n\r\n";
    static struct http1_spare spare;
    struct http1_session_options options = HTTP1_SESSION_OPTIONS_DEFAULT;
    http1_spare_init(&spare);
    options.spare = &spare;
    front_native_direct_face(&face);
    struct session *s = http1_session_new(&options, &host, NULL);
    bool is_well = s != NULL;
    for (uint64_t i = 0; is_well && i < count; i++)
        is_well = measured_http1(s, span_of(request, sizeof(request) - 1));
    if (s) {
        s->ops->abort(s, ROUTED_ERROR_CLIENT_GONE);
        s->ops->free(s);
    }
    http1_spare_release(&spare);
    return is_well && answered == count;
}

/* ---- HTTP/2 ---- */

static void feed_client(void *user, struct span bytes)
{
    nghttp2_session_mem_recv(user, bytes.data, bytes.size);
}

static PURE_MEASURED void measured_http2(struct session *s, struct span bytes)
{
    s->ops->feed(s, NULL, bytes);
}

static PURE_MEASURED size_t measured_http2_drain(struct session *s, struct span *spans)
{
    return s->ops->drain(s, spans, SPANS_MAX);
}

static PURE_MEASURED void measured_http2_drained(struct session *s, size_t size)
{
    s->ops->drained(s, size);
}

static void exchange_bytes(struct session *s, nghttp2_session *client)
{
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(client, &bytes)) > 0)
        measured_http2(s, span_of(bytes, (size_t)size));
    struct span spans[SPANS_MAX];
    size_t count;
    while ((count = measured_http2_drain(s, spans)) > 0) {
        size_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            feed_client(client, spans[i]);
            sum += spans[i].size;
        }
        measured_http2_drained(s, sum);
    }
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE                                                \
    }

static bool run_http2(struct session *s, nghttp2_session *client, uint64_t count)
{
    static const nghttp2_nv fields[] = {
        FIELD(":method", "GET"),
        FIELD(":scheme", "http"),
        FIELD(":authority", "localhost:8080"),
        FIELD(":path", "/bench?x=1"),
        FIELD("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        FIELD("accept", "text/html,application/json;q=0.9"),
        FIELD("accept-encoding", "gzip, br"),
        FIELD("cookie", "session=0123456789"),
    };
    if (nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (nghttp2_submit_request(client, NULL, fields, sizeof(fields) / sizeof(fields[0]), NULL,
                                   NULL) < 0)
            return false;
        exchange_bytes(s, client);
    }
    return answered == count;
}

bool pure_http2(uint64_t count)
{
    static milliseconds now = 1;
    struct http2_session_options options = HTTP2_SESSION_OPTIONS_DEFAULT;
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *client = NULL;
    options.now = &now;
    front_native_direct_face(&face);
    struct session *s = http2_session_new(&options, &host, NULL);
    if (!s || nghttp2_session_callbacks_new(&callbacks) != 0)
        return false;
    bool is_well =
        nghttp2_session_client_new(&client, callbacks, NULL) == 0 && run_http2(s, client, count);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_session_del(client);
    s->ops->abort(s, ROUTED_ERROR_CLIENT_GONE);
    s->ops->free(s);
    return is_well;
}

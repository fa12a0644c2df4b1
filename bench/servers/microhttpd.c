#include "servers/microhttpd.h"

#include "base/buffer.h"
#include "base/decimal.h"
#include "base/memory.h"
#include "engine/engine.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/socket.h"
#include "io/system.h"
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>

#define WINDOW         262144 /* as our front's */
#define BLOCK          65536  /* what libmicrohttpd asks for at a time */
#define SLEEP_MAX      100    /* milliseconds */
#define PEM_MAX        ((size_t)1 << 20)
#define CONNECTION_MAX 16000
#define MEMORY_MAX     ((size_t)64 << 10) /* for each connection */

/* One listener with its thread. All exchanges of it are on that thread, whose loop does not turn
 * for them: nothing that this server serves waits. */
struct side {
    struct socket_address address;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_over;
    struct loop *loop;
    routed_engine *engine;
    struct call *spares;
};

struct servers_microhttpd {
    struct side clear;
    struct side secure;
    struct buffer certificate;
    struct buffer key;
};

/* One request with its answer. */
struct call {
    struct exchange exchange;
    struct side *side;
    struct call *next; /* among the spares */
    const char *target;
    struct MHD_Response *response;
    struct field_list fields; /* of the answer */
    struct buffer content;    /* of the answer, before it goes out */
    uint64_t length;
    uint16_t status;
    bool has_begun;
    bool has_ended;
    bool has_failed;
};

/* ---- the answer, as the exchange gives it ---- */

static struct call *call_of(const struct exchange *x)
{
    return x->carrier_state;
}

static int on_inform(struct exchange *x, const struct http_response *head)
{
    (void)x;
    (void)head;
    return ROUTED_OK;
}

static ssize_t give_content(void *user, uint64_t position, char *into, size_t size)
{
    struct call *call = user;
    (void)position;
    struct span ready = buffer_span(&call->content);
    if (ready.size == 0)
        return call->has_failed ? MHD_CONTENT_READER_END_WITH_ERROR
                                : MHD_CONTENT_READER_END_OF_STREAM;
    if (size > ready.size)
        size = ready.size;
    memcpy(into, ready.data, size);
    buffer_consume(&call->content, size);
    exchange_writable(&call->exchange, size);
    return (ssize_t)size;
}

/* Texts with their ends, as the library wants them. */
static int keep_head(struct call *call, const struct http_response *head)
{
    struct arena *arena = &call->exchange.arena;
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct field *f = &head->fields.items[i];
        struct field copy = {.name = f->name};
        copy.text = span_from(arena_text(arena, f->text));
        copy.value = span_from(arena_text(arena, f->value));
        if (!copy.text.data || !copy.value.data ||
            field_list_append(&call->fields, arena, copy) != ROUTED_OK)
            return ROUTED_ERROR_MEMORY;
    }
    return ROUTED_OK;
}

static int on_respond(struct exchange *x, const struct http_response *head, int64_t length)
{
    struct call *call = call_of(x);
    call->status = head->status;
    call->length = length == HTTP_LENGTH_UNKNOWN ? MHD_SIZE_UNKNOWN : (uint64_t)length;
    return keep_head(call, head);
}

static int on_send(struct exchange *x, struct slice body)
{
    struct call *call = call_of(x);
    int error = buffer_append_span(&call->content, slice_span(body));
    slice_release(&body);
    return error;
}

static int on_end(struct exchange *x, const struct field_list *trailers)
{
    (void)trailers;
    call_of(x)->has_ended = true;
    return ROUTED_OK;
}

static void on_fail(struct exchange *x, int error)
{
    struct call *call = call_of(x);
    call->has_failed = true;
    call->status = error_status(error);
}

static void on_grant(struct exchange *x, size_t bytes)
{
    (void)x;
    (void)bytes;
}

static const struct exchange_carrier carrier = {.inform = on_inform,
                                                .respond = on_respond,
                                                .send = on_send,
                                                .end = on_end,
                                                .fail = on_fail,
                                                .grant = on_grant};

/* ---- the request, as the library gives it ---- */

static struct call *take_call(struct side *side)
{
    struct call *call = side->spares;
    if (call)
        side->spares = call->next;
    else
        call = memory_new_zeroed(sizeof(*call));
    if (!call)
        return NULL;
    struct exchange exchange = call->exchange;
    struct buffer content = call->content;
    *call = (struct call){.exchange = exchange, .side = side, .content = content};
    buffer_clear(&call->content);
    exchange_init(&call->exchange, &carrier, call, side->loop);
    return call;
}

/* The library's first call for a request: what it hands on as the target is not decoded yet. */
static void *on_target(void *user, const char *target, struct MHD_Connection *connection)
{
    struct call *call = take_call(user);
    (void)connection;
    if (call)
        call->target = arena_text(&call->exchange.arena, span_from(target));
    return call;
}

static enum MHD_Result on_field(void *user, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    struct call *call = user;
    struct http_request *request = &call->exchange.request;
    (void)kind;
    int error = field_list_append_copy(&request->fields, &call->exchange.arena, span_from(name),
                                       span_from(value));
    return error == ROUTED_OK ? MHD_YES : MHD_NO;
}

static int64_t content_length(const struct http_request *request)
{
    uint64_t length = 0;
    const struct field *f = field_list_find(&request->fields, FIELD_CONTENT_LENGTH);
    if (f && decimal_read(f->value, INT64_MAX, &length))
        return (int64_t)length;
    return field_list_find(&request->fields, FIELD_TRANSFER_ENCODING) ? HTTP_LENGTH_UNKNOWN : 0;
}

static void begin(struct call *call, struct MHD_Connection *connection, const char *method)
{
    struct exchange *x = &call->exchange;
    struct http_request *request = &x->request;
    struct span target = span_from(call->target);
    const uint8_t *question = memchr(target.data, '?', target.size);
    size_t path = question ? (size_t)(question - target.data) : target.size;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, on_field, call);
    const struct field *host = field_list_find(&request->fields, FIELD_HOST);
    request->method = span_from(method);
    request->scheme = SPAN("http");
    request->authority = host ? host->value : SPAN("localhost");
    request->target = target;
    request->path = span_part(target, 0, path);
    request->query = question ? span_after(target, path + 1) : SPAN_EMPTY;
    request->protocol = HTTP_1_1;
    request->content_length = content_length(request);
    x->peer = (struct exchange_peer){.address = SPAN("127.0.0.1")};
    x->request_id = SPAN("0");
    call->has_begun = true;
    /* One turn makes the loop this thread's. */
    if (!loop_is_here(x->loop))
        loop_turn(x->loop, 0);
    exchange_writable(x, WINDOW);
    exchange_open(x, engine_application(), call->side->engine);
}

/* What the engine wants of it; the rest is offered again. */
static void take_content(struct call *call, const char *bytes, size_t *size)
{
    struct exchange *x = &call->exchange;
    while (*size && !x->is_failed) {
        if (x->request_credit <= 0)
            return;
        size_t part = (uint64_t)x->request_credit < *size ? (size_t)x->request_credit : *size;
        struct slice slice = slice_copy(span_of(bytes, part));
        if (!slice.data || exchange_deliver(x, slice) != ROUTED_OK) {
            call->has_failed = true;
            break;
        }
        bytes += part;
        *size -= part;
    }
    *size = 0;
}

/* What is whole goes out in one piece, the rest as the library asks for it. */
static struct MHD_Response *make_response(struct call *call)
{
    struct MHD_Response *response;
    if (call->has_ended)
        response = MHD_create_response_from_buffer(buffer_size(&call->content),
                                                   call->content.data + call->content.head,
                                                   MHD_RESPMEM_PERSISTENT);
    else
        response = MHD_create_response_from_callback(call->length, BLOCK, give_content, call, NULL);
    for (size_t i = 0; response && i < call->fields.count; i++)
        MHD_add_response_header(response, (const char *)call->fields.items[i].text.data,
                                (const char *)call->fields.items[i].value.data);
    return response;
}

static enum MHD_Result respond(struct call *call, struct MHD_Connection *connection)
{
    if (call->status == 0 || call->has_failed)
        return MHD_NO;
    call->response = make_response(call);
    return call->response ? MHD_queue_response(connection, call->status, call->response) : MHD_NO;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *content,
                                  size_t *size, void **state)
{
    struct call *call = *state;
    (void)user;
    (void)url;
    (void)version;
    if (!call || !call->target)
        return MHD_NO;
    if (!call->has_begun) {
        begin(call, connection, method);
        return MHD_YES;
    }
    if (*size) {
        take_content(call, content, size);
        return MHD_YES;
    }
    if (exchange_deliver_end(&call->exchange, NULL) != ROUTED_OK)
        return MHD_NO;
    return respond(call, connection);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct side *side = user;
    struct call *call = *state;
    (void)connection;
    if (!call)
        return;
    if (call->has_begun)
        exchange_close(&call->exchange,
                       code == MHD_REQUEST_TERMINATED_COMPLETED_OK && call->has_ended
                           ? ROUTED_OK
                           : ROUTED_ERROR_CLIENT_GONE);
    if (call->response)
        MHD_destroy_response(call->response);
    *state = NULL;
    call->next = side->spares;
    side->spares = call;
}

/* ---- life ---- */

/* A thread of our own in place of the library's: that of 0.9.75 may go to sleep with input that it
 * has been told of, when there are more events at once than it asks for. A second look finds it. */
static void *run_side(void *argument)
{
    struct side *side = argument;
    while (!atomic_load_explicit(&side->is_over, memory_order_relaxed)) {
        MHD_run_wait(side->daemon, SLEEP_MAX);
        MHD_run_wait(side->daemon, 0);
    }
    return NULL;
}

static bool start_side(struct side *side, routed_engine *engine, const struct MHD_OptionItem *more,
                       unsigned flags)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)side->address.storage;
    if (address->sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    side->engine = engine;
    side->loop = loop_new();
    if (!side->loop)
        return false;
    side->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_TURBO | flags, 0, NULL, NULL, on_request, side,
        MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_URI_LOG_CALLBACK, on_target, side,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, side, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTION_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_MAX,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024U, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    side->has_thread = side->daemon && system_thread_start(&side->thread, "microhttpd", run_side,
                                                           side) == ROUTED_OK;
    return side->has_thread;
}

static void stop_side(struct side *side)
{
    atomic_store(&side->is_over, true);
    if (side->has_thread)
        pthread_join(side->thread, NULL);
    if (side->daemon)
        MHD_stop_daemon(side->daemon);
    while (side->spares) {
        struct call *call = side->spares;
        side->spares = call->next;
        exchange_release(&call->exchange);
        buffer_release(&call->content);
        memory_free(call);
    }
    loop_free(side->loop);
}

static bool start_secure(struct servers_microhttpd *m, routed_engine *engine,
                         const char *certificate, const char *key)
{
    const char *why;
    if (file_read(certificate, PEM_MAX, &m->certificate, &why) != ROUTED_OK ||
        file_read(key, PEM_MAX, &m->key, &why) != ROUTED_OK ||
        buffer_append(&m->certificate, "", 1) != ROUTED_OK ||
        buffer_append(&m->key, "", 1) != ROUTED_OK)
        return false;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, m->certificate.data},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, m->key.data},
        {MHD_OPTION_END, 0, NULL},
    };
    return start_side(&m->secure, engine, options, MHD_USE_TLS);
}

struct servers_microhttpd *servers_microhttpd_start(routed_engine *engine, const char *host,
                                                    const char *certificate, const char *key)
{
    static const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    struct servers_microhttpd *m = memory_new_zeroed(sizeof(*m));
    if (!m)
        return NULL;
    if (engine_freeze(engine) == ROUTED_OK && socket_resolve(host, 0, &m->clear.address, 1) == 1 &&
        socket_resolve(host, 0, &m->secure.address, 1) == 1 &&
        start_side(&m->clear, engine, none, 0) &&
        (!certificate || start_secure(m, engine, certificate, key)))
        return m;
    fputs("bench-server: libmicrohttpd does not start\n", stderr);
    servers_microhttpd_stop(m);
    return NULL;
}

static uint16_t port_of(const struct side *side)
{
    if (!side->daemon)
        return 0;
    const union MHD_DaemonInfo *found =
        MHD_get_daemon_info(side->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return found ? found->port : 0;
}

uint16_t servers_microhttpd_port(const struct servers_microhttpd *m)
{
    return port_of(&m->clear);
}

uint16_t servers_microhttpd_secure_port(const struct servers_microhttpd *m)
{
    return port_of(&m->secure);
}

void servers_microhttpd_stop(struct servers_microhttpd *m)
{
    if (!m)
        return;
    stop_side(&m->clear);
    stop_side(&m->secure);
    buffer_release(&m->certificate);
    buffer_release(&m->key);
    memory_free(m);
}

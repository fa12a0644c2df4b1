/* A stage for the bridge client: its face on a loop, engines that do what a test tells them, and
 * a carrier that records. Everything runs in one thread, turn by turn. */
#ifndef UNIT_BRIDGE_STAGE_H
#define UNIT_BRIDGE_STAGE_H

#include "base/limits.h"
#include "base/memory.h"
#include "bridge/client.h"
#include "bridge/endpoint.h"
#include "io/loop.h"
#include "io/system.h"
#include "wire/bytes.h"
#include "wire/head.h"
#include <routed/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

#define STAGE_PEERS_MAX 64
#define STAGE_PATIENCE  5000 /* milliseconds until a wait fails */

/* An engine's end of one connection. */
struct stage_peer {
    int fd; /* -1: closed by the test */
    unsigned engine;
    bool is_ended; /* the front closed */
    struct buffer in;
};

struct stage {
    struct loop *loop;
    struct bridge_endpoint *endpoint;
    unsigned engines;
    routed_limits limits;
    struct log log;
    struct bridge_client_options options;
    struct face face;
    void *context;
    bool is_deaf; /* peers do not read, connections stay in the backlog */
    unsigned peer_count;
    struct stage_peer peers[STAGE_PEERS_MAX];
    char lines[4096]; /* of the log */
};

static inline void stage_log(void *user, int level, const char *line)
{
    struct stage *s = user;
    (void)level;
    size_t used = strlen(s->lines);
    snprintf(s->lines + used, sizeof(s->lines) - used, "%s\n", line);
}

/* Engines listen, the face is not open yet: limits may be changed. */
static inline void stage_prepare(struct stage *s, unsigned engines)
{
    *s = (struct stage){.engines = engines, .log = {stage_log, NULL, LOG_DEBUG}};
    s->log.user = s;
    limits_resolve(&s->limits, NULL);
    s->loop = loop_new();
    assert_non_null(s->loop);
    struct bridge_endpoint_options options = {.count = engines};
    assert_int_equal(bridge_endpoint_open(&s->endpoint, &options), ROUTED_OK);
    s->options = (struct bridge_client_options){
        .engines = bridge_endpoint_addresses(s->endpoint), .count = engines, .user = system_user()};
}

static inline void stage_open(struct stage *s)
{
    bridge_client_face(&s->face, &s->options);
    assert_int_equal(s->face.open(s->face.state, s->loop, &s->limits, &s->log, &s->context),
                     ROUTED_OK);
}

/* One engine, default limits. */
static inline void stage_begin(struct stage *s)
{
    stage_prepare(s, 1);
    stage_open(s);
}

static inline void peer_close(struct stage_peer *p)
{
    if (p->fd >= 0)
        socket_close(p->fd);
    p->fd = -1;
}

static inline void stage_close(struct stage *s)
{
    if (s->context)
        s->face.close(s->context);
    for (unsigned i = 0; i < s->peer_count; i++) {
        peer_close(&s->peers[i]);
        buffer_release(&s->peers[i].in);
    }
    bridge_endpoint_close(s->endpoint);
    loop_free(s->loop);
}

static inline uint64_t stage_metric(const struct stage *s, enum bridge_metric which)
{
    return metric_read(s->face.metrics(s->context), which);
}

static inline void stage_accept(struct stage *s)
{
    struct socket_address address;
    for (unsigned e = 0; e < s->engines; e++) {
        int listener = bridge_endpoint_listener(s->endpoint, e);
        int fd;
        while (listener >= 0 && s->peer_count < STAGE_PEERS_MAX &&
               (fd = socket_accept(listener, &address)) >= 0)
            s->peers[s->peer_count++] = (struct stage_peer){.fd = fd, .engine = e};
    }
}

static inline void peer_read(struct stage_peer *p)
{
    ssize_t moved = 1;
    while (p->fd >= 0 && !p->is_ended && moved > 0) {
        uint8_t *room = buffer_reserve(&p->in, 65536);
        assert_non_null(room);
        moved = socket_read(p->fd, room, 65536);
        if (moved > 0)
            buffer_commit(&p->in, (size_t)moved);
        else
            p->is_ended = moved != SOCKET_AGAIN;
    }
}

static inline void stage_turn(struct stage *s, int wait)
{
    loop_turn(s->loop, wait);
    if (s->is_deaf)
        return;
    stage_accept(s);
    for (unsigned i = 0; i < s->peer_count; i++)
        peer_read(&s->peers[i]);
}

/* Turns until `condition` holds; fails the test when that does not come. */
#define stage_until(s, condition)                                                                  \
    do {                                                                                           \
        microseconds until_end = loop_clock() + STAGE_PATIENCE * 1000;                             \
        while (!(condition)) {                                                                     \
            if (loop_clock() > until_end)                                                          \
                fail_msg("never came: %s", #condition);                                            \
            stage_turn(s, 1);                                                                      \
        }                                                                                          \
    } while (0)

/* A few turns, for what must not happen. */
static inline void stage_settle(struct stage *s)
{
    for (int i = 0; i < 8; i++)
        stage_turn(s, 0);
}

/* ---- frames ---- */

static inline void peer_write(struct stage_peer *p, const void *bytes, size_t size)
{
    assert_int_equal(socket_write(p->fd, span_of(bytes, size)), size);
}

/* The n-th frame that the peer got: its type, or 0 when it is not here. */
static inline int peer_frame(const struct stage_peer *p, unsigned n, struct span *payload)
{
    struct span in = buffer_span(&p->in);
    for (;; n--) {
        if (in.size < 6)
            return 0;
        uint32_t size = wire_bytes_read_u32(in.data);
        if (in.size < 4 + (size_t)size)
            return 0;
        if (n == 0) {
            if (payload)
                *payload = span_part(in, 6, size - 2);
            return in.data[5];
        }
        in = span_after(in, 4 + (size_t)size);
    }
}

static inline size_t frame_head(uint8_t *out, enum wire_type type, uint16_t status,
                                struct span content)
{
    struct buffer b = BUFFER_EMPTY;
    struct http_response head = {.status = status};
    assert_int_equal(
        wire_response_write(&b, type, &head, HTTP_LENGTH_UNKNOWN, (uint32_t)content.size),
        ROUTED_OK);
    assert_int_equal(buffer_append_span(&b, content), ROUTED_OK);
    size_t size = buffer_size(&b);
    memcpy(out, b.data, size);
    buffer_release(&b);
    return size;
}

static inline void peer_answer(struct stage_peer *p, enum wire_type type, uint16_t status,
                               struct span content)
{
    uint8_t frame[4096];
    peer_write(p, frame, frame_head(frame, type, status, content));
}

static inline void peer_chunk(struct stage_peer *p, enum wire_type type, struct span content)
{
    uint8_t prefix[WIRE_CHUNK_PREFIX_SIZE];
    wire_frame_chunk(prefix, type, (uint32_t)content.size);
    peer_write(p, prefix, sizeof(prefix));
    if (content.size)
        peer_write(p, content.data, content.size);
}

static inline void peer_mark(struct stage_peer *p, enum wire_type type)
{
    uint8_t mark[WIRE_PREFIX_SIZE];
    wire_frame_mark(mark, type);
    peer_write(p, mark, sizeof(mark));
}

/* ---- the recording carrier ---- */

struct visit {
    struct exchange x;
    struct stage *stage;
    uint16_t status;
    int64_t length;
    unsigned informs;
    struct buffer body;
    bool has_end;
    int failure; /* of exchange_fail */
    size_t granted;
    bool is_thirsty; /* gives response credit back at once */
};

static inline struct visit *visit_of(struct exchange *x)
{
    return x->carrier_state;
}

static inline int visit_inform(struct exchange *x, const struct http_response *head)
{
    (void)head;
    visit_of(x)->informs++;
    return ROUTED_OK;
}

static inline int visit_respond(struct exchange *x, const struct http_response *head,
                                int64_t length)
{
    visit_of(x)->status = head->status;
    visit_of(x)->length = length;
    return ROUTED_OK;
}

static inline int visit_send(struct exchange *x, struct slice body)
{
    struct visit *v = visit_of(x);
    size_t size = body.size;
    int error = buffer_append(&v->body, body.data, size);
    slice_release(&body);
    if (v->is_thirsty)
        exchange_writable(x, size);
    return error;
}

static inline int visit_end(struct exchange *x, const struct field_list *trailers)
{
    (void)trailers;
    visit_of(x)->has_end = true;
    return ROUTED_OK;
}

static inline void visit_fail(struct exchange *x, int error)
{
    visit_of(x)->failure = error;
}

static inline void visit_grant(struct exchange *x, size_t bytes)
{
    visit_of(x)->granted += bytes;
}

static const struct exchange_carrier visit_carrier = {visit_inform, visit_respond, visit_send,
                                                      visit_end,    visit_fail,    visit_grant};

/* A request that is not open yet: change it, then visit_open. */
static inline void visit_init(struct visit *v, struct stage *s, struct span method, int64_t length)
{
    *v = (struct visit){.stage = s, .is_thirsty = true};
    exchange_init(&v->x, &visit_carrier, v, s->loop);
    v->x.request = (struct http_request){.method = method,
                                         .scheme = SPAN("http"),
                                         .authority = SPAN("a.test"),
                                         .target = SPAN("/p?q"),
                                         .path = SPAN("/p"),
                                         .query = SPAN("q"),
                                         .protocol = HTTP_1_1,
                                         .content_length = length};
    v->x.peer = (struct exchange_peer){SPAN("127.0.0.1"), 5000};
    v->x.request_id = SPAN("id-1");
    exchange_writable(&v->x, s->limits.window);
}

static inline void visit_open(struct visit *v)
{
    exchange_open(&v->x, v->stage->face.application, v->stage->context);
    if (v->x.request.content_length == 0 && !v->x.is_failed)
        assert_int_equal(exchange_deliver_end(&v->x, NULL), ROUTED_OK);
}

static inline void visit_start(struct visit *v, struct stage *s, struct span method, int64_t length)
{
    visit_init(v, s, method, length);
    visit_open(v);
}

/* GETs that the engine has, each on a new connection: the n-th visit on the n-th of them. */
static inline void visits_arrive(struct visit *v, unsigned count, struct stage *s)
{
    unsigned peers = s->peer_count + count;
    for (unsigned i = 0; i < count; i++)
        visit_start(&v[i], s, SPAN("GET"), 0);
    stage_until(s, s->peer_count == peers && peer_frame(&s->peers[peers - 1], 0, NULL));
}

static inline void visit_arrive(struct visit *v, struct stage *s)
{
    visits_arrive(v, 1, s);
}

static inline void visit_deliver(struct visit *v, struct span content)
{
    struct slice copy = slice_copy(content);
    assert_true(copy.data || content.size == 0);
    assert_int_equal(exchange_deliver(&v->x, copy), ROUTED_OK);
}

/* What a carrier does when all is over. */
static inline void visit_close(struct visit *v, int error)
{
    exchange_close(&v->x, error);
    exchange_release(&v->x);
    buffer_release(&v->body);
}

/* Waits for the failure. */
#define visit_expect_failure(v, error)                                                             \
    do {                                                                                           \
        stage_until((v)->stage, (v)->failure);                                                     \
        assert_int_equal((v)->failure, error);                                                     \
    } while (0)

/* And is closed with it. */
#define visit_close_failed(v, error)                                                               \
    do {                                                                                           \
        visit_expect_failure(v, error);                                                            \
        visit_close(v, error);                                                                     \
    } while (0)

/* Waits for the end of the answer. */
#define visit_close_answered(v)                                                                    \
    do {                                                                                           \
        stage_until((v)->stage, (v)->has_end);                                                     \
        visit_close(v, ROUTED_OK);                                                                 \
    } while (0)

static inline void assert_body(const struct visit *v, const char *text)
{
    assert_int_equal(buffer_size(&v->body), strlen(text));
    assert_memory_equal(v->body.data + v->body.head, text, strlen(text));
}

#endif

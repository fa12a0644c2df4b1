/* An endpoint, clients and a network between them, with a clock of their own. Time passes only when
 * nobody has anything to do; datagrams take a while, and the test may lose, double, delay or change
 * each of them. The application answers "GET /n" with n bytes, and content with its size. */
#ifndef UNIT_HTTP3_STAGE_H
#define UNIT_HTTP3_STAGE_H

#include "support/unit.h"

#include "http3/client.h"

#include "base/memory.h"
#include "http3/endpoint.h"
#include "tls/quic.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#define STAGE_CLIENTS   128
#define STAGE_TRANSIT   (10 * NGTCP2_MILLISECONDS) /* one way */
#define STAGE_PORT      4433
#define STAGE_SECOND    NGTCP2_SECONDS
#define STAGE_HOUR      (3600 * STAGE_SECOND)
#define STAGE_DATAGRAMS 8192

struct stage_datagram {
    nanoseconds at;
    uint64_t order;
    struct http3_address local; /* of the sender */
    struct http3_address remote;
    uint8_t ecn;
    bool to_server;
    size_t size;
    uint8_t *bytes;
};

enum stage_fate {
    STAGE_PASSES,
    STAGE_LOST,
    STAGE_DOUBLED,
    STAGE_LATE, /* behind others that are sent up to five transits later */
    STAGE_BROKEN
};

/* One connection, as its front sees it. */
struct stage_front {
    struct stage *stage;
    struct http3_connection *connection; /* NULL once closed */
    unsigned turns;
};

struct stage {
    nanoseconds now;
    milliseconds now_milliseconds;
    struct http3_endpoint_options options;
    struct http3_endpoint *endpoint;
    struct http3_spent spent;
    struct tls_context *tls;
    struct client clients[STAGE_CLIENTS];
    struct http3_address behind_nat[STAGE_CLIENTS]; /* what the server sees; size 0: the same */
    size_t client_count;
    struct stage_front fronts[STAGE_CLIENTS];
    unsigned opened;
    unsigned closed;
    struct stage_datagram *flying[STAGE_DATAGRAMS];
    size_t flying_count;
    uint64_t order;
    enum stage_fate (*fate)(struct stage *s, const struct stage_datagram *d, unsigned nth);
    void (*tap)(struct stage *s, const struct stage_datagram *d);
    unsigned sent[2]; /* datagrams, to clients and to the server */
    uint64_t bytes[2];
    size_t largest; /* datagram to clients */
    unsigned batches;
    unsigned joined_most; /* datagrams of one batch */
    unsigned marked;      /* datagrams to clients with an ECN mark */
    size_t socket_room;   /* batches that the socket takes; SIZE_MAX: any */
    unsigned forwarded;
    unsigned forwarded_to;
    unsigned requests;
    unsigned ends; /* on_close */
    int end_error; /* the latest */
    uint64_t content;
    struct exchange *later; /* of the latest "/later", whose content waits for the test's grant */
    char failure[128];      /* of the latest handshake that failed */
    unsigned shaking;       /* handshakes of who has proved the address */
    unsigned shaking_max;   /* 0: any */
    bool refuses;           /* on_connection fails */
    bool takes_anything;    /* content need not be what the stage sends */
    uint64_t (*round_trip)(void *host); /* what sessions hear of the path; NULL: nothing */
    uint64_t random;
    void *user; /* the test's */
};

/* ---- the application ---- */

struct stage_answer {
    struct stage *stage;
    uint64_t left;
    uint64_t at;
    bool is_open;
};

static inline uint8_t stage_byte(uint64_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7);
}

static inline void stage_pump(struct exchange *x)
{
    struct stage_answer *a = x->application_state;
    while (a->left && exchange_can_send(x)) {
        uint8_t bytes[4096];
        size_t size = a->left < sizeof(bytes) ? (size_t)a->left : sizeof(bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = stage_byte(a->at + i);
        a->at += size;
        a->left -= size;
        if (exchange_send(x, slice_copy(span_of(bytes, size))) != ROUTED_OK)
            return;
    }
    if (a->left == 0 && a->is_open && !x->is_failed && !x->is_closed) {
        a->is_open = false;
        exchange_end(x, NULL);
    }
}

static inline void stage_answer(struct exchange *x, uint64_t size)
{
    struct stage_answer *a = x->application_state;
    struct http_response head = {.status = 200};
    a->left = size;
    a->is_open = true;
    if (exchange_respond(x, &head) == ROUTED_OK)
        stage_pump(x);
}

static inline void stage_on_request(struct exchange *x, void *context)
{
    struct stage_answer *a = memory_new_zeroed(sizeof(*a));
    struct stage *s = context;
    s->requests++;
    x->application_state = a;
    if (!a)
        return;
    a->stage = s;
    if (span_equals(x->request.path, SPAN("/later"))) {
        s->later = x;
        return;
    }
    if (!span_equals(x->request.method, SPAN("GET"))) {
        exchange_grant(x, 65536);
        return;
    }
    uint64_t size = 0;
    for (size_t i = 1; i < x->request.path.size; i++)
        size = size * 10 + (uint64_t)(x->request.path.data[i] - '0');
    exchange_grant(x, 65536);
    if (!span_equals(x->request.path, SPAN("/wait")))
        stage_answer(x, size);
}

static inline void stage_on_body(struct exchange *x, struct slice body)
{
    struct stage_answer *a = x->application_state;
    if (a) {
        for (size_t i = 0; i < body.size && !a->stage->takes_anything; i++)
            assert_int_equal(body.data[i], stage_byte(a->at + i));
        a->at += body.size;
        a->stage->content += body.size;
    }
    exchange_grant(x, body.size);
    slice_release(&body);
}

static inline void stage_on_end(struct exchange *x, const struct field_list *trailers)
{
    struct stage_answer *a = x->application_state;
    (void)trailers;
    if (a && !span_equals(x->request.method, SPAN("GET"))) {
        a->at = 0;
        stage_answer(x, 4);
    }
}

static inline void stage_on_writable(struct exchange *x)
{
    if (x->application_state)
        stage_pump(x);
}

static inline void stage_on_close(struct exchange *x, int error)
{
    struct stage_answer *a = x->application_state;
    if (a) {
        a->stage->ends++;
        a->stage->end_error = error;
    }
    memory_free(a);
}

static const struct exchange_application stage_application = {.on_request = stage_on_request,
                                                              .on_body = stage_on_body,
                                                              .on_end = stage_on_end,
                                                              .on_writable = stage_on_writable,
                                                              .on_close = stage_on_close};

/* ---- the front ---- */

static inline void stage_on_exchange(void *host, struct exchange *x)
{
    struct stage_front *f = host;
    exchange_open(x, &stage_application, f->stage);
}

static inline void stage_on_exchange_end(void *host, struct exchange *x, int error)
{
    (void)host;
    (void)x;
    (void)error;
}

static inline void stage_on_ready(void *host)
{
    http3_connection_wake(((struct stage_front *)host)->connection);
}

static inline void stage_on_refused(void *host, const struct exchange *x, int error,
                                    uint16_t status)
{
    (void)host;
    (void)x;
    (void)error;
    (void)status;
}

static inline bool stage_on_handshake(void *host, const struct http3_address *peer)
{
    struct stage *s = host;
    assert_int_equal(peer->size, sizeof(struct sockaddr_in));
    if (s->shaking_max && s->shaking == s->shaking_max)
        return false;
    s->shaking++;
    return true;
}

static inline void stage_on_handshake_over(void *host, const struct http3_address *peer)
{
    struct stage *s = host;
    assert_int_equal(peer->size, sizeof(struct sockaddr_in));
    assert_true(s->shaking > 0);
    s->shaking--;
}

static inline void stage_on_handshake_failed(void *host, const struct http3_address *peer,
                                             const char *why)
{
    struct stage *s = host;
    assert_int_equal(peer->size, sizeof(struct sockaddr_in));
    snprintf(s->failure, sizeof(s->failure), "%s", why);
}

static inline int stage_on_connection(void *host, struct http3_connection *c,
                                      struct session_host *out)
{
    struct stage *s = host;
    if (s->refuses)
        return ROUTED_ERROR_OVERLOADED;
    struct stage_front *f = &s->fronts[s->opened++ % STAGE_CLIENTS];
    *f = (struct stage_front){.stage = s, .connection = c};
    *out = (struct session_host){.on_exchange = stage_on_exchange,
                                 .on_exchange_end = stage_on_exchange_end,
                                 .on_ready = stage_on_ready,
                                 .on_refused = stage_on_refused,
                                 .round_trip = s->round_trip,
                                 .host = f};
    return ROUTED_OK;
}

static inline void stage_on_turn(void *host, void *connection)
{
    (void)host;
    ((struct stage_front *)connection)->turns++;
}

static inline void stage_on_closed(void *host, void *connection)
{
    ((struct stage *)host)->closed++;
    ((struct stage_front *)connection)->connection = NULL;
}

/* ---- the network ---- */

static inline struct http3_address stage_address(unsigned host, uint16_t port)
{
    struct http3_address a = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(0x0a000000u + host);
    memcpy(a.storage, &in, sizeof(in));
    return a;
}

static inline struct http3_address stage_read_address(const ngtcp2_addr *from)
{
    struct http3_address a = {.size = (uint8_t)from->addrlen};
    memcpy(a.storage, from->addr, from->addrlen);
    return a;
}

static inline bool stage_same(const struct http3_address *a, const struct http3_address *b)
{
    return a->size == b->size && memcmp(a->storage, b->storage, a->size) == 0;
}

static inline void stage_fly(struct stage *s, const struct stage_datagram *d, nanoseconds delay)
{
    assert_true(s->flying_count < STAGE_DATAGRAMS);
    struct stage_datagram *copy = malloc(sizeof(*copy));
    *copy = *d;
    copy->bytes = malloc(d->size);
    memcpy(copy->bytes, d->bytes, d->size);
    copy->at = s->now + delay;
    copy->order = s->order++;
    s->flying[s->flying_count++] = copy;
}

static inline void stage_send(struct stage *s, const struct stage_datagram *d)
{
    unsigned nth = s->sent[d->to_server]++;
    s->bytes[d->to_server] += d->size;
    if (!d->to_server && d->size > s->largest)
        s->largest = d->size;
    if (s->tap)
        s->tap(s, d);
    switch (s->fate ? s->fate(s, d, nth) : STAGE_PASSES) {
    case STAGE_LOST:
        return;
    case STAGE_DOUBLED:
        stage_fly(s, d, STAGE_TRANSIT);
        stage_fly(s, d, 3 * STAGE_TRANSIT);
        return;
    case STAGE_LATE:
        stage_fly(s, d, STAGE_TRANSIT * (2 + unit_random(&s->random) % 4));
        return;
    case STAGE_BROKEN:
        stage_fly(s, d, STAGE_TRANSIT);
        s->flying[s->flying_count - 1]->bytes[unit_random(&s->random) % d->size] ^=
            (uint8_t)(1 + unit_random(&s->random) % 255);
        return;
    case STAGE_PASSES:
        stage_fly(s, d, STAGE_TRANSIT);
    }
}

static inline size_t stage_take_batch(void *host, const struct http3_batch *batch)
{
    struct stage *s = host;
    size_t sent = 0;
    unsigned joined = 0;
    assert_true(batch->segment > 0 && batch->bytes.size > 0);
    if (s->socket_room == 0)
        return 0;
    if (s->socket_room != SIZE_MAX)
        s->socket_room--;
    while (sent < batch->bytes.size) {
        size_t left = batch->bytes.size - sent;
        struct stage_datagram d = {.local = batch->local,
                                   .remote = batch->remote,
                                   .ecn = batch->ecn,
                                   .size = left < batch->segment ? left : batch->segment,
                                   .bytes = (uint8_t *)(uintptr_t)batch->bytes.data + sent};
        s->marked += batch->ecn != 0;
        stage_send(s, &d);
        sent += d.size;
        joined++;
    }
    s->batches++;
    if (joined > s->joined_most)
        s->joined_most = joined;
    return sent;
}

static inline void stage_forward(void *host, unsigned worker, const struct http3_datagram *d)
{
    struct stage *s = host;
    (void)d;
    s->forwarded++;
    s->forwarded_to = worker;
}

static inline struct http3_address stage_seen(struct stage *s, size_t i)
{
    return s->behind_nat[i].size ? s->behind_nat[i]
                                 : stage_read_address(&s->clients[i].path.path.local);
}

/* A fate: no datagram of the server arrives. */
static inline enum stage_fate stage_lose_answers(struct stage *s, const struct stage_datagram *d,
                                                 unsigned nth)
{
    (void)s;
    (void)nth;
    return d->to_server ? STAGE_PASSES : STAGE_LOST;
}

static inline void stage_set_now(struct stage *s, nanoseconds now)
{
    s->now = now;
    s->now_milliseconds = now / NGTCP2_MILLISECONDS;
}

static inline void stage_deliver_to_server(struct stage *s, const struct stage_datagram *d)
{
    /* From memory that ends where the datagram ends. */
    struct http3_datagram datagram = {
        .local = d->remote, .remote = d->local, .bytes = span_of(d->bytes, d->size), .ecn = d->ecn};
    if (s->endpoint)
        http3_endpoint_receive(s->endpoint, &datagram);
}

static inline void stage_deliver_to_client(struct stage *s, const struct stage_datagram *d)
{
    for (size_t i = 0; i < s->client_count; i++) {
        struct client *c = &s->clients[i];
        struct http3_address seen = stage_seen(s, i);
        if (!c->conn || !stage_same(&seen, &d->remote))
            continue;
        ngtcp2_path_storage path;
        ngtcp2_path_storage_zero(&path);
        ngtcp2_path_copy(&path.path, &c->path.path);
        client_read(c, &path.path, d->ecn, span_of(d->bytes, d->size), s->now);
        return;
    }
}

/* False: nothing was due. */
static inline bool stage_deliver(struct stage *s)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < s->flying_count; i++)
        if (s->flying[i]->at <= s->now &&
            (first == SIZE_MAX || s->flying[i]->at < s->flying[first]->at ||
             (s->flying[i]->at == s->flying[first]->at &&
              s->flying[i]->order < s->flying[first]->order)))
            first = i;
    if (first == SIZE_MAX)
        return false;
    struct stage_datagram *d = s->flying[first];
    s->flying[first] = s->flying[--s->flying_count];
    if (d->to_server)
        stage_deliver_to_server(s, d);
    else
        stage_deliver_to_client(s, d);
    free(d->bytes);
    free(d);
    return true;
}

/* ---- turns ---- */

static inline void stage_run_client(struct stage *s, size_t i)
{
    struct client *c = &s->clients[i];
    uint8_t bytes[1500];
    if (!c->conn || c->is_silent)
        return;
    if (ngtcp2_conn_get_expiry(c->conn) <= s->now) {
        int result = ngtcp2_conn_handle_expiry(c->conn, s->now);
        if (result)
            client_fail(c, result);
    }
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    struct stage_datagram d = {.to_server = true, .bytes = bytes};
    while ((d.size = client_make(c, bytes, sizeof(bytes), &path.path, &d.ecn, s->now))) {
        d.local = s->behind_nat[i].size ? s->behind_nat[i] : stage_read_address(&path.path.local);
        d.remote = stage_read_address(&path.path.remote);
        stage_send(s, &d);
    }
    ngtcp2_conn_update_pkt_tx_time(c->conn, s->now);
}

static inline nanoseconds stage_next(struct stage *s)
{
    nanoseconds next = s->endpoint ? http3_endpoint_deadline(s->endpoint) : CLOCK_NEVER;
    for (size_t i = 0; i < s->client_count; i++) {
        if (!s->clients[i].conn || s->clients[i].is_silent)
            continue;
        nanoseconds expiry = ngtcp2_conn_get_expiry(s->clients[i].conn);
        next = expiry < next ? expiry : next;
    }
    for (size_t i = 0; i < s->flying_count; i++)
        next = s->flying[i]->at < next ? s->flying[i]->at : next;
    return next;
}

/* Until the clock says so, or `done` does; then true. */
static inline bool stage_run_until(struct stage *s, nanoseconds duration,
                                   bool (*done)(struct stage *))
{
    nanoseconds end = s->now + duration;
    for (;;) {
        for (size_t i = 0; i < s->client_count; i++)
            stage_run_client(s, i);
        while (s->endpoint && http3_endpoint_run(s->endpoint)) {
        }
        if (done && done(s))
            return true;
        if (stage_deliver(s))
            continue;
        nanoseconds next = stage_next(s);
        if (next >= end) {
            stage_set_now(s, end);
            return false;
        }
        stage_set_now(s, next > s->now ? next : s->now + 1);
    }
}

static inline void stage_run(struct stage *s, nanoseconds duration)
{
    stage_run_until(s, duration, NULL);
}

/* ---- life ---- */

static inline struct tls_context *stage_tls(const char *file)
{
    struct tls_context *tls = NULL;
    struct failure why = {0};
    char key[64];
    snprintf(key, sizeof(key), "%s-key.pem", file);
    char certificate[64];
    snprintf(certificate, sizeof(certificate), "%s.pem", file);
    struct tls_certificate_files files = {.certificate = pki_path(certificate),
                                          .key = pki_path(key)};
    struct tls_context_options options = {.certificates = &files, .certificate_count = 1};
    if (tls_context_new(&tls, &options, NULL, &why) != ROUTED_OK)
        fail_msg("%s", why.text);
    return tls;
}

/* Where many stages shall not load it anew; NULL: each does. */
static struct tls_context *stage_shared_tls;

/* A stage without an endpoint yet: options may be changed. */
static inline struct stage *stage_new(void)
{
    struct stage *s = calloc(1, sizeof(*s));
    static const uint8_t secret[32] = "the secret of all workers, 32 B";
    stage_set_now(s, 1000 * STAGE_SECOND);
    s->random = 88172645463325252u;
    s->socket_room = SIZE_MAX;
    s->tls = stage_shared_tls;
    if (s->tls)
        tls_context_retain(s->tls);
    else
        s->tls = stage_tls("server");
    s->options = (struct http3_endpoint_options){
        .session = HTTP3_SESSION_OPTIONS_DEFAULT,
        .tls = s->tls,
        .host = {.send = stage_take_batch,
                 .forward = stage_forward,
                 .on_handshake = stage_on_handshake,
                 .on_handshake_over = stage_on_handshake_over,
                 .on_handshake_failed = stage_on_handshake_failed,
                 .on_connection = stage_on_connection,
                 .on_turn = stage_on_turn,
                 .on_closed = stage_on_closed,
                 .host = s},
        .now = &s->now,
        .spent = &s->spent,
        .worker = 1,
        .workers = 4,
        .connections_max = 1000,
        .handshakes_max = 200,
        .retry_from = 100,
        .handshake_time = 10000,
        .idle_time = 30000,
    };
    s->options.session.now = &s->now_milliseconds;
    memcpy(s->options.secret, secret, sizeof(secret));
    return s;
}

static inline void stage_open(struct stage *s)
{
    assert_int_equal(http3_endpoint_new(&s->endpoint, &s->options), ROUTED_OK);
}

/* A stage on which nothing is special. */
static inline struct stage *stage_start(void)
{
    struct stage *s = stage_new();
    stage_open(s);
    return s;
}

static inline void stage_close(struct stage *s)
{
    for (size_t i = 0; i < s->client_count; i++)
        client_close(&s->clients[i]);
    if (s->endpoint)
        http3_endpoint_free(s->endpoint, ROUTED_ERROR_STOPPING);
    assert_int_equal(s->opened, s->closed);
    assert_int_equal(s->shaking, 0);
    for (size_t i = 0; i < s->flying_count; i++) {
        free(s->flying[i]->bytes);
        free(s->flying[i]);
    }
    tls_context_release(s->tls);
    free(s);
}

static inline struct client *stage_client(struct stage *s, const struct client_wish *wish)
{
    static const struct client_wish plain = {0};
    assert_true(s->client_count < STAGE_CLIENTS);
    struct client *c = &s->clients[s->client_count];
    struct http3_address local = stage_address(2, (uint16_t)(10000 + s->client_count));
    struct http3_address remote = stage_address(1, STAGE_PORT);
    ngtcp2_path_storage path;
    ngtcp2_path_storage_init(&path, (const ngtcp2_sockaddr *)(void *)local.storage, local.size,
                             (const ngtcp2_sockaddr *)(void *)remote.storage, remote.size, NULL);
    client_open(c, wish ? wish : &plain, &path.path, s->now);
    s->client_count++;
    return c;
}

static inline uint64_t stage_count(const struct stage *s, enum http3_endpoint_count which)
{
    return http3_endpoint_count(s->endpoint, which);
}

/* A client whose handshake must succeed. */
static inline struct client *stage_connect(struct stage *s, const struct client_wish *wish)
{
    struct client *c = stage_client(s, wish);
    stage_run(s, STAGE_SECOND);
    if (!c->is_done || c->result)
        fail_msg("client: %s", ngtcp2_strerror(c->result));
    return c;
}

static inline bool stage_first_answered(struct stage *s)
{
    struct client *c = &s->clients[0];
    for (size_t i = 0; i < c->stream_count; i++)
        if (ngtcp2_is_bidi_stream(c->streams[i].id) && !c->streams[i].is_closed)
            return false;
    return true;
}

static inline void stage_expect_content(struct client *c, int64_t id, uint64_t size)
{
    struct client_bytes content = client_content(c, id);
    struct span bytes = span_of(content.data, content.size);
    assert_true(client_stream(c, id)->came_to_end);
    assert_int_equal(bytes.size, size);
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] != stage_byte(i))
            fail_msg("byte %zu of %zu is wrong", i, bytes.size);
    free(content.data);
}

/* The server has closed the connection and said why. */
static inline void stage_expect_code(const struct client *c, uint64_t code)
{
    const ngtcp2_ccerr *why = ngtcp2_conn_get_ccerr(c->conn);
    if (c->result != NGTCP2_ERR_DRAINING || why->error_code != code)
        fail_msg("%s, code %" PRIx64 " instead of %" PRIx64, ngtcp2_strerror(c->result),
                 why->error_code, code);
}

/* A GET whose answer must come whole within a minute. */
static inline void stage_get(struct stage *s, struct client *c, uint64_t size)
{
    char path[32];
    snprintf(path, sizeof(path), "/%" PRIu64, size);
    int64_t id = client_get(c, path);
    nanoseconds end = s->now + 60 * STAGE_SECOND;
    while (!client_stream(c, id)->is_closed && s->now < end && c->result == 0)
        stage_run(s, STAGE_TRANSIT);
    stage_expect_content(c, id, size);
}

static inline int stage_set_up(void **state)
{
    pki_open_folder(state);
    pki_server("server", GNUTLS_PK_ECDSA, "localhost", "*.example.org");
    return 0;
}

#endif

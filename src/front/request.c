#include "front/request.h"

#include "base/error.h"
#include "base/memory.h"
#include "front/client.h"

#define REQUEST_ID_MAX    64
#define REQUEST_ID_SIZE   32
#define ENHANCE_YOUR_CALM 0xb /* RFC 9113 section 7 */

/* ---- identity ---- */

static bool request_id_is_valid(struct span id)
{
    if (id.size == 0 || id.size > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];
        bool is_word = (c >= '0' && c <= '9') || (span_lower(c) >= 'a' && span_lower(c) <= 'z');
        if (!is_word && c != '-' && c != '_' && c != '.' && c != ':')
            return false;
    }
    return true;
}

/* Eight hexadecimal digits at once, each in a byte of its own; their order does not matter. */
static uint64_t hexadecimal(uint32_t bits)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t digits = bits;
    digits = (digits | digits << 16) & 0x0000ffff0000ffff;
    digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
    digits = (digits | digits << 4) & 15 * ones;
    uint64_t letters = (digits + 6 * ones) >> 4 & ones;
    return digits + '0' * ones + letters * ('a' - '0' - 10);
}

static struct span new_request_id(struct front_worker *w, struct arena *a)
{
    uint8_t *text = arena_new(a, REQUEST_ID_SIZE);
    if (!text)
        return SPAN_EMPTY;
    uint64_t high = random_next(&w->random), low = random_next(&w->random);
    const uint64_t digits[] = {hexadecimal((uint32_t)(high >> 32)), hexadecimal((uint32_t)high),
                               hexadecimal((uint32_t)(low >> 32)), hexadecimal((uint32_t)low)};
    _Static_assert(sizeof(digits) == REQUEST_ID_SIZE, "two random numbers");
    memcpy(text, digits, sizeof(digits));
    return span_of(text, REQUEST_ID_SIZE);
}

/* A client that moves takes its new address to its next requests only. */
static struct span peer_text(struct front_client *c, struct exchange *x)
{
    struct span text = span_of(c->peer_text, c->peer_text_size);
    return c->may_move ? arena_copy(&x->arena, text) : text;
}

static void identify(struct front_client *c, struct exchange *x)
{
    const struct field *given = field_list_find(&x->request.fields, FIELD_X_REQUEST_ID);
    x->peer.address = peer_text(c, x);
    x->peer.port = c->peer_port;
    x->tls = c->tls;
    x->request_id = given && request_id_is_valid(given->value)
                        ? given->value
                        : new_request_id(c->worker, &x->arena);
}

/* ---- admission ---- */

#define MEMORY_SOFT_PERCENT 85

static bool is_short_of_memory(const struct front_shared *shared)
{
    return shared->limits.memory != ROUTED_NO_LIMIT &&
           memory_held() > shared->limits.memory / 100 * MEMORY_SOFT_PERCENT;
}

/* A connection ends after the answer to this request when it has had its share. */
static void end_old_connection(struct front_client *c)
{
    const routed_limits *limits = &c->worker->shared->limits;
    size_t limit;
    if (c->session->requests >= limits->requests_per_connection)
        limit = offsetof(routed_limits, requests_per_connection);
    else if (loop_now(c->worker->loop) >= clock_after(c->opened_at, limits->connection_lifetime))
        limit = offsetof(routed_limits, connection_lifetime);
    else
        return;
    front_metrics_hit(&c->worker->metrics, limit);
    c->session->ops->shut(c->session);
}

static enum front_metric metric_of(enum http_protocol protocol)
{
    return protocol == HTTP_3   ? FRONT_REQUESTS_HTTP3
           : protocol == HTTP_2 ? FRONT_REQUESTS_HTTP2
                                : FRONT_REQUESTS_HTTP1;
}

void front_request_begin(void *host, struct exchange *x)
{
    struct front_client *c = host;
    struct front_worker *w = c->worker;
    const struct face *face = &w->shared->face;
    metric_add(&w->metrics, FRONT_REQUESTS, 1);
    metric_add(&w->metrics, metric_of(x->request.protocol), 1);
    metric_add(&w->metrics, FRONT_EXCHANGES_OPEN, 1);
    if (w->shared->access_log.path) {
        x->clock = loop_clock;
        x->opened_at = loop_clock();
    }
    identify(c, x);
    end_old_connection(c);
    if (is_short_of_memory(w->shared)) {
        front_metrics_hit(&w->metrics, offsetof(routed_limits, memory));
        exchange_fail(x, ROUTED_ERROR_OVERLOADED);
        return;
    }
    if (c->kind->covers && !c->kind->covers(c, x->request.authority)) {
        exchange_fail(x, ROUTED_ERROR_MISDIRECTED);
        return;
    }
    exchange_open(x, face->application, w->context);
}

/* ---- the end ---- */

/* What HTTP/2 and HTTP/3 end a connection for because there was too much of it: the session reports
 * it once, and all of its exchanges end with it. */
static bool is_of_connection(const struct exchange *x, int error)
{
    const struct error_entry *entry = error_entry(error);
    return x->request.protocol >= HTTP_2 && entry->reach == ERROR_REACH_CONNECTION &&
           entry->http2 == ENHANCE_YOUR_CALM;
}

/* Budgets of HTTP/2 and HTTP/3 share their errors, not their limits. */
static void count_limit(struct front_worker *w, const struct exchange *x, int error)
{
    static const struct {
        int error;
        size_t limit;
    } pairs[] = {
        {ROUTED_ERROR_HTTP2_FIELDS, offsetof(routed_limits, http3_fields_count)},
        {ROUTED_ERROR_HTTP2_RESETS, offsetof(routed_limits, http3_resets)},
        {ROUTED_ERROR_HTTP2_GLITCHES, offsetof(routed_limits, http3_glitches)},
        {ROUTED_ERROR_HTTP2_SMALL_FRAMES, offsetof(routed_limits, http3_small_frames)},
    };
    for (size_t i = 0; x->request.protocol == HTTP_3 && i < sizeof(pairs) / sizeof(*pairs); i++) {
        if (pairs[i].error == error) {
            front_metrics_hit(&w->metrics, pairs[i].limit);
            return;
        }
    }
    if (error == ROUTED_ERROR_BUDGET && is_of_connection(x, error))
        metric_add(&w->metrics, FRONT_CONNECTIONS_OVER_BUDGET, 1);
    else
        front_metrics_error(&w->metrics, error);
}

static void count_end(struct front_worker *w, const struct exchange *x, int error)
{
    metric_subtract(&w->metrics, FRONT_EXCHANGES_OPEN, 1);
    if (error == ROUTED_ERROR_CLIENT_GONE)
        metric_add(&w->metrics, FRONT_EXCHANGES_CANCELLED, 1);
    else if (error)
        metric_add(&w->metrics, FRONT_EXCHANGES_FAILED, 1);
    if (error && !is_of_connection(x, error))
        count_limit(w, x, error);
}

static uint64_t round_trip_of(const struct front_client *c)
{
    return c->kind->round_trip ? c->kind->round_trip(c) / 1000 : 0;
}

static void write_down(struct front_client *c, const struct exchange *x, int error, uint16_t status)
{
    struct front_worker *w = c->worker;
    if (status)
        front_metrics_status(&w->metrics, status);
    if (!w->shared->access_log.path)
        return;
    uint64_t now = loop_clock();
    struct access_record record = {.exchange = x,
                                   .status = status,
                                   .error = error,
                                   .wall_seconds = loop_wall_seconds(w->loop),
                                   .started = x->opened_at ? x->opened_at : now,
                                   .responded = x->responded_at,
                                   .ended = now,
                                   .round_trip = round_trip_of(c)};
    front_worker_log_request(w, &record);
}

/* As the client has it: HTTP/2 and HTTP/3 open a tunnel with 200 (RFC 8441 section 5, RFC 9220). */
static uint16_t status_sent(const struct exchange *x)
{
    bool is_extended_connect = x->is_tunnel && x->request.protocol >= HTTP_2;
    return is_extended_connect ? 200 : x->status;
}

void front_request_end(void *host, struct exchange *x, int error)
{
    struct front_client *c = host;
    count_end(c->worker, x, error);
    if (x->is_unread)
        front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, unread_content));
    write_down(c, x, error, status_sent(x));
}

/* What was refused has no peer yet: its identity was never asked for. */
void front_request_refused(void *host, const struct exchange *x, int error, uint16_t status)
{
    struct front_client *c = host;
    struct exchange told = *x;
    told.peer.address = span_of(c->peer_text, c->peer_text_size);
    told.peer.port = c->peer_port;
    metric_add(&c->worker->metrics, FRONT_REQUESTS_REFUSED, 1);
    count_limit(c->worker, x, error);
    write_down(c, &told, error, status);
}

void front_request_limited(void *host, size_t limit)
{
    struct front_client *client = host;
    front_metrics_hit(&client->worker->metrics, limit);
}

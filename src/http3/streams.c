#include "http3/state.h"

#include "base/error.h"
#include "base/memory.h"

/* ---- the table ---- */

static struct http3_stream **bucket_of(struct http3_session *s, int64_t id)
{
    return &s->buckets[((uint64_t)id >> 2) % HTTP3_BUCKETS];
}

struct http3_stream *http3_streams_find(struct http3_session *s, int64_t id)
{
    struct http3_stream *t = *bucket_of(s, id);
    while (t && t->id != id)
        t = t->next_in_bucket;
    return t;
}

static void enlist(struct http3_session *s, struct http3_stream *t)
{
    struct http3_stream **bucket = bucket_of(s, t->id);
    t->next_in_bucket = *bucket;
    *bucket = t;
}

static void strike(struct http3_session *s, struct http3_stream *t)
{
    struct http3_stream **at = bucket_of(s, t->id);
    while (*at != t)
        at = &(*at)->next_in_bucket;
    *at = t->next_in_bucket;
}

/* ---- one by one ---- */

static struct http3_stream *new_stream(struct http3_session *s)
{
    if (list_is_empty(&s->spare))
        return memory_new_zeroed(sizeof(struct http3_stream));
    struct http3_stream *t = LIST_ITEM(s->spare.next, struct http3_stream, link);
    list_remove(&t->link);
    memset(&t->link, 0, sizeof(*t) - offsetof(struct http3_stream, link));
    return t;
}

static void free_stream(struct http3_stream *t)
{
    http_head_release(&t->head);
    exchange_outlet_release(&t->outlet);
    exchange_release(&t->exchange);
    memory_free(t);
}

/* Kept for the next request. */
static void give_stream(struct http3_session *s, struct http3_stream *t)
{
    strike(s, t);
    s->stream_count--;
    list_remove(&t->link);
    list_remove(&t->due);
    http3_qpack_forget(s, t);
    exchange_inlet_release(&t->inlet);
    exchange_window_give_back(&t->window, &s->windows);
    http_head_reset(&t->head);
    exchange_outlet_reset(&t->outlet);
    http3_send_forget(s, t, t->unacknowledged);
    http3_send_resume_all(s);
    list_prepend(&s->spare, &t->link);
}

/* nghttp3 makes a stream of its own when the first bytes come, or a PRIORITY_UPDATE before them. */
static int open_in_machine(struct http3_session *s, struct http3_stream *t)
{
    nghttp3_pri priority;
    t->has_update = nghttp3_conn_get_stream_priority(s->machine, &priority, t->id) == 0;
    nghttp3_ssize result = nghttp3_conn_read_stream(s->machine, t->id, NULL, 0, 0);
    if (result < 0 || nghttp3_conn_set_stream_user_data(s->machine, t->id, t)) {
        http3_machine_failed(s, (int)result);
        return ROUTED_ERROR_MEMORY;
    }
    return ROUTED_OK;
}

/* Opening a stream opens those below it (RFC 9000 section 2.1). */
static void note_request(struct http3_session *s, int64_t id)
{
    if (id >= s->next_request)
        s->next_request = id + 4;
}

struct http3_stream *http3_streams_take(struct http3_session *s, int64_t id)
{
    struct http3_stream *t = new_stream(s);
    if (!t)
        return NULL;
    exchange_init(&t->exchange, &exchange_outlet_carrier, &t->outlet, s->loop);
    t->outlet.host = &s->outlets;
    t->exchange.request.scheme = SPAN("https");
    t->exchange.request.protocol = HTTP_3;
    t->head.all = &s->heads;
    t->id = id;
    s->live_count++;
    if (++s->stream_count > s->stream_most)
        s->stream_most = s->stream_count;
    s->waits[t->wait]++;
    list_append(&s->live, &t->link);
    enlist(s, t);
    note_request(s, id);
    open_in_machine(s, t);
    return t;
}

void http3_streams_free_spare(struct http3_session *s)
{
    while (!list_is_empty(&s->spare)) {
        struct http3_stream *t = LIST_ITEM(s->spare.next, struct http3_stream, link);
        list_remove(&t->link);
        free_stream(t);
    }
}

/* ---- what streams wait for ---- */

static enum http3_wait wait_of_stream(const struct http3_stream *t)
{
    if (t->expects == HTTP3_EXPECTS_HEAD)
        return HTTP3_WAIT_HEAD;
    if (t->exchange.is_tunnel)
        return t->outlet.body.size ? HTTP3_WAIT_WINDOW : HTTP3_WAIT_TUNNEL;
    if (t->is_exchange && !t->inlet.has_ended && exchange_inlet_is_waiting(&t->inlet, &t->exchange))
        return HTTP3_WAIT_BODY;
    return t->outlet.body.size ? HTTP3_WAIT_WINDOW : HTTP3_WAIT_ANSWER;
}

static void note_wait(struct http3_session *s, struct http3_stream *t)
{
    s->waits[t->wait]--;
    t->wait = wait_of_stream(t);
    s->waits[t->wait]++;
    if (t->wait != HTTP3_WAIT_BODY)
        exchange_arrival_stop(&t->arrival);
}

/* ---- the end of streams ---- */

/* on_close and the host's note. The stream goes once the transport has forgotten it. */
static void finish(struct http3_session *s, struct http3_stream *t, int error)
{
    error = t->error ? t->error : error;
    t->is_over = true;
    s->live_count--;
    s->waits[t->wait]--;
    list_remove(&t->link);
    list_append(&s->finishing, &t->link);
    if (t->is_exchange) {
        session_end(&s->session, &t->exchange, error);
    } else if (!t->is_refused) {
        t->is_refused = true;
        session_refuse(&s->session, &t->exchange, error, 0);
    }
}

void http3_streams_finish_live(struct http3_session *s, int error)
{
    while (!list_is_empty(&s->live))
        finish(s, LIST_ITEM(s->live.next, struct http3_stream, link), error);
}

void http3_streams_drop_finishing(struct http3_session *s)
{
    while (!list_is_empty(&s->finishing))
        give_stream(s, LIST_ITEM(s->finishing.next, struct http3_stream, link));
}

/* One stream more may be opened. */
static void count_closed(struct http3_session *s)
{
    s->streams_closed++;
    if (!s->is_broken)
        nghttp3_conn_set_max_client_streams_bidi(s->machine, http3_session_streams_allowed(s));
}

void http3_streams_forget(struct http3_session *s, int64_t id)
{
    note_request(s, id);
    count_closed(s);
}

/* ---- settling ---- */

static void settle_stream(struct http3_session *s, struct http3_stream *t)
{
    if (!t->is_over) {
        if (t->error && t->is_exchange)
            exchange_close(&t->exchange, t->error);
        http3_receive_deliver_held(s, t);
        exchange_outlet_give_credit(&t->outlet, &t->exchange);
        note_wait(s, t);
        if (t->is_reset || (t->response_sent && t->outlet.is_done))
            finish(s, t, ROUTED_OK);
        else if (t->is_gone && !t->response_sent)
            finish(s, t, ROUTED_ERROR_CLIENT_GONE);
    }
    if (t->is_over && t->is_gone) {
        give_stream(s, t);
        count_closed(s);
    }
}

void http3_streams_settle(struct http3_session *s)
{
    while (!list_is_empty(&s->due)) {
        struct http3_stream *t = LIST_ITEM(s->due.next, struct http3_stream, due);
        list_remove(&t->due);
        settle_stream(s, t);
    }
}

/* ---- slow readers ---- */

void http3_streams_watch(const struct http3_session *s, struct http3_stream *t)
{
    t->waits_since = *s->options->now;
    t->acknowledged_before = t->acknowledged;
    t->acknowledged_elsewhere = s->acknowledged;
}

/* Progress is what the client acknowledges: of the stream where its own window is full, else of
 * all, for then it may be the others' turn. */
static bool is_too_slow(const struct http3_session *s, const struct http3_stream *t,
                        milliseconds elapsed)
{
    uint64_t progress = t->is_window_full ? t->acknowledged - t->acknowledged_before
                                          : s->acknowledged - t->acknowledged_elsewhere;
    return progress * 1000 < elapsed * s->options->limits.send_rate;
}

/* From one look to the next, so that a fast start buys nothing. */
void http3_streams_cut_slow(struct http3_session *s)
{
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next) {
        struct http3_stream *t = LIST_ITEM(l, struct http3_stream, link);
        milliseconds elapsed = *s->options->now - t->waits_since;
        if (!t->outlet.body.size || t->is_gone || t->is_reset ||
            elapsed < s->options->limits.send_grace)
            continue;
        if (is_too_slow(s, t, elapsed)) {
            session_hit(&s->session, offsetof(routed_limits, rate));
            t->error = ROUTED_ERROR_TOO_SLOW;
            http3_answer_reset(s, t, NGHTTP3_H3_REQUEST_CANCELLED);
        } else {
            http3_streams_watch(s, t);
        }
    }
}

/* ---- what is waited for ---- */

enum session_wait http3_streams_wait(const struct http3_session *s)
{
    if (s->waits[HTTP3_WAIT_HEAD] == s->live_count)
        return SESSION_HEAD;
    if (s->waits[HTTP3_WAIT_BODY])
        return SESSION_BODY;
    if (s->waits[HTTP3_WAIT_WINDOW])
        return SESSION_WINDOW;
    return s->waits[HTTP3_WAIT_TUNNEL] == s->live_count ? SESSION_TUNNEL : SESSION_ANSWER;
}

bool http3_streams_fail_waiting(struct http3_session *s, int error)
{
    bool any = false;
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next) {
        struct http3_stream *t = LIST_ITEM(l, struct http3_stream, link);
        if (wait_of_stream(t) != HTTP3_WAIT_BODY)
            continue;
        exchange_outlet_fail(&t->exchange, error);
        any = true;
    }
    return any;
}

#include "http3/state.h"

#include "base/error.h"

/* The table that the client keeps with us (RFC 9204). nghttp3 decodes; who waits for what, and how
 * much of it there may be, is decided here. The decoder that nghttp3 has for the connection itself
 * sees nothing of all this. */

int http3_qpack_open(struct http3_session *s)
{
    const struct http3_limits *limits = &s->options->limits;
    list_init(&s->waiting);
    if (nghttp3_qpack_decoder_new(&s->decoder, limits->table_max, limits->blocked_max,
                                  &s->allocator))
        return ROUTED_ERROR_MEMORY;
    nghttp3_qpack_decoder_set_max_concurrent_streams(s->decoder, limits->streams_max);
    return ROUTED_OK;
}

void http3_qpack_close(struct http3_session *s)
{
    nghttp3_qpack_decoder_del(s->decoder);
    s->decoder = NULL;
}

static void count(const struct http3_session *s, enum http3_session_count which, uint64_t times)
{
    if (s->options->counts)
        s->options->counts[which] += times;
}

/* ---- streams that wait ---- */

void http3_qpack_wait(struct http3_session *s, struct http3_stream *t)
{
    count(s, HTTP3_SECTIONS_BLOCKED, 1);
    if (s->waiting_count == s->options->limits.blocked_max) { /* RFC 9204 section 2.1.2 */
        count(s, HTTP3_SECTIONS_OVER, 1);
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_QPACK_DECOMPRESSION_FAILED);
        return;
    }
    list_append(&s->waiting, &t->waiting);
    s->waiting_count++;
}

void http3_qpack_hold(struct http3_session *s, struct http3_stream *t, struct span bytes)
{
    size_t before = t->held.capacity;
    int error = buffer_append_span(&t->held, bytes);
    s->held_memory += t->held.capacity - before;
    if (error)
        http3_session_break(s, error, NGHTTP3_H3_INTERNAL_ERROR);
    else if (http3_charge_is_over_memory(s))
        http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
}

/* It waits no more; what was held for it. */
static struct buffer stop_waiting(struct http3_session *s, struct http3_stream *t)
{
    struct buffer held = t->held;
    if (!http3_state_is_waiting(t))
        return BUFFER_EMPTY;
    list_remove(&t->waiting);
    s->waiting_count--;
    s->held_memory -= held.capacity;
    t->held = BUFFER_EMPTY;
    return held;
}

static struct http3_stream *find_ready(const struct http3_session *s)
{
    uint64_t inserts = nghttp3_qpack_decoder_get_icnt(s->decoder);
    for (struct list_link *l = s->waiting.next; l != &s->waiting; l = l->next) {
        struct http3_stream *t = LIST_ITEM(l, struct http3_stream, waiting);
        if (nghttp3_qpack_stream_context_get_ricnt(t->section) <= inserts)
            return t;
    }
    return NULL;
}

static void resume_ready(struct http3_session *s)
{
    struct http3_stream *t;
    while (!s->failure && (t = find_ready(s)) != NULL) {
        struct buffer held = stop_waiting(s, t);
        http3_receive_resume(s, t, buffer_span(&held));
        buffer_release(&held);
    }
}

/* ---- the client's encoder stream ---- */

/* A request pays for as many inserts as it may have fields; the others are glitches. */
static void charge_inserts(struct http3_session *s, uint64_t inserts)
{
    uint64_t paid = (s->session.requests + 1) * s->options->limits.head.fields_count_max;
    count(s, HTTP3_TABLE_INSERTS, inserts);
    for (; inserts && !s->failure; inserts--) {
        if (s->inserts_charged < paid)
            s->inserts_charged++;
        else
            http3_charge_glitch(s);
    }
}

void http3_qpack_receive(struct http3_session *s, struct span bytes)
{
    uint64_t before = nghttp3_qpack_decoder_get_icnt(s->decoder);
    if (s->failure || !bytes.size)
        return;
    nghttp3_ssize result = nghttp3_qpack_decoder_read_encoder(s->decoder, bytes.data, bytes.size);
    if (result < 0) {
        count(s, HTTP3_TABLE_ERRORS, 1);
        if (result == NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE)
            result = NGHTTP3_ERR_QPACK_ENCODER_STREAM_ERROR;
        http3_machine_failed(s, (int)result);
        return;
    }
    charge_inserts(s, nghttp3_qpack_decoder_get_icnt(s->decoder) - before);
    if (http3_charge_is_over_memory(s))
        http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
    resume_ready(s);
}

/* ---- field sections ---- */

nghttp3_qpack_stream_context *http3_qpack_begin_section(struct http3_session *s, int64_t id)
{
    nghttp3_qpack_stream_context *section;
    if (nghttp3_qpack_stream_context_new(&section, id, &s->allocator))
        return NULL;
    return section;
}

void http3_qpack_cancel(struct http3_session *s, int64_t id)
{
    if (s->options->limits.table_max == 0 || s->is_broken)
        return;
    int result = nghttp3_qpack_decoder_cancel_stream(s->decoder, id);
    if (result == NGHTTP3_ERR_NOMEM)
        http3_machine_failed(s, result);
    else if (result) /* the client takes no instructions */
        http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
}

void http3_qpack_abandon(struct http3_session *s, struct http3_stream *t)
{
    if (t->is_abandoned || t->is_read)
        return;
    t->is_abandoned = true;
    http3_qpack_forget(s, t);
    http3_qpack_cancel(s, t->id);
}

void http3_qpack_forget(struct http3_session *s, struct http3_stream *t)
{
    struct buffer held = stop_waiting(s, t);
    buffer_release(&held);
    nghttp3_qpack_stream_context_del(t->section);
    t->section = NULL;
}

#include "http3/state.h"

#include "base/memory.h"
#include <routed/error.h>

#define VECTORS_MAX 16 /* spans of one call */
/* Content that nghttp3 gets at once: what it has counts as sent, and it asks for more before it has
 * sent all. */
#define GIVEN_MAX 32768

/* ---- fields ---- */

bool http3_send_reserve_lines(struct http3_session *s, size_t count)
{
    if (count <= s->lines_capacity)
        return true;
    nghttp3_nv *grown = memory_resize(s->lines, count * sizeof(nghttp3_nv));
    if (!grown)
        return false;
    s->lines = grown;
    s->lines_capacity = count;
    return true;
}

static void count_indexed(const struct http3_session *s, const struct http3_repertoire *r,
                          unsigned before, bool was_full)
{
    if (!s->options->counts)
        return;
    s->options->counts[HTTP3_ANSWER_INSERTS] += r->count - before;
    s->options->counts[HTTP3_ANSWER_TABLES_FULL] += r->is_full && !was_full;
}

/* Left to itself nghttp3 puts what it likes into the client's table. */
static uint8_t indexing_of(struct http3_session *s, const struct field *line)
{
    struct http3_repertoire *r = s->repertoire;
    if (!s->options->limits.answer_table_max || (s->was_greeted && !r))
        return NGHTTP3_NV_FLAG_NONE;
    if (!r)
        return NGHTTP3_NV_FLAG_NEVER_INDEX;
    unsigned before = r->count;
    bool was_full = r->is_full;
    bool is_in = http3_repertoire_has(r, line);
    count_indexed(s, r, before, was_full);
    return is_in ? NGHTTP3_NV_FLAG_TRY_INDEX : NGHTTP3_NV_FLAG_NEVER_INDEX;
}

/* nghttp3 copies names, in lower case, and values. */
size_t http3_send_put_fields(struct http3_session *s, const struct http3_stream *t, size_t count,
                             const struct field_list *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->items[i];
        if (!exchange_outlet_leaves_out(&t->exchange, f))
            s->lines[count++] = (nghttp3_nv){.name = f->text.data,
                                             .value = f->value.data,
                                             .namelen = f->text.size,
                                             .valuelen = f->value.size,
                                             .flags = indexing_of(s, f)};
    }
    return count;
}

/* ---- content, as nghttp3 asks for it ---- */

void http3_send_resume(struct http3_session *s, struct http3_stream *t)
{
    if (!t->is_deferred || t->is_gone || s->is_broken)
        return;
    t->is_deferred = false;
    if (nghttp3_conn_resume_stream(s->machine, t->id))
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
}

static int submit_trailers(struct http3_session *s, const struct http3_stream *t)
{
    if (!http3_send_reserve_lines(s, t->outlet.trailers.count))
        return ROUTED_ERROR_MEMORY;
    size_t count = http3_send_put_fields(s, t, 0, &t->outlet.trailers);
    return nghttp3_conn_submit_trailers(s->machine, t->id, s->lines, count) ? ROUTED_ERROR_MEMORY
                                                                            : ROUTED_OK;
}

static bool has_given_all(const struct http3_stream *t)
{
    return t->given_whole == t->outlet.body.count;
}

/* The next part of a slice, of at most `max` bytes. */
static nghttp3_vec give_part(struct http3_stream *t, size_t max)
{
    const struct exchange_queue *body = &t->outlet.body;
    const struct slice *slice = &body->slices[body->first + t->given_whole];
    size_t size = slice->size - t->given_part;
    nghttp3_vec part = {.base = (uint8_t *)slice->data + t->given_part,
                        .len = size < max ? size : max};
    t->given_part += part.len;
    if (t->given_part == slice->size) {
        t->given_whole++;
        t->given_part = 0;
    }
    return part;
}

/* What is handed out stays in the queue until it is acknowledged. The application may put as much
 * behind it: there is no need for it to wait for a round trip. */
static size_t give_content(struct http3_session *s, struct http3_stream *t, nghttp3_vec *out,
                           size_t max)
{
    size_t count = 0, size = 0, room = s->options->limits.unacknowledged_max - s->unacknowledged;
    size_t most = room < GIVEN_MAX ? room : GIVEN_MAX;
    for (; count < max && size < most && !has_given_all(t); count++) {
        out[count] = give_part(t, most - size);
        size += out[count].len;
    }
    t->unacknowledged += size;
    s->unacknowledged += size;
    t->outlet.uncredited += size;
    if (size)
        http3_state_is_due(s, t);
    return count;
}

/* The first `size` bytes of the queue are not needed any more. */
static void drop_content(struct http3_stream *t, size_t size)
{
    while (size) {
        size_t before = t->outlet.body.count;
        struct slice slice = exchange_queue_take(&t->outlet.body, size);
        size -= slice.size;
        if (t->outlet.body.count == before && t->given_whole == 0)
            t->given_part -= slice.size;
        t->given_whole -= before - t->outlet.body.count;
        slice_release(&slice);
    }
}

/* ---- what is sent and not acknowledged ---- */

static bool is_full(const struct http3_session *s)
{
    return s->unacknowledged >= s->options->limits.unacknowledged_max;
}

void http3_send_forget(struct http3_session *s, struct http3_stream *t, size_t size)
{
    t->unacknowledged -= size;
    s->unacknowledged -= size;
}

/* Not before there is room for some: to ask streams again and again takes time. */
void http3_send_resume_all(struct http3_session *s)
{
    size_t max = s->options->limits.unacknowledged_max;
    if (!s->is_full || s->unacknowledged > max - max / 8)
        return;
    s->is_full = false;
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next)
        http3_send_resume(s, LIST_ITEM(l, struct http3_stream, link));
}

nghttp3_ssize http3_send_on_read(nghttp3_conn *machine, int64_t id, nghttp3_vec *out, size_t max,
                                 uint32_t *flags, void *user, void *stream)
{
    struct http3_session *s = user;
    struct http3_stream *t = stream;
    (void)machine;
    (void)id;
    if (is_full(s) && !has_given_all(t)) {
        if (!s->is_full)
            session_hit(&s->session, offsetof(routed_limits, http3_unacknowledged));
        s->is_full = t->is_deferred = s->was_deferred = true;
        return NGHTTP3_ERR_WOULDBLOCK;
    }
    size_t count = give_content(s, t, out, max);
    bool is_all = has_given_all(t) && t->outlet.is_done;
    if (count == 0 && !is_all) {
        t->is_deferred = s->was_deferred = true;
        return NGHTTP3_ERR_WOULDBLOCK;
    }
    if (is_all) {
        *flags |= NGHTTP3_DATA_FLAG_EOF;
        if (t->outlet.trailers.count) {
            *flags |= NGHTTP3_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(s, t))
                return NGHTTP3_ERR_CALLBACK_FAILURE;
        }
    }
    return (nghttp3_ssize)count;
}

int http3_send_on_acknowledged(nghttp3_conn *machine, int64_t id, uint64_t size, void *user,
                               void *stream)
{
    struct http3_session *s = user;
    struct http3_stream *t = stream;
    (void)machine;
    (void)id;
    t->acknowledged += size;
    s->acknowledged += size;
    drop_content(t, (size_t)size);
    http3_send_forget(s, t, (size_t)size);
    http3_state_is_due(s, t);
    return 0;
}

/* ---- bytes of streams ---- */

static size_t take_vectors(const nghttp3_vec *vectors, size_t count, struct span *out, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = span_of(vectors[i].base, vectors[i].len);
        *size += vectors[i].len;
    }
    return count;
}

/* A stream that turns out to have nothing hides those behind it. */
static nghttp3_ssize ask(struct http3_session *s, int64_t *stream, int *ends, nghttp3_vec *vectors,
                         size_t max)
{
    nghttp3_ssize count;
    do {
        s->was_deferred = false;
        count = nghttp3_conn_writev_stream(s->machine, stream, ends, vectors, max);
    } while (count == 0 && *stream < 0 && s->was_deferred);
    return count;
}

size_t http3_session_next(struct http3_session *s, int64_t *stream, struct span *out, size_t max,
                          bool *ends)
{
    nghttp3_vec vectors[VECTORS_MAX];
    nghttp3_ssize count = 0;
    int has_end = 0;
    *stream = -1;
    http3_session_enter(s);
    struct span instructions = s->is_broken ? SPAN_EMPTY : http3_instructions_next(s);
    if (instructions.size) {
        *stream = s->instructions.stream;
        vectors[0] = (nghttp3_vec){(uint8_t *)(uintptr_t)instructions.data, instructions.size};
        count = 1;
    } else if (!s->is_broken && s->is_started) {
        count = ask(s, stream, &has_end, vectors, max < VECTORS_MAX ? max : VECTORS_MAX);
        if (count < 0) {
            http3_machine_failed(s, (int)count);
            *stream = -1;
            count = 0;
        }
    }
    s->is_silent = *stream < 0;
    s->latest_stream = *stream;
    s->latest_ends = *ends = has_end;
    size_t given = take_vectors(vectors, (size_t)count, out, &s->latest_size);
    http3_session_leave(s);
    return given;
}

/* The rest of the request is not needed (RFC 9114 section 4.1). */
static void response_was_sent(struct http3_session *s, struct http3_stream *t)
{
    t->response_sent = true;
    if (!t->input_has_ended)
        http3_answer_stop(s, t, NGHTTP3_H3_NO_ERROR);
    http3_receive_give_up(s, t);
    http3_state_is_due(s, t);
}

int http3_session_sent(struct http3_session *s, int64_t stream, size_t bytes)
{
    http3_session_enter(s);
    if (!s->is_broken) {
        struct http3_stream *t = http3_streams_find(s, stream);
        int result = 0;
        if (stream != s->instructions.stream || http3_instructions_sent(s, bytes))
            result = nghttp3_conn_add_write_offset(s->machine, stream, bytes);
        if (result)
            http3_machine_failed(s, result);
        bool is_whole = stream == s->latest_stream && bytes == s->latest_size;
        if (t && is_whole && s->latest_ends && !t->is_reset)
            response_was_sent(s, t);
        if (stream == s->control_stream) {
            s->control_unacknowledged += bytes;
            s->notice_sent = s->farewell == HTTP3_FAREWELL_NOTICE;
        }
    }
    return http3_session_leave(s);
}

/* The notice was received: a client that goes by it opens no stream that would be lost. */
static void note_control_acknowledged(struct http3_session *s, size_t bytes)
{
    s->control_unacknowledged -= bytes;
    if (s->notice_sent && s->control_unacknowledged == 0)
        s->was_noticed = true;
}

int http3_session_acknowledged(struct http3_session *s, int64_t stream, size_t bytes)
{
    http3_session_enter(s);
    if (!s->is_broken) {
        if (stream == s->control_stream)
            note_control_acknowledged(s, bytes);
        int result = 0;
        if (stream == s->instructions.stream)
            bytes = http3_instructions_acknowledged(s, bytes);
        if (stream != s->instructions.stream || bytes)
            result = nghttp3_conn_add_ack_offset(s->machine, stream, bytes);
        if (result)
            http3_machine_failed(s, result);
        http3_send_resume_all(s);
    }
    return http3_session_leave(s);
}

static void set_window_full(struct http3_session *s, int64_t stream, bool is_full)
{
    struct http3_stream *t = http3_streams_find(s, stream);
    if (t)
        t->is_window_full = is_full;
    else if (stream == s->instructions.stream)
        s->instructions.is_window_full = is_full;
}

void http3_session_unblocked(struct http3_session *s, int64_t stream)
{
    set_window_full(s, stream, false);
    if (!s->is_broken && nghttp3_conn_unblock_stream(s->machine, stream))
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
}

void http3_session_blocked(struct http3_session *s, int64_t stream)
{
    set_window_full(s, stream, true);
    if (!s->is_broken)
        nghttp3_conn_block_stream(s->machine, stream);
}

void http3_session_stalled(struct http3_session *s)
{
    http3_session_enter(s);
    s->is_silent = true;
    http3_session_leave(s);
}

void http3_session_closed_for_sending(struct http3_session *s, int64_t stream)
{
    if (!s->is_broken)
        nghttp3_conn_shutdown_stream_write(s->machine, stream);
}

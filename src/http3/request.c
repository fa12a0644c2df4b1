#include "http3/state.h"

#include "base/error.h"

/* ---- field sections ---- */

/* What comes of the section is skipped. */
static void give_up_section(struct http3_session *s, struct http3_stream *t, int error)
{
    http3_qpack_abandon(s, t);
    if (!t->head.error)
        t->head.error = error;
}

static void add_line(struct http3_session *s, struct http3_stream *t, const nghttp3_qpack_nv *line)
{
    int error = http_head_add(&t->head, line->name, line->value);
    if (error)
        http3_session_break(s, error, NGHTTP3_H3_EXCESSIVE_LOAD);
}

/* Decodes up to the next line, or to the end of the bytes; how many were used, or what failed. */
static nghttp3_ssize decode_line(struct http3_session *s, struct http3_stream *t, struct span bytes,
                                 bool ends, uint8_t *flags)
{
    nghttp3_qpack_nv line;
    nghttp3_ssize used = nghttp3_qpack_decoder_read_request(s->decoder, t->section, &line, flags,
                                                            bytes.data, bytes.size, ends);
    if (used < 0 || !(*flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT))
        return used;
    add_line(s, t, &line);
    nghttp3_rcbuf_decref(line.name);
    nghttp3_rcbuf_decref(line.value);
    return used;
}

static void end_decoding(struct http3_stream *t)
{
    nghttp3_qpack_stream_context_del(t->section);
    t->section = NULL;
}

/* The section needs inserts that have not come. One that ends with its prefix needs none, and says
 * so all the same. */
static void wait_for_inserts(struct http3_session *s, struct http3_stream *t, bool is_prefix)
{
    if (is_prefix)
        http3_machine_failed(s, NGHTTP3_ERR_QPACK_DECOMPRESSION_FAILED);
    else
        http3_qpack_wait(s, t);
    t->lines = HTTP3_LINES_FIRST;
}

/* What is left of the bytes is for later. */
static struct span decode(struct http3_session *s, struct http3_stream *t, struct span bytes,
                          bool ends)
{
    uint8_t flags = NGHTTP3_QPACK_DECODE_FLAG_EMIT;
    while (!s->failure && (flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT)) {
        nghttp3_ssize used = decode_line(s, t, bytes, ends, &flags);
        if (used < 0) {
            http3_machine_failed(s, (int)used);
            return SPAN_EMPTY;
        }
        bytes = span_after(bytes, (size_t)used);
    }
    if (flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED)
        wait_for_inserts(s, t, ends && !bytes.size);
    else if (flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL)
        end_decoding(t);
    else if (http3_charge_is_over_memory(s))
        give_up_section(s, t, ROUTED_ERROR_FIELDS_TOO_LARGE);
    return bytes;
}

struct span http3_request_add_section(struct http3_session *s, struct http3_stream *t,
                                      struct span bytes)
{
    if (t->section && !http3_lines_fit(&t->lines, bytes))
        give_up_section(s, t, ROUTED_ERROR_FIELD_TOO_LARGE);
    return t->section ? decode(s, t, bytes, t->frames.left == 0) : SPAN_EMPTY;
}

/* ---- refusals ---- */

/* A malformed request gets no answer but RESET_STREAM (RFC 9114 section 4.1.2). */
static void refuse(struct http3_session *s, struct http3_stream *t, int error)
{
    uint16_t status = error_status(error);
    t->is_refused = true;
    t->error = error;
    http3_receive_give_up(s, t);
    http3_charge_reset(s, t);
    if (status == 400 || status == 0) {
        http3_answer_reset(s, t, NGHTTP3_H3_MESSAGE_ERROR);
        status = 0;
    } else {
        exchange_outlet_fail(&t->exchange, error);
    }
    session_refuse(&s->session, &t->exchange, error, status);
}

void http3_request_is_malformed(struct http3_session *s, struct http3_stream *t, uint64_t code)
{
    if (!t->error)
        t->error =
            code == NGHTTP3_H3_REQUEST_INCOMPLETE ? ROUTED_ERROR_TRUNCATED : ROUTED_ERROR_FRAMING;
    http3_answer_reset(s, t, code);
}

/* ---- priority ---- */

void http3_request_set_priority(struct http3_session *s, int64_t id, nghttp3_pri priority)
{
    if (nghttp3_conn_set_server_stream_priority(s->machine, id, &priority) == NGHTTP3_ERR_NOMEM)
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
}

/* A frame that came before counts more than the field (RFC 9218 section 7); a field that cannot be
 * read counts as none. Who says nothing gets no stream that waits for another to end. */
static void set_first_priority(struct http3_session *s, struct http3_stream *t)
{
    nghttp3_pri priority = {.urgency = NGHTTP3_DEFAULT_URGENCY, .inc = !t->head.has_priority};
    const struct field_list *fields = &t->exchange.request.fields;
    if (t->has_update)
        return;
    for (size_t i = 0; t->head.has_priority && i < fields->count; i++) {
        const struct field *f = &fields->items[i];
        if (f->name == FIELD_OTHER && span_equals(f->text, SPAN("priority")))
            nghttp3_pri_parse_priority(&priority, f->value.data, f->value.size);
    }
    http3_request_set_priority(s, t->id, priority);
}

/* ---- requests ---- */

/* RFC 8470: what may be a replay must do no harm; a tunnel's GET is none. */
static int check_early(struct http3_session *s, struct http3_stream *t)
{
    struct http_request *request = &t->exchange.request;
    const struct field mark = {SPAN("early-data"), SPAN("1"), FIELD_OTHER};
    if (!s->is_early)
        return ROUTED_OK;
    if (!http_method_is_safe(request->method) || request->upgrade != HTTP_UPGRADE_NONE)
        return ROUTED_ERROR_TOO_EARLY;
    if (field_list_find_text(&request->fields, mark.text))
        return ROUTED_OK;
    return field_list_append(&request->fields, &t->exchange.arena, mark);
}

static void begin_exchange(struct http3_session *s, struct http3_stream *t)
{
    struct exchange *x = &t->exchange;
    t->is_exchange = true;
    set_first_priority(s, t);
    session_begin(&s->session, x, s->options->response_window);
    if (x->request.upgrade != HTTP_UPGRADE_NONE && !x->is_tunnel)
        exchange_deliver_end(x, NULL);
}

static void receive_head(struct http3_session *s, struct http3_stream *t, bool ends)
{
    struct exchange *x = &t->exchange;
    int error = http_head_read(&t->head, &x->request, &x->arena, ends);
    t->expects = HTTP3_EXPECTS_CONTENT;
    if (!error && http3_charge_is_over_memory(s)) {
        http_cookies_release(&s->heads.cookies);
        error = ROUTED_ERROR_FIELDS_TOO_LARGE;
    }
    if (!error)
        error = check_early(s, t);
    if (error)
        refuse(s, t, error);
    else
        begin_exchange(s, t);
}

static void receive_trailers(struct http3_session *s, struct http3_stream *t)
{
    int error = t->head.error;
    t->expects = HTTP3_EXPECTS_END;
    if (!error && http3_charge_is_over_memory(s))
        error = ROUTED_ERROR_FIELDS_TOO_LARGE;
    if (error && !t->inlet.is_done) {
        exchange_outlet_fail(&t->exchange, error);
        http3_charge_reset(s, t);
    }
}

static void end_section(struct http3_session *s, struct http3_stream *t, bool ends)
{
    if (t->expects == HTTP3_EXPECTS_HEAD)
        receive_head(s, t, ends);
    else
        receive_trailers(s, t);
}

/* Longer than it may become: then it is not looked at, nor is what follows. A client that writes a
 * section longer than what it stands for does not exist. */
static void refuse_section(struct http3_session *s, struct http3_stream *t)
{
    if (!t->head.error)
        t->head.error = ROUTED_ERROR_FIELDS_TOO_LARGE;
    t->is_ignored = true;
    http3_qpack_abandon(s, t);
    end_section(s, t, false);
}

void http3_request_begin_section(struct http3_session *s, struct http3_stream *t)
{
    if (t->frames.left > s->options->limits.head.fields_bytes_max) {
        refuse_section(s, t);
        return;
    }
    if (t->is_abandoned)
        return;
    t->lines = (struct http3_lines){0};
    t->section = http3_qpack_begin_section(s, t->id);
    if (!t->section)
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
}

void http3_request_end_section(struct http3_session *s, struct http3_stream *t, bool ends)
{
    if (t->section) /* it ended inside a line, or was empty */
        decode(s, t, SPAN_EMPTY, true);
    if (!s->failure)
        end_section(s, t, ends);
}

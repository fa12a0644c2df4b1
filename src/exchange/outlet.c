#include "exchange/outlet.h"

#include "base/decimal.h"
#include "exchange/fallback.h"

#define ADDED_MAX 4 /* :status, date, alt-svc, content-length */

void exchange_outlet_release(struct exchange_outlet *o)
{
    exchange_queue_release(&o->body);
}

void exchange_outlet_reset(struct exchange_outlet *o)
{
    exchange_queue_reset(&o->body);
    *o = (struct exchange_outlet){.host = o->host, .body = o->body};
}

static struct exchange_outlet *outlet_of(const struct exchange *x)
{
    return x->carrier_state;
}

static void wake(struct exchange *x)
{
    const struct exchange_outlet_host *host = outlet_of(x)->host;
    host->wake(host->session, x);
}

static void cut(struct exchange *x, int error)
{
    const struct exchange_outlet_host *host = outlet_of(x)->host;
    host->cut(host->session, x, error);
}

static int queue_failed(struct exchange *x)
{
    cut(x, ROUTED_ERROR_MEMORY);
    return ROUTED_ERROR_MEMORY;
}

/* ---- heads ---- */

static int queue_head(struct exchange *x, uint16_t status, const struct field_list *fields,
                      int64_t length)
{
    struct exchange_outlet *o = outlet_of(x);
    const struct exchange_outlet_host *host = o->host;
    char status_text[DECIMAL_MAX], length_text[DECIMAL_MAX];
    struct field added[ADDED_MAX];
    struct exchange_outlet_head head = {{added, 0, ADDED_MAX}, fields, status >= 200};
    size_t *count = &head.added.count;
    added[(*count)++] = (struct field){
        SPAN(":status"), span_of(status_text, decimal_write(status_text, status)), FIELD_OTHER};
    if (host->date && head.is_final)
        added[(*count)++] =
            (struct field){SPAN("date"), span_of(host->date, HTTP_DATE_SIZE), FIELD_DATE};
    if (host->alt_svc && host->alt_svc->size && head.is_final &&
        !field_list_find_text(fields, SPAN("alt-svc")))
        added[(*count)++] = (struct field){SPAN("alt-svc"), *host->alt_svc, FIELD_OTHER};
    if (length != HTTP_LENGTH_UNKNOWN && status != 204)
        added[(*count)++] =
            (struct field){SPAN("content-length"),
                           span_of(length_text, decimal_write(length_text, (uint64_t)length)),
                           FIELD_CONTENT_LENGTH};
    o->has_begun |= head.is_final;
    return host->submit(host->session, x, &head);
}

static int on_inform(struct exchange *x, const struct http_response *response)
{
    if (response->status == 100)
        outlet_of(x)->continued = true;
    if (queue_head(x, response->status, &response->fields, HTTP_LENGTH_UNKNOWN))
        return queue_failed(x);
    wake(x);
    return ROUTED_OK;
}

static int on_respond(struct exchange *x, const struct http_response *response, int64_t length)
{
    if (exchange_is_false_tunnel(x, response->status)) {
        exchange_outlet_fail(x, ROUTED_ERROR_UNSUPPORTED);
        return ROUTED_ERROR_UNSUPPORTED;
    }
    if (queue_head(x, x->is_tunnel ? 200 : response->status, &response->fields, length))
        return queue_failed(x);
    wake(x);
    return ROUTED_OK;
}

/* ---- content ---- */

static int queue_content(struct exchange *x, struct slice slice)
{
    struct exchange_outlet *o = outlet_of(x);
    bool is_first = o->body.size == 0;
    int failed = exchange_queue_append(&o->body, slice);
    if (!failed)
        o->host->resume(o->host->session, x, is_first);
    return failed;
}

static int on_send(struct exchange *x, struct slice body)
{
    if (outlet_of(x)->is_done) {
        slice_release(&body);
        return ROUTED_ERROR_CLOSED;
    }
    if (queue_content(x, body))
        return queue_failed(x);
    wake(x);
    return ROUTED_OK;
}

static int copy_trailers(struct exchange *x, const struct field_list *trailers)
{
    struct field_list *copies = &outlet_of(x)->trailers;
    for (size_t i = 0; trailers && i < trailers->count; i++) {
        const struct field *f = &trailers->items[i];
        if (field_list_append_copy(copies, &x->arena, f->text, f->value))
            return ROUTED_ERROR_MEMORY;
    }
    return ROUTED_OK;
}

static int on_end(struct exchange *x, const struct field_list *trailers)
{
    struct exchange_outlet *o = outlet_of(x);
    if (o->is_done)
        return ROUTED_ERROR_CLOSED;
    if (copy_trailers(x, trailers))
        return queue_failed(x);
    o->is_done = true;
    o->host->resume(o->host->session, x, false);
    wake(x);
    return ROUTED_OK;
}

/* ---- failures ---- */

static int answer_error(struct exchange *x, int error)
{
    struct exchange_fallback fallback;
    exchange_fallback_make(&fallback, x, error);
    outlet_of(x)->is_done = true;
    int failed = queue_head(x, x->status, &fallback.fields, fallback.length);
    if (failed || x->suppress_content)
        return failed;
    failed = queue_content(x, slice_static(fallback.text));
    return failed ? failed : queue_content(x, slice_static(SPAN("\n")));
}

/* Not only by exchange_fail: until on_close comes the application may go on to answer. */
void exchange_outlet_fail(struct exchange *x, int error)
{
    struct exchange_outlet *o = outlet_of(x);
    x->is_failed = true;
    bool can_answer = !o->has_begun && error_status(error) != 0;
    o->host->give_up(o->host->session, x, error);
    if (!o->is_done && (!can_answer || answer_error(x, error)))
        cut(x, error);
    wake(x);
}

/* ---- credit ---- */

static void on_grant(struct exchange *x, size_t bytes)
{
    static const struct http_response go_on = {.status = 100};
    const struct exchange_outlet *o = outlet_of(x);
    (void)bytes; /* the exchange keeps the sum */
    if (x->request.expects_continue && !o->continued && !o->has_begun)
        on_inform(x, &go_on);
    wake(x);
}

void exchange_outlet_give_credit(struct exchange_outlet *o, struct exchange *x)
{
    size_t bytes = o->uncredited;
    o->uncredited = 0;
    if (bytes)
        exchange_writable(x, bytes);
}

const struct exchange_carrier exchange_outlet_carrier = {
    .inform = on_inform,
    .respond = on_respond,
    .send = on_send,
    .end = on_end,
    .fail = exchange_outlet_fail,
    .grant = on_grant,
};

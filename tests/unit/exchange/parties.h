/* A carrier and an application around one exchange that write down what reaches them. */
#ifndef UNIT_EXCHANGE_PARTIES_H
#define UNIT_EXCHANGE_PARTIES_H

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "support/unit.h"

struct parties {
    struct exchange x;
    /* the carrier's side */
    int informs;
    int responds;
    int ends;
    int fails;
    int failed; /* the error of the last fail */
    uint16_t status;
    int64_t length;
    size_t granted;
    bool refuses;         /* every call of the carrier returns ROUTED_ERROR_MEMORY */
    struct buffer fields; /* "name: value\n" of every head and of trailers */
    struct buffer body;
    /* the application's side */
    int requests;
    int request_ends;
    int writables;
    int closes;
    int closed; /* the error of the last on_close */
    struct buffer content;
    void (*during_request)(struct parties *p);
};

static inline void parties_note(struct buffer *b, const struct field_list *l)
{
    for (size_t i = 0; l && i < l->count; i++) {
        buffer_append_span(b, l->items[i].text);
        buffer_append_text(b, ": ");
        buffer_append_span(b, l->items[i].value);
        buffer_append_text(b, "\n");
    }
}

static inline int parties_result(const struct parties *p)
{
    return p->refuses ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

static inline int parties_inform(struct exchange *x, const struct http_response *head)
{
    struct parties *p = x->carrier_state;
    p->informs++;
    p->status = head->status;
    parties_note(&p->fields, &head->fields);
    return parties_result(p);
}

static inline int parties_respond(struct exchange *x, const struct http_response *head,
                                  int64_t length)
{
    struct parties *p = x->carrier_state;
    p->responds++;
    p->status = head->status;
    p->length = length;
    parties_note(&p->fields, &head->fields);
    return parties_result(p);
}

static inline int parties_send(struct exchange *x, struct slice body)
{
    struct parties *p = x->carrier_state;
    buffer_append_span(&p->body, slice_span(body));
    slice_release(&body);
    return parties_result(p);
}

static inline int parties_end(struct exchange *x, const struct field_list *trailers)
{
    struct parties *p = x->carrier_state;
    p->ends++;
    parties_note(&p->fields, trailers);
    return parties_result(p);
}

static inline void parties_fail(struct exchange *x, int error)
{
    struct parties *p = x->carrier_state;
    p->fails++;
    p->failed = error;
}

static inline void parties_grant(struct exchange *x, size_t bytes)
{
    ((struct parties *)x->carrier_state)->granted += bytes;
}

static inline void parties_on_request(struct exchange *x, void *context)
{
    struct parties *p = context;
    x->application_state = p;
    p->requests++;
    if (p->during_request)
        p->during_request(p);
}

static inline void parties_on_body(struct exchange *x, struct slice body)
{
    struct parties *p = x->application_state;
    buffer_append_span(&p->content, slice_span(body));
    slice_release(&body);
}

static inline void parties_on_end(struct exchange *x, const struct field_list *trailers)
{
    struct parties *p = x->application_state;
    p->request_ends++;
    parties_note(&p->content, trailers);
}

static inline void parties_on_writable(struct exchange *x)
{
    ((struct parties *)x->application_state)->writables++;
}

static inline void parties_on_close(struct exchange *x, int error)
{
    struct parties *p = x->application_state;
    p->closes++;
    p->closed = error;
}

static const struct exchange_carrier parties_carrier = {.inform = parties_inform,
                                                        .respond = parties_respond,
                                                        .send = parties_send,
                                                        .end = parties_end,
                                                        .fail = parties_fail,
                                                        .grant = parties_grant};

static const struct exchange_application parties_application = {.on_request = parties_on_request,
                                                                .on_body = parties_on_body,
                                                                .on_end = parties_on_end,
                                                                .on_writable = parties_on_writable,
                                                                .on_close = parties_on_close};

/* A request with 1,000 bytes of response credit, not yet opened. */
static inline void parties_prepare(struct parties *p, const char *method, int64_t content_length)
{
    *p = (struct parties){.length = -77};
    exchange_init(&p->x, &parties_carrier, p, NULL);
    p->x.request.method = span_from(method);
    p->x.request.protocol = HTTP_1_1;
    p->x.request.content_length = content_length;
    p->x.response_credit = 1000;
}

static inline void parties_open(struct parties *p, const char *method, int64_t content_length)
{
    parties_prepare(p, method, content_length);
    exchange_open(&p->x, &parties_application, p);
}

static inline void parties_release(struct parties *p)
{
    exchange_close(&p->x, ROUTED_ERROR_CLOSED);
    exchange_release(&p->x);
    buffer_release(&p->fields);
    buffer_release(&p->body);
    buffer_release(&p->content);
}

static inline struct field parties_field(const char *name, struct span value)
{
    struct field f = {.text = span_from(name), .value = value};
    f.name = field_lookup(f.text);
    return f;
}

/* A head with at most one field; NULL: none. */
static inline int parties_head(struct parties *p, uint16_t status, const char *name,
                               const char *value)
{
    struct field f = name ? parties_field(name, span_from(value)) : (struct field){0};
    struct http_response head = {.status = status, .fields = {&f, name ? 1 : 0, 1}};
    return exchange_respond(&p->x, &head);
}

static inline int parties_send_text(struct parties *p, const char *text)
{
    return exchange_send(&p->x, slice_copy(span_from(text)));
}

static inline int parties_deliver_text(struct parties *p, const char *text)
{
    return exchange_deliver(&p->x, slice_copy(span_from(text)));
}

#endif

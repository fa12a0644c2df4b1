/* A carrier that writes down what an application does with one exchange, so that a test can look
 * at it, and that plays the client. */
#ifndef UNIT_ENGINE_CARRIER_H
#define UNIT_ENGINE_CARRIER_H

#include "base/buffer.h"
#include "base/memory.h"
#include "engine/engine.h"
#include "io/loop.h"
#include "support/unit.h"
#include <routed/engine.h>
#include <string.h>

#define CARRIER_CREDIT 65536 /* response bytes that a fresh exchange may send */

struct carrier {
    struct exchange x;
    struct loop *loop;
    routed_engine *engine;
    /* what the application did */
    int status;
    int informs;
    int inform_status;
    int64_t length;
    struct buffer fields; /* "name: value\n" of the final head */
    struct buffer body;
    struct buffer trailers;
    int sends;
    int ends;
    int failed; /* the error, or 0 */
    size_t granted;
    const uint8_t *last_data; /* where the last slice came from */
};

static inline struct carrier *carrier_of(struct exchange *x)
{
    return x->carrier_state;
}

static inline void carrier_write_fields(struct buffer *b, const struct field_list *l)
{
    for (size_t i = 0; l && i < l->count; i++) {
        buffer_append_span(b, l->items[i].text);
        buffer_append_text(b, ": ");
        buffer_append_span(b, l->items[i].value);
        buffer_append_text(b, "\n");
    }
}

static inline int carrier_inform(struct exchange *x, const struct http_response *head)
{
    carrier_of(x)->informs++;
    carrier_of(x)->inform_status = head->status;
    carrier_write_fields(&carrier_of(x)->fields, &head->fields);
    return ROUTED_OK;
}

static inline int carrier_respond(struct exchange *x, const struct http_response *head,
                                  int64_t length)
{
    struct carrier *c = carrier_of(x);
    c->status = head->status;
    c->length = length;
    carrier_write_fields(&c->fields, &head->fields);
    return ROUTED_OK;
}

static inline int carrier_send(struct exchange *x, struct slice body)
{
    struct carrier *c = carrier_of(x);
    c->sends++;
    c->last_data = body.data;
    int error = buffer_append_span(&c->body, slice_span(body));
    slice_release(&body);
    return error;
}

static inline int carrier_end(struct exchange *x, const struct field_list *trailers)
{
    carrier_of(x)->ends++;
    carrier_write_fields(&carrier_of(x)->trailers, trailers);
    return ROUTED_OK;
}

static inline void carrier_fail(struct exchange *x, int error)
{
    carrier_of(x)->failed = error;
}

static inline void carrier_grant(struct exchange *x, size_t bytes)
{
    carrier_of(x)->granted += bytes;
}

static const struct exchange_carrier carrier_face = {.inform = carrier_inform,
                                                     .respond = carrier_respond,
                                                     .send = carrier_send,
                                                     .end = carrier_end,
                                                     .fail = carrier_fail,
                                                     .grant = carrier_grant};

static inline void carrier_setup(struct carrier *c, routed_engine *engine)
{
    memset(c, 0, sizeof(*c));
    c->engine = engine;
    c->loop = loop_new();
    assert_non_null(c->loop);
    loop_turn(c->loop, 0);
}

static inline void carrier_clear(struct carrier *c)
{
    buffer_release(&c->fields);
    buffer_release(&c->body);
    buffer_release(&c->trailers);
    c->status = c->informs = c->inform_status = c->sends = c->ends = c->failed = 0;
    c->granted = 0;
}

/* Prepares a request; `target` outlives it. Fields and length may be set before carrier_go. */
static inline void carrier_request(struct carrier *c, const char *method, const char *target)
{
    carrier_clear(c);
    exchange_init(&c->x, &carrier_face, c, c->loop);
    struct http_request *r = &c->x.request;
    const char *mark = strchr(target, '?');
    r->method = span_from(method);
    r->scheme = SPAN("http");
    r->authority = SPAN("localhost");
    r->target = span_from(target);
    r->path = mark ? span_of(target, (size_t)(mark - target)) : r->target;
    r->query = mark ? span_from(mark + 1) : SPAN_EMPTY;
    r->protocol = HTTP_1_1;
    c->x.response_credit = CARRIER_CREDIT;
}

static inline void carrier_field(struct carrier *c, const char *name, const char *value)
{
    assert_int_equal(field_list_append_copy(&c->x.request.fields, &c->x.arena, span_from(name),
                                            span_from(value)),
                     ROUTED_OK);
}

static inline void carrier_go(struct carrier *c)
{
    exchange_open(&c->x, engine_application(), c->engine);
    if (c->x.request.content_length == 0 && !c->x.is_tunnel)
        exchange_deliver_end(&c->x, NULL);
}

static inline int carrier_deliver(struct carrier *c, const void *bytes, size_t size)
{
    struct slice s = slice_copy(span_of(bytes, size));
    assert_non_null(s.data);
    return exchange_deliver(&c->x, s);
}

static inline void carrier_close(struct carrier *c, int error)
{
    exchange_close(&c->x, error);
}

/* A whole request without a body. */
static inline void carrier_do(struct carrier *c, const char *method, const char *target)
{
    carrier_request(c, method, target);
    carrier_go(c);
    carrier_close(c, c->failed);
}

static inline void carrier_release(struct carrier *c)
{
    carrier_clear(c);
    exchange_release(&c->x);
    loop_free(c->loop);
}

/* A carrier with a new engine, as the state of a test. */
static inline struct carrier *carrier_begin(void **state)
{
    struct carrier *c = memory_new(sizeof(*c));
    assert_non_null(c);
    carrier_setup(c, routed_engine_new());
    *state = c;
    return c;
}

/* The teardown of such a test. */
static inline int carrier_finish(void **state)
{
    struct carrier *c = *state;
    carrier_release(c);
    routed_engine_free(c->engine);
    memory_free(c);
    return 0;
}

static inline bool carrier_has_field(const struct carrier *c, const char *line)
{
    struct span fields = buffer_span(&c->fields);
    return fields.size && memmem(fields.data, fields.size, line, strlen(line));
}

#define assert_body(c, text)                                                                       \
    do {                                                                                           \
        struct span body_ = buffer_span(&(c)->body);                                               \
        assert_int_equal(body_.size, strlen(text));                                                \
        if (body_.size)                                                                            \
            assert_memory_equal(body_.data, text, body_.size);                                     \
    } while (0)

#define assert_field(c, line) assert_true(carrier_has_field(c, line "\n"))

#endif

/* An application behind one session of any HTTP version, and the session's host: both write down
 * what reaches them. The application does what its script says; each request that it read to its
 * end becomes one line of text, the view. */
#ifndef UNIT_SUPPORT_ORIGIN_H
#define UNIT_SUPPORT_ORIGIN_H

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "exchange/session.h"

struct origin;

/* What the application does; members that are NULL do nothing. */
struct origin_script {
    void (*on_request)(struct origin *o, struct exchange *x);
    void (*on_body)(struct origin *o, struct exchange *x, struct span body);
    void (*on_end)(struct origin *o, struct exchange *x);
    void (*on_writable)(struct origin *o, struct exchange *x);
};

struct origin {
    const struct origin_script *script;
    void *user;                /* of the script */
    struct exchange *exchange; /* the latest; NULL: it is closed */
    struct buffer view;        /* "method target authority [fields] content [trailers]\n" each */
    struct buffer body;        /* of the latest request, if it is kept */
    bool keeps_body;           /* the view tells the content itself instead of its size */
    unsigned opened;           /* exchanges */
    unsigned open;             /* now */
    unsigned most_open;
    unsigned complete; /* requests read to their end */
    unsigned writable; /* on_writable */
    unsigned closed;   /* on_close */
    uint64_t content;  /* bytes of all requests */
    int close_error;   /* the latest on_close */
    int failure;       /* the latest on_close with an error */
    /* the host's */
    unsigned ended;    /* on_exchange_end */
    unsigned refused;  /* on_refused */
    unsigned ready;    /* on_ready */
    int refused_error; /* the latest on_refused */
    uint16_t refused_status;
};

#define ORIGIN_DATE "Sun, 06 Nov 1994 08:49:37 GMT"

/* ---- the view ---- */

/* Tabs, backslashes and what is not ASCII as in C. */
static inline void origin_view_text(struct origin *o, struct span s)
{
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        static const char hex[] = "0123456789abcdef";
        char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        if (c == '\t')
            buffer_append_text(&o->view, "\\t");
        else if (c == '\\')
            buffer_append_text(&o->view, "\\\\");
        else if (c < 0x20 || c >= 0x7f)
            buffer_append(&o->view, escaped, 4);
        else
            buffer_append(&o->view, &c, 1);
    }
}

static inline void origin_view_fields(struct origin *o, const struct field_list *l)
{
    buffer_append_text(&o->view, "[");
    for (size_t i = 0; l && i < l->count; i++) {
        origin_view_text(o, l->items[i].text);
        buffer_append_text(&o->view, "=");
        origin_view_text(o, l->items[i].value);
        buffer_append_text(&o->view, ";");
    }
    buffer_append_text(&o->view, "]");
}

static inline void origin_view_request(struct origin *o, const struct exchange *x,
                                       const struct field_list *trailers)
{
    const struct http_request *r = &x->request;
    const struct span words[] = {r->method, r->target, r->authority};
    for (size_t i = 0; i < 3; i++) {
        origin_view_text(o, words[i]);
        buffer_append_text(&o->view, " ");
    }
    origin_view_fields(o, &r->fields);
    buffer_append_text(&o->view, " ");
    if (o->keeps_body)
        origin_view_text(o, buffer_span(&o->body));
    else
        buffer_append_decimal(&o->view, x->request_bytes);
    buffer_append_text(&o->view, " ");
    origin_view_fields(o, trailers);
    buffer_append_text(&o->view, "\n");
}

static inline bool origin_saw(const struct origin *o, const char *text)
{
    struct span view = buffer_span(&o->view);
    return view.size && memmem(view.data, view.size, text, strlen(text));
}

/* ---- answers ---- */

static inline int origin_respond(struct exchange *x, uint16_t status, const char *length)
{
    struct field items[] = {{SPAN("content-length"), span_from(length), FIELD_CONTENT_LENGTH}};
    struct http_response head = {.status = status, .fields = {items, length ? 1 : 0, 1}};
    return exchange_respond(x, &head);
}

static inline int origin_send(struct exchange *x, const char *text)
{
    return exchange_send(x, slice_copy(span_from(text)));
}

static inline int origin_send_size(struct exchange *x, size_t size)
{
    struct block *b = block_new(size);
    if (!b)
        return ROUTED_ERROR_MEMORY;
    memset(block_data(b), 'x', size);
    return exchange_send(x, (struct slice){b, block_data(b), size});
}

static inline void origin_answer_ok(struct exchange *x)
{
    origin_respond(x, 200, "2");
    origin_send(x, "ok");
    exchange_end(x, NULL);
}

/* ---- scripts ---- */

static inline void origin_grant_all(struct origin *o, struct exchange *x)
{
    (void)o;
    exchange_grant(x, SIZE_MAX / 4);
}

static inline void origin_answer_at_end(struct origin *o, struct exchange *x)
{
    (void)o;
    origin_answer_ok(x);
}

/* The test answers, or nobody. */
static const struct origin_script origin_waits;

static const struct origin_script origin_reads_then_answers = {.on_request = origin_grant_all,
                                                               .on_end = origin_answer_at_end};

/* ---- the application ---- */

static inline void origin_on_request(struct exchange *x, void *context)
{
    struct origin *o = context;
    x->application_state = o;
    o->exchange = x;
    o->opened++;
    o->open++;
    if (o->open > o->most_open)
        o->most_open = o->open;
    buffer_clear(&o->body);
    if (o->script->on_request)
        o->script->on_request(o, x);
}

static inline void origin_on_body(struct exchange *x, struct slice body)
{
    struct origin *o = x->application_state;
    o->content += body.size;
    if (o->keeps_body)
        buffer_append_span(&o->body, slice_span(body));
    if (o->script->on_body)
        o->script->on_body(o, x, slice_span(body));
    slice_release(&body);
}

static inline void origin_on_end(struct exchange *x, const struct field_list *trailers)
{
    struct origin *o = x->application_state;
    o->complete++;
    origin_view_request(o, x, trailers);
    if (o->script->on_end)
        o->script->on_end(o, x);
}

static inline void origin_on_writable(struct exchange *x)
{
    struct origin *o = x->application_state;
    o->writable++;
    if (o->script->on_writable)
        o->script->on_writable(o, x);
}

static inline void origin_on_close(struct exchange *x, int error)
{
    struct origin *o = x->application_state;
    o->closed++;
    o->open--;
    o->close_error = error;
    if (error)
        o->failure = error;
    if (o->exchange == x)
        o->exchange = NULL;
}

/* ---- the host ---- */

static inline void origin_on_exchange(void *host, struct exchange *x)
{
    static const struct exchange_application application = {
        .on_request = origin_on_request,
        .on_body = origin_on_body,
        .on_end = origin_on_end,
        .on_writable = origin_on_writable,
        .on_close = origin_on_close,
    };
    exchange_open(x, &application, host);
}

static inline void origin_on_exchange_end(void *host, struct exchange *x, int error)
{
    (void)x;
    (void)error;
    ((struct origin *)host)->ended++;
}

static inline void origin_on_ready(void *host)
{
    ((struct origin *)host)->ready++;
}

static inline void origin_on_refused(void *host, const struct exchange *x, int error,
                                     uint16_t status)
{
    struct origin *o = host;
    (void)x;
    o->refused++;
    o->refused_error = error;
    o->refused_status = status;
}

/* What a session is given; `o` must outlive it. */
static inline struct session_host origin_host(struct origin *o)
{
    return (struct session_host){.on_exchange = origin_on_exchange,
                                 .on_exchange_end = origin_on_exchange_end,
                                 .on_ready = origin_on_ready,
                                 .on_refused = origin_on_refused,
                                 .host = o};
}

static inline void origin_release(struct origin *o)
{
    buffer_release(&o->view);
    buffer_release(&o->body);
}

#endif

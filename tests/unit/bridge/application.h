/* Applications for the engine's side of the bridge. */
#ifndef UNIT_BRIDGE_APPLICATION_H
#define UNIT_BRIDGE_APPLICATION_H

#include "exchange/exchange.h"

enum play_kind {
    PLAY_GREET,  /* answers "hi" from within on_request */
    PLAY_ECHO,   /* sends the content back, granting what was passed on */
    PLAY_WAIT,   /* remembers the exchange and does nothing */
    PLAY_TUNNEL, /* 101 from within on_request, then echo; ends when the client ends */
    PLAY_FAIL    /* fails with ROUTED_ERROR_HANDLER */
};

/* What an application saw; the context of on_request. One exchange at a time is enough. */
struct play {
    enum play_kind kind;
    size_t first_grant;
    struct exchange *x; /* the last one that is open */
    unsigned requests;
    unsigned ends;
    unsigned closes;
    int last_error;
    size_t content; /* bytes that came */
    struct http_request request;
    char method[16];
    char peer[64];
    struct slice kept[64]; /* echo that has no credit yet */
    unsigned kept_count;
};

static inline void play_respond(struct exchange *x, uint16_t status)
{
    struct http_response head = {.status = status};
    exchange_respond(x, &head);
}

static inline void play_on_request(struct exchange *x, void *context)
{
    struct play *p = context;
    x->application_state = p;
    p->x = x;
    p->requests++;
    p->request = x->request;
    memcpy(p->method, x->request.method.data, x->request.method.size);
    p->method[x->request.method.size] = '\0';
    memcpy(p->peer, x->peer.address.data, x->peer.address.size);
    p->peer[x->peer.address.size] = '\0';
    switch (p->kind) {
    case PLAY_GREET:
        play_respond(x, 200);
        exchange_send(x, slice_static(SPAN("hi")));
        exchange_end(x, NULL);
        break;
    case PLAY_ECHO:
        play_respond(x, 200);
        exchange_grant(x, p->first_grant ? p->first_grant : 65536);
        break;
    case PLAY_TUNNEL:
        play_respond(x, 101);
        exchange_grant(x, 65536);
        break;
    case PLAY_FAIL:
        exchange_fail(x, ROUTED_ERROR_HANDLER);
        break;
    case PLAY_WAIT:
        break;
    }
}

static inline void play_pass_on(struct play *p, struct exchange *x)
{
    unsigned sent = 0;
    while (sent < p->kept_count && exchange_can_send(x)) {
        size_t size = p->kept[sent].size;
        exchange_send(x, p->kept[sent++]);
        exchange_grant(x, size);
    }
    p->kept_count -= sent;
    memmove(p->kept, p->kept + sent, p->kept_count * sizeof(p->kept[0]));
    if (p->kept_count == 0 && x->request_phase == EXCHANGE_ENDED &&
        x->response_phase == EXCHANGE_BODY)
        exchange_end(x, NULL);
}

static inline void play_on_body(struct exchange *x, struct slice body)
{
    struct play *p = x->application_state;
    p->content += body.size;
    if ((p->kind == PLAY_ECHO || p->kind == PLAY_TUNNEL) && p->kept_count < 64)
        p->kept[p->kept_count++] = body;
    else
        slice_release(&body);
    if (p->kind == PLAY_ECHO || p->kind == PLAY_TUNNEL)
        play_pass_on(p, x);
}

static inline void play_on_end(struct exchange *x, const struct field_list *trailers)
{
    struct play *p = x->application_state;
    (void)trailers;
    p->ends++;
    if (p->kind == PLAY_ECHO || p->kind == PLAY_TUNNEL)
        play_pass_on(p, x);
}

static inline void play_on_writable(struct exchange *x)
{
    struct play *p = x->application_state;
    if (p->kind == PLAY_ECHO || p->kind == PLAY_TUNNEL)
        play_pass_on(p, x);
}

static inline void play_on_close(struct exchange *x, int error)
{
    struct play *p = x->application_state;
    p->closes++;
    p->last_error = error;
    p->x = NULL;
    for (unsigned i = 0; i < p->kept_count; i++)
        slice_release(&p->kept[i]);
    p->kept_count = 0;
}

static const struct exchange_application play_application = {
    play_on_request, play_on_body, play_on_end, play_on_writable, play_on_close};

#endif

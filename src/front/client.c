#include "front/client.h"

void front_client_move(struct front_client *c, const struct socket_address *peer)
{
    c->peer_text_size = (uint8_t)socket_address_text(peer, c->peer_text);
    c->peer_port = socket_address_port(peer);
}

void front_client_enter(struct front_client *c, const struct socket_address *peer,
                        uint64_t address_key, void (*on_timer)(struct loop_timer *t))
{
    struct front_worker *w = c->worker;
    loop_timer_init(&c->timer, on_timer);
    front_client_move(c, peer);
    c->address_key = address_key;
    c->opened_at = c->wait_since = loop_now(w->loop);
    c->wait = SESSION_IDLE;
    list_append(&w->clients, &c->link);
    front_worker_client_idle(w, c);
    metric_add(&w->metrics, FRONT_CONNECTIONS_ACCEPTED, 1);
    metric_add(&w->metrics, FRONT_CONNECTIONS_OPEN, 1);
    metric_add(&w->metrics, FRONT_CONNECTIONS_IDLE, 1);
}

void front_client_leave(struct front_client *c)
{
    struct front_worker *w = c->worker;
    loop_timer_clear(w->loop, &c->timer);
    list_remove(&c->link);
    list_remove(&c->idle_link);
    metric_subtract(&w->metrics, FRONT_CONNECTIONS_OPEN, 1);
    if (c->wait == SESSION_IDLE)
        metric_subtract(&w->metrics, FRONT_CONNECTIONS_IDLE, 1);
    front_worker_client_gone(w, c->address_key);
}

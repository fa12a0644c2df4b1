#include "exchange/session.h"

void session_init(struct session *s, const struct session_ops *ops, const struct session_host *host,
                  enum session_wait wait)
{
    *s = (struct session){
        .ops = ops, .host = *host, .wait = wait, .due = CLOCK_NEVER, .wants_input = true};
}

void session_begin(struct session *s, struct exchange *x, size_t response_window)
{
    s->requests++;
    exchange_writable(x, response_window);
    s->host.on_exchange(s->host.host, x);
}

void session_end(struct session *s, struct exchange *x, int error)
{
    exchange_close(x, error);
    s->host.on_exchange_end(s->host.host, x, error);
}

void session_refuse(struct session *s, const struct exchange *x, int error, uint16_t status)
{
    s->host.on_refused(s->host.host, x, error, status);
}

void session_fault(struct session *s, struct span scheme, enum http_protocol protocol, int error)
{
    struct exchange nobody = {.request = {.scheme = scheme, .protocol = protocol}};
    session_refuse(s, &nobody, error, 0);
}

void session_wake(struct session *s)
{
    if (!s->inside)
        s->host.on_ready(s->host.host);
}

void session_hit(const struct session *s, size_t offset)
{
    if (s->host.on_limit)
        s->host.on_limit(s->host.host, offset);
}

uint64_t session_round_trip(const struct session *s)
{
    return s->host.round_trip ? s->host.round_trip(s->host.host) : 0;
}

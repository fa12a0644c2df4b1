#include "front/greeting.h"

#include "base/memory.h"
#include "http2/preface.h"
#include "http2/session.h"

static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "content-type: text/plain; charset=utf-8\r\n"
                                   "content-length: 52\r\n"
                                   "connection: close\r\n"
                                   "\r\n"
                                   "This port speaks HTTPS: write https://, not http://\n";

/* ---- HTTP/2 ---- */

static void use_http2(struct front_connection *c)
{
    struct front_worker *w = c->client.worker;
    if (c->client.session->wait ==
        SESSION_FINISHED) /* shut meanwhile: a new session would not know */
        return;
    struct session *session =
        http2_session_new(c->transport.tls ? &w->https2 : &w->http2, &c->host, w->loop);
    if (!session) {
        front_connection_abort(c, ROUTED_ERROR_MEMORY);
        return;
    }
    c->client.session->ops->abort(c->client.session, ROUTED_OK);
    c->client.session->ops->free(c->client.session);
    c->client.session = session;
    c->client.idle_limit = offsetof(routed_limits, http2_idle_timeout);
}

/* False: too early to tell. */
static bool choose_by_preface(struct front_connection *c, struct span bytes)
{
    enum http2_preface preface = http2_preface_match(bytes);
    if (preface == HTTP2_PREFACE_MORE)
        return false;
    c->greeting = FRONT_GREETING_DONE;
    if (preface == HTTP2_PREFACE_YES)
        use_http2(c);
    return true;
}

bool front_greeting_first_bytes(struct front_connection *c, struct span bytes)
{
    bool is_first = buffer_size(&c->held) == 0;
    if (is_first && choose_by_preface(c, bytes))
        return !c->is_dead;
    if (is_first)
        c->client.wait_since = loop_now(c->client.worker->loop);
    if (buffer_append_span(&c->held, bytes) != ROUTED_OK)
        front_connection_abort(c, ROUTED_ERROR_MEMORY);
    else if (!is_first)
        choose_by_preface(c, buffer_span(&c->held));
    return false;
}

/* ---- TLS ---- */

static bool note_tls(struct front_connection *c)
{
    c->agreed = memory_new(sizeof(*c->agreed));
    if (!c->agreed)
        return false;
    tls_session_describe(c->transport.tls, c->agreed);
    c->client.tls = c->agreed;
    return true;
}

static void leave_handshake(struct front_connection *c)
{
    if (c->greeting == FRONT_GREETING_TLS)
        front_worker_handshake_over(c->client.worker);
    c->greeting = FRONT_GREETING_DONE;
}

static void finish_handshake(struct front_connection *c)
{
    leave_handshake(c);
    metric_add(&c->client.worker->metrics, FRONT_HANDSHAKES, 1);
    if (tls_session_is_resumed(c->transport.tls))
        metric_add(&c->client.worker->metrics, FRONT_HANDSHAKES_RESUMED, 1);
    if (!note_tls(c))
        front_connection_abort(c, ROUTED_ERROR_MEMORY);
    else if (span_equals(c->client.tls->parts[HTTP_TLS_ALPN], SPAN("h2")))
        use_http2(c);
}

/* In the clear, since nothing else would be understood. */
static void answer_plain_http(struct front_connection *c)
{
    leave_handshake(c);
    tls_session_free(c->transport.tls);
    c->transport.tls = NULL;
    socket_write(c->transport.fd, span_of(plain_answer, sizeof(plain_answer) - 1));
    front_metrics_status(&c->client.worker->metrics, 400);
    c->is_turned_away = true;
}

static void fail_handshake(struct front_connection *c, int error)
{
    metric_add(&c->client.worker->metrics, FRONT_HANDSHAKES_FAILED, 1);
    if (error != ROUTED_ERROR_CLIENT_GONE)
        log_write(&c->client.worker->shared->log, LOG_DEBUG, "TLS handshake with %.*s: %s",
                  (int)c->client.peer_text_size, c->client.peer_text,
                  tls_session_failure(c->transport.tls));
    front_connection_abort(c, error);
}

bool front_greeting_shake_hands(struct front_connection *c)
{
    bool is_drained = true;
    if (!c->is_readable)
        return false;
    int error =
        front_transport_handshake(&c->transport, c->client.worker->sealed_block, &is_drained);
    front_connection_note_read(c, is_drained);
    if (error == ROUTED_OK)
        finish_handshake(c);
    else if (error == ROUTED_ERROR_PLAIN_HTTP)
        answer_plain_http(c);
    else if (error != ROUTED_ERROR_AGAIN)
        fail_handshake(c, error);
    return error == ROUTED_OK && !c->is_dead;
}

/* ---- life ---- */

void front_greeting_begin(struct front_connection *c)
{
    c->greeting = c->transport.tls                      ? FRONT_GREETING_TLS
                  : c->client.worker->shared->has_http2 ? FRONT_GREETING_PREFACE
                                                        : FRONT_GREETING_DONE;
    if (c->greeting == FRONT_GREETING_TLS)
        c->client.worker->handshakes++;
}

void front_greeting_end(struct front_connection *c)
{
    leave_handshake(c);
    memory_free(c->agreed);
    c->agreed = NULL;
    c->client.tls = NULL;
}

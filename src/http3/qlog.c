/* The events of a connection as ngtcp2 writes them, handed to who keeps them. Built only with
 * ROUTED_QLOG. */
#include "http3/inside.h"

static void on_record(void *user, uint32_t flags, const void *data, size_t size)
{
    const struct http3_connection *c = user;
    (void)flags;
    if (size)
        c->endpoint->options.qlog.write(c->qlog, span_of(data, size));
}

void http3_qlog_begin(struct http3_connection *c, ngtcp2_settings *settings, const ngtcp2_cid *id)
{
    const struct http3_qlog *qlog = &c->endpoint->options.qlog;
    c->qlog = qlog->open ? qlog->open(qlog->user, span_of(id->data, id->datalen)) : NULL;
    settings->qlog_write = c->qlog ? on_record : NULL;
}

void http3_qlog_end(struct http3_connection *c)
{
    if (c->qlog)
        c->endpoint->options.qlog.close(c->qlog);
    c->qlog = NULL;
}

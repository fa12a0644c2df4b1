#include "http3/state.h"

#include <routed/error.h>

void http3_session_set_early(struct http3_session *s, bool is_early)
{
    s->is_early = is_early;
}

int http3_session_start(struct http3_session *s)
{
    http3_session_enter(s);
    http3_machine_start(s);
    return http3_session_leave(s);
}

int http3_session_receive(struct http3_session *s, int64_t stream, struct span bytes, bool ends)
{
    http3_session_enter(s);
    s->session.bytes_in += bytes.size;
    if (!s->is_over) {
        http3_machine_start(s);
        if (bytes.size)
            s->transport.grant_connection(s->transport.transport, bytes.size);
        if (!s->failure && http3_state_is_request_stream(stream))
            http3_receive(s, stream, bytes, ends);
        else if (!s->failure && http3_state_is_client_side_stream(stream))
            http3_side_receive(s, stream, bytes, ends);
    }
    return http3_session_leave(s);
}

/* A request that its client cannot want any more, or cannot complete. */
static void client_cancelled(struct http3_session *s, struct http3_stream *t)
{
    http3_charge_reset(s, t);
    if (t->is_over || t->is_reset)
        return;
    t->error = ROUTED_ERROR_CLIENT_GONE;
    http3_answer_reset(s, t, NGHTTP3_H3_REQUEST_CANCELLED);
}

int http3_session_stream_reset(struct http3_session *s, int64_t stream, uint64_t code)
{
    http3_session_enter(s);
    struct http3_stream *t = http3_streams_find(s, stream);
    (void)code;
    if (http3_state_is_client_side_stream(stream)) {
        http3_side_reset(s, stream);
    } else if (!t) {
        http3_charge_reset(s, NULL);
        http3_qpack_cancel(s, stream);
    } else {
        t->input_has_ended = true;
        if (!t->is_stopped) /* else it is what we asked for */
            client_cancelled(s, t);
    }
    return http3_session_leave(s);
}

int http3_session_stream_stopped(struct http3_session *s, int64_t stream, uint64_t code)
{
    http3_session_enter(s);
    struct http3_stream *t = http3_streams_find(s, stream);
    (void)code;
    if (t)
        client_cancelled(s, t);
    else if (http3_state_is_request_stream(stream))
        http3_charge_reset(s, NULL);
    else if (s->is_started) /* one of our three */
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_CLOSED_CRITICAL_STREAM);
    return http3_session_leave(s);
}

static void close_request_stream(struct http3_session *s, int64_t stream)
{
    struct http3_stream *t = http3_streams_find(s, stream);
    if (!s->is_broken)
        nghttp3_conn_close_stream(s->machine, stream, NGHTTP3_H3_NO_ERROR);
    if (!t) {
        http3_streams_forget(s, stream);
        return;
    }
    if (!t->is_over && !t->response_sent) /* only STOP_SENDING ends our direction before us */
        http3_charge_reset(s, t);
    t->is_gone = t->input_has_ended = true;
    http3_receive_give_up(s, t);
    http3_state_is_due(s, t);
}

int http3_session_stream_closed(struct http3_session *s, int64_t stream, uint64_t code)
{
    http3_session_enter(s);
    (void)code;
    if (http3_state_is_request_stream(stream))
        close_request_stream(s, stream);
    else if (http3_state_is_client_side_stream(stream))
        http3_side_end(s, stream);
    else
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_CLOSED_CRITICAL_STREAM);
    return http3_session_leave(s);
}

#include "http3/state.h"

#include "base/error.h"

static void wake(void *session, struct exchange *x)
{
    struct http3_session *s = session;
    http3_state_is_due(s, http3_state_stream(x));
    session_wake(&s->session);
}

/* ---- ends ---- */

/* Resets that the application caused are not the client's; nor is what says that its content is not
 * needed. */
static bool is_caused_by_client(uint64_t code)
{
    return code != NGHTTP3_H3_NO_ERROR && code != NGHTTP3_H3_INTERNAL_ERROR;
}

void http3_answer_stop(struct http3_session *s, struct http3_stream *t, uint64_t code)
{
    t->is_ignored = true;
    http3_qpack_abandon(s, t);
    if (t->is_stopped || t->input_has_ended || t->is_gone || s->is_broken)
        return;
    t->is_stopped = true;
    s->transport.stop(s->transport.transport, t->id, code);
}

void http3_answer_reset(struct http3_session *s, struct http3_stream *t, uint64_t code)
{
    bool is_first = !t->is_reset;
    t->outlet.is_done = true;
    http3_receive_give_up(s, t);
    http3_answer_stop(s, t, code);
    t->is_reset = true;
    if (is_first && !t->is_gone && !s->is_broken) {
        nghttp3_conn_shutdown_stream_write(s->machine, t->id);
        s->transport.reset(s->transport.transport, t->id, code);
        if (is_caused_by_client(code))
            http3_charge_reset(s, t);
    }
    wake(s, &t->exchange);
}

static void cut(void *session, struct exchange *x, int error)
{
    struct http3_stream *t = http3_state_stream(x);
    uint64_t code = error_entry(error)->http3;
    t->error = error;
    http3_answer_reset(session, t, code == NGHTTP3_H3_NO_ERROR ? NGHTTP3_H3_INTERNAL_ERROR : code);
}

static void give_up(void *session, struct exchange *x, int error)
{
    struct http3_stream *t = http3_state_stream(x);
    t->error = error;
    http3_receive_give_up(session, t);
}

/* ---- heads and content ---- */

static int submit(void *session, struct exchange *x, const struct exchange_outlet_head *head)
{
    const nghttp3_data_reader content = {.read_data = http3_send_on_read};
    struct http3_session *s = session;
    struct http3_stream *t = http3_state_stream(x);
    if (t->is_gone || t->is_reset || s->is_broken)
        return ROUTED_OK;
    if (!http3_send_reserve_lines(s, head->added.count + head->fields->count))
        return ROUTED_ERROR_MEMORY;
    size_t count = http3_send_put_fields(s, t, 0, &head->added);
    count = http3_send_put_fields(s, t, count, head->fields);
    s->is_silent = false;
    int failed = head->is_final
                     ? nghttp3_conn_submit_response(s->machine, t->id, s->lines, count,
                                                    x->suppress_content ? NULL : &content)
                     : nghttp3_conn_submit_info(s->machine, t->id, s->lines, count);
    return failed ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

/* From the first content on the client's progress is watched. */
static void resume(void *session, struct exchange *x, bool is_first)
{
    struct http3_session *s = session;
    struct http3_stream *t = http3_state_stream(x);
    if (is_first)
        http3_streams_watch(s, t);
    http3_send_resume(s, t);
}

void http3_answer_init(struct http3_session *s)
{
    s->outlets = (struct exchange_outlet_host){.submit = submit,
                                               .resume = resume,
                                               .cut = cut,
                                               .give_up = give_up,
                                               .wake = wake,
                                               .session = s,
                                               .date = s->options->date};
}

#include "http3/state.h"

#include "base/memory.h"
#include <routed/error.h>

/* ---- what QPACK decodes ---- */

static struct span text_of(const void *held)
{
    nghttp3_vec bytes = nghttp3_rcbuf_get_buf(held);
    return span_of(bytes.base, bytes.len);
}

static void retain(void *held)
{
    nghttp3_rcbuf_incref(held);
}

static void release(void *held)
{
    nghttp3_rcbuf_decref(held);
}

static const struct http_keeper keeper = {.text = text_of, .retain = retain, .release = release};

/* ---- callbacks that belong to no stream of ours ---- */

static int on_settings(nghttp3_conn *machine, const nghttp3_settings *settings, void *user)
{
    struct http3_session *s = user;
    size_t capacity = s->options->limits.answer_table_max;
    (void)machine;
    s->was_greeted = true;
    if (settings->qpack_max_dtable_capacity < capacity)
        capacity = settings->qpack_max_dtable_capacity;
    if (capacity < HTTP3_TABLE_ENTRY)
        return 0;
    s->repertoire = memory_new(sizeof(*s->repertoire));
    if (!s->repertoire) {
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    }
    http3_repertoire_init(s->repertoire, capacity);
    return 0;
}

/* A request that came after the last GOAWAY. */
static int on_reject(nghttp3_conn *machine, int64_t id, uint64_t code, void *user, void *stream)
{
    struct http3_session *s = user;
    struct http3_stream *t = http3_streams_find(s, id);
    (void)machine;
    (void)stream;
    if (!t)
        return 0;
    t->is_refused = true;
    http3_answer_reset(s, t, code);
    return 0;
}

/* ---- making it ---- */

int http3_machine_open(struct http3_session *s)
{
    const nghttp3_callbacks callbacks = {.acked_stream_data = http3_send_on_acknowledged,
                                         .reset_stream = on_reject,
                                         .recv_settings = on_settings};
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    settings.max_field_section_size = s->options->limits.head.fields_bytes_max;
    settings.qpack_max_dtable_capacity = s->options->limits.table_max;
    settings.qpack_blocked_streams =
        s->options->limits.table_max ? s->options->limits.blocked_max : 0;
    settings.qpack_encoder_max_dtable_capacity = s->options->limits.answer_table_max;
    settings.enable_connect_protocol = 1;
    s->heap.spare = s->options->spare;
    s->allocator = (nghttp3_mem){.user_data = &s->heap,
                                 .malloc = heap_new,
                                 .free = heap_free,
                                 .calloc = heap_new_zeroed,
                                 .realloc = heap_resize};
    s->heads.cookies.keeper = &keeper;
    if (nghttp3_conn_server_new(&s->machine, &callbacks, &settings, &s->allocator, s) ||
        http3_qpack_open(s))
        return ROUTED_ERROR_MEMORY;
    nghttp3_conn_set_max_client_streams_bidi(s->machine, s->options->limits.streams_max);
    return ROUTED_OK;
}

void http3_machine_close(struct http3_session *s)
{
    memory_free(s->repertoire);
    http3_qpack_close(s);
    http3_instructions_release(s);
    nghttp3_conn_del(s->machine);
    s->machine = NULL;
}

/* A client has to allow three streams at least (RFC 9114 section 6.2). */
static int open_streams(struct http3_session *s, int64_t streams[3])
{
    const struct http3_transport *transport = &s->transport;
    for (size_t i = 0; i < 3; i++) {
        int error = transport->open_stream(transport->transport, &streams[i]);
        if (error)
            return error;
    }
    return ROUTED_OK;
}

void http3_machine_start(struct http3_session *s)
{
    int64_t streams[3];
    if (s->is_started || s->is_broken)
        return;
    int error = open_streams(s, streams);
    if (error == ROUTED_ERROR_AGAIN) {
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_GENERAL_PROTOCOL_ERROR);
        return;
    }
    if (error || nghttp3_conn_bind_control_stream(s->machine, streams[0]) ||
        nghttp3_conn_bind_qpack_streams(s->machine, streams[1], streams[2])) {
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
        return;
    }
    s->is_started = true;
    s->control_stream = streams[0];
    s->instructions.stream = streams[2];
}

/* ---- failures ---- */

void http3_machine_failed(struct http3_session *s, int result)
{
    int error = result == NGHTTP3_ERR_NOMEM ? ROUTED_ERROR_MEMORY : ROUTED_ERROR_FRAMING;
    http3_session_break(s, error, nghttp3_err_infer_quic_app_error_code(result));
    s->is_broken = true;
}

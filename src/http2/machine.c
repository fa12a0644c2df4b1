#include "http2/state.h"

#include <routed/error.h>

/* ---- what HPACK decodes ---- */

static struct span text_of(const void *held)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf((nghttp2_rcbuf *)held);
    return span_of(bytes.base, bytes.len);
}

static void retain(void *held)
{
    nghttp2_rcbuf_incref(held);
}

static void release(void *held)
{
    nghttp2_rcbuf_decref(held);
}

static const struct http_keeper keeper = {.text = text_of, .retain = retain, .release = release};

/* ---- making it ---- */

/* As nghttp2 counts what a head may take, of the largest that exchange_respond lets through: with a
 * larger one it would leave the client without an answer. */
#define SENT_HEAD_MAX (EXCHANGE_RESPONSE_HEAD_MAX + 64 * (size_t)EXCHANGE_RESPONSE_FIELDS_MAX)

static void set_options(nghttp2_option *option, const struct http2_limits *limits)
{
    nghttp2_option_set_max_send_header_block_length(option, SENT_HEAD_MAX);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* Resets are counted here, by the clock of the worker. */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
    nghttp2_option_set_max_outbound_ack(option, limits->control_max);
    nghttp2_option_set_max_settings(option, limits->settings_max);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
}

static int make(struct http2_session *s, nghttp2_session_callbacks *callbacks,
                nghttp2_option *option)
{
    nghttp2_mem allocator = {.mem_user_data = &s->heap,
                             .malloc = heap_new,
                             .free = heap_free,
                             .calloc = heap_new_zeroed,
                             .realloc = heap_resize};
    set_options(option, &s->options->limits);
    http2_receive_set_callbacks(callbacks);
    http2_answer_set_callbacks(callbacks);
    return nghttp2_session_server_new3(&s->machine, callbacks, s, option, &allocator)
               ? ROUTED_ERROR_MEMORY
               : ROUTED_OK;
}

static int queue_settings(struct http2_session *s)
{
    const struct http2_limits *limits = &s->options->limits;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits->compression_table},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits->frame_max},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head.fields_bytes_max},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    if (nghttp2_submit_settings(s->machine, NGHTTP2_FLAG_NONE, entries,
                                sizeof(entries) / sizeof(entries[0])) ||
        nghttp2_session_set_local_window_size(
            s->machine, NGHTTP2_FLAG_NONE, 0,
            (int32_t)(limits->connection_window + limits->upload_growth)))
        return ROUTED_ERROR_MEMORY;
    return ROUTED_OK;
}

int http2_machine_open(struct http2_session *s)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int error = ROUTED_ERROR_MEMORY;
    /* nghttp2 (seen in 1.52) frees a DATA frame that it goes on using when the queue of streams
     * cannot grow: http2_machine_feed and _pull look whether the reserve was needed. */
    s->heap.spare = s->options->spare;
    if (heap_keep_reserve(&s->heap))
        return ROUTED_ERROR_MEMORY;
    if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0)
        error = make(s, callbacks, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    s->heads.cookies.keeper = &keeper;
    http2_frames_init(&s->frames, HTTP2_PREFACE_SIZE);
    return error ? error : queue_settings(s);
}

void http2_machine_close(struct http2_session *s)
{
    nghttp2_session_del(s->machine);
    s->machine = NULL;
    heap_release(&s->heap);
}

/* ---- the end by our own hand ---- */

/* After a callback has failed nghttp2 makes no promise but that it can be freed, so the last frame
 * is written without it. */
static void write_goaway(struct http2_session *s)
{
    uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(s->machine);
    uint32_t code = s->failure_code;
    const uint8_t frame[17] = {
        [2] = 8, /* size of the payload */
        [3] = NGHTTP2_GOAWAY,
        [9] = (uint8_t)(last >> 24),
        [10] = (uint8_t)(last >> 16),
        [11] = (uint8_t)(last >> 8),
        [12] = (uint8_t)last,
        [13] = (uint8_t)(code >> 24),
        [14] = (uint8_t)(code >> 16),
        [15] = (uint8_t)(code >> 8),
        [16] = (uint8_t)code,
    };
    output_copy(&s->output, span_of(frame, sizeof(frame)));
}

void http2_machine_give_up(struct http2_session *s)
{
    if (!s->is_broken)
        write_goaway(s);
    s->is_broken = true;
}

static void give_up(struct http2_session *s, int error, uint32_t code)
{
    http2_session_break(s, error, code);
    http2_machine_give_up(s);
}

/* ---- bytes in ---- */

static void on_feed_error(struct http2_session *s, int result)
{
    if (s->failure)
        http2_machine_give_up(s);
    else if (result == NGHTTP2_ERR_NOMEM)
        give_up(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
    else if (result == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        give_up(s, ROUTED_ERROR_FRAMING, NGHTTP2_PROTOCOL_ERROR);
    else /* limits of nghttp2's own: of answers, of CONTINUATION */
        give_up(s, ROUTED_ERROR_BUDGET, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void judge(struct http2_session *s, const struct http2_frame *frame, uint64_t received)
{
    const struct http2_limits *limits = &s->options->limits;
    uint32_t code = http2_order_take(&s->order, frame);
    if (code) {
        http2_session_break(s, ROUTED_ERROR_FRAMING, code);
        return;
    }
    int error = http2_budget_is_overhead(&s->budget, limits, received)
                    ? ROUTED_ERROR_HTTP2_OVERHEAD
                    : http2_budget_take_frame(&s->budget, limits, *s->options->now, frame);
    if (error)
        http2_session_break(s, error, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Looks at each frame that begins in `bytes`; returns how many bytes come before the first that
 * ends the connection. */
static size_t look_ahead(struct http2_session *s, struct span bytes)
{
    struct span rest = bytes;
    struct http2_frame frame;
    while (http2_frames_next(&s->frames, &rest, &frame)) {
        size_t used = bytes.size - rest.size;
        judge(s, &frame, s->session.bytes_in + used);
        if (s->failure)
            return used > frame.looked_at ? used - frame.looked_at : 0;
    }
    return bytes.size;
}

/* Once nghttp2 has decided to end the connection it is fed nothing more. */
void http2_machine_feed(struct http2_session *s, struct span bytes)
{
    if (s->is_broken || !nghttp2_session_want_read(s->machine))
        return;
    size_t size = look_ahead(s, bytes);
    ssize_t result = size ? nghttp2_session_mem_recv(s->machine, bytes.data, size) : 0;
    if (result < 0 || s->failure)
        on_feed_error(s, (int)result);
    else if (s->heap.is_exhausted)
        give_up(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
}

/* ---- bytes out ---- */

/* nghttp2 tells of the last frame of a stream before it hands its bytes over. */
static void note_ends(struct http2_session *s)
{
    for (struct list_link *l = s->finishing.previous; l != &s->finishing; l = l->previous) {
        struct http2_stream *t = LIST_ITEM(l, struct http2_stream, link);
        if (t->response_end)
            break;
        t->response_end = output_end(&s->output);
    }
}

void http2_machine_pull(struct http2_session *s)
{
    if (s->heap.is_exhausted && !s->is_broken)
        give_up(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
    while (!s->is_broken && s->output.size < HTTP2_OUTPUT_TURN) {
        const uint8_t *bytes;
        ssize_t size = nghttp2_session_mem_send(s->machine, &bytes);
        if (size < 0 || s->heap.is_exhausted ||
            (size && output_copy(&s->output, span_of(bytes, (size_t)size)))) {
            give_up(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
            break;
        }
        note_ends(s);
        if (size == 0)
            break;
    }
    note_ends(s);
}

bool http2_machine_wants_write(const struct http2_session *s)
{
    return !s->is_broken && nghttp2_session_want_write(s->machine);
}

bool http2_machine_is_done(const struct http2_session *s)
{
    return s->is_broken ||
           (!nghttp2_session_want_read(s->machine) && !nghttp2_session_want_write(s->machine));
}

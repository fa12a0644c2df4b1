#include "base/buffer.h"
#include <routed/events.h>
#include <string.h>

int routed_events_begin(routed_exchange *x)
{
    int error = routed_response_status(x, 200);
    if (!error)
        error = routed_response_set_field(x, "content-type", "text/event-stream");
    if (!error)
        error = routed_response_set_field(x, "cache-control", "no-store");
    return error ? error : routed_response_begin(x, ROUTED_LENGTH_UNKNOWN);
}

/* An id with a NUL is ignored by clients; a C string has none. */
static bool is_one_line(const char *text)
{
    return !text || !text[strcspn(text, "\r\n")];
}

static int append_line(struct buffer *b, const char *name, struct span text)
{
    int error = buffer_append_text(b, name);
    if (!error)
        error = buffer_append_span(b, text);
    return error ? error : buffer_append_text(b, "\n");
}

static int append_lines(struct buffer *b, const char *name, const char *text)
{
    for (;;) {
        size_t size = strcspn(text, "\r\n");
        int error = append_line(b, name, span_of(text, size));
        if (error || !text[size])
            return error;
        text += size + (text[size] == '\r' && text[size + 1] == '\n' ? 2 : 1);
    }
}

static int append_event(struct buffer *b, const char *id, const char *event, const char *data)
{
    int error = ROUTED_OK;
    if (id)
        error = append_line(b, "id: ", span_from(id));
    if (event && !error)
        error = append_line(b, "event: ", span_from(event));
    if (data && !error)
        error = append_lines(b, "data: ", data);
    return error ? error : buffer_append_text(b, "\n");
}

static int write_and_release(routed_exchange *x, struct buffer *b, int error)
{
    struct span text = buffer_span(b);
    if (!error)
        error = routed_response_write(x, text.data, text.size);
    buffer_release(b);
    return error;
}

int routed_events_send(routed_exchange *x, const char *id, const char *event, const char *data)
{
    struct buffer b = BUFFER_EMPTY;
    if (!is_one_line(id) || !is_one_line(event))
        return ROUTED_ERROR_ARGUMENT;
    return write_and_release(x, &b, append_event(&b, id, event, data));
}

int routed_events_comment(routed_exchange *x, const char *text)
{
    struct buffer b = BUFFER_EMPTY;
    if (!text)
        return ROUTED_ERROR_ARGUMENT;
    int error = append_lines(&b, ": ", text);
    return write_and_release(x, &b, error ? error : buffer_append_text(&b, "\n"));
}

int routed_events_retry(routed_exchange *x, uint32_t milliseconds)
{
    struct buffer b = BUFFER_EMPTY;
    int error = buffer_append_text(&b, "retry: ");
    if (!error)
        error = buffer_append_decimal(&b, milliseconds);
    return write_and_release(x, &b, error ? error : buffer_append_text(&b, "\n\n"));
}

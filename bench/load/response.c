#include "load/response.h"

#include "base/decimal.h"
#include <routed/error.h>

#define CHUNK_LINE_MAX 1024

void load_response_release(struct load_response *r)
{
    buffer_release(&r->partial);
    *r = (struct load_response){.state = LOAD_RESPONSE_HEAD};
}

/* ---- lines ---- */

/* The bytes up to and with `end`, off the input; what came before is joined in front. False: they
 * are not all here yet and kept, or they are wrong: more than `max`. */
static bool take_until(struct load_response *r, struct span *input, struct span end, size_t max,
                       struct span *out, bool *is_wrong)
{
    const uint8_t *found = NULL;
    if (buffer_size(&r->partial) == 0) {
        found = memmem(input->data, input->size, end.data, end.size);
        if (found) {
            *out = span_of(input->data, (size_t)(found - input->data) + end.size);
            *input = span_after(*input, out->size);
            return true;
        }
    }
    /* Behind the end may come much more, of other answers: `max` is for what is before it. */
    size_t before = buffer_size(&r->partial), room = max - before;
    struct span more = span_part(*input, 0, input->size < room ? input->size : room);
    *is_wrong = buffer_append_span(&r->partial, more) != ROUTED_OK;
    if (*is_wrong)
        return false;
    struct span all = buffer_span(&r->partial);
    found = memmem(all.data, all.size, end.data, end.size);
    if (!found) {
        *is_wrong = all.size == max;
        *input = span_after(*input, more.size);
        return false;
    }
    *out = span_of(all.data, (size_t)(found - all.data) + end.size);
    *input = span_after(*input, out->size - before);
    return true;
}

static bool take_line(struct load_response *r, struct span *input, struct span *line,
                      bool *is_wrong)
{
    return take_until(r, input, SPAN("\r\n"), CHUNK_LINE_MAX, line, is_wrong);
}

/* ---- the head ---- */

static bool next_line(struct span *rest, struct span *line)
{
    const uint8_t *end = memmem(rest->data, rest->size, "\r\n", 2);
    if (!end || end == rest->data)
        return false;
    *line = span_of(rest->data, (size_t)(end - rest->data));
    *rest = span_after(*rest, line->size + 2);
    return true;
}

/* The value of a line whose name is `name`, which is in lower case. */
static bool is_field(struct span line, struct span name, struct span *value)
{
    if (line.size <= name.size || line.data[name.size] != ':' ||
        !span_equals_ignoring_case(span_part(line, 0, name.size), name))
        return false;
    *value = span_trim(span_after(line, name.size + 1));
    return true;
}

static bool read_status(struct load_response *r, struct span line)
{
    uint64_t status;
    if (line.size < 12 || !span_starts_with(line, SPAN("HTTP/1.")) || line.data[8] != ' ' ||
        !decimal_read(span_part(line, 9, 3), 999, &status) || status < 100)
        return false;
    r->status = (uint16_t)status;
    r->closes = line.data[7] == '0';
    return true;
}

/* By the first letter: most fields of a response mean nothing here. */
static bool read_field(struct load_response *r, struct span line)
{
    struct span value;
    switch (line.data[0] | 0x20) {
    case 'c':
        if (is_field(line, SPAN("content-length"), &value)) {
            r->state = LOAD_RESPONSE_COUNTED;
            return decimal_read(value, INT64_MAX, &r->left);
        }
        if (is_field(line, SPAN("connection"), &value))
            r->closes = span_equals_ignoring_case(value, SPAN("close"));
        return true;
    case 't':
        if (is_field(line, SPAN("transfer-encoding"), &value))
            r->state = LOAD_RESPONSE_CHUNK_SIZE;
        return true;
    default:
        return true;
    }
}

static bool read_head(struct load_response *r, struct span head)
{
    struct span line;
    if (!next_line(&head, &line) || !read_status(r, line))
        return false;
    r->left = 0;
    r->state = LOAD_RESPONSE_UNTIL_CLOSE;
    while (next_line(&head, &line))
        if (!read_field(r, line))
            return false;
    if (r->status < 200 || r->status == 204 || r->status == 304) {
        r->state = LOAD_RESPONSE_COUNTED;
        r->left = 0;
    }
    return true;
}

/* ---- content ---- */

static bool read_chunk_size(struct load_response *r, struct span line)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.size && digits < 15; digits++) {
        uint8_t c = span_lower(line.data[digits]);
        if (c >= '0' && c <= '9')
            size = size * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            size = size * 16 + (uint64_t)(c - 'a' + 10);
        else
            break;
    }
    r->left = size;
    r->state = size ? LOAD_RESPONSE_CHUNK_DATA : LOAD_RESPONSE_TRAILERS;
    return digits > 0;
}

static void take_content(struct load_response *r, struct span *input)
{
    size_t size = r->left < input->size ? (size_t)r->left : input->size;
    r->left -= size;
    r->content += size;
    *input = span_after(*input, size);
}

/* A whole response: the next one begins. False: a 1xx, which is none. */
static bool finish(struct load_response *r)
{
    r->state = LOAD_RESPONSE_HEAD;
    return r->status >= 200 || r->status == 101;
}

/* One line of those that frame: true when it was whole and right. */
static bool step_line(struct load_response *r, struct span *input, bool *is_wrong, bool *is_done)
{
    struct span line;
    if (!take_line(r, input, &line, is_wrong))
        return false;
    if (r->state == LOAD_RESPONSE_CHUNK_SIZE)
        *is_wrong = !read_chunk_size(r, line);
    else if (r->state == LOAD_RESPONSE_CHUNK_END)
        r->state = LOAD_RESPONSE_CHUNK_SIZE;
    else if (line.size == 2)
        *is_done = finish(r);
    buffer_clear(&r->partial);
    return !*is_wrong;
}

static bool step_head(struct load_response *r, struct span *input, bool *is_wrong, bool *is_done)
{
    struct span head;
    if (!take_until(r, input, SPAN("\r\n\r\n"), LOAD_RESPONSE_HEAD_MAX, &head, is_wrong))
        return false;
    *is_wrong = !read_head(r, head);
    buffer_clear(&r->partial);
    if (!*is_wrong && r->state == LOAD_RESPONSE_COUNTED && r->left == 0)
        *is_done = finish(r);
    return !*is_wrong;
}

static bool step_content(struct load_response *r, struct span *input, bool *is_done)
{
    take_content(r, input);
    if (r->left)
        return false;
    if (r->state == LOAD_RESPONSE_COUNTED)
        *is_done = finish(r);
    else
        r->state = LOAD_RESPONSE_CHUNK_END;
    return true;
}

enum load_response_event load_response_feed(struct load_response *r, struct span *input)
{
    bool is_wrong = false, is_done = false, goes_on = true;
    while (goes_on && !is_done && input->size) {
        switch (r->state) {
        case LOAD_RESPONSE_HEAD:
            goes_on = step_head(r, input, &is_wrong, &is_done);
            break;
        case LOAD_RESPONSE_COUNTED:
        case LOAD_RESPONSE_CHUNK_DATA:
            goes_on = step_content(r, input, &is_done);
            break;
        case LOAD_RESPONSE_CHUNK_SIZE:
        case LOAD_RESPONSE_CHUNK_END:
        case LOAD_RESPONSE_TRAILERS:
            goes_on = step_line(r, input, &is_wrong, &is_done);
            break;
        case LOAD_RESPONSE_UNTIL_CLOSE:
            r->content += input->size;
            *input = SPAN_EMPTY;
            break;
        }
    }
    if (is_wrong)
        return LOAD_RESPONSE_WRONG;
    return is_done ? LOAD_RESPONSE_DONE : LOAD_RESPONSE_MORE;
}

bool load_response_end(struct load_response *r)
{
    return r->state == LOAD_RESPONSE_UNTIL_CLOSE && finish(r);
}

#include "base/memory.h"
#include "engine/order.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_MAX       65536
#define SHARED_WRITE_MIN 4096 /* smaller parts of a request body are copied: they pin no block */

/* ---- who may answer: the first call decides ---- */

static int claim(routed_exchange *x, enum answer_phase from, enum answer_phase to)
{
    int expected = (int)from;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    return atomic_compare_exchange_strong(&x->phase, &expected, (int)to) ? ROUTED_OK
                                                                         : ROUTED_ERROR_STATE;
}

static bool head_is_unsent(const routed_exchange *x)
{
    return x->exchange && x->exchange->response_phase == EXCHANGE_HEAD;
}

/* An answer that could not leave is none: another one, such as that of an error, may follow. */
static int submit_claimed(routed_exchange *x, enum answer_phase from, struct order *o)
{
    int error = engine_order_submit(x, o);
    if (error && error != ROUTED_ERROR_CLOSED && (!engine_exchange_is_here(x) || head_is_unsent(x)))
        atomic_store(&x->phase, (int)from);
    return error;
}

/* The hooks that run before the head leaves may change it although it is claimed. */
static int check_head(const routed_exchange *x)
{
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    bool is_open =
        engine_exchange_is_here(x) ? head_is_unsent(x) : atomic_load(&x->phase) == (int)ANSWER_OPEN;
    return is_open ? ROUTED_OK : ROUTED_ERROR_STATE;
}

/* ---- head ---- */

int routed_response_status(routed_exchange *x, int status)
{
    if (status < 200 || status > 999)
        return ROUTED_ERROR_ARGUMENT;
    int error = check_head(x);
    return error ? error
                 : engine_order_submit(x, &(struct order){.kind = ORDER_STATUS, .number = status});
}

static bool field_is_valid(const char *name, const char *value)
{
    return name && value && field_name_is_valid(span_from(name)) &&
           field_value_is_valid(span_from(value));
}

static int submit_field(routed_exchange *x, enum order_kind kind, const char *name,
                        const char *value)
{
    if (!field_is_valid(name, value))
        return ROUTED_ERROR_ARGUMENT;
    int error = check_head(x);
    if (error)
        return error;
    return engine_order_submit(
        x, &(struct order){.kind = kind, .name = span_from(name), .value = span_from(value)});
}

int routed_response_add_field(routed_exchange *x, const char *name, const char *value)
{
    return submit_field(x, ORDER_ADD_FIELD, name, value);
}

int routed_response_set_field(routed_exchange *x, const char *name, const char *value)
{
    return submit_field(x, ORDER_SET_FIELD, name, value);
}

int routed_response_remove_field(routed_exchange *x, const char *name)
{
    return submit_field(x, ORDER_REMOVE_FIELD, name, "");
}

int routed_response_inform(routed_exchange *x, int status, const routed_field *fields, size_t count)
{
    if (status < 102 || status > 199 || (count && !fields))
        return ROUTED_ERROR_ARGUMENT;
    for (size_t i = 0; i < count; i++)
        if (!field_is_valid(fields[i].name, fields[i].value))
            return ROUTED_ERROR_ARGUMENT;
    int error = check_head(x);
    if (error)
        return error;
    return engine_order_submit(
        x, &(struct order){
               .kind = ORDER_INFORM, .number = status, .fields = fields, .field_count = count});
}

/* ---- whole ---- */

static int send_whole(routed_exchange *x, struct order *o)
{
    int error = claim(x, ANSWER_OPEN, ANSWER_ENDED);
    if (error) {
        slice_release(&o->body);
        return error;
    }
    o->kind = ORDER_WHOLE;
    return submit_claimed(x, ANSWER_OPEN, o);
}

static int copy_body(routed_exchange *x, struct slice *body, const void *bytes, size_t size)
{
    if (size && !bytes)
        return ROUTED_ERROR_ARGUMENT;
    struct span s = span_of(bytes, size);
    *body = engine_exchange_is_here(x) ? slice_copy_spare(&x->desk->answer, s) : slice_copy(s);
    return size && !body->data ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

int routed_response_send(routed_exchange *x, const void *bytes, size_t size)
{
    struct order o = {0};
    int error = copy_body(x, &o.body, bytes, size);
    return error ? error : send_whole(x, &o);
}

int routed_response_send_static(routed_exchange *x, const void *bytes, size_t size)
{
    if (size && !bytes)
        return ROUTED_ERROR_ARGUMENT;
    return send_whole(x, &(struct order){.body = slice_static(span_of(bytes, size))});
}

int routed_response_bytes(routed_exchange *x, const char *content_type, const void *bytes,
                          size_t size)
{
    if (!field_is_valid("content-type", content_type))
        return ROUTED_ERROR_ARGUMENT;
    struct order o = {.name = SPAN("content-type"), .value = span_from(content_type)};
    int error = copy_body(x, &o.body, bytes, size);
    return error ? error : send_whole(x, &o);
}

static int send_text(routed_exchange *x, const char *content_type, const char *text)
{
    return text ? routed_response_bytes(x, content_type, text, strlen(text))
                : ROUTED_ERROR_ARGUMENT;
}

int routed_response_text(routed_exchange *x, const char *text)
{
    return send_text(x, "text/plain; charset=utf-8", text);
}

int routed_response_html(routed_exchange *x, const char *html)
{
    return send_text(x, "text/html; charset=utf-8", html);
}

int routed_response_json(routed_exchange *x, const char *json)
{
    return send_text(x, "application/json", json);
}

int routed_response_empty(routed_exchange *x, int status)
{
    if (status < 200 || status > 999)
        return ROUTED_ERROR_ARGUMENT;
    return send_whole(x, &(struct order){.number = status});
}

static int format_body(struct slice *body, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    int error = size < 0 ? ROUTED_ERROR_ARGUMENT : size > FORMAT_MAX ? ROUTED_ERROR_LIMIT : 0;
    struct block *block = error ? NULL : block_new((size_t)size + 1);
    if (block) {
        vsnprintf((char *)block_data(block), (size_t)size + 1, format, again);
        *body = (struct slice){block, block_data(block), (size_t)size};
    } else if (!error) {
        error = ROUTED_ERROR_MEMORY;
    }
    va_end(again);
    return error;
}

int routed_response_format(routed_exchange *x, const char *content_type, const char *format, ...)
{
    if (!field_is_valid("content-type", content_type) || !format)
        return ROUTED_ERROR_ARGUMENT;
    struct order o = {.name = SPAN("content-type"), .value = span_from(content_type)};
    va_list arguments;
    va_start(arguments, format);
    int error = format_body(&o.body, format, arguments);
    va_end(arguments);
    return error ? error : send_whole(x, &o);
}

int routed_response_redirect(routed_exchange *x, int status, const char *location)
{
    bool is_redirect =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!is_redirect || !field_is_valid("location", location))
        return ROUTED_ERROR_ARGUMENT;
    return send_whole(
        x,
        &(struct order){.number = status, .name = SPAN("location"), .value = span_from(location)});
}

int routed_response_error(routed_exchange *x, int status)
{
    if (status < 400 || status > 599)
        return ROUTED_ERROR_ARGUMENT;
    int error = claim(x, ANSWER_OPEN, ANSWER_ENDED);
    if (error)
        return error;
    return submit_claimed(x, ANSWER_OPEN, &(struct order){.kind = ORDER_ERROR, .number = status});
}

/* ---- as a stream ---- */

int routed_response_begin(routed_exchange *x, int64_t length)
{
    if (length < ROUTED_LENGTH_UNKNOWN)
        return ROUTED_ERROR_ARGUMENT;
    int error = claim(x, ANSWER_OPEN, ANSWER_STREAMING);
    if (error)
        return error;
    return submit_claimed(x, ANSWER_OPEN, &(struct order){.kind = ORDER_BEGIN, .length = length});
}

static int check_stream(const routed_exchange *x)
{
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    return atomic_load(&x->phase) == (int)ANSWER_STREAMING ? ROUTED_OK : ROUTED_ERROR_STATE;
}

static bool admit(routed_exchange *x, size_t size)
{
    if (!engine_exchange_is_here(x))
        return engine_outbox_admit(x, size, OUTBOX_WINDOW);
    if (!engine_outbox_can_write(x)) {
        atomic_store(&x->is_blocked, true);
        return false;
    }
    atomic_fetch_add(&x->queued, size);
    return true;
}

/* Part of the request body that is being told goes out as it came in. */
static struct slice share_or_copy(const routed_exchange *x, const void *bytes, size_t size)
{
    const struct slice *current = &x->body.current;
    if (size >= SHARED_WRITE_MIN && engine_exchange_is_here(x) && current->block) {
        uintptr_t from = (uintptr_t)current->data;
        uintptr_t at = (uintptr_t)bytes;
        if (at >= from && at - from <= current->size && size <= current->size - (at - from)) {
            struct slice part = slice_retain(*current);
            part.data = bytes;
            part.size = size;
            return part;
        }
    }
    return slice_copy(span_of(bytes, size));
}

static bool content_is_suppressed(const routed_exchange *x)
{
    return engine_exchange_is_here(x) && x->exchange->suppress_content;
}

static int write_slice(routed_exchange *x, const void *bytes, size_t size, bool is_static)
{
    if (size && !bytes)
        return ROUTED_ERROR_ARGUMENT;
    int error = check_stream(x);
    if (error || size == 0)
        return error;
    /* An answer to HEAD: not worth a copy. */
    if (content_is_suppressed(x))
        return ROUTED_OK;
    if (!admit(x, size))
        return ROUTED_ERROR_AGAIN;
    struct order o = {.kind = ORDER_WRITE};
    o.body = is_static ? slice_static(span_of(bytes, size)) : share_or_copy(x, bytes, size);
    if (!o.body.data) {
        engine_outbox_dismiss(x, size);
        return ROUTED_ERROR_MEMORY;
    }
    return engine_order_submit(x, &o);
}

int routed_response_write(routed_exchange *x, const void *bytes, size_t size)
{
    return write_slice(x, bytes, size, false);
}

int routed_response_write_static(routed_exchange *x, const void *bytes, size_t size)
{
    return write_slice(x, bytes, size, true);
}

/* The first bytes tell: no forbidden name is longer, and families are told by how they begin. */
static bool trailer_is_allowed(const char *name)
{
    uint8_t lower[64];
    struct span text = span_from(name);
    if (text.size > sizeof(lower))
        text.size = sizeof(lower);
    span_lower_copy(lower, text);
    text.data = lower;
    return !field_is_forbidden_trailer(field_lookup(text), text);
}

int routed_response_trailer(routed_exchange *x, const char *name, const char *value)
{
    if (!field_is_valid(name, value) || !trailer_is_allowed(name))
        return ROUTED_ERROR_ARGUMENT;
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (atomic_load(&x->phase) == (int)ANSWER_ENDED)
        return ROUTED_ERROR_STATE;
    return engine_order_submit(
        x,
        &(struct order){.kind = ORDER_TRAILER, .name = span_from(name), .value = span_from(value)});
}

int routed_response_end(routed_exchange *x)
{
    int error = claim(x, ANSWER_STREAMING, ANSWER_ENDED);
    if (error)
        return error;
    return submit_claimed(x, ANSWER_STREAMING, &(struct order){.kind = ORDER_END});
}

int routed_response_is_writable(const routed_exchange *x)
{
    if (check_stream(x) != ROUTED_OK)
        return 0;
    return engine_exchange_is_here(x) ? engine_outbox_can_write(x)
                                      : atomic_load(&x->queued) < OUTBOX_WINDOW;
}

int routed_response_on_writable(routed_exchange *x, routed_callback *callback, void *user)
{
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (!engine_exchange_is_here(x))
        return ROUTED_ERROR_STATE;
    x->on_writable = callback;
    x->writable_user = user;
    return ROUTED_OK;
}

int routed_response_wait(routed_exchange *x, uint32_t patience)
{
    if (engine_exchange_is_over(x))
        return ROUTED_ERROR_CLOSED;
    if (engine_exchange_is_here(x))
        return ROUTED_ERROR_STATE;
    return engine_outbox_wait(x, patience, OUTBOX_WINDOW);
}

int routed_response_fail(routed_exchange *x, int code)
{
    if (code >= 0)
        return ROUTED_ERROR_ARGUMENT;
    return engine_order_submit(x, &(struct order){.kind = ORDER_FAIL, .number = code});
}

#include "base/decimal.h"
#include "engine/exchange.h"

#define RESET_CONTENT 205

int engine_head_add_field(routed_exchange *x, struct span name, struct span value)
{
    return field_list_append_copy(&x->fields, &x->exchange->arena, name, value);
}

void engine_head_remove_field(routed_exchange *x, struct span name)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->fields.count; i++)
        if (!span_equals_ignoring_case(name, x->fields.items[i].text))
            x->fields.items[kept++] = x->fields.items[i];
    x->fields.count = kept;
}

int engine_head_set_field(routed_exchange *x, struct span name, struct span value)
{
    int error = engine_head_add_field(x, name, value);
    if (error)
        return error;
    struct field added = x->fields.items[--x->fields.count];
    engine_head_remove_field(x, name);
    x->fields.items[x->fields.count++] = added;
    return ROUTED_OK;
}

int engine_head_inform(routed_exchange *x, int status, const routed_field *fields, size_t count)
{
    struct http_response head = {.status = (uint16_t)status, .fields = FIELD_LIST_EMPTY};
    for (size_t i = 0; i < count; i++) {
        int error = field_list_append_copy(&head.fields, &x->exchange->arena,
                                           span_from(fields[i].name), span_from(fields[i].value));
        if (error)
            return error;
    }
    return exchange_inform(x->exchange, &head);
}

static int set_length(routed_exchange *x, int64_t length)
{
    char text[DECIMAL_MAX];
    engine_head_remove_field(x, SPAN("content-length"));
    if (length < 0)
        return ROUTED_OK;
    struct arena *arena = &x->exchange->arena;
    struct field f = {.text = field_text(FIELD_CONTENT_LENGTH), .name = FIELD_CONTENT_LENGTH};
    f.value = arena_copy(arena, span_of(text, decimal_write(text, (uint64_t)length)));
    return f.value.data ? field_list_append(&x->fields, arena, f) : ROUTED_ERROR_MEMORY;
}

int engine_head_send(routed_exchange *x, int64_t length, bool *has_content)
{
    engine_chain_run_after_hooks(x);
    *has_content = http_status_has_content(x->status);
    int error = set_length(x, *has_content ? length : HTTP_LENGTH_UNKNOWN);
    if (error)
        return error;
    struct http_response head = {.status = x->status, .fields = x->fields};
    return exchange_respond(x->exchange, &head);
}

/* 205 has no content either, but says so with a length of 0 (RFC 9110 section 15.3.6). */
int engine_head_send_whole(routed_exchange *x, struct slice body)
{
    bool has_content;
    if (x->status == RESET_CONTENT)
        slice_release(&body);
    int error = engine_head_send(x, (int64_t)body.size, &has_content);
    if (error || !has_content || body.size == 0) {
        slice_release(&body);
        return error ? error : engine_outbox_end(x);
    }
    error = engine_outbox_write_whole(x, body);
    return error ? error : engine_outbox_end(x);
}

int engine_head_send_error(routed_exchange *x, int status)
{
    struct span phrase = http_reason((uint16_t)status);
    if (phrase.size == 0)
        phrase = SPAN("Error");
    int error = engine_head_set_field(x, SPAN("content-type"), SPAN("text/plain; charset=utf-8"));
    if (error)
        return error;
    struct block *text = block_new(phrase.size + 1);
    if (!text)
        return ROUTED_ERROR_MEMORY;
    memcpy(block_data(text), phrase.data, phrase.size);
    block_data(text)[phrase.size] = '\n';
    x->status = (uint16_t)status;
    return engine_head_send_whole(x, (struct slice){text, block_data(text), phrase.size + 1});
}

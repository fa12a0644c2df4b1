#include "engine/order.h"

#include "base/memory.h"
#include "engine/socket.h"
#include <string.h>

static int perform_whole(routed_exchange *x, const struct order *o)
{
    if (o->number)
        x->status = (uint16_t)o->number;
    if (o->name.size) {
        int error = engine_head_set_field(x, o->name, o->value);
        if (error) {
            struct slice body = o->body;
            slice_release(&body);
            return error;
        }
    }
    return engine_head_send_whole(x, o->body);
}

static int perform_head(routed_exchange *x, const struct order *o)
{
    if (x->exchange->response_phase != EXCHANGE_HEAD)
        return ROUTED_ERROR_STATE;
    switch (o->kind) {
    case ORDER_STATUS:
        x->status = (uint16_t)o->number;
        return ROUTED_OK;
    case ORDER_ADD_FIELD:
        return engine_head_add_field(x, o->name, o->value);
    case ORDER_SET_FIELD:
        return engine_head_set_field(x, o->name, o->value);
    case ORDER_REMOVE_FIELD:
        engine_head_remove_field(x, o->name);
        return ROUTED_OK;
    default:
        return engine_head_inform(x, o->number, o->fields, o->field_count);
    }
}

static int perform(routed_exchange *x, const struct order *o)
{
    bool has_content;
    switch (o->kind) {
    case ORDER_WHOLE:
        return perform_whole(x, o);
    case ORDER_ERROR:
        return engine_head_send_error(x, o->number);
    case ORDER_BEGIN:
        return engine_head_send(x, o->length, &has_content);
    case ORDER_WRITE:
        return engine_outbox_write(x, o->body);
    case ORDER_TRAILER:
        return field_list_append_copy(&x->trailers, &x->exchange->arena, o->name, o->value);
    case ORDER_END:
        return engine_outbox_end(x);
    case ORDER_FAIL:
        engine_chain_fail(x, o->number);
        return ROUTED_OK;
    case ORDER_NEXT:
        engine_chain_run(x);
        return ROUTED_OK;
    case ORDER_RESUME:
        x->body.is_paused = x->body.is_refused = false;
        engine_body_continue(x);
        return ROUTED_OK;
    case ORDER_CLOSE_SOCKET:
        return engine_socket_send_close(x->websocket, (uint16_t)o->number, o->value);
    case ORDER_CALL:
        o->callback(x, o->user);
        return ROUTED_OK;
    default:
        return perform_head(x, o);
    }
}

/* ---- from other threads ---- */

static size_t copy_size(const struct order *o)
{
    size_t size = sizeof(*o) + o->field_count * sizeof(routed_field) + o->name.size + o->value.size;
    for (size_t i = 0; i < o->field_count; i++)
        size += strlen(o->fields[i].name) + strlen(o->fields[i].value) + 2;
    return size;
}

static char *put(char **at, const void *data, size_t size)
{
    char *copy = *at;
    if (size)
        memcpy(copy, data, size);
    *at += size;
    return copy;
}

static struct order *copy_order(const struct order *o)
{
    struct order *copy = memory_new(copy_size(o));
    if (!copy)
        return NULL;
    *copy = *o;
    routed_field *fields = (routed_field *)(void *)(copy + 1);
    char *at = (char *)(fields + o->field_count);
    for (size_t i = 0; i < o->field_count; i++) {
        fields[i].name = put(&at, o->fields[i].name, strlen(o->fields[i].name) + 1);
        fields[i].value = put(&at, o->fields[i].value, strlen(o->fields[i].value) + 1);
    }
    copy->fields = fields;
    copy->name = span_of(put(&at, o->name.data, o->name.size), o->name.size);
    copy->value = span_of(put(&at, o->value.data, o->value.size), o->value.size);
    return copy;
}

static void drop_body(routed_exchange *x, struct order *o)
{
    if (o->kind == ORDER_WRITE)
        engine_outbox_dismiss(x, o->body.size);
    slice_release(&o->body);
}

static void tell_writable(routed_exchange *x)
{
    if (x->websocket)
        engine_socket_writable(x->websocket);
    else
        engine_outbox_notify(x);
}

static void on_delivery(struct loop_message *m)
{
    struct order *o = LIST_ITEM(m, struct order, message);
    routed_exchange *x = o->x;
    if (engine_exchange_is_over(x)) {
        drop_body(x, o);
    } else {
        int error = perform(x, o);
        if (error && !engine_exchange_is_over(x))
            engine_chain_fail(x, error);
        else if (o->kind == ORDER_WRITE && !engine_exchange_is_over(x))
            tell_writable(x);
    }
    memory_free(o);
    routed_exchange_release(x);
}

int engine_order_post(routed_exchange *x, const struct order *o)
{
    struct order *copy = copy_order(o);
    if (!copy)
        return ROUTED_ERROR_MEMORY;
    copy->x = x;
    copy->message.on_delivery = on_delivery;
    routed_exchange_retain(x);
    if (loop_post(x->loop, &copy->message))
        return ROUTED_OK;
    memory_free(copy);
    routed_exchange_release(x);
    return ROUTED_ERROR_CLOSED;
}

int engine_order_submit(routed_exchange *x, struct order *o)
{
    int error = ROUTED_ERROR_CLOSED;
    if (!engine_exchange_is_over(x)) {
        if (engine_exchange_is_here(x))
            return perform(x, o);
        error = engine_order_post(x, o);
    }
    if (error)
        drop_body(x, o);
    return error;
}

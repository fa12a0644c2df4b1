#include "front/native_direct.h"

static const char content[] = "{\"ok\":true,\"label\":\"routed_ffi_native_direct\"}";

static void answer(struct exchange *x)
{
    struct field fields[] = {
        {SPAN("content-type"), SPAN("application/json"), FIELD_CONTENT_TYPE},
        {SPAN("content-length"), SPAN("46"), FIELD_CONTENT_LENGTH},
    };
    _Static_assert(sizeof(content) - 1 == 46, "the length above is that of the content");
    struct http_response head = {.status = 200, .fields = {fields, 2, 2}};
    int error = exchange_respond(x, &head);
    if (!error)
        error = exchange_send(x, slice_static(span_of(content, sizeof(content) - 1)));
    if (!error)
        error = exchange_end(x, NULL);
    if (error)
        exchange_fail(x, error);
}

/* Content is read and ignored; the answer waits for its end, as an application's would. */
static void on_request(struct exchange *x, void *context)
{
    (void)context;
    if (x->request.content_length == 0)
        answer(x);
    else
        exchange_grant(x, 262144);
}

static void on_body(struct exchange *x, struct slice body)
{
    exchange_grant(x, body.size);
    slice_release(&body);
}

static void on_end(struct exchange *x, const struct field_list *trailers)
{
    (void)trailers;
    if (x->response_phase == EXCHANGE_HEAD)
        answer(x);
}

static void on_writable(struct exchange *x)
{
    (void)x;
}

static void on_close(struct exchange *x, int error)
{
    (void)x;
    (void)error;
}

static const struct exchange_application application = {
    .on_request = on_request,
    .on_body = on_body,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};

void front_native_direct_face(struct face *out)
{
    *out = (struct face){.application = &application};
}

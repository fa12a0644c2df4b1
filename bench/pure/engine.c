/* engine.c: one exchange through the engine: routing among 100 routes, the handler, the response.
 * The carrier takes everything and sends nothing. */
#include "pure/pure.h"

#include "engine/engine.h"
#include "io/loop.h"
#include "servers/application.h"

static uint16_t status;
static bool has_ended;

static int on_inform(struct exchange *x, const struct http_response *head)
{
    (void)x;
    (void)head;
    return ROUTED_OK;
}

static int on_respond(struct exchange *x, const struct http_response *head, int64_t length)
{
    (void)x;
    (void)length;
    status = head->status;
    return ROUTED_OK;
}

static int on_send(struct exchange *x, struct slice body)
{
    (void)x;
    slice_release(&body);
    return ROUTED_OK;
}

static int on_end(struct exchange *x, const struct field_list *trailers)
{
    (void)x;
    (void)trailers;
    has_ended = true;
    return ROUTED_OK;
}

static void on_fail(struct exchange *x, int error)
{
    (void)x;
    (void)error;
    status = 0;
}

static void on_grant(struct exchange *x, size_t bytes)
{
    (void)x;
    (void)bytes;
}

static const struct exchange_carrier carrier = {.inform = on_inform,
                                                .respond = on_respond,
                                                .send = on_send,
                                                .end = on_end,
                                                .fail = on_fail,
                                                .grant = on_grant};

static PURE_MEASURED bool measured_engine(struct exchange *x, routed_engine *engine,
                                          struct loop *loop)
{
    exchange_init(x, &carrier, NULL, loop);
    x->request = (struct http_request){.method = SPAN("GET"),
                                       .scheme = SPAN("http"),
                                       .authority = SPAN("localhost"),
                                       .target = SPAN("/r57/items/42"),
                                       .path = SPAN("/r57/items/42"),
                                       .protocol = HTTP_1_1};
    x->request_id = SPAN("0");
    status = 0;
    has_ended = false;
    exchange_writable(x, 65536);
    exchange_open(x, engine_application(), engine);
    bool is_well = exchange_deliver_end(x, NULL) == ROUTED_OK && status == 200 && has_ended;
    exchange_close(x, ROUTED_OK);
    return is_well;
}

bool pure_engine(uint64_t count)
{
    static struct exchange x;
    struct loop *loop = loop_new();
    routed_engine *engine = servers_application_new("pure");
    bool is_well = loop && engine && engine_freeze(engine) == ROUTED_OK;
    /* One turn makes the loop this thread's. */
    if (is_well)
        loop_turn(loop, 0);
    for (uint64_t i = 0; is_well && i < count; i++)
        is_well = measured_engine(&x, engine, loop);
    exchange_release(&x);
    routed_engine_free(engine);
    loop_free(loop);
    return is_well;
}

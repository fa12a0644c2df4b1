/* What an answer consists of, what goes before it, and how it ends. */
#include "exchange/outlet.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "support/unit.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

struct stage {
    struct exchange x;
    struct exchange_outlet outlet;
    struct exchange_outlet_host host;
    struct span alt_svc;
    struct buffer
        heads; /* "NAME=VALUE;" of each line, "." after an interim one, "!" after a final */
    unsigned resumed;
    unsigned first; /* of these, with content in an empty queue */
    unsigned woken;
    int cut;
    int given_up;
    bool refuses; /* every head, for want of memory */
};

static void note(struct stage *s, const struct field_list *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (exchange_outlet_leaves_out(&s->x, &fields->items[i]))
            continue;
        buffer_append_span(&s->heads, fields->items[i].text);
        buffer_append_text(&s->heads, "=");
        buffer_append_span(&s->heads, fields->items[i].value);
        buffer_append_text(&s->heads, ";");
    }
}

static int submit(void *session, struct exchange *x, const struct exchange_outlet_head *head)
{
    struct stage *s = session;
    assert_ptr_equal(x, &s->x);
    if (s->refuses)
        return ROUTED_ERROR_MEMORY;
    note(s, &head->added);
    note(s, head->fields);
    buffer_append_text(&s->heads, head->is_final ? "!" : ".");
    return ROUTED_OK;
}

static void resume(void *session, struct exchange *x, bool is_first)
{
    struct stage *s = session;
    (void)x;
    s->resumed++;
    s->first += is_first;
}

static void cut(void *session, struct exchange *x, int error)
{
    struct stage *s = session;
    (void)x;
    s->cut = error;
    s->outlet.is_done = true;
}

static void give_up(void *session, struct exchange *x, int error)
{
    struct stage *s = session;
    (void)x;
    s->given_up = error;
}

static void wake(void *session, struct exchange *x)
{
    struct stage *s = session;
    (void)x;
    s->woken++;
}

static void on_request(struct exchange *x, void *context)
{
    (void)x;
    (void)context;
}

static const struct exchange_application application = {.on_request = on_request};

static void open(struct stage *s, struct span method)
{
    *s = (struct stage){.heads = BUFFER_EMPTY};
    s->host = (struct exchange_outlet_host){.submit = submit,
                                            .resume = resume,
                                            .cut = cut,
                                            .give_up = give_up,
                                            .wake = wake,
                                            .session = s,
                                            .alt_svc = &s->alt_svc};
    s->outlet.host = &s->host;
    exchange_init(&s->x, &exchange_outlet_carrier, &s->outlet, NULL);
    s->x.request.protocol = HTTP_2;
    s->x.request.method = method;
    s->x.request.content_length = HTTP_LENGTH_UNKNOWN;
    exchange_open(&s->x, &application, NULL);
    exchange_writable(&s->x, 1000);
}

static void release(struct stage *s)
{
    exchange_outlet_release(&s->outlet);
    exchange_release(&s->x);
    buffer_release(&s->heads);
}

static void assert_heads(const struct stage *s, const char *expected)
{
    struct span heads = buffer_span(&s->heads);
    assert_int_equal(heads.size, strlen(expected));
    assert_memory_equal(heads.data, expected, heads.size);
}

static int respond(struct stage *s, uint16_t status, struct field *f)
{
    struct http_response head = {.status = status, .fields = {f, f ? 1 : 0, 1}};
    return exchange_respond(&s->x, &head);
}

static void test_heads(void **state)
{
    struct stage s;
    struct field own = {SPAN("alt-svc"), SPAN("clear"), FIELD_OTHER};
    struct field length = {SPAN("content-length"), SPAN("7"), FIELD_CONTENT_LENGTH};
    struct http_response hints = {.status = 103};
    (void)state;
    open(&s, SPAN("HEAD"));
    s.host.date = DATE;
    s.alt_svc = SPAN("h3");
    exchange_inform(&s.x, &hints);
    assert_false(s.outlet.has_begun);
    respond(&s, 200, &length);
    assert_true(s.outlet.has_begun);
    assert_heads(&s, ":status=103;.:status=200;date=" DATE ";alt-svc=h3;content-length=7;!");
    assert_int_equal(s.woken, 2);
    release(&s);

    open(&s, SPAN("GET"));
    s.alt_svc = SPAN("h3");
    respond(&s, 200, &own);
    assert_heads(&s, ":status=200;alt-svc=clear;!");
    release(&s);

    open(&s, SPAN("GET"));
    s.host.alt_svc = NULL;
    respond(&s, 204, NULL);
    assert_heads(&s, ":status=204;!");
    release(&s);
}

static void test_tunnel(void **state)
{
    struct stage s;
    struct field key = {SPAN("sec-websocket-accept"), SPAN("x"), FIELD_SEC_WEBSOCKET_ACCEPT};
    (void)state;
    open(&s, SPAN("GET"));
    s.x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    assert_int_equal(respond(&s, 101, &key), ROUTED_OK);
    assert_heads(&s, ":status=200;!");
    release(&s);

    open(&s, SPAN("GET"));
    s.x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    assert_int_equal(respond(&s, 200, NULL), ROUTED_ERROR_UNSUPPORTED);
    assert_int_equal(s.x.status, 501);
    assert_int_equal(s.given_up, ROUTED_ERROR_UNSUPPORTED);
    release(&s);
}

static void test_content(void **state)
{
    struct stage s;
    struct field sum = {SPAN("x-sum"), SPAN("1"), FIELD_OTHER};
    const struct field_list trailers = {&sum, 1, 1};
    (void)state;
    open(&s, SPAN("GET"));
    respond(&s, 200, NULL);
    exchange_send(&s.x, slice_static(SPAN("abc")));
    exchange_send(&s.x, slice_static(SPAN("def")));
    assert_int_equal(s.outlet.body.size, 6);
    assert_int_equal(s.resumed, 2);
    assert_int_equal(s.first, 1);
    assert_false(s.outlet.is_done);
    exchange_end(&s.x, &trailers);
    assert_true(s.outlet.is_done);
    assert_int_equal(s.outlet.trailers.count, 1);
    assert_int_equal(s.resumed, 3);
    assert_int_equal(s.first, 1);
    release(&s);
}

static void test_client_is_told_to_continue_once(void **state)
{
    struct stage s;
    struct http_response go_on = {.status = 100};
    (void)state;
    for (int told = 0; told < 4; told++) {
        open(&s, SPAN("POST"));
        s.x.request.expects_continue = true;
        s.outlet.continued = told == 1; /* its content came already */
        if (told == 2)
            exchange_inform(&s.x, &go_on);
        if (told == 3)
            respond(&s, 200, NULL);
        exchange_grant(&s.x, 1);
        exchange_grant(&s.x, 1);
        assert_heads(&s, told == 1 ? "" : told == 3 ? ":status=200;!" : ":status=100;.");
        release(&s);
    }
}

static void test_failures(void **state)
{
    struct stage s;
    (void)state;
    open(&s, SPAN("GET"));
    exchange_fail(&s.x, ROUTED_ERROR_NO_ENGINE);
    assert_heads(&s, ":status=503;content-length=20;content-type=text/plain; charset=utf-8;"
                     "retry-after=1;!");
    assert_int_equal(s.outlet.body.size, 20);
    assert_true(s.outlet.is_done);
    assert_int_equal(s.given_up, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(s.cut, ROUTED_OK);
    release(&s);

    open(&s, SPAN("HEAD"));
    exchange_fail(&s.x, ROUTED_ERROR_NO_ENGINE);
    assert_int_equal(s.outlet.body.size, 0);
    assert_int_equal(s.cut, ROUTED_OK);
    release(&s);

    open(&s, SPAN("GET"));
    respond(&s, 200, NULL);
    exchange_fail(&s.x, ROUTED_ERROR_NO_ENGINE);
    assert_heads(&s, ":status=200;!");
    assert_int_equal(s.cut, ROUTED_ERROR_NO_ENGINE);
    assert_true(s.woken > 0);
    release(&s);
}

/* What cannot be queued cuts the answer, whatever it is. */
static void test_memory(void **state)
{
    struct stage s;
    struct http_response hints = {.status = 103};
    (void)state;
    for (int part = 0; part < 5; part++) {
        open(&s, SPAN("POST"));
        s.x.request.expects_continue = true;
        s.refuses = part < 4;
        if (part == 0)
            assert_int_equal(exchange_inform(&s.x, &hints), ROUTED_ERROR_MEMORY);
        else if (part == 1)
            exchange_grant(&s.x, 1);
        else if (part == 2)
            exchange_fail(&s.x, ROUTED_ERROR_NO_ENGINE);
        else
            assert_int_equal(respond(&s, 200, NULL), part == 3 ? ROUTED_ERROR_MEMORY : ROUTED_OK);
        if (part == 4) {
            memory_fault_set(1);
            assert_int_equal(exchange_send(&s.x, slice_static(SPAN("a"))), ROUTED_ERROR_MEMORY);
            memory_fault_set(0);
        }
        assert_int_equal(s.cut, part == 2 ? ROUTED_ERROR_NO_ENGINE : ROUTED_ERROR_MEMORY);
        release(&s);
    }
}

static void test_reset_keeps_the_host(void **state)
{
    struct stage s;
    (void)state;
    open(&s, SPAN("GET"));
    respond(&s, 200, NULL);
    exchange_send(&s.x, slice_static(SPAN("abc")));
    exchange_end(&s.x, NULL);
    exchange_outlet_reset(&s.outlet);
    assert_ptr_equal(s.outlet.host, &s.host);
    assert_int_equal(s.outlet.body.size, 0);
    assert_false(s.outlet.has_begun || s.outlet.is_done);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_client_is_told_to_continue_once),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_reset_keeps_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

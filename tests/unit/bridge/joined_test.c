/* The front's side and the engine's side of the bridge in one loop. */
#include "bridge/stage.h"

#include "bridge/application.h"
#include "bridge/runtime.h"

struct pair {
    struct stage s;
    struct play play;
    struct bridge_runtime *runtime;
    routed_limits engine_limits;
    bool is_empty;
};

static void pair_open(struct pair *p, enum play_kind kind)
{
    *p = (struct pair){.play = {.kind = kind}};
    stage_prepare(&p->s, 1);
    p->s.is_deaf = true; /* the runtime accepts */
    limits_resolve(&p->engine_limits, NULL);
    p->engine_limits.window = p->s.limits.window = 65536;
    struct bridge_runtime_options options = {.listener = bridge_endpoint_listener(p->s.endpoint, 0),
                                             .application = &play_application,
                                             .context = &p->play,
                                             .limits = &p->engine_limits,
                                             .log = &p->s.log,
                                             .user = system_user()};
    p->runtime = bridge_runtime_open(p->s.loop, &options);
    assert_non_null(p->runtime);
    stage_open(&p->s);
}

/* Until the application has a GET. */
static void pair_open_asked(struct pair *p, struct visit *v)
{
    pair_open(p, PLAY_WAIT);
    visit_start(v, &p->s, SPAN("GET"), 0);
    stage_until(&p->s, p->play.x);
}

static void pair_close(struct pair *p)
{
    bridge_runtime_close(p->runtime);
    stage_close(&p->s);
}

static void greet(struct pair *p)
{
    struct visit v;
    visit_start(&v, &p->s, SPAN("GET"), 0);
    stage_until(&p->s, v.has_end);
    assert_body(&v, "hi");
    assert_int_equal(v.length, 2);
    visit_close(&v, ROUTED_OK);
}

static void test_request_and_answer(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p, PLAY_GREET);
    for (int i = 0; i < 10; i++)
        greet(&p);
    assert_int_equal(p.play.requests, 10);
    assert_int_equal(p.play.closes, 10);
    assert_int_equal(p.play.last_error, ROUTED_OK);
    assert_string_equal(p.play.peer, "127.0.0.1");
    assert_int_equal(stage_metric(&p.s, BRIDGE_CONNECTS), 1);
    assert_int_equal(stage_metric(&p.s, BRIDGE_REUSES), 9);
    pair_close(&p);
}

/* After warming up a request costs no memory that stays. */
static void test_steady_state_holds_no_more_memory(void **state)
{
    struct pair p;
    struct visit v;
    size_t held = 0;
    (void)state;
    pair_open(&p, PLAY_GREET);
    for (int i = 0; i < 50; i++) {
        visit_start(&v, &p.s, SPAN("GET"), 0);
        visit_close_answered(&v);
        if (i == 10)
            held = memory_held();
    }
    assert_int_equal(memory_held(), held);
    pair_close(&p);
}

static void echo(struct pair *p, uint8_t *content, size_t size, size_t piece)
{
    struct visit v;
    size_t delivered = 0, checked = 0;
    size_t held = memory_held(), most = 0;
    visit_start(&v, &p->s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
    microseconds end = loop_clock() + STAGE_PATIENCE * 1000;
    while (!v.has_end) {
        assert_true(loop_clock() < end);
        while (delivered < size && v.x.request_credit > 0) {
            size_t part = piece;
            if (part > size - delivered)
                part = size - delivered;
            if (part > (uint64_t)v.x.request_credit)
                part = (size_t)v.x.request_credit;
            visit_deliver(&v, span_of(content + delivered, part));
            delivered += part;
            if (delivered == size)
                assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
        }
        stage_turn(&p->s, 1);
        size_t got = buffer_size(&v.body);
        assert_memory_equal(v.body.data + v.body.head, content + checked, got);
        checked += got;
        buffer_clear(&v.body);
        if (memory_held() - held > most)
            most = memory_held() - held;
        /* The answer runs while the request does. */
        assert_true(delivered - checked < 12 * 65536);
    }
    assert_int_equal(checked, size);
    assert_true(most < 12 * 65536 * 2);
    visit_close(&v, ROUTED_OK);
}

static void test_echo_streams_with_bounded_memory(void **state)
{
    static const size_t pieces[] = {1, 1000, 16384, 65536, 200000};
    size_t size = 1 << 20;
    uint8_t *content = malloc(size);
    (void)state;
    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct pair p;
        pair_open(&p, PLAY_ECHO);
        p.play.first_grant = 65536;
        echo(&p, content, pieces[i] == 1 ? size / 16 : size, pieces[i]);
        stage_until(&p.s, p.play.closes == 1);
        assert_int_equal(p.play.last_error, ROUTED_OK);
        assert_int_equal(stage_metric(&p.s, BRIDGE_IDLE), 1);
        pair_close(&p);
    }
    free(content);
}

/* The application's credit is what is delivered, to the byte. */
static void test_application_gets_no_more_than_it_granted(void **state)
{
    struct pair p;
    struct visit v;
    static uint8_t content[30000];
    (void)state;
    pair_open(&p, PLAY_WAIT);
    visit_start(&v, &p.s, SPAN("POST"), sizeof(content));
    visit_deliver(&v, span_of(content, sizeof(content)));
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&p.s, p.play.requests == 1);
    stage_settle(&p.s);
    assert_int_equal(p.play.content, 0);
    exchange_grant(p.play.x, 1);
    stage_until(&p.s, p.play.content == 1);
    exchange_grant(p.play.x, 20000);
    stage_until(&p.s, p.play.content == 20001);
    stage_settle(&p.s);
    assert_int_equal(p.play.content, 20001);
    assert_int_equal(p.play.ends, 0);
    exchange_grant(p.play.x, 100000);
    stage_until(&p.s, p.play.ends == 1);
    assert_int_equal(p.play.content, sizeof(content));
    visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
    pair_close(&p);
}

static void test_slow_client_holds_the_application_back(void **state)
{
    struct pair p;
    struct visit v;
    static uint8_t content[8192];
    (void)state;
    pair_open(&p, PLAY_WAIT);
    visit_init(&v, &p.s, SPAN("GET"), 0);
    v.is_thirsty = false;
    visit_open(&v);
    stage_until(&p.s, p.play.x);
    play_respond(p.play.x, 200);
    size_t held = memory_held();
    size_t sent = 0;
    for (int idle = 0; idle < 50; idle++) {
        while (exchange_can_send(p.play.x)) {
            struct slice piece = slice_copy(span_of(content, sizeof(content)));
            assert_int_equal(exchange_send(p.play.x, piece), ROUTED_OK);
            sent += sizeof(content);
            idle = 0;
            assert_true(sent < 10 * 1024 * 1024);
        }
        stage_turn(&p.s, 0);
    }
    assert_true(buffer_size(&v.body) <= p.s.limits.window + 65536);
    assert_true(memory_held() - held < 8 * 65536);
    exchange_end(p.play.x, NULL);
    for (size_t before = 0; !v.has_end; before = buffer_size(&v.body)) {
        exchange_writable(&v.x, 65536);
        stage_until(&p.s, v.has_end || buffer_size(&v.body) > before);
    }
    assert_int_equal(buffer_size(&v.body), sent);
    visit_close(&v, ROUTED_OK);
    pair_close(&p);
}

static void test_leaving_client_reaches_the_application(void **state)
{
    (void)state;
    for (int with_blocked_content = 0; with_blocked_content < 2; with_blocked_content++) {
        struct pair p;
        struct visit v;
        pair_open(&p, PLAY_WAIT);
        visit_start(&v, &p.s, SPAN("POST"), HTTP_LENGTH_UNKNOWN);
        if (with_blocked_content)
            visit_deliver(&v, SPAN("nobody reads this"));
        stage_until(&p.s, p.play.requests == 1);
        stage_settle(&p.s);
        visit_close(&v, ROUTED_ERROR_CLIENT_GONE);
        stage_settle(&p.s); /* nothing is waited for */
        assert_int_equal(p.play.closes, 1);
        assert_int_equal(p.play.last_error, ROUTED_ERROR_CLIENT_GONE);
        stage_until(&p.s, bridge_runtime_connections(p.runtime) == 0);
        pair_close(&p);
    }
}

static void test_failure_of_the_application_is_an_answer(void **state)
{
    struct pair p;
    struct visit v;
    (void)state;
    pair_open(&p, PLAY_FAIL);
    visit_start(&v, &p.s, SPAN("GET"), 0);
    stage_until(&p.s, v.has_end);
    assert_int_equal(v.status, 500);
    assert_body(&v, "Internal Server Error");
    assert_int_equal(p.play.last_error, ROUTED_ERROR_HANDLER);
    assert_int_equal(stage_metric(&p.s, BRIDGE_IDLE), 1);
    visit_close(&v, ROUTED_OK);
    pair_close(&p);
}

static void test_failure_after_the_head_is_a_cut(void **state)
{
    struct pair p;
    struct visit v;
    (void)state;
    pair_open_asked(&p, &v);
    play_respond(p.play.x, 200);
    exchange_send(p.play.x, slice_static(SPAN("half")));
    stage_until(&p.s, buffer_size(&v.body) == 4);
    exchange_fail(p.play.x, ROUTED_ERROR_HANDLER);
    stage_until(&p.s, v.failure);
    assert_int_equal(v.failure, ROUTED_ERROR_BRIDGE_CLOSED);
    assert_false(v.has_end);
    assert_int_equal(p.play.last_error, ROUTED_ERROR_HANDLER);
    visit_close(&v, v.failure);
    pair_close(&p);
}

static void test_tunnel(void **state)
{
    struct pair p;
    struct visit v;
    (void)state;
    pair_open(&p, PLAY_TUNNEL);
    visit_init(&v, &p.s, SPAN("GET"), 0);
    v.x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    visit_open(&v);
    stage_until(&p.s, v.status == 101);
    visit_deliver(&v, SPAN("there and back"));
    stage_until(&p.s, buffer_size(&v.body) == 14);
    visit_deliver(&v, SPAN("."));
    assert_int_equal(exchange_deliver_end(&v.x, NULL), ROUTED_OK);
    stage_until(&p.s, v.has_end);
    assert_body(&v, "there and back.");
    visit_close(&v, ROUTED_OK);
    stage_until(&p.s, p.play.closes == 1);
    assert_int_equal(p.play.last_error, ROUTED_OK);
    stage_until(&p.s, bridge_runtime_connections(p.runtime) == 0);
    pair_close(&p);
}

static void on_empty(void *user)
{
    ((struct pair *)user)->is_empty = true;
}

static void test_graceful_stop_waits_for_what_is_in_flight(void **state)
{
    struct pair p;
    struct visit idle, busy;
    (void)state;
    pair_open_asked(&p, &idle);
    struct exchange *first = p.play.x;
    visit_start(&busy, &p.s, SPAN("GET"), 0);
    stage_until(&p.s, p.play.requests == 2);
    struct exchange *second = p.play.x;
    play_respond(first, 204);
    exchange_end(first, NULL);
    stage_until(&p.s, idle.has_end);
    visit_close(&idle, ROUTED_OK);
    assert_int_equal(bridge_runtime_connections(p.runtime), 2);

    bridge_runtime_shut(p.runtime, on_empty, &p);
    stage_until(&p.s, bridge_runtime_connections(p.runtime) == 1);
    stage_settle(&p.s);
    assert_false(p.is_empty);
    play_respond(second, 200);
    exchange_send(second, slice_static(SPAN("done")));
    exchange_end(second, NULL);
    stage_until(&p.s, busy.has_end);
    assert_body(&busy, "done");
    visit_close(&busy, ROUTED_OK);
    stage_until(&p.s, p.is_empty);
    pair_close(&p);
}

static void test_forced_stop_cuts(void **state)
{
    struct pair p;
    struct visit v;
    (void)state;
    pair_open_asked(&p, &v);
    bridge_runtime_close(p.runtime);
    p.runtime = NULL;
    assert_int_equal(p.play.last_error, ROUTED_ERROR_STOPPING);
    visit_close_failed(&v, ROUTED_ERROR_BRIDGE_CLOSED);
    pair_close(&p);
}

static void test_loopback_tcp_serves_as_well(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p, PLAY_GREET);
    bridge_runtime_close(p.runtime);
    p.s.face.close(p.s.context);
    bridge_endpoint_close(p.s.endpoint);
    struct bridge_endpoint_options options = {.count = 1, .is_tcp = true};
    assert_int_equal(bridge_endpoint_open(&p.s.endpoint, &options), ROUTED_OK);
    p.s.options.engines = bridge_endpoint_addresses(p.s.endpoint);
    struct bridge_runtime_options engine = {.listener = bridge_endpoint_listener(p.s.endpoint, 0),
                                            .application = &play_application,
                                            .context = &p.play,
                                            .limits = &p.engine_limits,
                                            .user = system_user()};
    p.runtime = bridge_runtime_open(p.s.loop, &engine);
    assert_non_null(p.runtime);
    stage_open(&p.s);
    for (int i = 0; i < 3; i++)
        greet(&p);
    assert_int_equal(stage_metric(&p.s, BRIDGE_CONNECTS), 1);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_answer),
        cmocka_unit_test(test_steady_state_holds_no_more_memory),
        cmocka_unit_test(test_echo_streams_with_bounded_memory),
        cmocka_unit_test(test_application_gets_no_more_than_it_granted),
        cmocka_unit_test(test_slow_client_holds_the_application_back),
        cmocka_unit_test(test_leaving_client_reaches_the_application),
        cmocka_unit_test(test_failure_of_the_application_is_an_answer),
        cmocka_unit_test(test_failure_after_the_head_is_a_cut),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_graceful_stop_waits_for_what_is_in_flight),
        cmocka_unit_test(test_forced_stop_cuts),
        cmocka_unit_test(test_loopback_tcp_serves_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

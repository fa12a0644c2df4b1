/* The n-th allocation fails, for every n: a request then ends, with an answer or a failure, the
 * next one is served, and nothing is lost. */
#include "bridge/stage.h"

#include "bridge/application.h"
#include "bridge/runtime.h"

static uint8_t content[40000];

struct scenario {
    const char *method;
    enum play_kind kind;
    size_t size;
    bool is_upgrade;
};

static bool is_settled(const struct visit *v)
{
    return v->has_end || v->failure;
}

static void run_request(struct stage *s, struct visit *v, const struct scenario *scenario)
{
    bool is_tunnel = scenario->is_upgrade;
    int64_t length = is_tunnel ? 0 : (int64_t)scenario->size;
    visit_init(v, s, span_from(scenario->method), length);
    if (is_tunnel)
        v->x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    visit_open(v);
    size_t delivered = 0;
    microseconds end = loop_clock() + STAGE_PATIENCE * 1000;
    while (!is_settled(v)) {
        if (loop_clock() > end)
            fail_msg("%s of %d bytes never ends", scenario->method, (int)scenario->size);
        bool may_send = !is_tunnel || v->status == 101;
        while (may_send && delivered < scenario->size && v->x.request_credit > 0 &&
               !is_settled(v)) {
            size_t part = scenario->size - delivered;
            if (part > (uint64_t)v->x.request_credit)
                part = (size_t)v->x.request_credit;
            struct slice body = slice_static(span_of(content + delivered, part));
            assert_int_equal(exchange_deliver(&v->x, body), ROUTED_OK);
            delivered += part;
            if (delivered == scenario->size)
                assert_int_equal(exchange_deliver_end(&v->x, NULL), ROUTED_OK);
        }
        stage_turn(s, 1);
    }
}

static bool fails_at(const struct scenario *scenario, uint64_t n)
{
    struct stage s;
    struct visit v;
    struct play play = {.kind = scenario->kind};
    size_t held = memory_held();
    stage_prepare(&s, 1);
    s.is_deaf = true;
    struct bridge_runtime_options options = {.listener = bridge_endpoint_listener(s.endpoint, 0),
                                             .application = &play_application,
                                             .context = &play,
                                             .limits = &s.limits,
                                             .log = &s.log,
                                             .user = system_user()};
    struct bridge_runtime *runtime = bridge_runtime_open(s.loop, &options);
    assert_non_null(runtime);
    stage_open(&s);
    memory_fault_set(n);
    run_request(&s, &v, scenario);
    bool has_fired = memory_fault_fired();
    memory_fault_set(0);
    visit_close(&v, v.failure);
    stage_settle(&s); /* an engine that lost its connection is known to have */
    run_request(&s, &v, scenario);
    if (v.failure)
        fail_msg("%s %d: n %d: %d %s", scenario->method, (int)scenario->kind, (int)n, v.failure,
                 s.lines);
    visit_close(&v, ROUTED_OK);
    bridge_runtime_close(runtime);
    stage_close(&s);
    assert_int_equal(memory_held(), held);
    return has_fired;
}

static void test_every_allocation_may_fail(void **state)
{
    static const struct scenario scenarios[] = {
        {"GET", PLAY_GREET, 0, false},     {"POST", PLAY_ECHO, 100, false},
        {"POST", PLAY_ECHO, 40000, false}, {"GET", PLAY_FAIL, 0, false},
        {"GET", PLAY_TUNNEL, 5000, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        uint64_t n = 1;
        while (fails_at(&scenarios[i], n))
            n++;
        assert_in_range(n, 5, 200); /* there was something to fail */
    }
}

/* Opening: every failure is told and leaves nothing. */
static void test_every_allocation_of_opening_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        size_t held = memory_held();
        struct bridge_endpoint *endpoint = NULL;
        struct bridge_endpoint_options options = {.count = 2};
        struct loop *loop = loop_new();
        assert_non_null(loop);
        memory_fault_set(n);
        int error = bridge_endpoint_open(&endpoint, &options);
        struct bridge_runtime *runtime = NULL;
        struct face face;
        void *context = NULL;
        struct bridge_client_options client = {.count = 2};
        routed_limits limits;
        limits_resolve(&limits, NULL);
        if (!error) {
            struct bridge_runtime_options engine = {
                .listener = bridge_endpoint_listener(endpoint, 0), .limits = &limits};
            runtime = bridge_runtime_open(loop, &engine);
            client.engines = bridge_endpoint_addresses(endpoint);
            bridge_client_face(&face, &client);
            error = face.open(face.state, loop, &limits, NULL, &context);
        }
        bool has_fired = memory_fault_fired();
        memory_fault_set(0);
        assert_int_equal(has_fired, error == ROUTED_ERROR_MEMORY || !runtime);
        if (context)
            face.close(context);
        bridge_runtime_close(runtime);
        bridge_endpoint_close(endpoint);
        loop_free(loop);
        assert_int_equal(memory_held(), held);
        if (!has_fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_every_allocation_of_opening_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

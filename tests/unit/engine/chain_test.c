#include "engine/carrier.h"

#include <routed/engine.h>

/* What ran, in order, one letter each. */
static char trace[64];

static void note(const char *what)
{
    size_t used = strlen(trace);
    assert_true(used + strlen(what) < sizeof(trace));
    memcpy(trace + used, what, strlen(what) + 1);
}

static int pass(routed_exchange *x, void *user)
{
    (void)x;
    note(user);
    return ROUTED_NEXT;
}

static int refuse(routed_exchange *x, void *user)
{
    note(user);
    return routed_response_error(x, 403);
}

static int break_down(routed_exchange *x, void *user)
{
    (void)x;
    note(user);
    return ROUTED_ERROR_SYSTEM;
}

static void after(routed_exchange *x, void *user)
{
    note(")");
    assert_int_equal(routed_response_add_field(x, "x-after", user), ROUTED_OK);
}

static int handle(routed_exchange *x, void *user)
{
    note(user);
    return routed_response_text(x, "ok");
}

static int setup(void **state)
{
    carrier_begin(state);
    trace[0] = '\0';
    return 0;
}

static void expect(struct carrier *c, const char *method, const char *target, int status,
                   const char *what)
{
    trace[0] = '\0';
    carrier_do(c, method, target);
    assert_int_equal(c->status, status);
    assert_string_equal(trace, what);
}

static void test_order(void **state)
{
    struct carrier *c = *state;
    routed_engine *e = c->engine;
    routed_group *shop = routed_engine_group(e, "/shop");
    routed_group *inner = routed_group_group(shop, "/{id}");
    assert_ptr_equal(shop, routed_engine_group(e, "/shop"));
    routed_engine_route(e, "GET", "/", handle, "h", NULL);
    routed_group_route(shop, "GET", "", handle, "s", NULL);
    routed_group_route(inner, "GET", "/x", handle, "i", NULL);
    routed_group_use(inner, pass, after, "3");
    routed_group_use(shop, pass, NULL, "2");
    routed_engine_use(e, pass, after, "0");
    routed_engine_use(e, pass, NULL, "1");
    assert_int_equal(engine_freeze(e), ROUTED_OK);
    expect(c, "GET", "/", 200, "01h)");
    expect(c, "GET", "/shop", 200, "012s)");
    expect(c, "GET", "/shop/7/x", 200, "0123i))");
    /* The innermost "after" runs first. */
    assert_field(c, "x-after: 3\nx-after: 0");
}

static void test_built_in_answers_pass_the_middleware(void **state)
{
    struct carrier *c = *state;
    routed_engine *e = c->engine;
    routed_group *shop = routed_engine_group(e, "/shop");
    routed_group_route(shop, "GET", "/a", handle, "h", NULL);
    routed_group_use(shop, pass, after, "2");
    routed_engine_use(e, pass, NULL, "1");
    engine_freeze(e);
    expect(c, "GET", "/none", 404, "1");
    expect(c, "GET", "/shop/none", 404, "12)");
    expect(c, "GET", "/shop", 404, "12)");
    expect(c, "GET", "/shopping", 404, "1");
    expect(c, "POST", "/shop/a", 405, "12)");
    assert_field(c, "x-after: 2");
    assert_field(c, "allow: GET, HEAD, OPTIONS");
    expect(c, "OPTIONS", "/shop/a", 204, "12)");
    expect(c, "OPTIONS", "*", 204, "1");
}

static void test_stop(void **state)
{
    struct carrier *c = *state;
    routed_engine *e = c->engine;
    routed_engine_route(e, "GET", "/", handle, "h", NULL);
    routed_engine_use(e, pass, after, "0");
    routed_engine_use(e, refuse, after, "1");
    routed_engine_use(e, pass, after, "2");
    engine_freeze(e);
    /* Layers that were not entered do not run "after". */
    expect(c, "GET", "/", 403, "01))");
    assert_body(c, "Forbidden\n");
}

static void test_failure(void **state)
{
    struct carrier *c = *state;
    routed_engine_counters counters = {.size = sizeof(counters)};
    routed_engine_route(c->engine, "GET", "/", handle, "h", NULL);
    routed_engine_use(c->engine, break_down, after, "0");
    engine_freeze(c->engine);
    expect(c, "GET", "/", 500, "0)");
    assert_body(c, "Internal Server Error\n");
    assert_int_equal(routed_engine_count(c->engine, &counters), ROUTED_OK);
    assert_int_equal(counters.handler_failures, 1);
    assert_int_equal(counters.exchanges, 1);
    assert_int_equal(counters.exchanges_open, 0);
}

static int fail_as_told(routed_exchange *x, void *user)
{
    routed_response_set_field(x, "etag", "\"a\"");
    return *(int *)user;
}

static void test_status_of_failures(void **state)
{
    static const struct {
        int code;
        int status;
    } cases[] = {{ROUTED_ERROR_HANDLER, 500},
                 {ROUTED_ERROR_TARGET, 400},
                 {ROUTED_ERROR_NOT_FOUND, 404},
                 {ROUTED_ERROR_OVERLOADED, 503},
                 {ROUTED_ERROR_MEMORY, 500},
                 {ROUTED_ERROR_RESPONSE, 500},
                 {-9999, 500},
                 {ROUTED_ERROR_CONTENT_TOO_LARGE, 413}};
    struct carrier *c = *state;
    int code = 0;
    routed_engine_route(c->engine, "GET", "/", fail_as_told, &code, NULL);
    engine_freeze(c->engine);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        code = cases[i].code;
        expect(c, "GET", "/", cases[i].status, "");
        assert_false(carrier_has_field(c, "etag"));
    }
}

static int begin_and_fail(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_response_begin(x, 100), ROUTED_OK);
    return ROUTED_ERROR_SYSTEM;
}

static void test_failure_after_the_head_cuts(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "GET", "/", begin_and_fail, NULL, NULL);
    engine_freeze(c->engine);
    carrier_request(c, "GET", "/");
    carrier_go(c);
    assert_int_equal(c->status, 200);
    assert_int_equal(c->failed, ROUTED_ERROR_HANDLER);
    assert_int_equal(c->ends, 0);
    carrier_close(c, c->failed);
}

/* ---- chains that go on later ---- */

static void go_on(routed_exchange *x, void *user)
{
    (void)user;
    note("t");
    assert_int_equal(routed_exchange_next(x), ROUTED_OK);
}

static int wait_a_little(routed_exchange *x, void *user)
{
    note(user);
    assert_int_equal(routed_exchange_after(x, 1, go_on, NULL), ROUTED_OK);
    return ROUTED_STOP;
}

static int next_at_once(routed_exchange *x, void *user)
{
    note(user);
    assert_int_equal(routed_exchange_next(x), ROUTED_OK);
    return ROUTED_STOP;
}

static void test_next_later(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "GET", "/", handle, "h", NULL);
    routed_engine_use(c->engine, wait_a_little, NULL, "0");
    routed_engine_use(c->engine, next_at_once, NULL, "1");
    routed_engine_use(c->engine, pass, NULL, "2");
    engine_freeze(c->engine);
    carrier_request(c, "GET", "/");
    carrier_go(c);
    assert_string_equal(trace, "0");
    while (!c->ends)
        loop_turn(c->loop, 1000);
    assert_string_equal(trace, "0t12h");
    carrier_close(c, ROUTED_OK);
}

static int handle_later(routed_exchange *x, void *user)
{
    note(user);
    assert_int_equal(routed_exchange_next(x), ROUTED_OK);
    return routed_exchange_after(x, 1, go_on, NULL);
}

static void test_next_reaches_the_handler_once(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "GET", "/", handle_later, "h", NULL);
    engine_freeze(c->engine);
    carrier_request(c, "GET", "/");
    carrier_go(c);
    while (!strchr(trace, 't'))
        loop_turn(c->loop, 1000);
    assert_string_equal(trace, "ht");
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
}

/* ---- the end ---- */

static void on_close(routed_exchange *x, int error, void *user)
{
    assert_true(routed_exchange_is_closed(x));
    assert_int_equal(routed_response_text(x, "late"), ROUTED_ERROR_CLOSED);
    note(error ? "!" : ".");
    note(user);
}

static int handle_with_hooks(routed_exchange *x, void *user)
{
    (void)user;
    assert_int_equal(routed_exchange_on_close(x, on_close, "a"), ROUTED_OK);
    assert_int_equal(routed_exchange_on_close(x, on_close, "b"), ROUTED_OK);
    assert_int_equal(routed_exchange_after(x, 0, go_on, NULL), ROUTED_OK);
    return ROUTED_OK;
}

static void on_done(routed_exchange *x, int error, void *user)
{
    note(user);
    assert_int_equal(routed_exchange_status(x), error ? 0 : 200);
    assert_string_equal(routed_request_path(x), "/");
}

static void test_close_hooks_and_timers(void **state)
{
    struct carrier *c = *state;
    routed_engine_route(c->engine, "GET", "/", handle_with_hooks, NULL, NULL);
    routed_engine_route(c->engine, "POST", "/", handle, "h", NULL);
    routed_engine_on_done(c->engine, on_done, "d");
    engine_freeze(c->engine);
    expect(c, "POST", "/", 200, "hd");
    carrier_request(c, "GET", "/");
    carrier_go(c);
    trace[0] = '\0';
    carrier_close(c, ROUTED_ERROR_CLIENT_GONE);
    loop_turn(c->loop, 5); /* the timer is gone */
    assert_string_equal(trace, "!b!ad");
}

static void test_refused_setup(void **state)
{
    struct carrier *c = *state;
    assert_null(routed_engine_group(c->engine, "shop"));
    assert_null(routed_engine_group(c->engine, "/"));
    assert_null(routed_engine_group(c->engine, "/shop/"));
    assert_null(routed_engine_group(c->engine, "/{*rest}"));
    assert_int_equal(routed_engine_use(c->engine, NULL, NULL, NULL), ROUTED_ERROR_ARGUMENT);
    for (int i = 0; i < 8; i++)
        assert_int_equal(routed_engine_on_done(c->engine, on_done, NULL), ROUTED_OK);
    assert_int_equal(routed_engine_on_done(c->engine, on_done, NULL), ROUTED_ERROR_LIMIT);
    assert_int_equal(routed_engine_route(c->engine, "GET", "", handle, NULL, NULL),
                     ROUTED_ERROR_ARGUMENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, carrier_finish)
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_built_in_answers_pass_the_middleware),
        TEST(test_stop),
        TEST(test_failure),
        TEST(test_status_of_failures),
        TEST(test_failure_after_the_head_cuts),
        TEST(test_next_later),
        TEST(test_next_reaches_the_handler_once),
        TEST(test_close_hooks_and_timers),
        TEST(test_refused_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

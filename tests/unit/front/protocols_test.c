/* What the limits of a server become for the sessions of each protocol. */
#include "base/limits.h"
#include "front/protocols.h"
#include "http2/budget.h"
#include "support/unit.h"

/* Each member of the limits says the same. */
static void say_everywhere(routed_limits *limits, uint64_t value)
{
    for (unsigned i = 0; i < limit_count; i++)
        memcpy((char *)limits + limit_entries[i].offset, &value, sizeof(value));
}

static struct front_shared shared;
static struct front_worker worker;

static const struct front_worker *worker_with(uint64_t value)
{
    routed_limits_init(&shared.limits);
    say_everywhere(&shared.limits, value);
    memset(&worker, 0, sizeof(worker));
    worker.shared = &shared;
    front_protocols_init(&worker);
    return &worker;
}

/* Who takes a limit away does not get the strictest one. */
static void no_limit_on_the_rate_cuts_nobody(void **state)
{
    (void)state;
    const struct front_worker *w = worker_with(ROUTED_NO_LIMIT);
    assert_int_equal(w->http2.limits.send_rate, 0);
    assert_int_equal(w->https2.limits.send_rate, 0);
    assert_int_equal(w->http3.limits.send_rate, 0);
    w = worker_with(500);
    assert_int_equal(w->http2.limits.send_rate, 500);
    assert_int_equal(w->http3.limits.send_rate, 500);
}

static void no_limit_on_the_overhead_allows_all(void **state)
{
    (void)state;
    const struct http2_limits *limits = &worker_with(ROUTED_NO_LIMIT)->http2.limits;
    struct http2_budget b;
    http2_budget_init(&b, limits, 0);
    for (unsigned content = 0; content < 3; content++) {
        assert_false(http2_budget_is_overhead(&b, limits, UINT32_MAX));
        http2_budget_received(&b, 1);
    }
    limits = &worker_with(1000)->http2.limits;
    assert_true(http2_budget_is_overhead(&b, limits, UINT32_MAX));
}

static void no_limit_on_fields_can_be_told(void **state)
{
    (void)state;
    assert_true(worker_with(ROUTED_NO_LIMIT)->http3.limits.head.fields_bytes_max < UINT64_C(1)
                                                                                       << 62);
    assert_int_equal(worker_with(70000)->http3.limits.head.fields_bytes_max, 70000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_on_the_rate_cuts_nobody),
        cmocka_unit_test(no_limit_on_the_overhead_allows_all),
        cmocka_unit_test(no_limit_on_fields_can_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

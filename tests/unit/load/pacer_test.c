#include "load/pacer.h"

#include "support/unit.h"

#define START 1000000

static struct load_pacer p;
static microseconds intended;

static void closed_loop_begins_when_somebody_is_free(void **state)
{
    (void)state;
    load_pacer_init(&p, 0, 2, START, CLOCK_NEVER);
    assert_int_equal(load_pacer_next(&p, START + 5), START + 5);
    assert_true(load_pacer_take(&p, START + 7, &intended));
    assert_int_equal(intended, START + 7);
    assert_true(load_pacer_take(&p, START + 7, &intended));
    assert_false(load_pacer_take(&p, START + 8, &intended));
    assert_true(load_pacer_is_over(&p, START + 8));
    assert_true(load_pacer_next(&p, START + 8) == CLOCK_NEVER);
    assert_int_equal(load_pacer_missed(&p, START + 9), 0);
}

static void duration_ends_it(void **state)
{
    (void)state;
    load_pacer_init(&p, 0, UINT64_MAX, START, 100);
    assert_true(load_pacer_take(&p, START + 99, &intended));
    assert_false(load_pacer_take(&p, START + 100, &intended));
}

static void open_loop_keeps_its_times(void **state)
{
    (void)state;
    load_pacer_init(&p, 1000, UINT64_MAX, START, 10000);
    assert_true(load_pacer_take(&p, START, &intended));
    assert_int_equal(intended, START);
    assert_false(load_pacer_take(&p, START + 999, &intended));
    assert_int_equal(load_pacer_next(&p, START + 999), START + 1000);
    assert_true(load_pacer_take(&p, START + 1000, &intended));
    assert_int_equal(intended, START + 1000);
}

/* Coordinated omission: nobody was free for five of them, and all five have waited. */
static void who_comes_late_has_the_time_that_was_meant(void **state)
{
    (void)state;
    load_pacer_init(&p, 1000, UINT64_MAX, START, 100000);
    assert_true(load_pacer_take(&p, START, &intended));
    for (unsigned i = 1; i <= 5; i++) {
        assert_true(load_pacer_take(&p, START + 5500, &intended));
        assert_int_equal(intended, START + i * 1000);
    }
    assert_false(load_pacer_take(&p, START + 5500, &intended));
}

static void what_was_never_sent_is_missed(void **state)
{
    (void)state;
    load_pacer_init(&p, 1000, UINT64_MAX, START, 10000);
    for (int i = 0; i < 4; i++)
        assert_true(load_pacer_take(&p, START + 9999, &intended));
    /* Ten were due, at 0 to 9 ms; what is due at the end is not. */
    assert_int_equal(load_pacer_missed(&p, START + 20000), 6);
    load_pacer_init(&p, 1000, 3, START, 10000);
    assert_int_equal(load_pacer_missed(&p, START + 20000), 3);
}

static void long_runs_do_not_drift(void **state)
{
    (void)state;
    load_pacer_init(&p, 30000, UINT64_MAX, START, CLOCK_NEVER);
    p.issued = 30000ull * 3600;
    assert_int_equal(load_pacer_next(&p, START), START + 3600ull * 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_loop_begins_when_somebody_is_free),
        cmocka_unit_test(duration_ends_it),
        cmocka_unit_test(open_loop_keeps_its_times),
        cmocka_unit_test(who_comes_late_has_the_time_that_was_meant),
        cmocka_unit_test(what_was_never_sent_is_missed),
        cmocka_unit_test(long_runs_do_not_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

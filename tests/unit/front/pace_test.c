#include "front/pace.h"

#include "base/limits.h"
#include "support/unit.h"

static routed_limits limits_of(uint64_t rate, uint64_t grace, uint64_t stall)
{
    routed_limits given;
    routed_limits out;
    routed_limits_init(&given);
    given.rate = rate;
    given.rate_grace = grace;
    given.stall_timeout = stall;
    limits_resolve(&out, &given);
    return out;
}

static void what_does_not_run_is_good(void **state)
{
    (void)state;
    routed_limits limits = limits_of(100, 1000, 500);
    struct pace p = {0};
    assert_true(pace_deadline(&p, &limits) == CLOCK_NEVER);
    assert_int_equal(pace_check(&p, 1000000, 0, &limits), PACE_GOOD);
    pace_start(&p, 10, 0);
    pace_stop(&p);
    assert_true(pace_deadline(&p, &limits) == CLOCK_NEVER);
    assert_int_equal(pace_check(&p, 1000000, 0, &limits), PACE_GOOD);
}

static void starting_again_changes_nothing(void **state)
{
    (void)state;
    routed_limits limits = limits_of(100, 1000, 500);
    struct pace p = {0};
    pace_start(&p, 10, 7);
    pace_start(&p, 400, 7);
    assert_int_equal(pace_deadline(&p, &limits), 510);
}

/* A pace that began at 1,000 with 50 bytes; rate 100 bytes a second in windows of 2 seconds, a
 * stall after 500 ms. Each step is a look at the byte count. */
static void table_of_cases(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct {
            milliseconds at;
            uint64_t bytes;
        } steps[8];
        enum pace_verdict last; /* all before are good */
    } cases[] = {
        {"before the stall", {{1499, 50}}, PACE_GOOD},
        {"at the stall", {{1500, 50}}, PACE_STALLED},
        {"one byte is no stall", {{1499, 51}, {1998, 51}}, PACE_GOOD},
        {"a stall after a byte", {{1499, 51}, {1999, 51}}, PACE_STALLED},
        {"just enough",
         {{1400, 100}, {1800, 150}, {2200, 200}, {2600, 240}, {3000, 250}},
         PACE_GOOD},
        {"one byte too few",
         {{1400, 100}, {1800, 150}, {2200, 200}, {2600, 240}, {3000, 249}},
         PACE_SLOW},
        {"slow, but in grace",
         {{1400, 51}, {1800, 52}, {2200, 53}, {2600, 54}, {2999, 55}},
         PACE_GOOD},
        {"each window anew",
         {{1400, 10000},
          {1800, 10001},
          {2200, 10002},
          {2600, 10003},
          {3000, 10004},
          {3400, 10005},
          {4900, 10006},
          {5000, 10007}},
         PACE_SLOW},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        routed_limits limits = limits_of(100, 2000, 500);
        struct pace p = {0};
        pace_start(&p, 1000, 50);
        for (size_t j = 0; j < 8 && cases[i].steps[j].at; j++) {
            bool is_last = j == 7 || !cases[i].steps[j + 1].at;
            enum pace_verdict v =
                pace_check(&p, cases[i].steps[j].at, cases[i].steps[j].bytes, &limits);
            if (v != (is_last ? cases[i].last : PACE_GOOD))
                fail_msg("%s: step %zu is %d", cases[i].name, j, (int)v);
        }
    }
}

/* The deadline is that of the last byte, not that of the last look. */
static void bytes_move_the_deadline(void **state)
{
    (void)state;
    routed_limits limits = limits_of(1, 100000, 500);
    struct pace p = {0};
    pace_start(&p, 1000, 0);
    assert_int_equal(pace_deadline(&p, &limits), 1500);
    pace_note(&p, 1100, 1);
    pace_note(&p, 1400, 1);
    assert_int_equal(pace_deadline(&p, &limits), 1600);
    assert_int_equal(pace_check(&p, 1600, 1, &limits), PACE_STALLED);
}

static void no_limit_means_none(void **state)
{
    (void)state;
    struct pace p = {0};
    routed_limits none = limits_of(ROUTED_NO_LIMIT, 1000, ROUTED_NO_LIMIT);
    pace_start(&p, 1000, 0);
    assert_true(pace_deadline(&p, &none) == CLOCK_NEVER);
    assert_int_equal(pace_check(&p, 1000000000, 0, &none), PACE_GOOD);
    none = limits_of(1000, ROUTED_NO_LIMIT, ROUTED_NO_LIMIT);
    assert_true(pace_deadline(&p, &none) == CLOCK_NEVER);
    assert_int_equal(pace_check(&p, 1000000000, 0, &none), PACE_GOOD);
}

static void large_numbers_do_not_wrap(void **state)
{
    (void)state;
    struct pace p = {0};
    routed_limits limits = limits_of(UINT64_C(1) << 62, 20000, ROUTED_NO_LIMIT);
    pace_start(&p, 0, 0);
    assert_int_equal(pace_check(&p, 20000, UINT64_C(1) << 40, &limits), PACE_SLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_run_is_good),
        cmocka_unit_test(starting_again_changes_nothing),
        cmocka_unit_test(table_of_cases),
        cmocka_unit_test(bytes_move_the_deadline),
        cmocka_unit_test(no_limit_means_none),
        cmocka_unit_test(large_numbers_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

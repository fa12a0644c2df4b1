#include "base/clock.h"

#include "support/unit.h"

static void times_do_not_wrap(void **state)
{
    (void)state;
    assert_int_equal(clock_after(5, 6), 11);
    assert_true(clock_after(5, UINT64_MAX) == CLOCK_NEVER);
    assert_true(clock_after(CLOCK_NEVER, 1) == CLOCK_NEVER);
    assert_true(clock_after(CLOCK_NEVER, 0) == CLOCK_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

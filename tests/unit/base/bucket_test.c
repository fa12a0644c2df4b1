#include "base/bucket.h"

#include "support/unit.h"

static const struct bucket_rate rate = {.burst = 4, .per_second = 2};

static void a_bucket_holds_its_burst(void **state)
{
    (void)state;
    struct bucket b = bucket_full(&rate, 1000);
    for (int i = 0; i < 4; i++)
        assert_true(bucket_take(&b, &rate, 1000));
    assert_false(bucket_take(&b, &rate, 1000));
}

static void units_come_back_with_time(void **state)
{
    (void)state;
    struct bucket b = bucket_full(&rate, 1000);
    while (bucket_take(&b, &rate, 1000))
        ;
    assert_false(bucket_take(&b, &rate, 1499));
    assert_true(bucket_take(&b, &rate, 1500)); /* asking in vain cost nothing */
    assert_false(bucket_take(&b, &rate, 1500));
    for (int i = 0; i < 4; i++) /* never more than the burst */
        assert_true(bucket_take(&b, &rate, UINT64_MAX));
    assert_false(bucket_take(&b, &rate, UINT64_MAX));
}

static void a_clock_that_went_back_gives_nothing(void **state)
{
    (void)state;
    struct bucket b = bucket_full(&rate, 5000);
    while (bucket_take(&b, &rate, 5000))
        ;
    assert_false(bucket_take(&b, &rate, 1000));
    assert_true(bucket_take(&b, &rate, 1500));
}

static void a_rate_of_nothing_never_refills(void **state)
{
    static const struct bucket_rate once = {.burst = 1, .per_second = 0};
    (void)state;
    struct bucket b = bucket_full(&once, 0);
    assert_true(bucket_take(&b, &once, 0));
    assert_false(bucket_take(&b, &once, UINT64_MAX));
}

static void it_is_low_with_less_than_a_quarter(void **state)
{
    (void)state;
    struct bucket b = bucket_full(&rate, 0);
    for (int i = 0; i < 4; i++) {
        assert_false(bucket_is_low(&b, &rate));
        assert_true(bucket_take(&b, &rate, 0));
    }
    assert_true(bucket_is_low(&b, &rate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_holds_its_burst),
        cmocka_unit_test(units_come_back_with_time),
        cmocka_unit_test(a_clock_that_went_back_gives_nothing),
        cmocka_unit_test(a_rate_of_nothing_never_refills),
        cmocka_unit_test(it_is_low_with_less_than_a_quarter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

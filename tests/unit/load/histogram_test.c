#include "load/histogram.h"

#include "support/unit.h"
#include <stdlib.h>

static struct load_histogram h;

static void nothing_has_no_quantile(void **state)
{
    (void)state;
    load_histogram_init(&h);
    assert_int_equal(load_histogram_quantile(&h, 0.5), 0);
    assert_true(load_histogram_mean(&h) == 0);
}

static void slots_follow_each_other_without_gaps(void **state)
{
    (void)state;
    uint64_t next = 0;
    for (size_t slot = 0; slot < LOAD_HISTOGRAM_SLOTS; slot++) {
        uint64_t end = load_histogram_slot_end(slot);
        assert_int_equal(load_histogram_slot(next), slot);
        assert_int_equal(load_histogram_slot(end), slot);
        assert_true(end >= next);
        /* At most 1/128 above any value of the slot. */
        assert_true((end - next) * LOAD_HISTOGRAM_PARTS <= end);
        next = end + 1;
    }
    assert_int_equal(next - 1, LOAD_HISTOGRAM_MAX);
}

static void what_is_too_large_counts_as_the_largest(void **state)
{
    (void)state;
    load_histogram_init(&h);
    load_histogram_add(&h, UINT64_MAX);
    assert_int_equal(load_histogram_slot(UINT64_MAX), LOAD_HISTOGRAM_SLOTS - 1);
    assert_int_equal(load_histogram_quantile(&h, 0.5), LOAD_HISTOGRAM_MAX);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    load_histogram_init(&h);
    for (uint64_t value = 1; value <= 100; value++)
        load_histogram_add(&h, value);
    assert_int_equal(load_histogram_quantile(&h, 0), 1);
    assert_int_equal(load_histogram_quantile(&h, 0.01), 1);
    assert_int_equal(load_histogram_quantile(&h, 0.5), 50);
    assert_int_equal(load_histogram_quantile(&h, 0.95), 95);
    assert_int_equal(load_histogram_quantile(&h, 0.951), 96);
    assert_int_equal(load_histogram_quantile(&h, 1), 100);
    assert_true(load_histogram_mean(&h) == 50.5);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    enum {
        COUNT = 10000
    };
    static uint64_t values[COUNT];
    static const struct {
        double share;
        size_t rank; /* of COUNT, from 1 */
    } cases[] = {{0.5, 5000}, {0.9, 9000}, {0.95, 9500}, {0.99, 9900}, {0.999, 9990}};
    uint64_t random = 12345;
    load_histogram_init(&h);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = unit_random(&random) % (UINT64_C(1) << (4 + i % 30));
        load_histogram_add(&h, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t real = values[cases[i].rank - 1];
        uint64_t told = load_histogram_quantile(&h, cases[i].share);
        assert_true(told >= real);
        assert_true(told - real <= real / LOAD_HISTOGRAM_PARTS + 1);
    }
}

static void no_quantile_is_above_the_largest_value(void **state)
{
    (void)state;
    load_histogram_init(&h);
    load_histogram_add(&h, 1000001);
    assert_int_equal(load_histogram_quantile(&h, 0.999), 1000001);
    assert_int_equal(load_histogram_quantile(&h, 1), 1000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_no_quantile),
        cmocka_unit_test(slots_follow_each_other_without_gaps),
        cmocka_unit_test(what_is_too_large_counts_as_the_largest),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(no_quantile_is_above_the_largest_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

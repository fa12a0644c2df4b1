#include "http3/spent.h"

#include "support/unit.h"

static struct http3_spent spent;

static bool take(uint32_t number)
{
    uint8_t token[48] = {0};
    memcpy(token + 20, &number, sizeof(number));
    return http3_spent_take(&spent, span_of(token, sizeof(token)));
}

static void each_counts_once(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        assert_true(take(i));
    for (uint32_t i = 0; i < 20; i++)
        assert_false(take(i));
}

/* The table does not grow: the latest are known, the first are not. */
static void old_ones_are_forgotten(void **state)
{
    (void)state;
    const uint32_t all = 10 * HTTP3_SPENT_TOKENS, some = HTTP3_SPENT_TOKENS / 16;
    unsigned known = 0;
    for (uint32_t i = 0; i < all; i++)
        take(i);
    for (uint32_t i = all; i > all - some; i--)
        known += !take(i - 1);
    assert_true(known > some * 7 / 8);
    known = 0;
    for (uint32_t i = 0; i < some; i++)
        known += !take(i);
    assert_true(known < some / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_counts_once),
        cmocka_unit_test(old_ones_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

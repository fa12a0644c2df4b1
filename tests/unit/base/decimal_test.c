#include "base/decimal.h"

#include "support/unit.h"

static bool reads(const char *text, uint64_t max, uint64_t expected)
{
    uint64_t value = 0;
    return decimal_read(span_from(text), max, &value) && value == expected;
}

static bool refuses(const char *text, uint64_t max)
{
    uint64_t value = 77;
    return !decimal_read(span_from(text), max, &value) && value == 77;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 9, 10, 99, 100, 4294967296, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char text[DECIMAL_MAX];
        uint64_t value;
        size_t size = decimal_write(text, values[i]);
        assert_true(decimal_read(span_of(text, size), UINT64_MAX, &value));
        assert_true(value == values[i]);
    }
    char text[DECIMAL_MAX];
    assert_int_equal(decimal_write(text, UINT64_MAX), DECIMAL_MAX);
    assert_memory_equal(text, "18446744073709551615", DECIMAL_MAX);
    assert_int_equal(decimal_write(text, 0), 1);
}

static void leading_zeros_are_decimal(void **state)
{
    (void)state;
    assert_true(reads("010", UINT64_MAX, 10));
    assert_true(reads("0000000000000000000000000000000000000000000000005", UINT64_MAX, 5));
}

static void only_digits_are_read(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "+5", "-5", " 5",   "5 ", "0x5", "5,5",
                                      "5.", "5e", "a",  "\xb2", "/",  ":",   "5_0"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (!refuses(bad[i], UINT64_MAX))
            fail_msg("read \"%s\"", bad[i]);
    for (int c = 0; c < 256; c++) {
        uint64_t value;
        uint8_t byte = (uint8_t)c;
        assert_int_equal(decimal_read(span_of(&byte, 1), UINT64_MAX, &value), c >= '0' && c <= '9');
    }
}

static void the_maximum_is_inclusive(void **state)
{
    (void)state;
    assert_true(reads("18446744073709551615", UINT64_MAX, UINT64_MAX));
    assert_true(refuses("18446744073709551616", UINT64_MAX));
    assert_true(refuses("99999999999999999999999999999999999999999", UINT64_MAX));
    assert_true(reads("9223372036854775807", INT64_MAX, INT64_MAX));
    assert_true(refuses("9223372036854775808", INT64_MAX));
    for (uint64_t max = 0; max < 130; max++)
        for (uint64_t value = 0; value < 140; value++) {
            char text[DECIMAL_MAX + 1];
            text[decimal_write(text, value)] = '\0';
            if (value <= max ? !reads(text, max, value) : !refuses(text, max))
                fail_msg("%s of at most %u", text, (unsigned)max);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(leading_zeros_are_decimal),
        cmocka_unit_test(only_digits_are_read),
        cmocka_unit_test(the_maximum_is_inclusive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

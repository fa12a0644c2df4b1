#include "base/span.h"

#include "support/unit.h"

static void spans_compare_and_trim(void **state)
{
    (void)state;
    assert_true(span_equals(SPAN_EMPTY, SPAN("")));
    assert_false(span_equals(SPAN("a"), SPAN("ab")));
    assert_true(span_equals_ignoring_case(SPAN("Keep-ALIVE"), SPAN("keep-alive")));
    assert_false(span_equals_ignoring_case(SPAN("["), SPAN("{")));
    assert_false(span_equals_ignoring_case(SPAN("\xc4"), SPAN("\xe4")));
    assert_true(span_starts_with(SPAN("abc"), SPAN("ab")));
    assert_false(span_starts_with(SPAN("a"), SPAN("ab")));
    assert_true(span_starts_with(SPAN_EMPTY, SPAN_EMPTY));
    assert_span(span_trim(SPAN(" \t a b\t ")), "a b");
    assert_span(span_trim(SPAN(" \t ")), "");
    assert_span(span_trim(SPAN("\va\v")), "\va\v");
    assert_null(span_after(SPAN_EMPTY, 0).data);
}

/* At every place of every size, every byte; between others, and where it was. */
static void lower_case_is_of_letters_only(void **state)
{
    (void)state;
    uint8_t from[20], to[22];
    for (size_t size = 0; size <= sizeof(from); size++) {
        for (size_t at = 0; at < size; at++) {
            for (int c = 0; c < 256; c++) {
                memset(from, 'Q', size);
                from[at] = (uint8_t)c;
                memset(to, 'Q', sizeof(to));
                span_lower_copy(to + 1, span_of(from, size));
                for (size_t i = 0; i < size; i++)
                    assert_int_equal(to[1 + i], i == at ? span_lower((uint8_t)c) : 'q');
                assert_int_equal(to[0], 'Q');
                assert_int_equal(to[1 + size], 'Q');
                span_lower_copy(from, span_of(from, size));
                assert_memory_equal(from, to + 1, size);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_and_trim),
        cmocka_unit_test(lower_case_is_of_letters_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

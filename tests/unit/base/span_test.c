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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_and_trim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

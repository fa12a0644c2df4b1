#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http1/line.h"
#include <routed/error.h>
#include <stdlib.h>

struct verdict {
    enum http1_line_result result;
    size_t lines;
};

/* Feeds in exactly sized pieces until something but a line or more input is asked for. */
static struct verdict run(struct span input, size_t step, size_t limit)
{
    struct http1_line l = HTTP1_LINE_EMPTY;
    struct verdict v = {HTTP1_LINE_PARTIAL, 0};
    bool goes_on = true;
    while (input.size && goes_on) {
        size_t size = step < input.size ? step : input.size;
        uint8_t *copy = malloc(size);
        memcpy(copy, input.data, size);
        struct span rest = span_of(copy, size), line;
        while (rest.size && goes_on) {
            v.result = http1_line_feed(&l, &rest, limit, &line);
            if (v.result == HTTP1_LINE_READY) {
                v.lines++;
                assert_true(line.size <= limit);
                for (size_t i = 0; i < line.size; i++)
                    assert_int_equal(line.data[i], 'a');
            }
            goes_on = v.result == HTTP1_LINE_READY || v.result == HTTP1_LINE_PARTIAL;
        }
        free(copy);
        input = span_after(input, size);
    }
    assert_true(l.partial.capacity <= 4 * (limit + 256));
    http1_line_release(&l);
    return v;
}

static void check(struct span input, size_t limit, enum http1_line_result result, size_t lines)
{
    for (size_t step = 1; step <= input.size; step++) {
        struct verdict v = run(input, step, limit);
        assert_int_equal(v.result, result);
        assert_int_equal(v.lines, lines);
    }
}

static void test_lines(void **state)
{
    (void)state;
    check(SPAN("aaa\r\n"), 10, HTTP1_LINE_READY, 1);
    check(SPAN("\r\n"), 10, HTTP1_LINE_READY, 1);
    check(SPAN("aaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\naa\r\n"), 25, HTTP1_LINE_READY, 3);
    check(SPAN("aaa\r\naa"), 10, HTTP1_LINE_PARTIAL, 1);
    check(SPAN("aaa\r\naa\r"), 10, HTTP1_LINE_PARTIAL, 1);
}

static void test_refused(void **state)
{
    (void)state;
    check(SPAN("aaa\n"), 10, HTTP1_LINE_BAD, 0);
    check(SPAN("aaa\ra"), 10, HTTP1_LINE_BAD, 0);
    check(SPAN("aaa\r\r\n"), 10, HTTP1_LINE_BAD, 0);
    check(SPAN("\n"), 10, HTTP1_LINE_BAD, 0);
    check(SPAN("aaa\r\n\n"), 10, HTTP1_LINE_BAD, 1);
    check(SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0"), 50, HTTP1_LINE_BAD, 0);
}

static void test_limit(void **state)
{
    (void)state;
    check(SPAN("aaaaaaaaa\r\n"), 10, HTTP1_LINE_READY, 1);
    check(SPAN("aaaaaaaaaa\r\n"), 10, HTTP1_LINE_READY, 1);
    check(SPAN("aaaaaaaaaaa\r\n"), 10, HTTP1_LINE_TOO_LONG, 0);
    check(SPAN("aaaaaaaaaaa"), 10, HTTP1_LINE_TOO_LONG, 0);
    check(SPAN("aaaaaaaaaa\r"), 10, HTTP1_LINE_PARTIAL, 0);
    check(SPAN("aaaaaaaaaa\ra"), 10, HTTP1_LINE_BAD, 0);
    check(SPAN("aaaaaaaaaa\n"), 10, HTTP1_LINE_BAD, 0);
    check(SPAN("aaaaaaaaaaa\n"), 10, HTTP1_LINE_TOO_LONG, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests_name("http1 line", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "http/message.h"

/* Against the C library, over all leap year rules and both sides of 1970 and 2038. */
static void test_write_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t seconds = -2208988800; seconds < 7258118400; seconds += 86400 * 11 + 3607) {
        char ours[HTTP_DATE_SIZE + 1] = "", theirs[64];
        time_t t = (time_t)seconds;
        struct tm tm;
        int64_t back = 0;
        http_date_write(ours, seconds);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
        assert_string_equal(ours, theirs);
        assert_true(http_date_read(span_of(ours, HTTP_DATE_SIZE), &back));
        assert_int_equal(back, seconds);
    }
}

static void test_read_three_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
        {"Tuesday, 19-Jan-38 03:14:08 GMT", 2147483648},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t seconds = -1;
        assert_true(http_date_read(span_from(cases[i].text), &seconds));
        assert_int_equal(seconds, cases[i].seconds);
    }
}

static void test_read_refuses(void **state)
{
    static const char *const bad[] = {"",
                                      "Sun",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      " Sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 31 Nov 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 30 Feb 2024 08:49:37 GMT",
                                      "Sun, 29 Feb 2023 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:61 GMT",
                                      "Sun, 06 Nox 1994 08:49:37 GMT",
                                      "784111777",
                                      "Sunday, 06-Nov-1994 08:49:37 GMT",
                                      "Sun Nov 006 08:49:37 1994"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t seconds;
        if (http_date_read(span_from(bad[i]), &seconds))
            fail_msg("%s is accepted", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_agrees_with_the_c_library),
        cmocka_unit_test(test_read_three_forms),
        cmocka_unit_test(test_read_refuses),
    };
    return cmocka_run_group_tests_name("http date", tests, NULL, NULL);
}

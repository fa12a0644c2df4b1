#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/target.h"
#include <routed/error.h>

static void test_forms(void **state)
{
    static const struct {
        const char *method, *target, *authority, *path, *query;
    } cases[] = {
        {"GET", "/", "", "/", ""},
        {"GET", "/a/b?c=d?e", "", "/a/b", "c=d?e"},
        {"GET", "/?", "", "/", ""},
        {"GET", "//a/%2e%00\\x", "", "//a/%2e%00\\x", ""},
        {"OPTIONS", "*", "", "*", ""},
        {"GET", "http://a", "a", "/", ""},
        {"GET", "HTTPS://a:8443/x?y", "a:8443", "/x", "y"},
        {"GET", "http://a?y", "a", "/", "y"},
        {"OPTIONS", "http://a", "a", "*", ""},
        {"OPTIONS", "http://a?y", "a", "/", "y"},
        {"OPTIONS", "http://a/", "a", "/", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_target t;
        assert_int_equal(
            http_target_parse(span_from(cases[i].method), span_from(cases[i].target), &t),
            ROUTED_OK);
        assert_true(span_equals(t.authority, span_from(cases[i].authority)));
        assert_true(span_equals(t.path, span_from(cases[i].path)));
        assert_true(span_equals(t.query, span_from(cases[i].query)));
        assert_int_equal(t.is_absolute, cases[i].authority[0] != 0);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",        "*",       "a",           "a:80",        "?a", "ftp://a/",
        "http:/a", "http://", "http://u@a/", "http://a:x/", "/#", "http://a#"};
    struct http_target t;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_target_parse(SPAN("GET"), span_from(bad[i]), &t),
                         ROUTED_ERROR_TARGET);
    for (int c = 0; c < 256; c++) {
        uint8_t target[] = {'/', (uint8_t)c};
        int error = http_target_parse(SPAN("GET"), span_of(target, 2), &t);
        bool good = c > ' ' && c < 0x7f && c != '#';
        assert_int_equal(error, good ? ROUTED_OK : ROUTED_ERROR_TARGET);
    }
}

static void test_same_authority(void **state)
{
    static const struct {
        const char *a, *b;
        uint16_t port;
        bool same;
    } cases[] = {
        {"a", "a", 80, true},
        {"a", "A", 80, true},
        {"a", "a:80", 80, true},
        {"a:80", "a", 443, false},
        {"a:", "a", 80, true},
        {"a:080", "a:80", 443, true},
        {"a:81", "a:82", 80, false},
        {"a", "b", 80, false},
        {"[::1]", "[::1]:80", 80, true},
        {"[::1]", "[::2]", 80, false},
        {"a1", "a1:80", 80, true},
        {"1", "1:80", 80, true},
        {"a:443", "a", 443, true},
        {"a:443", "b:443", 443, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(
            http_target_same_authority(span_from(cases[i].a), span_from(cases[i].b), cases[i].port),
            cases[i].same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_same_authority),
    };
    return cmocka_run_group_tests_name("http1 target", tests, NULL, NULL);
}

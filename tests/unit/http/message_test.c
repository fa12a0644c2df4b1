#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/message.h"

static void test_protocol(void **state)
{
    (void)state;
    assert_true(span_equals(http_protocol_text(HTTP_1_0), SPAN("1.0")));
    assert_true(span_equals(http_protocol_text(HTTP_1_1), SPAN("1.1")));
    assert_true(span_equals(http_protocol_text(HTTP_2), SPAN("2")));
    assert_true(span_equals(http_protocol_text(HTTP_3), SPAN("3")));
}

static void test_methods(void **state)
{
    static const struct {
        const char *method;
        bool safe;
        bool idempotent;
    } cases[] = {
        {"GET", true, true},    {"HEAD", true, true},    {"OPTIONS", true, true},
        {"TRACE", true, true},  {"PUT", false, true},    {"DELETE", false, true},
        {"POST", false, false}, {"PATCH", false, false}, {"CONNECT", false, false},
        {"get", false, false},  {"", false, false},      {"GETS", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(http_method_is_safe(span_from(cases[i].method)), cases[i].safe);
        assert_int_equal(http_method_is_idempotent(span_from(cases[i].method)),
                         cases[i].idempotent);
    }
}

static void test_status(void **state)
{
    (void)state;
    assert_true(span_equals(http_reason(200), SPAN("OK")));
    assert_true(span_equals(http_reason(431), SPAN("Request Header Fields Too Large")));
    assert_int_equal(http_reason(299).size, 0);
    assert_int_equal(http_reason(0).size, 0);
    for (uint16_t status = 100; status < 600; status++)
        assert_int_equal(http_status_has_content(status),
                         status >= 200 && status != 204 && status != 304);
}

static void test_authority(void **state)
{
    static const char *const good[] = {"a",
                                       "a.example",
                                       "a.example:80",
                                       "a:",
                                       "127.0.0.1:65535",
                                       "[::]",
                                       "[::1]",
                                       "[1::]",
                                       "[1:2:3:4:5:6:7:8]:443",
                                       "[1::8]",
                                       "[::ffff:1.2.3.4]",
                                       "[1:2:3:4:5:6:1.2.3.4]",
                                       "[::1.2.3.4]",
                                       "[ABCD:ef01::]",
                                       "a_b-c~d",
                                       "%41b",
                                       "xn--a",
                                       "a!$&'()*+;=b"};
    static const char *const bad[] = {"",
                                      ":80",
                                      "a b",
                                      "a,b",
                                      "a/b",
                                      "a?b",
                                      "a#b",
                                      "u@a",
                                      "a\\b",
                                      "a<b>",
                                      "a\"b",
                                      "a:65536",
                                      "a:100000",
                                      "a:x",
                                      "a:-1",
                                      "a:8 0",
                                      "a:80:80",
                                      "a%4",
                                      "a%",
                                      "a%gg",
                                      "\x80",
                                      "a\x7f",
                                      "[",
                                      "[]",
                                      "[:]",
                                      "[:::]",
                                      "[::1",
                                      "::1",
                                      "[::1]x",
                                      "[::1]80",
                                      "[1:2:3:4:5:6:7]",
                                      "[1:2:3:4:5:6:7:8:9]",
                                      "[1::2::3]",
                                      "[12345::]",
                                      "[g::]",
                                      "[::1.2.3]",
                                      "[::1.2.3.256]",
                                      "[::01.2.3.4]",
                                      "[::1.2.3.4.5]",
                                      "[1.2.3.4]",
                                      "[1:2:3:4:5:6:7:1.2.3.4]",
                                      "[1:]",
                                      "[:1]",
                                      "[v1.a]",
                                      "[fe80::1%25lo]",
                                      "[1:2:3:4:5:6:7:8::]",
                                      "[::1]:x"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!http_authority_is_valid(span_from(good[i])))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (http_authority_is_valid(span_from(bad[i])))
            fail_msg("%s is accepted", bad[i]);
    char name[256];
    memset(name, 'a', sizeof(name));
    assert_true(http_authority_is_valid(span_of(name, 255)));
    assert_false(http_authority_is_valid(span_of(name, 256)));
    assert_false(http_authority_is_valid(span_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_authority),
    };
    return cmocka_run_group_tests_name("http message", tests, NULL, NULL);
}

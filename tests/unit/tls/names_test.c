#include "tls/names.h"

#include "base/memory.h"
#include "support/unit.h"
#include <routed/error.h>
#include <stdio.h>

static void test_hosts(void **state)
{
    static const struct {
        struct span host;
        const char *read; /* "": refused */
    } cases[] = {
        {SPAN("a.example"), "a.example"},
        {SPAN("A.Example."), "a.example"},
        {SPAN("localhost"), "localhost"},
        {SPAN("x_y-1.example"), "x_y-1.example"},
        {SPAN("1a.2b"), "1a.2b"},
        {SPAN(""), ""},
        {SPAN("."), ""},
        {SPAN(".a"), ""},
        {SPAN("a..b"), ""},
        {SPAN("a.."), ""},
        {SPAN("a\0b"), ""},
        {SPAN("a b"), ""},
        {SPAN("a:1"), ""},
        {SPAN("*.a"), ""},
        {SPAN("b\xc3\xbc"), ""},
        {SPAN("127.0.0.1"), ""},
        {SPAN("::1"), ""},
        {SPAN("1.2.3"), "1.2.3"},
    };
    char out[TLS_NAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_span(span_of(out, tls_host_read(cases[i].host, out)), cases[i].read);

    uint8_t longest[TLS_NAME_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(tls_host_read(span_of(longest, TLS_NAME_MAX), out), TLS_NAME_MAX);
    assert_int_equal(tls_host_read(span_of(longest, TLS_NAME_MAX + 1), out), 0);
    longest[TLS_NAME_MAX] = '.';
    assert_int_equal(tls_host_read(span_of(longest, TLS_NAME_MAX + 1), out), TLS_NAME_MAX);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        struct span bytes;
    } cases[] = {
        {"127.0.0.1", 4, SPAN("\x7f\0\0\1")},
        {"255.255.255.255", 4, SPAN("\xff\xff\xff\xff")},
        {"0.0.0.0", 4, SPAN("\0\0\0\0")},
        {"256.0.0.1", 0, SPAN("")},
        {"1.2.3", 0, SPAN("")},
        {"1.2.3.4.5", 0, SPAN("")},
        {"1.2.3.", 0, SPAN("")},
        {"1..2.3", 0, SPAN("")},
        {"01.2.3.4", 0, SPAN("")},
        {"00.2.3.4", 0, SPAN("")},
        {"1.2.3.4 ", 0, SPAN("")},
        {"", 0, SPAN("")},
        {"::", 16, SPAN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"::1", 16, SPAN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")},
        {"1::", 16, SPAN("\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"2001:DB8::ff00:42:8329", 16, SPAN("\x20\1\x0d\xb8\0\0\0\0\0\0\xff\0\0\x42\x83\x29")},
        {"1:2:3:4:5:6:7:8", 16, SPAN("\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\x8")},
        {"::ffff:1.2.3.4", 16, SPAN("\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4")},
        {"1:2:3:4:5:6:1.2.3.4", 16, SPAN("\0\1\0\2\0\3\0\4\0\5\0\6\1\2\3\4")},
        {"1:2:3:4:5:6:7", 0, SPAN("")},
        {"1:2:3:4:5:6:7:8:9", 0, SPAN("")},
        {"1:2:3:4:5:6:7::8", 0, SPAN("")},
        {"1:2:3:4:5:6:7::", 16, SPAN("\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\0")},
        {"1::2::3", 0, SPAN("")},
        {":::", 0, SPAN("")},
        {"1:", 0, SPAN("")},
        {":1", 0, SPAN("")},
        {"12345::", 0, SPAN("")},
        {"g::", 0, SPAN("")},
        {"1.2.3.4::", 0, SPAN("")},
        {"1:2:3:4:5:6:7:1.2.3.4", 0, SPAN("")},
        {"::1%eth0", 0, SPAN("")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t out[16];
        size_t size = tls_address_read(span_from(cases[i].text), out);
        if (size != cases[i].size || !span_equals(span_of(out, size), cases[i].bytes))
            fail_msg("%s: %zu", cases[i].text, size);
    }
}

static void test_authorities(void **state)
{
    static const char *const cases[][2] = {
        {"a.example", "a.example"},
        {"a.example:8443", "a.example"},
        {"[::1]:1", "::1"},
        {"[::1]", "::1"},
        {"[::1", ""},
        {"", ""},
        {"127.0.0.1:80", "127.0.0.1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_span(tls_authority_host(span_from(cases[i][0])), cases[i][1]);
}

static void test_matches(void **state)
{
    static const struct {
        const char *host;
        enum tls_match match;
        bool covers;
    } cases[] = {
        {"a.example", TLS_MATCH_EXACT, true},
        {"x.w.example", TLS_MATCH_WILDCARD, true},
        {"exact.w.example", TLS_MATCH_EXACT, true},
        {"w.example", TLS_MATCH_NONE, false},
        {"x.y.w.example", TLS_MATCH_NONE, false},
        {".w.example", TLS_MATCH_NONE, false},
        {"xw.example", TLS_MATCH_NONE, false},
        {"b.example", TLS_MATCH_NONE, false},
        {"127.0.0.1", TLS_MATCH_NONE, true},
        {"127.0.0.2", TLS_MATCH_NONE, false},
        {"::1", TLS_MATCH_NONE, true},
        {"0:0::0:1", TLS_MATCH_NONE, true},
        {"", TLS_MATCH_NONE, false},
    };
    struct tls_names n = TLS_NAMES_EMPTY, same = TLS_NAMES_EMPTY;
    (void)state;
    assert_int_equal(tls_names_append_dns(&n, SPAN("*.W.example")), ROUTED_OK);
    assert_int_equal(tls_names_append_dns(&n, SPAN("exact.w.example")), ROUTED_OK);
    assert_int_equal(tls_names_append_dns(&n, SPAN("A.example.")), ROUTED_OK);
    assert_int_equal(tls_names_append_address(&n, SPAN("\x7f\0\0\1")), ROUTED_OK);
    assert_int_equal(tls_names_append_address(&n, SPAN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")),
                     ROUTED_OK);
    assert_int_equal(tls_names_append_dns(&n, SPAN("*")), ROUTED_OK);
    assert_int_equal(tls_names_append_dns(&n, SPAN("*.")), ROUTED_OK);
    assert_int_equal(tls_names_append_dns(&n, SPAN("x*.w.example")), ROUTED_OK);
    assert_int_equal(tls_names_append_dns(&n, SPAN("a\0.example")), ROUTED_OK);
    assert_int_equal(tls_names_append_address(&n, SPAN("12345")), ROUTED_OK);
    assert_int_equal(n.count, 5);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(tls_names_match(&n, span_from(cases[i].host)), cases[i].match);
        assert_int_equal(tls_names_cover(&n, span_from(cases[i].host)), cases[i].covers);
    }
    assert_true(tls_names_cover(&n, SPAN("A.EXAMPLE")));

    assert_false(tls_names_equal(&n, &same));
    for (size_t i = n.count; i > 0; i--) {
        const struct tls_name *name = &n.items[i - 1];
        struct span bytes = span_of(name->bytes, name->size);
        if (name->kind == TLS_NAME_ADDRESS) {
            assert_int_equal(tls_names_append_address(&same, bytes), ROUTED_OK);
        } else {
            char text[64];
            snprintf(text, sizeof(text), "%s%.*s", name->kind == TLS_NAME_WILDCARD ? "*" : "",
                     (int)bytes.size, (const char *)bytes.data);
            assert_int_equal(tls_names_append_dns(&same, span_from(text)), ROUTED_OK);
        }
        assert_int_equal(tls_names_equal(&n, &same), i == 1);
    }
    tls_names_release(&n);
    tls_names_release(&same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

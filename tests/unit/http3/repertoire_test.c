/* Which lines of answers go into the client's table. */
#include "support/unit.h"

#include "http3/repertoire.h"
#include <stdio.h>

static bool has(struct http3_repertoire *r, enum field_name token, const char *name,
                const char *value)
{
    const struct field line = {span_from(name), span_from(value), token};
    return http3_repertoire_has(r, &line);
}

static void test_second_sight(void **state)
{
    struct http3_repertoire r;
    (void)state;
    http3_repertoire_init(&r, 4096);
    assert_false(has(&r, FIELD_SERVER, "server", "a"));
    assert_false(has(&r, FIELD_SERVER, "server", "b"));
    assert_false(has(&r, FIELD_OTHER, "serve", "ra"));
    assert_true(has(&r, FIELD_SERVER, "server", "a"));
    assert_true(has(&r, FIELD_SERVER, "server", "a"));
    assert_true(has(&r, FIELD_SERVER, "server", "b"));
    assert_int_equal(r.count, 2);
    assert_true(has(&r, FIELD_OTHER, ":status", "418"));
    assert_int_equal(r.count, 3);
}

static void test_what_never_goes_in(void **state)
{
    static const struct field lines[] = {
        {SPAN("date"), SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), FIELD_DATE},
        {SPAN("content-length"), SPAN("46"), FIELD_CONTENT_LENGTH},
        {SPAN("content-range"), SPAN("bytes 0-1/2"), FIELD_CONTENT_RANGE},
        {SPAN("etag"), SPAN("\"a\""), FIELD_ETAG},
        {SPAN("last-modified"), SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), FIELD_LAST_MODIFIED},
        {SPAN("location"), SPAN("/?code=secret"), FIELD_LOCATION},
        {SPAN("set-cookie"), SPAN("a=b"), FIELD_SET_COOKIE},
        {SPAN("authorization"), SPAN("Basic"), FIELD_AUTHORIZATION},
        {SPAN("proxy-authenticate"), SPAN("Basic"), FIELD_PROXY_AUTHENTICATE},
        {SPAN("www-authenticate"), SPAN("Basic"), FIELD_OTHER},
        {SPAN("authentication-info"), SPAN("x"), FIELD_OTHER},
        {SPAN("proxy-authentication-info"), SPAN("x"), FIELD_OTHER},
        {SPAN("age"), SPAN("1"), FIELD_OTHER},
        {SPAN("expires"), SPAN("0"), FIELD_OTHER},
        {SPAN("retry-after"), SPAN("1"), FIELD_RETRY_AFTER},
        {SPAN("x-request-id"), SPAN("1"), FIELD_X_REQUEST_ID},
    };
    struct http3_repertoire r;
    (void)state;
    http3_repertoire_init(&r, 4096);
    for (size_t i = 0; i < 3 * sizeof(lines) / sizeof(lines[0]); i++)
        assert_false(http3_repertoire_has(&r, &lines[i % (sizeof(lines) / sizeof(lines[0]))]));
    assert_int_equal(r.count, 0);
    assert_false(r.is_full);
}

/* Seven eighths of the table, by RFC 9204 section 3.2.1. */
static void test_room(void **state)
{
    static char value[100];
    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    for (size_t size = 20; size <= 22; size++) { /* 32 + 3 + 21: exactly half of the room */
        struct http3_repertoire r;
        http3_repertoire_init(&r, 128);
        value[size] = '\0';
        has(&r, FIELD_OTHER, "x-a", value);
        assert_true(has(&r, FIELD_OTHER, "x-a", value));
        value[20] = 'w';
        has(&r, FIELD_OTHER, "x-b", "012345678901234567890");
        assert_int_equal(has(&r, FIELD_OTHER, "x-b", "012345678901234567890"), size < 22);
        assert_int_equal(r.is_full, size == 22);
        value[size] = value[20] = 'v';
    }
}

/* One line may not take everything. */
static void test_large_line(void **state)
{
    static char value[3000];
    struct http3_repertoire r;
    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    http3_repertoire_init(&r, 4096);
    for (size_t over = 0; over < 2; over++) {
        value[2048 - 32 - 3 + over] = '\0';
        has(&r, FIELD_OTHER, "x-a", value);
        assert_int_equal(has(&r, FIELD_OTHER, "x-a", value), !over);
        value[2048 - 32 - 3 + over] = 'v';
    }
    assert_false(r.is_full);
}

static void test_count_of_lines(void **state)
{
    struct http3_repertoire r;
    char value[12];
    (void)state;
    http3_repertoire_init(&r, 65536);
    for (unsigned i = 0; i <= HTTP3_REPERTOIRE_LINES; i++) {
        snprintf(value, sizeof(value), "%u", i);
        assert_false(has(&r, FIELD_OTHER, "x-a", value));
        assert_int_equal(has(&r, FIELD_OTHER, "x-a", value), i < HTTP3_REPERTOIRE_LINES);
    }
    assert_true(r.is_full);
    assert_int_equal(r.count, HTTP3_REPERTOIRE_LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_sight),   cmocka_unit_test(test_what_never_goes_in),
        cmocka_unit_test(test_room),           cmocka_unit_test(test_large_line),
        cmocka_unit_test(test_count_of_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

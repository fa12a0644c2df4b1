#include "websocket/handshake.h"

#include <routed/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct arena arena;

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static struct http_request opening(const char *key, const char *version)
{
    struct http_request r = {.method = SPAN("GET"),
                             .protocol = HTTP_1_1,
                             .upgrade = HTTP_UPGRADE_WEBSOCKET,
                             .fields = FIELD_LIST_EMPTY};
    if (key)
        field_list_append_copy(&r.fields, &arena, SPAN("sec-websocket-key"), span_from(key));
    if (version)
        field_list_append_copy(&r.fields, &arena, SPAN("sec-websocket-version"),
                               span_from(version));
    return r;
}

static void test_good(void **state)
{
    (void)state;
    struct http_request r = opening(KEY, "13");
    assert_int_equal(websocket_handshake_check(&r), ROUTED_OK);
}

static void test_keys(void **state)
{
    (void)state;
    static const char *const bad[] = {NULL,
                                      "",
                                      "dGhlIHNhbXBsZSBub25jZQ=",
                                      "dGhlIHNhbXBsZSBub25jZQ",
                                      "dGhlIHNhbXBsZSBub25jZTEy",
                                      "dGhlIHNhbXBsZSBub25j",
                                      "dGhlIHNhbXBsZSBub25jZTExMTE=",
                                      "dGhlIHNhbXBsZSBub2*jZQ==",
                                      "dGhlIHNhbXBs ZSBub25jZQ=",
                                      "========================"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct http_request r = opening(bad[i], "13");
        if (websocket_handshake_check(&r) != ROUTED_ERROR_UPGRADE)
            fail_msg("key %s", bad[i]);
    }
    struct http_request twice = opening(KEY, "13");
    field_list_append_copy(&twice.fields, &arena, SPAN("Sec-WebSocket-Key"), SPAN(KEY));
    assert_int_equal(websocket_handshake_check(&twice), ROUTED_ERROR_UPGRADE);
}

static void test_versions(void **state)
{
    (void)state;
    static const char *const others[] = {"8", "0", "14", "13, 8", "", "013"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct http_request r = opening(KEY, others[i]);
        assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UNSUPPORTED);
    }
    struct http_request none = opening(KEY, NULL);
    assert_int_equal(websocket_handshake_check(&none), ROUTED_ERROR_UPGRADE);
}

static void test_other_mistakes(void **state)
{
    (void)state;
    struct http_request r = opening(KEY, "13");
    r.method = SPAN("POST");
    assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UPGRADE);
    r = opening(KEY, "13");
    r.protocol = HTTP_1_0;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UPGRADE);
    r = opening(KEY, "13");
    r.content_length = 1;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UPGRADE);
    r.content_length = HTTP_LENGTH_UNKNOWN;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UPGRADE);
    r = opening(KEY, "13");
    r.upgrade = HTTP_UPGRADE_NONE;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UPGRADE);
}

/* HTTP/2 and HTTP/3 present their CONNECT as the same GET. */
static void test_later_versions(void **state)
{
    (void)state;
    struct http_request r = opening(KEY, "13");
    r.protocol = HTTP_2;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_OK);
    r.protocol = HTTP_3;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_OK);
    r.protocol = HTTP_1_0;
    assert_int_equal(websocket_handshake_check(&r), ROUTED_ERROR_UPGRADE);
}

/* The example of RFC 6455 section 1.3. */
static void test_accept(void **state)
{
    (void)state;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    websocket_handshake_accept(accept, SPAN(KEY));
    assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", sizeof(accept));
}

static void test_subprotocols(void **state)
{
    (void)state;
    struct http_request r = opening(KEY, "13");
    assert_false(websocket_handshake_offers(&r, SPAN("chat")));
    field_list_append_copy(&r.fields, &arena, SPAN("sec-websocket-protocol"),
                           SPAN("soap, , super-chat"));
    field_list_append_copy(&r.fields, &arena, SPAN("sec-websocket-protocol"), SPAN("wamp"));
    assert_true(websocket_handshake_offers(&r, SPAN("soap")));
    assert_true(websocket_handshake_offers(&r, SPAN("wamp")));
    assert_false(websocket_handshake_offers(&r, SPAN("chat")));
    assert_false(websocket_handshake_offers(&r, SPAN("SOAP")));
}

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),           cmocka_unit_test(test_keys),
        cmocka_unit_test(test_versions),       cmocka_unit_test(test_other_mistakes),
        cmocka_unit_test(test_later_versions), cmocka_unit_test(test_accept),
        cmocka_unit_test(test_subprotocols),
    };
    return cmocka_run_group_tests_name("websocket/handshake", tests, NULL, release);
}

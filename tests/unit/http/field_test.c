#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "http/field.h"
#include <routed/error.h>

static void test_lookup_knows_every_name(void **state)
{
    (void)state;
    for (int name = 0; name < FIELD_KNOWN_COUNT; name++) {
        struct span text = field_text((enum field_name)name);
        assert_true(text.size > 0);
        assert_int_equal(field_lookup(text), name);
        uint8_t copy[32];
        memcpy(copy, text.data, text.size);
        for (size_t i = 0; i < text.size; i++) {
            copy[i] ^= 0x80;
            assert_int_equal(field_lookup(span_of(copy, text.size)), FIELD_OTHER);
            copy[i] ^= 0x80;
        }
    }
    assert_int_equal(field_text(FIELD_OTHER).size, 0);
}

static void test_lookup_of_other_names(void **state)
{
    (void)state;
    assert_int_equal(field_lookup(SPAN("")), FIELD_OTHER);
    assert_int_equal(field_lookup(SPAN("x")), FIELD_OTHER);
    assert_int_equal(field_lookup(SPAN("Host")), FIELD_OTHER); /* names are lower case */
    assert_int_equal(field_lookup(SPAN("sec-websocket-extensions-and-more")), FIELD_OTHER);
}

/* The order of the first 29 is a promise of the bridge protocol. */
static void test_bridge_tokens(void **state)
{
    static const char *const names[] = {"host",
                                        "connection",
                                        "user-agent",
                                        "accept",
                                        "accept-encoding",
                                        "accept-language",
                                        "content-type",
                                        "content-length",
                                        "transfer-encoding",
                                        "cookie",
                                        "set-cookie",
                                        "cache-control",
                                        "pragma",
                                        "upgrade",
                                        "authorization",
                                        "origin",
                                        "referer",
                                        "location",
                                        "server",
                                        "date",
                                        "x-forwarded-for",
                                        "x-forwarded-proto",
                                        "x-forwarded-host",
                                        "x-forwarded-port",
                                        "x-request-id",
                                        "sec-websocket-key",
                                        "sec-websocket-version",
                                        "sec-websocket-protocol",
                                        "sec-websocket-extensions"};
    (void)state;
    assert_int_equal(FIELD_BRIDGE_COUNT, 29);
    for (int i = 0; i < FIELD_BRIDGE_COUNT; i++)
        assert_true(span_equals(field_text((enum field_name)i), span_from(names[i])));
}

static void test_list(void **state)
{
    struct arena arena = ARENA_EMPTY;
    struct field_list list = FIELD_LIST_EMPTY;
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(field_list_append_copy(&list, &arena, SPAN("X-Name"), SPAN("Value")), 0);
    assert_int_equal(field_list_append_copy(&list, &arena, SPAN("HOST"), SPAN("")), 0);
    assert_int_equal(list.count, 101);
    assert_true(span_equals(list.items[0].text, SPAN("x-name")));
    assert_true(span_equals(list.items[99].value, SPAN("Value")));
    assert_ptr_equal(field_list_find(&list, FIELD_HOST), &list.items[100]);
    assert_ptr_equal(field_list_find_text(&list, SPAN("x-name")), &list.items[0]);
    assert_null(field_list_find(&list, FIELD_COOKIE));
    assert_null(field_list_find_text(&list, SPAN("x-other")));
    arena_release(&arena);
}

static void test_list_of_known_size(void **state)
{
    struct arena arena = ARENA_EMPTY;
    struct field_list list = FIELD_LIST_EMPTY;
    const struct field f = {SPAN("x-name"), SPAN("value"), FIELD_OTHER};
    (void)state;
    assert_int_equal(field_list_reserve(&list, &arena, 0), ROUTED_OK);
    assert_null(list.items);
    assert_int_equal(field_list_append(&list, &arena, f), ROUTED_OK);
    assert_int_equal(field_list_reserve(&list, &arena, 40), ROUTED_OK);
    assert_int_equal(list.capacity, 41);
    const struct field *items = list.items;
    for (int i = 0; i < 40; i++)
        assert_int_equal(field_list_append(&list, &arena, f), ROUTED_OK);
    assert_ptr_equal(list.items, items);
    assert_true(span_equals(list.items[0].text, SPAN("x-name")));
    assert_int_equal(field_list_reserve(&list, &arena, SIZE_MAX), ROUTED_ERROR_MEMORY);
    assert_int_equal(field_list_reserve(&list, &arena, SIZE_MAX / 2), ROUTED_ERROR_MEMORY);
    assert_int_equal(list.count, 41);
    arena_release(&arena);
}

static void test_list_without_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct arena arena = ARENA_EMPTY;
        struct field_list list = FIELD_LIST_EMPTY;
        int failed = ROUTED_OK;
        memory_fault_set(nth);
        for (int i = 0; i < 100 && !failed; i++)
            failed = field_list_append_copy(&list, &arena, SPAN("x-name"), SPAN("value"));
        memory_fault_set(0);
        assert_int_equal(failed, ROUTED_ERROR_MEMORY);
        arena_release(&arena);
    }
}

static void test_syntax(void **state)
{
    (void)state;
    const char *separators = "\"(),/:;<=>?@[\\]{}";
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        bool token = c > 0x20 && c < 0x7f && !strchr(separators, c);
        assert_int_equal(field_is_tchar(byte), token);
        assert_int_equal(field_name_is_valid(span_of(&byte, 1)), token);
        assert_int_equal(field_lower_name_is_valid(span_of(&byte, 1)),
                         token && !(byte >= 'A' && byte <= 'Z'));
        uint8_t inside[3] = {'a', byte, 'b'};
        bool control = (c < 0x20 && c != '\t') || c == 0x7f;
        assert_int_equal(field_value_is_valid(span_of(inside, 3)), !control);
        assert_int_equal(field_value_is_valid(span_of(&byte, 1)),
                         !control && c != ' ' && c != '\t');
    }
    assert_false(field_name_is_valid(SPAN("")));
    assert_false(field_lower_name_is_valid(SPAN("")));
    assert_false(field_lower_name_is_valid(SPAN("x-Y")));
    assert_true(field_lower_name_is_valid(SPAN("x-y")));
    assert_true(field_value_is_valid(SPAN("")));
    assert_false(field_value_is_valid(SPAN(" a")));
    assert_false(field_value_is_valid(SPAN("a\t")));
}

static bool is_identity(const char *name)
{
    struct span text = span_from(name);
    return field_is_identity(field_lookup(text), text);
}

static void test_identity(void **state)
{
    static const char *const claims[] = {"x-forwarded-for", "x-forwarded-anything",
                                         "x_forwarded_for", "x-forwarded_host",
                                         "x-forwarded",     "forwarded",
                                         "proxy",           "client-cert",
                                         "client_cert",     "client-cert-chain",
                                         "remote-user",     "remote_user",
                                         "x-routed-id",     "x_routed_id",
                                         "x-real-ip",       "x_real_ip"};
    static const char *const others[] = {
        "host", "x-request-id", "proxy-authorization", "x-forward", "remote-users", "x",
        "",     "forwarded-by", "client-certs",        "origin",    "x-routed"};
    (void)state;
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
        assert_true(is_identity(claims[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(is_identity(others[i]));
}

static bool is_forbidden_trailer(const char *name)
{
    struct span text = span_from(name);
    return field_is_forbidden_trailer(field_lookup(text), text);
}

static void test_trailers(void **state)
{
    static const char *const forbidden[] = {
        "content-length",   "transfer-encoding", "host", "authorization",    "connection",
        "cookie",           "set-cookie",        "te",   "trailer",          "x-forwarded-for",
        "x_forwarded_for",  "if-match",          "age",  "www-authenticate", "sec-websocket-key",
        "content-encoding", "cache-control"};
    (void)state;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        assert_true(is_forbidden_trailer(forbidden[i]));
    assert_false(is_forbidden_trailer("x-checksum"));
    assert_false(is_forbidden_trailer("etag"));
    assert_false(is_forbidden_trailer("server"));
}

static void test_hop_by_hop(void **state)
{
    (void)state;
    assert_true(field_is_hop_by_hop(FIELD_CONNECTION));
    assert_true(field_is_hop_by_hop(FIELD_UPGRADE));
    assert_true(field_is_hop_by_hop(FIELD_TRANSFER_ENCODING));
    assert_false(field_is_hop_by_hop(FIELD_CONTENT_LENGTH));
    assert_false(field_is_hop_by_hop(FIELD_OTHER));
}

static void test_members(void **state)
{
    struct span rest = SPAN(" a ,, \t, b;q=\"x,\\\"y\" ,c"), member;
    (void)state;
    assert_true(field_list_member(&rest, &member));
    assert_true(span_equals(member, SPAN("a")));
    assert_true(field_list_member(&rest, &member));
    assert_true(span_equals(member, SPAN("b;q=\"x,\\\"y\"")));
    assert_true(field_list_member(&rest, &member));
    assert_true(span_equals(member, SPAN("c")));
    assert_false(field_list_member(&rest, &member));
    rest = SPAN(" , ");
    assert_false(field_list_member(&rest, &member));

    assert_true(field_value_has_token(SPAN("keep-alive, Upgrade"), SPAN("upgrade")));
    assert_false(field_value_has_token(SPAN("keep-alive, Upgrades"), SPAN("upgrade")));
    assert_false(field_value_has_token(SPAN("\"a, upgrade\""), SPAN("upgrade")));
    assert_false(field_value_has_token(SPAN(""), SPAN("upgrade")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup_knows_every_name),
        cmocka_unit_test(test_lookup_of_other_names),
        cmocka_unit_test(test_bridge_tokens),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_of_known_size),
        cmocka_unit_test(test_list_without_memory),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_hop_by_hop),
        cmocka_unit_test(test_members),
    };
    return cmocka_run_group_tests_name("http field", tests, NULL, NULL);
}

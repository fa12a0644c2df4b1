/* Requests, responses and peers as heads: limits, defaults, what is left out and what refused. */
#include "base/memory.h"
#include "wire/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct arena arena;

static void add(struct field_list *l, const char *name, const char *value)
{
    assert_int_equal(field_list_append_copy(l, &arena, span_from(name), span_from(value)),
                     ROUTED_OK);
}

static struct http_request request(void)
{
    return (struct http_request){.method = SPAN("POST"),
                                 .scheme = SPAN("https"),
                                 .authority = SPAN("example.org"),
                                 .target = SPAN("/a?b"),
                                 .path = SPAN("/a"),
                                 .query = SPAN("b"),
                                 .protocol = HTTP_2,
                                 .content_length = HTTP_LENGTH_UNKNOWN};
}

static struct wire_head decode(struct buffer *bytes, enum wire_direction direction)
{
    struct wire_decoder d;
    struct wire_event event;
    wire_decoder_init(&d, direction, NULL);
    struct span input = buffer_span(bytes);
    wire_decoder_feed(&d, &input, &event);
    if (event.type == WIRE_EVENT_ERROR)
        fail_msg("%s", event.text);
    assert_int_equal(event.type, WIRE_EVENT_HEAD);
    wire_decoder_release(&d); /* held nothing: the head came whole */
    return event.head;
}

/* Writes and reads back. */
static int pass(enum wire_type type, const struct http_request *r, uint32_t body_size,
                struct http_request *back, struct wire_origin *origin)
{
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_origin sent = {SPAN("10.0.0.1"), 80, SPAN("id"), NULL};
    assert_int_equal(wire_request_write(&bytes, type, r, &sent, body_size), ROUTED_OK);
    struct wire_head head = decode(&bytes, WIRE_REQUESTS);
    int error = wire_request_read(&head, &arena, back, origin);
    buffer_release(&bytes);
    return error;
}

static void assert_span(struct span got, const char *expected)
{
    if (!span_equals(got, span_from(expected)))
        fail_msg("%.*s is not %s", (int)got.size, (const char *)got.data, expected);
}

static void test_request_there_and_back(void **state)
{
    (void)state;
    static const enum wire_type types[] = {WIRE_REQUEST_SINGLE, WIRE_REQUEST_SINGLE_LITERAL,
                                           WIRE_REQUEST_START, WIRE_REQUEST_START_LITERAL};
    for (size_t i = 0; i < 4; i++) {
        struct http_request r = request(), back;
        struct wire_origin origin;
        add(&r.fields, "accept", "*/*");
        add(&r.fields, "x-other", "");
        add(&r.fields, "cookie", "a=b");
        assert_int_equal(pass(types[i], &r, 0, &back, &origin), ROUTED_OK);
        assert_span(back.method, "POST");
        assert_span(back.scheme, "https");
        assert_span(back.authority, "example.org");
        assert_span(back.target, "/a?b");
        assert_span(back.path, "/a");
        assert_span(back.query, "b");
        assert_int_equal(back.protocol, HTTP_2);
        assert_int_equal(back.fields.count, 3);
        assert_int_equal(back.fields.items[0].name, FIELD_ACCEPT);
        assert_int_equal(back.fields.items[1].name, FIELD_OTHER);
        assert_span(back.fields.items[1].text, "x-other");
        assert_span(back.fields.items[2].value, "a=b");
        assert_span(origin.address, "10.0.0.1");
        assert_int_equal(origin.port, 80);
        assert_span(origin.request_id, "id");
        assert_int_equal(back.content_length,
                         wire_type_is_single(types[i]) ? 0 : HTTP_LENGTH_UNKNOWN);
    }
}

static void test_client_cannot_forge(void **state)
{
    (void)state;
    struct http_request r = request(), back;
    struct wire_origin origin;
    add(&r.fields, "x-routed-peer", "6.6.6.6:6");
    add(&r.fields, "x_routed_peer", "6.6.6.6:6");
    add(&r.fields, "x-routed-request-id", "forged");
    add(&r.fields, "x-routed-anything", "forged");
    add(&r.fields, "connection", "upgrade");
    add(&r.fields, "upgrade", "websocket");
    add(&r.fields, "transfer-encoding", "chunked");
    add(&r.fields, "keep-alive", "1");
    assert_int_equal(pass(WIRE_REQUEST_START, &r, 0, &back, &origin), ROUTED_OK);
    assert_span(origin.address, "10.0.0.1");
    assert_span(origin.request_id, "id");
    assert_int_equal(back.fields.count, 0);
    assert_int_equal(back.upgrade, HTTP_UPGRADE_NONE);
}

static void test_content_length_is_restated(void **state)
{
    (void)state;
    struct http_request r = request(), back;
    add(&r.fields, "content-length", "99");
    add(&r.fields, "accept", "*/*");
    add(&r.fields, "content-length", "99");
    r.content_length = 7;
    assert_int_equal(pass(WIRE_REQUEST_START, &r, 0, &back, NULL), ROUTED_OK);
    assert_int_equal(back.content_length, 7);
    assert_int_equal(back.fields.count, 2);
    assert_span(back.fields.items[0].value, "7");
    assert_int_equal(pass(WIRE_REQUEST_SINGLE, &r, 7, &back, NULL), ROUTED_OK);
    assert_int_equal(pass(WIRE_REQUEST_SINGLE, &r, 8, &back, NULL), ROUTED_ERROR_CONTENT_LENGTH);
    r.content_length = HTTP_LENGTH_UNKNOWN;
    assert_int_equal(pass(WIRE_REQUEST_START, &r, 0, &back, NULL), ROUTED_OK);
    assert_int_equal(back.content_length, HTTP_LENGTH_UNKNOWN);
    assert_int_equal(back.fields.count, 1);
    r.fields.count = 0;
    r.content_length = 5;
    assert_int_equal(pass(WIRE_REQUEST_START, &r, 0, &back, NULL), ROUTED_OK);
    assert_int_equal(back.content_length, 5);
    assert_int_equal(back.fields.items[0].name, FIELD_CONTENT_LENGTH);
}

static void test_expectation(void **state)
{
    (void)state;
    struct http_request r = request(), back;
    add(&r.fields, "expect", "100-Continue");
    assert_int_equal(pass(WIRE_REQUEST_START, &r, 0, &back, NULL), ROUTED_OK);
    assert_true(back.expects_continue);
}

static void test_refused_requests(void **state)
{
    (void)state;
    static const struct {
        const char *method, *scheme, *authority, *path, *query, *name, *value;
        int error;
    } cases[] = {
        {"G T", "http", "a", "/", "", "a", "b", ROUTED_ERROR_METHOD},
        {"GET", "ftp", "a", "/", "", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a/b", "/", "", "a", "b", ROUTED_ERROR_HOST},
        {"GET", "http", "u@a", "/", "", "a", "b", ROUTED_ERROR_HOST},
        {"GET", "http", "a", "x", "", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a", "/ x", "", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a", "/\r\n", "", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a", "/?", "", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a", "/", "#", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a", "*x", "", "a", "b", ROUTED_ERROR_TARGET},
        {"GET", "http", "a", "/", "", "", "b", ROUTED_ERROR_FIELD_SYNTAX},
        {"GET", "http", "a", "/", "", "a:", "b", ROUTED_ERROR_FIELD_SYNTAX},
        {"GET", "http", "a", "/", "", "a", "b\r\nc: d", ROUTED_ERROR_FIELD_SYNTAX},
        {"GET", "http", "a", "/", "", "content-length", "-1", ROUTED_ERROR_CONTENT_LENGTH},
        {"GET", "http", "a", "/", "", "content-length", "1, 1", ROUTED_ERROR_CONTENT_LENGTH},
        {"GET", "http", "a", "/", "", "content-length", "", ROUTED_ERROR_CONTENT_LENGTH},
        {"GET", "http", "a", "/", "", "x-routed-peer", "nobody", ROUTED_ERROR_FIELD_SYNTAX},
        {"OPTIONS", "http", "a", "*", "", "a", " b ", ROUTED_OK},
        {"get", "https", "[::1]:1", "/%00", "?", "A-b", "\xff", ROUTED_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        /* By hand: the writer would not write some of these. */
        const char *six[] = {cases[i].method, cases[i].scheme, cases[i].authority,
                             cases[i].path,   cases[i].query,  "1.1"};
        struct buffer head = BUFFER_EMPTY;
        for (size_t s = 0; s < 8; s++) {
            const char *text = s < 6 ? six[s] : s == 6 ? cases[i].name : cases[i].value;
            uint8_t size[4] = {0, 0, 0, (uint8_t)strlen(text)};
            if (s == 6)
                buffer_append(&head, "\0\0\0\1", 4);
            buffer_append(&head, size, 4);
            buffer_append_text(&head, text);
        }
        struct wire_head h = {.type = WIRE_REQUEST_START_LITERAL, .bytes = buffer_span(&head)};
        struct http_request r;
        int error = wire_request_read(&h, &arena, &r, NULL);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, routed_error_name(error));
        buffer_release(&head);
    }
}

static void test_limits_of_writing(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_EMPTY;
    struct http_request r = request();
    struct http_response answer = {.status = 200};
    static char large[WIRE_HEAD_MAX];
    buffer_append_text(&bytes, "before");
    assert_int_equal(wire_request_write(&bytes, WIRE_RESPONSE_SINGLE, &r, NULL, 0),
                     ROUTED_ERROR_ARGUMENT);
    assert_int_equal(wire_request_write(&bytes, WIRE_REQUEST_START, &r, NULL, 1),
                     ROUTED_ERROR_ARGUMENT);
    assert_int_equal(wire_request_write(&bytes, WIRE_REQUEST_SINGLE, &r, NULL, WIRE_PAYLOAD_MAX),
                     ROUTED_ERROR_ARGUMENT);
    assert_int_equal(
        wire_response_write(&bytes, WIRE_RESPONSE_SINGLE, &answer, HTTP_LENGTH_UNKNOWN, UINT32_MAX),
        ROUTED_ERROR_ARGUMENT);
    assert_int_equal(wire_response_write(&bytes, WIRE_REQUEST_START, &answer, 0, 0),
                     ROUTED_ERROR_ARGUMENT);
    memset(large, 'v', sizeof(large) - 1);
    add(&r.fields, "x-large", large);
    assert_int_equal(wire_request_write(&bytes, WIRE_REQUEST_START, &r, NULL, 0),
                     ROUTED_ERROR_FIELDS_TOO_LARGE);
    for (size_t i = 0; i <= WIRE_FIELDS_MAX; i++)
        add(&answer.fields, "a", "b");
    assert_int_equal(wire_response_write(&bytes, WIRE_RESPONSE_START, &answer, 0, 0),
                     ROUTED_ERROR_FIELDS_TOO_MANY);
    assert_span(buffer_span(&bytes), "before");
    answer.fields.count = WIRE_FIELDS_MAX;
    assert_int_equal(
        wire_response_write(&bytes, WIRE_RESPONSE_START, &answer, HTTP_LENGTH_UNKNOWN, 0),
        ROUTED_OK);
    buffer_consume(&bytes, 6);
    assert_int_equal(decode(&bytes, WIRE_RESPONSES).field_count, WIRE_FIELDS_MAX);
    buffer_release(&bytes);
}

static void test_response_length_and_upgrade(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_EMPTY;
    struct http_response r = {.status = 200}, back;
    add(&r.fields, "connection", "close");
    assert_int_equal(wire_response_write(&bytes, WIRE_RESPONSE_START, &r, 12, 0), ROUTED_OK);
    struct wire_head head = decode(&bytes, WIRE_RESPONSES);
    assert_int_equal(wire_response_read(&head, &arena, &back), ROUTED_OK);
    assert_int_equal(back.fields.count, 2);
    assert_span(back.fields.items[0].value, "close");
    assert_span(field_list_find(&back.fields, FIELD_CONTENT_LENGTH)->value, "12");

    buffer_clear(&bytes);
    add(&r.fields, "sec-websocket-accept", "x");
    r.status = 101;
    assert_int_equal(wire_response_write(&bytes, WIRE_RESPONSE_SINGLE, &r, HTTP_LENGTH_UNKNOWN, 0),
                     ROUTED_OK);
    head = decode(&bytes, WIRE_RESPONSES);
    assert_int_equal(head.field_count, 3);
    assert_int_equal(wire_response_read(&head, &arena, &back), ROUTED_OK);
    assert_int_equal(back.fields.count, 1);
    assert_int_equal(back.fields.items[0].name, FIELD_SEC_WEBSOCKET_ACCEPT);
    buffer_release(&bytes);
}

static void test_peers(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint16_t port;
        const char *text;
    } good[] = {{"127.0.0.1", 5000, "127.0.0.1:5000"},
                {"::1", 65535, "[::1]:65535"},
                {"fe80::1%eth0", 1, "[fe80::1%eth0]:1"},
                {"unix", 0, "unix"}};
    static const char *const bad[] = {"",      "127.0.0.1", ":1",      "a:",      "a:65536",
                                      "::1:5", "[::1]",     "[::1]5",  "[a]:1",   "[]:1",
                                      "a:1x",  "unix:",     "[::1:80", "::1]:80", "[[::1]]:80"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        char text[WIRE_PEER_TEXT_MAX];
        struct span address;
        uint16_t port;
        size_t size = wire_peer_write(text, span_from(good[i].address), good[i].port);
        assert_span(span_of(text, size), good[i].text);
        assert_true(wire_peer_read(span_of(text, size), &address, &port));
        assert_span(address, good[i].address);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct span address;
        uint16_t port;
        if (wire_peer_read(span_from(bad[i]), &address, &port))
            fail_msg("%s was taken", bad[i]);
    }
    char text[WIRE_PEER_TEXT_MAX];
    char endless[WIRE_PEER_TEXT_MAX];
    memset(endless, '1', sizeof(endless));
    assert_int_equal(wire_peer_write(text, SPAN_EMPTY, 1), 0);
    assert_int_equal(wire_peer_write(text, span_of(endless, sizeof(endless)), 1), 0);
}

static void test_nth_allocation_fails(void **state)
{
    (void)state;
    struct http_request r = request();
    add(&r.fields, "accept", "*/*");
    bool fired = true;
    for (uint64_t n = 1; fired; n++) {
        struct arena a = ARENA_EMPTY;
        struct buffer bytes = BUFFER_EMPTY;
        struct http_request back;
        struct wire_head head = {.type = WIRE_REQUEST_START};
        memory_fault_set(n);
        int error = wire_request_write(&bytes, WIRE_REQUEST_START, &r, NULL, 0);
        if (error == ROUTED_OK) {
            head = decode(&bytes, WIRE_REQUESTS);
            error = wire_request_read(&head, &a, &back, NULL);
        }
        fired = memory_fault_fired();
        memory_fault_set(0);
        assert_int_equal(error, fired ? ROUTED_ERROR_MEMORY : ROUTED_OK);
        arena_release(&a);
        buffer_release(&bytes);
        assert_true(n < 10);
    }
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
        cmocka_unit_test(test_request_there_and_back),
        cmocka_unit_test(test_client_cannot_forge),
        cmocka_unit_test(test_content_length_is_restated),
        cmocka_unit_test(test_expectation),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_limits_of_writing),
        cmocka_unit_test(test_response_length_and_upgrade),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_nth_allocation_fails),
    };
    return cmocka_run_group_tests_name("wire/head", tests, NULL, release);
}

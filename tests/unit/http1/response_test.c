#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http1/response.h"
#include <stdlib.h>

/* Into memory of exactly the announced size. */
static void check(const struct http1_response_head *head, const char *text)
{
    size_t bound = http1_response_bound(head);
    uint8_t *out = malloc(bound);
    size_t size = http1_response_write(out, head);
    assert_true(size <= bound);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(out, text, size);
    free(out);
}

static void test_heads(void **state)
{
    (void)state;
    struct field items[] = {{SPAN("x-one"), SPAN("1"), FIELD_OTHER},
                            {SPAN("x-empty"), SPAN(""), FIELD_OTHER}};
    struct field_list fields = {items, 2, 2}, none = FIELD_LIST_EMPTY;
    struct http1_response_head head = {.status = 200, .fields = &fields};
    check(&head, "HTTP/1.1 200 OK\r\nx-one: 1\r\nx-empty: \r\n\r\n");
    head.fields = &none;
    head.framing = HTTP1_FRAMING_LENGTH;
    head.length = INT64_MAX;
    head.connection = HTTP1_CONNECTION_KEEP_ALIVE;
    head.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    check(&head, "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                 "content-length: 9223372036854775807\r\nconnection: keep-alive\r\n\r\n");
    head.status = 999;
    head.date = NULL;
    head.framing = HTTP1_FRAMING_CHUNKED;
    head.connection = HTTP1_CONNECTION_CLOSE;
    check(&head, "HTTP/1.1 999 \r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    head.status = 101;
    head.framing = HTTP1_FRAMING_NONE;
    head.connection = HTTP1_CONNECTION_UPGRADE;
    check(&head, "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
                 "upgrade: websocket\r\n\r\n");
}

static void test_chunk_sizes(void **state)
{
    static const struct {
        uint64_t size;
        const char *text;
    } cases[] = {{0, "0\r\n"},
                 {1, "1\r\n"},
                 {15, "f\r\n"},
                 {16, "10\r\n"},
                 {255, "ff\r\n"},
                 {65536, "10000\r\n"},
                 {UINT64_MAX, "ffffffffffffffff\r\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t out[HTTP1_CHUNK_SIZE_MAX];
        size_t size = http1_response_write_chunk_size(out, cases[i].size);
        assert_int_equal(size, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, size);
    }
}

static void test_trailers(void **state)
{
    (void)state;
    struct field items[] = {{SPAN("x-sum"), SPAN("1"), FIELD_OTHER},
                            {SPAN("x-end"), SPAN(""), FIELD_OTHER}};
    struct field_list list = {items, 2, 2};
    uint8_t out[128];
    assert_true(http1_response_trailers_bound(&list) <= sizeof(out));
    size_t size = http1_response_write_trailers(out, &list);
    assert_int_equal(size, 19);
    assert_memory_equal(out, "x-sum: 1\r\nx-end: \r\n", size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_chunk_sizes),
        cmocka_unit_test(test_trailers),
    };
    return cmocka_run_group_tests_name("http1 response", tests, NULL, NULL);
}

#include "peer.h"
#include "support/unit.h"

/* One below, on and one above each limit of a request. */

static void send_repeated(struct buffer *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_append_text(out, text);
}

/* Writes `before`, `count` times `repeated`, `after`; expects the status. */
static void check(const struct http1_limits *limits, const char *before, const char *repeated,
                  size_t count, const char *after, const char *status)
{
    struct peer p;
    char statuses[32];
    struct buffer input = BUFFER_EMPTY;
    peer_open(&p, &origin_reads_then_answers);
    p.options.limits = *limits;
    buffer_append_text(&input, before);
    send_repeated(&input, repeated, count);
    buffer_append_text(&input, after);
    peer_write(&p, buffer_span(&input));
    peer_statuses(&p, statuses, sizeof(statuses));
    if (strcmp(statuses, status) != 0)
        fail_msg("%s%zu times %s%s: %s for %s", before, count, repeated, after, statuses, status);
    buffer_release(&input);
    peer_close(&p);
}

static void check_around(const struct http1_limits *limits, const char *before,
                         const char *repeated, size_t most, const char *after, const char *status)
{
    check(limits, before, repeated, most - 1, after, "200");
    check(limits, before, repeated, most, after, "200");
    check(limits, before, repeated, most + 1, after, status);
}

#define LINE    "GET / HTTP/1.1\r\n"
#define HEAD    LINE "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_lines(void **state)
{
    (void)state;
    const struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
    check_around(&limits, "GET /", "a", 8192 - 14, " HTTP/1.1\r\nHost: a\r\n\r\n", "414");
    check_around(&limits, HEAD "X: ", "a", 8192 - 3, "\r\n\r\n", "431");
    check_around(&limits, "", "M", HTTP1_METHOD_MAX, " / HTTP/1.1\r\nHost: a\r\n\r\n", "400");
}

static void test_fields(void **state)
{
    (void)state;
    struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
    check_around(&limits, HEAD, "X: y\r\n", 99, "\r\n", "431");
    limits.fields_bytes_max = 200; /* host, a: 37; x: 33 and the value */
    check_around(&limits, HEAD "X: ", "a", 200 - 37 - 33, "\r\n\r\n", "431");
    check_around(&limits, HEAD "X: \t ", "a", 200 - 37 - 33, " \t\r\n\r\n", "431");
    limits = HTTP1_LIMITS_DEFAULT;
    check_around(&limits, LINE "Host: a\r\nConnection: ", "a,", HTTP1_CONNECTION_OPTIONS_MAX,
                 "\r\n\r\n", "400");
}

static void test_trailers_draw_on_the_same_allowance(void **state)
{
    (void)state;
    struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
    check_around(&limits, CHUNKED "0\r\n", "X: y\r\n", 98, "\r\n", "431");
    limits.fields_count_max = 5;
    check_around(&limits, CHUNKED "0\r\n", "Host: y\r\n", 3, "\r\n", "431");
    limits = HTTP1_LIMITS_DEFAULT;
    limits.fields_bytes_max = 200; /* host, a: 37; transfer-encoding, chunked: 56; x: 33 */
    check_around(&limits, CHUNKED "0\r\nX: ", "a", 200 - 37 - 56 - 33, "\r\n\r\n", "431");
}

static void test_chunks(void **state)
{
    (void)state;
    struct http1_limits limits = HTTP1_LIMITS_DEFAULT;
    check_around(&limits, CHUNKED "1;", "a", 255, "\r\nx\r\n0\r\n\r\n", "400");
    check_around(&limits, CHUNKED, "0", 15, "1\r\nx\r\n0\r\n\r\n", "400");
    limits.chunk_extensions_max = 40;
    check_around(&limits, CHUNKED, "1;abc\r\nx\r\n", 10, "0\r\n\r\n", "400");
    limits = HTTP1_LIMITS_DEFAULT;
    limits.chunk_overhead_max = 45; /* each chunk: 5 bytes of framing, 1 of content; 5 at the end */
    check_around(&limits, CHUNKED, "1\r\nx\r\n", 10, "0\r\n\r\n", "400");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_trailers_draw_on_the_same_allowance),
        cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests_name("http1 limits", tests, NULL, NULL);
}

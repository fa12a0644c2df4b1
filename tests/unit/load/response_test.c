#include "load/response.h"

#include "base/memory.h"
#include "support/unit.h"
#include <stdio.h>

struct seen {
    unsigned done;
    unsigned wrong;
    uint16_t last; /* status */
};

/* Feeds the text cut into pieces of `piece` bytes. */
static struct seen feed(struct load_response *r, const char *text, size_t piece)
{
    struct seen seen = {.done = 0};
    struct span all = span_from(text);
    while (all.size) {
        size_t size = piece < all.size ? piece : all.size;
        struct span input = span_part(all, 0, size);
        all = span_after(all, size);
        enum load_response_event event;
        while ((event = load_response_feed(r, &input)) == LOAD_RESPONSE_DONE) {
            seen.done++;
            seen.last = r->status;
        }
        if (event == LOAD_RESPONSE_WRONG) {
            seen.wrong++;
            break;
        }
        assert_int_equal(input.size, 0);
    }
    return seen;
}

static void check(const char *text, unsigned done, uint64_t content)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct load_response r = {.state = LOAD_RESPONSE_HEAD};
        struct seen seen = feed(&r, text, piece);
        assert_int_equal(seen.wrong, 0);
        assert_int_equal(seen.done, done);
        assert_int_equal(r.content, content);
        load_response_release(&r);
    }
    assert_int_equal(memory_held(), 0);
}

static void counted_content(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1, 5);
    check("HTTP/1.1 200 OK\r\nx: y\r\ncontent-length:0\r\n\r\n", 1, 0);
}

static void pipelined_answers(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 404 Not Found\r\n"
          "content-length: 2\r\n\r\nbbHTTP/1.1 204 No Content\r\n\r\n",
          3, 3);
}

static void chunked_content(void **state)
{
    (void)state;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n"
        "0\r\n\r\n",
        1, 15);
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n"
          "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
          2, 0);
}

static void interim_answers_are_none(void **state)
{
    (void)state;
    check(
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
        1, 1);
}

static void after_101_the_rest_is_left(void **state)
{
    (void)state;
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    struct span input = SPAN("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\nFRAME");
    assert_int_equal(load_response_feed(&r, &input), LOAD_RESPONSE_DONE);
    assert_int_equal(r.status, 101);
    assert_span(input, "FRAME");
    load_response_release(&r);
}

static void content_until_the_close(void **state)
{
    (void)state;
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    struct seen seen = feed(&r, "HTTP/1.0 200 OK\r\n\r\nall there is", 7);
    assert_int_equal(seen.done, 0);
    assert_true(load_response_end(&r));
    assert_true(r.closes);
    assert_int_equal(r.content, 12);
    assert_false(load_response_end(&r));
    load_response_release(&r);
}

static void an_end_inside_counted_content_is_none(void **state)
{
    (void)state;
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    feed(&r, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", 100);
    assert_false(load_response_end(&r));
    load_response_release(&r);
}

static void connection_close_is_seen(void **state)
{
    (void)state;
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    feed(&r, "HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n", 100);
    assert_true(r.closes);
    load_response_release(&r);
}

static void what_is_not_http_is_wrong(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct load_response r = {.state = LOAD_RESPONSE_HEAD};
        assert_int_equal(feed(&r, texts[i], 3).wrong, 1);
        load_response_release(&r);
    }
}

static void head_of_size(size_t size, enum load_response_event expected)
{
    static char text[LOAD_RESPONSE_HEAD_MAX + 16];
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    int start = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nx: ");
    memset(text + start, 'y', size - (size_t)start);
    memcpy(text + size - 4, "\r\n\r\n", 4);
    struct span first = span_of(text, size - 1), last = span_of(text + size - 1, 1);
    enum load_response_event event = load_response_feed(&r, &first);
    if (event == LOAD_RESPONSE_MORE)
        event = load_response_feed(&r, &last);
    assert_int_equal(event, expected);
    load_response_release(&r);
}

static void a_head_has_a_largest_size(void **state)
{
    (void)state;
    head_of_size(LOAD_RESPONSE_HEAD_MAX - 1, LOAD_RESPONSE_MORE);
    head_of_size(LOAD_RESPONSE_HEAD_MAX, LOAD_RESPONSE_MORE);
    head_of_size(LOAD_RESPONSE_HEAD_MAX + 1, LOAD_RESPONSE_WRONG);
}

/* The first bytes of an answer, and then as much at once as a socket gives. */
static void check_large_read_after(const char *first, const char *rest)
{
    static char text[LOAD_RESPONSE_HEAD_MAX * 2];
    static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    size_t size = (size_t)snprintf(text, sizeof(text), "%s", rest);
    unsigned count = 1;
    for (; size + sizeof(answer) <= sizeof(text); count++, size += sizeof(answer) - 1)
        memcpy(text + size, answer, sizeof(answer));
    assert_true(size > LOAD_RESPONSE_HEAD_MAX);
    struct seen seen = feed(&r, first, SIZE_MAX);
    assert_int_equal(seen.done + seen.wrong, 0);
    seen = feed(&r, text, SIZE_MAX);
    assert_int_equal(seen.wrong, 0);
    assert_int_equal(seen.done, count);
    load_response_release(&r);
}

static void a_cut_does_not_count_what_is_behind_it(void **state)
{
    (void)state;
    check_large_read_after("HTTP/1.1 200 OK\r\ncont", "ent-length: 0\r\n\r\n");
    check_large_read_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1",
                           "\r\na\r\n0\r\n\r\n");
    check_large_read_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r", "\n");
}

static void without_memory_it_is_wrong(void **state)
{
    (void)state;
    struct load_response r = {.state = LOAD_RESPONSE_HEAD};
    struct span input = SPAN("HTTP/1.1 200");
    memory_fault_set(1);
    assert_int_equal(load_response_feed(&r, &input), LOAD_RESPONSE_WRONG);
    assert_true(memory_fault_fired());
    memory_fault_set(0);
    load_response_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_content),
        cmocka_unit_test(pipelined_answers),
        cmocka_unit_test(chunked_content),
        cmocka_unit_test(interim_answers_are_none),
        cmocka_unit_test(after_101_the_rest_is_left),
        cmocka_unit_test(content_until_the_close),
        cmocka_unit_test(an_end_inside_counted_content_is_none),
        cmocka_unit_test(connection_close_is_seen),
        cmocka_unit_test(what_is_not_http_is_wrong),
        cmocka_unit_test(a_head_has_a_largest_size),
        cmocka_unit_test(a_cut_does_not_count_what_is_behind_it),
        cmocka_unit_test(without_memory_it_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

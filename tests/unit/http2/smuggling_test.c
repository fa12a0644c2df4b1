/* Requests that mean something else once they are written down as HTTP/1: each is reset or
 * refused, the application sees nothing, and the connection goes on. */
#include "peer.h"
#include "support/unit.h"

/* :method, :scheme, :path, :authority, then name and value of up to two fields. What is {0} is
 * left out. */
struct attack {
    const char *what;
    struct span words[8];
};

#define GOOD SPAN("GET"), SPAN("http"), SPAN("/"), SPAN("a")

static void write_attack(struct peer *p, int32_t id, const struct attack *a)
{
    static const char *const pseudo[] = {":method", ":scheme", ":path", ":authority"};
    struct peer_line lines[6];
    size_t count = 0;
    for (size_t i = 0; i < 4; i++)
        if (a->words[i].data)
            lines[count++] = (struct peer_line){span_from(pseudo[i]), a->words[i], false};
    for (size_t i = 4; i < 8; i += 2)
        if (a->words[i].data)
            lines[count++] = (struct peer_line){a->words[i], a->words[i + 1], false};
    peer_head(p, id, lines, count, true);
}

static void expect_nothing_seen(const struct attack *a)
{
    struct peer p;
    peer_open(&p, &origin_reads_then_answers);
    write_attack(&p, 1, a);
    peer_get(&p, 3);
    peer_turn(&p);
    const struct peer_answer *answer = peer_answer(&p, 1);
    bool is_reset =
        answer->is_reset && answer->reset_code == NGHTTP2_PROTOCOL_ERROR && !answer->heads;
    if (!is_reset || p.origin.opened != 1 || p.origin.refused != 1 ||
        peer_answer(&p, 3)->status != 200)
        fail_msg("%s: status %u, reset %u, %u seen, %u refused", a->what, answer->status,
                 answer->reset_code, p.origin.opened, p.origin.refused);
    peer_close(&p);
}

static void test_heads(void **state)
{
    const struct attack attacks[] = {
        {"CR in a value", {GOOD, SPAN("x-a"), SPAN("b\rc")}},
        {"LF in a value", {GOOD, SPAN("x-a"), SPAN("b\nhost: c")}},
        {"CR LF in a value", {GOOD, SPAN("x-a"), SPAN("b\r\n\r\nGET /evil HTTP/1.1")}},
        {"NUL in a value", {GOOD, SPAN("x-a"), SPAN("b\0c")}},
        {"space before a value", {GOOD, SPAN("x-a"), SPAN(" b")}},
        {"space after a value", {GOOD, SPAN("x-a"), SPAN("b ")}},
        {"tab after a value", {GOOD, SPAN("x-a"), SPAN("b\t")}},
        {"CR in a name", {GOOD, SPAN("x-a\r"), SPAN("b")}},
        {"LF in a name", {GOOD, SPAN("x\nhost"), SPAN("b")}},
        {"NUL in a name", {GOOD, SPAN("x\0a"), SPAN("b")}},
        {"space in a name", {GOOD, SPAN("x a"), SPAN("b")}},
        {"upper case in a name", {GOOD, SPAN("X-A"), SPAN("b")}},
        {"colon in a name", {GOOD, SPAN("x-a: c"), SPAN("b")}},
        {"empty name", {GOOD, SPAN(""), SPAN("b")}},
        {"request line in :method",
         {SPAN("GET / HTTP/1.1\r\nx: y"), SPAN("http"), SPAN("/"), SPAN("a")}},
        {"space in :method", {SPAN("GET /evil"), SPAN("http"), SPAN("/"), SPAN("a")}},
        {"empty :method", {SPAN(""), SPAN("http"), SPAN("/"), SPAN("a")}},
        {"no :method", {{0}, SPAN("http"), SPAN("/"), SPAN("a")}},
        {"space in :path", {SPAN("GET"), SPAN("http"), SPAN("/ HTTP/1.1\r\nx: y"), SPAN("a")}},
        {":path without /", {SPAN("GET"), SPAN("http"), SPAN("a"), SPAN("a")}},
        {"absolute :path", {SPAN("GET"), SPAN("http"), SPAN("http://b/"), SPAN("a")}},
        {"* for GET", {SPAN("GET"), SPAN("http"), SPAN("*"), SPAN("a")}},
        {"empty :path", {SPAN("GET"), SPAN("http"), SPAN(""), SPAN("a")}},
        {"no :path", {SPAN("GET"), SPAN("http"), {0}, SPAN("a")}},
        {"# in :path", {SPAN("GET"), SPAN("http"), SPAN("/#a"), SPAN("a")}},
        {"URL in :scheme", {SPAN("GET"), SPAN("https://x/"), SPAN("/"), SPAN("a")}},
        {"other :scheme", {SPAN("GET"), SPAN("ftp"), SPAN("/"), SPAN("a")}},
        {"no :scheme", {SPAN("GET"), {0}, SPAN("/"), SPAN("a")}},
        {"@ in :authority", {SPAN("GET"), SPAN("http"), SPAN("/"), SPAN("user@a")}},
        {"CR LF in :authority", {SPAN("GET"), SPAN("http"), SPAN("/"), SPAN("a\r\nx: y")}},
        {"list in :authority", {SPAN("GET"), SPAN("http"), SPAN("/"), SPAN("a,b")}},
        {"empty :authority", {SPAN("GET"), SPAN("http"), SPAN("/"), SPAN("")}},
        {"no :authority", {SPAN("GET"), SPAN("http"), SPAN("/"), {0}}},
        {"host that differs", {GOOD, SPAN("host"), SPAN("b")}},
        {"port that differs", {GOOD, SPAN("host"), SPAN("a:81")}},
        {"two hosts", {GOOD, SPAN("host"), SPAN("a"), SPAN("host"), SPAN("a")}},
        {":path twice", {GOOD, SPAN(":path"), SPAN("/b")}},
        {":authority twice", {GOOD, SPAN(":authority"), SPAN("b")}},
        {"unknown pseudo-field", {GOOD, SPAN(":x"), SPAN("b")}},
        {"pseudo-field of responses", {GOOD, SPAN(":status"), SPAN("200")}},
        {"late pseudo-field",
         {SPAN("GET"),
          SPAN("http"),
          {0},
          SPAN("a"),
          SPAN("x-a"),
          SPAN("b"),
          SPAN(":path"),
          SPAN("/")}},
        {":protocol without CONNECT", {GOOD, SPAN(":protocol"), SPAN("websocket")}},
        {"transfer-encoding", {GOOD, SPAN("transfer-encoding"), SPAN("chunked")}},
        {"content-length without content", {GOOD, SPAN("content-length"), SPAN("5")}},
        {"content-length +0", {GOOD, SPAN("content-length"), SPAN("+0")}},
        {"content-length 0, 0", {GOOD, SPAN("content-length"), SPAN("0, 0")}},
        {"two content-lengths",
         {GOOD, SPAN("content-length"), SPAN("0"), SPAN("content-length"), SPAN("0")}},
        {"connection", {GOOD, SPAN("connection"), SPAN("x")}},
        {"upgrade", {GOOD, SPAN("upgrade"), SPAN("websocket")}},
        {"keep-alive", {GOOD, SPAN("keep-alive"), SPAN("1")}},
        {"proxy-connection", {GOOD, SPAN("proxy-connection"), SPAN("close")}},
        {"te", {GOOD, SPAN("te"), SPAN("gzip")}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
        expect_nothing_seen(&attacks[i]);
}

/* The application may have seen the head; it never sees an end. */
static void expect_no_end(struct peer *p)
{
    peer_get(p, 3);
    peer_turn(p);
    assert_true(peer_answer(p, 1)->is_reset);
    assert_int_equal(peer_answer(p, 1)->reset_code, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(peer_answer(p, 3)->status, 200);
    assert_int_equal(p->origin.complete, 1);
    assert_int_equal(p->origin.opened, 2);
    assert_int_equal(p->origin.closed, 2);
    assert_true(p->origin.failure);
    peer_close(p);
}

static void test_content_length(void **state)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "10")};
    struct peer p;
    (void)state;
    for (size_t size = 9; size <= 11; size += 2) {
        peer_open(&p, &origin_reads_then_answers);
        peer_request(&p, 1, "POST", "/", length, 1, false);
        peer_data(&p, 1, size, true);
        expect_no_end(&p);
    }
    peer_open(&p, &origin_reads_then_answers); /* trailers end it too early */
    peer_request(&p, 1, "POST", "/", length, 1, false);
    peer_head(&p, 1, length, 1, true);
    expect_no_end(&p);
}

static void test_trailers(void **state)
{
    const struct peer_line bad[] = {PEER_LINE(":path", "/b"), PEER_LINE("x-a", "b\r\nc: d"),
                                    PEER_LINE("X-A", "b"), PEER_LINE("connection", "close"),
                                    PEER_LINE("transfer-encoding", "chunked")};
    struct peer p;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        peer_open(&p, &origin_reads_then_answers);
        peer_post(&p, 1);
        peer_data(&p, 1, 10, false);
        peer_head(&p, 1, &bad[i], 1, true);
        expect_no_end(&p);
    }
    peer_open(&p, &origin_reads_then_answers); /* a head in the middle */
    peer_post(&p, 1);
    peer_head(&p, 1, (struct peer_line[]){PEER_LINE("x-a", "b")}, 1, false);
    expect_no_end(&p);
}

/* One rule for odd targets, the same as in HTTP/1: they reach the application as they came. */
static void test_targets_are_not_repaired(void **state)
{
    static const struct {
        const char *target, *seen;
    } cases[] = {{"//a", "GET //a a.test "},         {"/a/../b", "GET /a/../b a.test "},
                 {"/%2e%2e", "GET /%2e%2e a.test "}, {"/%2f", "GET /%2f a.test "},
                 {"/%00", "GET /%00 a.test "},       {"/a\\b", "GET /a\\\\b a.test "}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct peer p;
        peer_open(&p, &origin_reads_then_answers);
        peer_request(&p, 1, "GET", cases[i].target, NULL, 0, true);
        peer_turn(&p);
        if (!origin_saw(&p.origin, cases[i].seen))
            fail_msg("%s: the application sees %.*s", cases[i].target,
                     (int)buffer_size(&p.origin.view),
                     (const char *)buffer_span(&p.origin.view).data);
        peer_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_targets_are_not_repaired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

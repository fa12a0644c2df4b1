/* Requests that mean something else once they are written down as HTTP/1: each is reset or
 * refused, the application sees nothing, and the connection goes on.
 *
 * Tests of HTTP/2 and HTTP/3; the protocol's peer.h comes first. */
#ifndef UNIT_STREAMS_SMUGGLING_H
#define UNIT_STREAMS_SMUGGLING_H

#include "support/streams.h"
#include "support/unit.h"

/* :method, :scheme, :path, :authority, then name and value of up to two fields. What is {0} is
 * left out. */
struct attack {
    const char *what;
    struct span words[8];
};

#define GOOD SPAN("GET"), peer_scheme(), SPAN("/"), SPAN("a")

static void write_attack(struct peer *p, int64_t id, const struct attack *a)
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
    write_attack(&p, peer_id(0), a);
    peer_get(&p, peer_id(1));
    peer_turn(&p);
    const struct peer_answer *answer = peer_answer(&p, peer_id(0));
    bool is_reset = answer->is_reset && answer->reset_code == PEER_MALFORMED &&
                    !answer->is_stopped && !answer->heads;
    if (!is_reset || p.origin.opened != 1 || p.origin.refused != 1 ||
        peer_answer(&p, peer_id(1))->status != 200)
        fail_msg("%s: status %u, reset %u, %u seen, %u refused", a->what, answer->status,
                 (unsigned)answer->reset_code, p.origin.opened, p.origin.refused);
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
         {SPAN("GET / HTTP/1.1\r\nx: y"), peer_scheme(), SPAN("/"), SPAN("a")}},
        {"space in :method", {SPAN("GET /evil"), peer_scheme(), SPAN("/"), SPAN("a")}},
        {"empty :method", {SPAN(""), peer_scheme(), SPAN("/"), SPAN("a")}},
        {"no :method", {{0}, peer_scheme(), SPAN("/"), SPAN("a")}},
        {"space in :path", {SPAN("GET"), peer_scheme(), SPAN("/ HTTP/1.1\r\nx: y"), SPAN("a")}},
        {":path without /", {SPAN("GET"), peer_scheme(), SPAN("a"), SPAN("a")}},
        {"absolute :path", {SPAN("GET"), peer_scheme(), SPAN("https://b/"), SPAN("a")}},
        {"* for GET", {SPAN("GET"), peer_scheme(), SPAN("*"), SPAN("a")}},
        {"empty :path", {SPAN("GET"), peer_scheme(), SPAN(""), SPAN("a")}},
        {"no :path", {SPAN("GET"), peer_scheme(), {0}, SPAN("a")}},
        {"# in :path", {SPAN("GET"), peer_scheme(), SPAN("/#a"), SPAN("a")}},
        {"URL in :scheme", {SPAN("GET"), SPAN("https://x/"), SPAN("/"), SPAN("a")}},
        {"other :scheme", {SPAN("GET"), SPAN("ftp"), SPAN("/"), SPAN("a")}},
        {"no :scheme", {SPAN("GET"), {0}, SPAN("/"), SPAN("a")}},
        {"@ in :authority", {SPAN("GET"), peer_scheme(), SPAN("/"), SPAN("user@a")}},
        {"CR LF in :authority", {SPAN("GET"), peer_scheme(), SPAN("/"), SPAN("a\r\nx: y")}},
        {"list in :authority", {SPAN("GET"), peer_scheme(), SPAN("/"), SPAN("a,b")}},
        {"empty :authority", {SPAN("GET"), peer_scheme(), SPAN("/"), SPAN("")}},
        {"no :authority", {SPAN("GET"), peer_scheme(), SPAN("/"), {0}}},
        {"host that differs", {GOOD, SPAN("host"), SPAN("b")}},
        {"port that differs", {GOOD, SPAN("host"), SPAN("a:81")}},
        {"two hosts", {GOOD, SPAN("host"), SPAN("a"), SPAN("host"), SPAN("a")}},
        {":path twice", {GOOD, SPAN(":path"), SPAN("/b")}},
        {":authority twice", {GOOD, SPAN(":authority"), SPAN("b")}},
        {"unknown pseudo-field", {GOOD, SPAN(":x"), SPAN("b")}},
        {"pseudo-field of responses", {GOOD, SPAN(":status"), SPAN("200")}},
        {"late pseudo-field",
         {SPAN("GET"),
          peer_scheme(),
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
    for (size_t i = 0; i < COUNT_OF(attacks); i++)
        expect_nothing_seen(&attacks[i]);
}

/* The application may have seen the head; it never sees an end. */
static void expect_no_end(struct peer *p, const char *what)
{
    peer_get(p, peer_id(1));
    peer_turn(p);
    const struct origin *o = &p->origin;
    const struct peer_answer *answer = peer_answer(p, peer_id(0));
    if (!answer->is_reset || answer->reset_code != PEER_MALFORMED)
        fail_msg("%s: status %u, reset %u", what, answer->status, (unsigned)answer->reset_code);
    if (o->opened != 2 || o->closed != 2 || o->complete != 1 || !o->failure)
        fail_msg("%s: %u opened, %u closed, %u complete, failure %d", what, o->opened, o->closed,
                 o->complete, o->failure);
    if (peer_answer(p, peer_id(1))->status != 200)
        fail_msg("%s: the next request is not answered", what);
    peer_close(p);
}

static void test_content_length(void **state)
{
    const struct peer_line length[] = {PEER_LINE("content-length", "10")};
    struct peer p;
    (void)state;
    for (size_t size = 9; size <= 11; size += 2) {
        peer_open(&p, &origin_reads_then_answers);
        peer_request(&p, peer_id(0), "POST", "/", length, 1, false);
        peer_data(&p, peer_id(0), size, true);
        expect_no_end(&p, size < 10 ? "9 of 10 bytes" : "11 of 10 bytes");
        peer_open(&p, &origin_reads_then_answers);
        peer_request(&p, peer_id(0), "POST", "/", length, 1, false);
        peer_data(&p, peer_id(0), size, false);
        peer_fin(&p, peer_id(0));
        expect_no_end(&p, size < 10 ? "9 of 10 bytes, then the end" : "11 of 10 bytes and the end");
    }
    peer_open(&p, &origin_reads_then_answers);
    peer_request(&p, peer_id(0), "POST", "/", length, 1, false);
    peer_turn(&p);
    peer_fin(&p, peer_id(0));
    expect_no_end(&p, "nothing but the end");
    peer_open(&p, &origin_reads_then_answers);
    peer_request(&p, peer_id(0), "POST", "/", length, 1, false);
    peer_head(&p, peer_id(0), length, 1, true);
    expect_no_end(&p, "trailers end it too early");
}

static void test_trailers(void **state)
{
    static const struct {
        const char *what;
        struct peer_line line;
    } bad[] = {{"pseudo-field", {SPAN(":path"), SPAN("/b"), false}},
               {"CR LF in a value", {SPAN("x-a"), SPAN("b\r\nc: d"), false}},
               {"upper case in a name", {SPAN("X-A"), SPAN("b"), false}},
               {"connection", {SPAN("connection"), SPAN("close"), false}},
               {"transfer-encoding", {SPAN("transfer-encoding"), SPAN("chunked"), false}}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct peer p;
        peer_open(&p, &origin_reads_then_answers);
        peer_post(&p, peer_id(0));
        peer_data(&p, peer_id(0), 10, false);
        peer_head(&p, peer_id(0), &bad[i].line, 1, true);
        expect_no_end(&p, bad[i].what);
    }
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
        peer_request(&p, peer_id(0), "GET", cases[i].target, NULL, 0, true);
        peer_turn(&p);
        if (!origin_saw(&p.origin, cases[i].seen))
            fail_msg("%s: the application sees %.*s", cases[i].target,
                     (int)buffer_size(&p.origin.view),
                     (const char *)buffer_span(&p.origin.view).data);
        peer_close(&p);
    }
}

#define SMUGGLING_TESTS                                                                            \
    cmocka_unit_test(test_heads), cmocka_unit_test(test_content_length),                           \
        cmocka_unit_test(test_trailers), cmocka_unit_test(test_targets_are_not_repaired)

#endif

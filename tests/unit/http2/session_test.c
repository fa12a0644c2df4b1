/* Requests and responses of a session: framing, order, flow control, tunnels, failures, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "peer.h"

static void nothing(struct peer *p, struct exchange *x)
{
    (void)p;
    (void)x;
}

static const struct peer_script waits = {.on_request = nothing};
static const struct peer_script reads = {.on_request = peer_grant_all};

#define ANSWER(id) (*peer_answer(&p, id))

/* ---- requests ---- */

static void test_get(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &peer_reads_then_answers);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    const struct peer_line more[] = {PEER_LINE("accept", "*/*"), PEER_LINE("x-a", "b")};
    peer_request(&p, 1, "GET", "/p?q", more, 2, true);
    peer_turn(&p);
    assert_true(peer_saw(&p, "GET /p?q a.test [host=a.test;accept=*/*;x-a=b;] 0 []\n"));
    assert_int_equal(ANSWER(1).status, 200);
    assert_string_equal(ANSWER(1).fields, "content-length=2;");
    assert_memory_equal(ANSWER(1).text, "ok", 2);
    assert_true(ANSWER(1).has_ended);
    assert_false(ANSWER(1).is_reset);
    assert_int_equal(p.closed, 1);
    assert_int_equal(p.ended, 1);
    assert_int_equal(p.close_error, ROUTED_OK);
    assert_int_equal(peer_wait(&p), SESSION_IDLE);
    peer_close(&p);
}

static void test_post(void **state)
{
    struct peer p;
    (void)state;
    for (int blocks = 0; blocks < 2; blocks++) {
        peer_open(&p, &peer_reads_then_answers);
        p.gives_blocks = blocks;
        const struct peer_line length[] = {PEER_LINE("content-length", "0020010")};
        const struct peer_line trailers[] = {PEER_LINE("x-sum", "1"), PEER_LINE("host", "b.test")};
        peer_request(&p, 1, "POST", "/", length, 1, false);
        peer_data(&p, 1, 16384, false);
        peer_data(&p, 1, 3626, false);
        peer_head(&p, 1, trailers, 2, true);
        peer_turn(&p);
        assert_true(peer_saw(&p, "[host=a.test;content-length=20010;] 20010 [x-sum=1;]\n"));
        assert_int_equal(ANSWER(1).status, 200);
        assert_int_equal(p.close_error, ROUTED_OK);
        peer_close(&p);
    }
}

static void test_one_byte_at_a_time(void **state)
{
    struct peer p;
    (void)state;
    peer_init(&p, &peer_reads_then_answers);
    assert_true(peer_begin(&p));
    p.split = p.write_max = 1;
    peer_greet(&p);
    peer_post(&p, 1);
    peer_data(&p, 1, 300, false);
    peer_get(&p, 3);
    peer_data(&p, 1, 0, true);
    peer_turn(&p);
    assert_int_equal(p.complete, 2);
    assert_int_equal(ANSWER(1).status, 200);
    assert_int_equal(ANSWER(3).status, 200);
    assert_int_equal(p.ended, 2);
    peer_close(&p);
}

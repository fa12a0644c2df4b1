/* How sessions wait and end, and the applications of the tests of that.
 *
 * Tests of HTTP/2 and HTTP/3; the protocol's peer.h comes first. */
#ifndef UNIT_STREAMS_LIFE_H
#define UNIT_STREAMS_LIFE_H

#include "support/streams.h"
#include "support/unit.h"

static void grant_some(struct origin *o, struct exchange *x)
{
    (void)o;
    exchange_grant(x, 1000);
}

static const struct origin_script reads_little = {.on_request = grant_some};

static void send_much(struct origin *o, struct exchange *x)
{
    (void)o;
    origin_respond(x, 200, NULL);
    origin_send_size(x, 200000);
    exchange_end(x, NULL);
}

static const struct origin_script sends_much = {.on_request = send_much};

static void shut_and_answer(struct origin *o, struct exchange *x)
{
    struct session *s = o->user;
    s->ops->shut(s);
    origin_answer_ok(x);
}

static const struct origin_script shuts = {.on_request = shut_and_answer};

static void answer_with_all(struct origin *o, struct exchange *x)
{
    (void)o;
    struct field trailer = {SPAN("x-sum"), SPAN("1"), FIELD_OTHER};
    struct field_list trailers = {&trailer, 1, 1};
    struct http_response early = {.status = 103};
    exchange_inform(x, &early);
    origin_respond(x, 200, NULL);
    exchange_send(x, slice_static(SPAN("hello")));
    origin_send_size(x, 20000);
    exchange_end(x, &trailers);
}

static void grant_a_little(struct origin *o, struct exchange *x)
{
    (void)o;
    exchange_grant(x, 3);
}

static void grant_as_it_comes(struct origin *o, struct exchange *x, struct span body)
{
    (void)o;
    exchange_grant(x, body.size);
}

static const struct origin_script does_all = {
    .on_request = grant_a_little, .on_body = grant_as_it_comes, .on_end = answer_with_all};

/* Of all requests only the upload that stalls. */
static void test_too_slow_an_upload(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &reads_little);
    peer_post(&p, peer_id(0));
    peer_get(&p, peer_id(1));
    peer_turn(&p);
    assert_int_equal(peer_wait(&p), SESSION_BODY);
    peer_fail(&p, ROUTED_ERROR_TOO_SLOW);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 408);
    assert_int_equal(peer_answer(&p, peer_id(1))->heads, 0);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(peer_wait(&p), SESSION_ANSWER);
    peer_close(&p);
}

/* Two uploads are awaited for a minute; every five seconds the second gets that many bytes. */
static void upload_one_of_two(struct peer *p, size_t bytes)
{
    peer_open(p, &origin_reads_then_answers);
    peer_post(p, peer_id(0));
    peer_post(p, peer_id(1));
    peer_turn(p);
    for (int i = 0; i < 12; i++) {
        p->now += 5000;
        peer_data(p, peer_id(1), bytes, false);
        peer_turn(p);
    }
}

/* What comes for another request keeps the connection, and no more. */
static void test_a_starved_upload(void **state)
{
    struct peer p;
    (void)state;
    upload_one_of_two(&p, 3000);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 408);
    assert_int_equal(p.origin.closed, 1);
    assert_int_equal(p.origin.close_error, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(p.origin.limited, 1);
    peer_data(&p, peer_id(1), 1, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(1))->status, 200);
    peer_close(&p);
}

/* Fast enough for both: it may be the second one's turn. */
static void test_uploads_in_turns(void **state)
{
    struct peer p;
    (void)state;
    upload_one_of_two(&p, 5100);
    assert_int_equal(p.origin.closed, 0);
    peer_data(&p, peer_id(0), 1, true);
    peer_turn(&p);
    assert_int_equal(peer_answer(&p, peer_id(0))->status, 200);
    peer_close(&p);
}

/* This process was stopped; what came meanwhile is read little by little. */
static void test_an_upload_while_we_sleep(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, peer_id(0));
    peer_post(&p, peer_id(1));
    peer_turn(&p);
    p.now += 60000;
    peer_data(&p, peer_id(1), 16000, false);
    peer_turn(&p);
    peer_data(&p, peer_id(0), 16000, false);
    peer_data(&p, peer_id(0), 16000, false);
    for (int i = 0; i < 3; i++) {
        peer_turn(&p);
        p.now += 1000;
        peer_data(&p, peer_id(1), 1000, false);
    }
    assert_int_equal(p.origin.closed, 0);
    peer_close(&p);
}

/* While the application takes nothing, the client is not to blame. */
static void test_an_upload_that_is_not_awaited(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &reads_little);
    peer_post(&p, peer_id(0));
    peer_turn(&p);
    peer_data(&p, peer_id(0), 1000, false);
    for (int i = 0; i < 12; i++) {
        p.now += 5000;
        peer_turn(&p);
    }
    exchange_grant(p.origin.exchange, 1000);
    for (int i = 0; i < 3; i++) {
        peer_turn(&p);
        p.now += 5000;
    }
    assert_int_equal(p.origin.closed, 0);
    peer_close(&p);
}

/* The application shuts the session while it answers. */
static void shut_from_inside(struct peer *p)
{
    peer_open(p, &shuts);
    p->origin.user = peer_base(p);
    peer_get(p, peer_id(0));
    peer_turn(p);
    assert_int_equal(peer_answer(p, peer_id(0))->status, 200);
    assert_int_equal(p->origin.close_error, ROUTED_OK);
}

/* The first two requests, of which the latest is the origin's. */
static void expect_both_answered(struct peer *p, struct exchange *first)
{
    origin_answer_ok(p->origin.exchange);
    origin_answer_ok(first);
    peer_turn(p);
    assert_int_equal(peer_answer(p, peer_id(0))->status, 200);
    assert_int_equal(peer_answer(p, peer_id(1))->status, 200);
    assert_int_equal(p->origin.closed, 2);
    assert_int_equal(p->origin.failure, ROUTED_OK);
}

/* The connection looks after its deadline and before it; `p` sends much and nobody reads. */
static void expect_patience_to_end(struct peer *p)
{
    p->now += 19999;
    peer_fail(p, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(peer_wait(p), SESSION_WINDOW);
    assert_int_equal(p->origin.closed, 0);
    p->now += 1;
    peer_fail(p, ROUTED_ERROR_TOO_SLOW);
    assert_int_equal(p->origin.close_error, ROUTED_ERROR_TOO_SLOW);
}

/* What was opened is closed, what was allocated since `held` is given back. */
static void expect_no_trace(struct peer *p, size_t held)
{
    if (p->session)
        peer_abort(p);
    assert_int_equal(p->origin.opened, p->origin.closed);
    assert_int_equal(p->origin.opened, p->origin.ended);
    peer_close(p);
    assert_int_equal(memory_held(), held);
}

/* The peer stays open for what is to be seen of it. */
static void abort_with_an_answer_unsent(struct peer *p)
{
    peer_open(p, &origin_waits);
    peer_get(p, peer_id(0));
    peer_post(p, peer_id(1));
    peer_turn(p);
    p->is_stuck = true;
    origin_answer_ok(p->origin.exchange);
    peer_abort(p);
    assert_int_equal(p->origin.closed, 2);
    assert_int_equal(p->origin.ended, 2);
    assert_int_equal(p->origin.close_error, ROUTED_ERROR_CLIENT_GONE);
    assert_int_equal(peer_wait(p), SESSION_FINISHED);
}

#define LIFE_TESTS                                                                                 \
    cmocka_unit_test(test_too_slow_an_upload), cmocka_unit_test(test_a_starved_upload),            \
        cmocka_unit_test(test_uploads_in_turns), cmocka_unit_test(test_an_upload_while_we_sleep),  \
        cmocka_unit_test(test_an_upload_that_is_not_awaited)

#endif

/* The rules of exchange/exchange.h: phases, lengths, credit, one close. */
#include "exchange/exchange.h"

#include "base/memory.h"
#include "exchange/parties.h"

static void a_whole_exchange(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "POST", 5);
    assert_int_equal(p.requests, 1);
    exchange_grant(&p.x, 100);
    assert_int_equal(p.granted, 100);
    assert_int_equal(p.x.request_credit, 100);
    assert_int_equal(parties_deliver_text(&p, "he"), ROUTED_OK);
    assert_int_equal(parties_deliver_text(&p, "llo"), ROUTED_OK);
    assert_int_equal(p.x.request_credit, 95);
    assert_int_equal(exchange_deliver_end(&p.x, NULL), ROUTED_OK);
    assert_span(buffer_span(&p.content), "hello");
    assert_int_equal(p.request_ends, 1);
    assert_int_equal(parties_head(&p, 201, "content-length", "2"), ROUTED_OK);
    assert_int_equal(p.length, 2);
    assert_int_equal(p.x.status, 201);
    assert_int_equal(parties_send_text(&p, "ok"), ROUTED_OK);
    assert_false(exchange_is_complete(&p.x));
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_OK);
    assert_true(exchange_is_complete(&p.x));
    exchange_close(&p.x, ROUTED_OK);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.closed, ROUTED_OK);
    assert_int_equal(p.x.request_bytes, 5);
    assert_int_equal(p.x.response_bytes, 2);
    parties_release(&p);
    assert_int_equal(p.closes, 1);
}

/* ---- phases ---- */

static void nothing_comes_before_the_head(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_send_text(&p, "early"), ROUTED_ERROR_STATE);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_ERROR_STATE);
    assert_int_equal(buffer_size(&p.body), 0);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_OK);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_ERROR_STATE);
    assert_int_equal(p.responds, 1);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_OK);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_ERROR_STATE);
    assert_int_equal(parties_send_text(&p, "late"), ROUTED_ERROR_STATE);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_ERROR_STATE);
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.fails, 0);
    parties_release(&p);
}

static void nothing_comes_after_the_requests_end(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "POST", HTTP_LENGTH_UNKNOWN);
    assert_int_equal(exchange_deliver_end(&p.x, NULL), ROUTED_OK);
    assert_int_equal(exchange_deliver_end(&p.x, NULL), ROUTED_ERROR_STATE);
    assert_int_equal(parties_deliver_text(&p, "late"), ROUTED_ERROR_STATE);
    assert_int_equal(p.request_ends, 1);
    assert_int_equal(buffer_size(&p.content), 0);
    parties_release(&p);
}

static void answer_in_callback(struct parties *p)
{
    assert_int_equal(parties_head(p, 200, "content-length", "2"), ROUTED_OK);
    assert_int_equal(parties_send_text(p, "ok"), ROUTED_OK);
    assert_int_equal(exchange_end(&p->x, NULL), ROUTED_OK);
}

static void applications_may_answer_inside_their_callback(void **state)
{
    (void)state;
    struct parties p;
    parties_prepare(&p, "GET", 0);
    p.during_request = answer_in_callback;
    exchange_open(&p.x, &parties_application, &p);
    assert_span(buffer_span(&p.body), "ok");
    assert_int_equal(p.closes, 0);
    parties_release(&p);
}

/* ---- lengths ---- */

static void request_lengths_are_proved(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "POST", 5);
    assert_int_equal(parties_deliver_text(&p, "four"), ROUTED_OK);
    assert_int_equal(exchange_deliver_end(&p.x, NULL), ROUTED_ERROR_TRUNCATED);
    assert_int_equal(p.request_ends, 0);
    assert_int_equal(parties_deliver_text(&p, "56"), ROUTED_ERROR_FRAMING);
    assert_span(buffer_span(&p.content), "four");
    parties_release(&p);
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_deliver_text(&p, "x"), ROUTED_ERROR_FRAMING);
    assert_int_equal(buffer_size(&p.content), 0);
    parties_release(&p);
}

static void response_lengths_are_proved(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int sent;
        int ended;
    } cases[] = {{"1234", ROUTED_OK, ROUTED_ERROR_RESPONSE},
                 {"12345", ROUTED_OK, ROUTED_OK},
                 {"123456", ROUTED_ERROR_RESPONSE, ROUTED_ERROR_CLOSED}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parties p;
        parties_open(&p, "GET", 0);
        assert_int_equal(parties_head(&p, 200, "content-length", "5"), ROUTED_OK);
        assert_int_equal(parties_send_text(&p, cases[i].body), cases[i].sent);
        assert_int_equal(exchange_end(&p.x, NULL), cases[i].ended);
        bool is_bad = cases[i].ended != ROUTED_OK;
        assert_int_equal(p.fails, is_bad);
        assert_int_equal(p.ends, !is_bad);
        if (is_bad)
            assert_int_equal(p.failed, ROUTED_ERROR_RESPONSE);
        parties_release(&p);
    }
}

static void surplus_in_pieces_is_refused(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    parties_head(&p, 200, "content-length", "5");
    assert_int_equal(parties_send_text(&p, "123"), ROUTED_OK);
    assert_int_equal(parties_send_text(&p, "456"), ROUTED_ERROR_RESPONSE);
    assert_span(buffer_span(&p.body), "123");
    parties_release(&p);
}

static void the_largest_length_does_not_overflow(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 200, "content-length", "9223372036854775807"), ROUTED_OK);
    assert_true(p.length == INT64_MAX);
    assert_int_equal(parties_send_text(&p, "x"), ROUTED_OK);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_ERROR_RESPONSE);
    parties_release(&p);
}

/* ---- credit ---- */

static void one_slice_may_overshoot_the_credit(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    p.x.response_credit = 3;
    parties_head(&p, 200, NULL, NULL);
    assert_true(exchange_can_send(&p.x));
    assert_int_equal(parties_send_text(&p, "12"), ROUTED_OK);
    assert_true(exchange_can_send(&p.x));
    assert_int_equal(parties_send_text(&p, "34"), ROUTED_OK);
    assert_false(exchange_can_send(&p.x));
    assert_int_equal(parties_send_text(&p, "5"), ROUTED_ERROR_AGAIN);
    assert_int_equal(exchange_send(&p.x, SLICE_EMPTY), ROUTED_OK);
    assert_span(buffer_span(&p.body), "1234");
    assert_int_equal(p.fails, 0);
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 0);
    assert_int_equal(parties_send_text(&p, "5"), ROUTED_ERROR_AGAIN);
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 1);
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 1);
    assert_int_equal(parties_send_text(&p, "5"), ROUTED_OK);
    parties_release(&p);
}

static void writable_is_told_only_to_who_is_sending(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    p.x.response_credit = 0;
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 0); /* no head yet */
    p.x.response_credit = 0;
    parties_head(&p, 200, NULL, NULL);
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 1);
    exchange_end(&p.x, NULL);
    p.x.response_credit = 0;
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 1); /* ended */
    parties_release(&p);
    parties_open(&p, "GET", 0);
    parties_head(&p, 200, NULL, NULL);
    p.x.response_credit = 0;
    exchange_fail(&p.x, ROUTED_ERROR_HANDLER);
    exchange_writable(&p.x, 1);
    assert_int_equal(p.writables, 0); /* failed */
    assert_false(exchange_can_send(&p.x));
    parties_release(&p);
}

static void credit_does_not_overflow(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "POST", HTTP_LENGTH_UNKNOWN);
    for (int i = 0; i < 5; i++)
        exchange_grant(&p.x, SIZE_MAX);
    assert_true(p.x.request_credit == INT64_MAX);
    for (int i = 0; i < 5; i++)
        exchange_writable(&p.x, SIZE_MAX / 2);
    assert_true(p.x.response_credit == INT64_MAX);
    exchange_grant(&p.x, 0);
    assert_int_equal(parties_deliver_text(&p, "x"), ROUTED_OK);
    assert_true(p.x.request_credit == INT64_MAX - 1);
    parties_release(&p);
}

/* ---- answers without content ---- */

static void answers_to_head_carry_nothing(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "HEAD", 0);
    p.x.response_credit = 1;
    assert_int_equal(parties_head(&p, 200, "content-length", "5"), ROUTED_OK);
    assert_int_equal(p.length, 5);
    assert_true(p.x.suppress_content);
    assert_int_equal(parties_send_text(&p, "123"), ROUTED_OK);
    assert_int_equal(parties_send_text(&p, "456789"), ROUTED_OK);
    assert_int_equal(buffer_size(&p.body), 0);
    assert_int_equal(p.x.response_bytes, 0);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_OK);
    parties_release(&p);
    parties_open(&p, "head", 0); /* methods are case-sensitive */
    parties_head(&p, 200, NULL, NULL);
    assert_false(p.x.suppress_content);
    parties_release(&p);
}

static void statuses_without_content_refuse_it(void **state)
{
    (void)state;
    static const uint16_t statuses[] = {204, 304};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        struct parties p;
        parties_open(&p, "GET", 0);
        assert_int_equal(parties_head(&p, statuses[i], NULL, NULL), ROUTED_OK);
        assert_true(p.x.suppress_content);
        assert_int_equal(exchange_send(&p.x, SLICE_EMPTY), ROUTED_OK);
        assert_int_equal(parties_send_text(&p, "x"), ROUTED_ERROR_RESPONSE);
        assert_int_equal(p.failed, ROUTED_ERROR_RESPONSE);
        parties_release(&p);
        parties_open(&p, "GET", 0);
        parties_head(&p, statuses[i], NULL, NULL);
        assert_int_equal(exchange_end(&p.x, NULL), ROUTED_OK);
        parties_release(&p);
    }
}

static void only_304_may_tell_a_length(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 204, "content-length", "1"), ROUTED_ERROR_RESPONSE);
    assert_int_equal(parties_head(&p, 204, "content-length", "0"), ROUTED_OK);
    parties_release(&p);
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 304, "content-length", "7"), ROUTED_OK);
    assert_int_equal(p.length, 7);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_OK);
    parties_release(&p);
}

/* ---- tunnels ---- */

static void a_101_opens_both_directions(void **state)
{
    (void)state;
    struct parties p;
    parties_prepare(&p, "GET", 0);
    p.x.request.upgrade = HTTP_UPGRADE_WEBSOCKET;
    exchange_open(&p.x, &parties_application, &p);
    exchange_deliver_end(&p.x, NULL);
    assert_int_equal(parties_head(&p, 101, NULL, NULL), ROUTED_OK);
    assert_true(p.x.is_tunnel);
    assert_false(p.x.suppress_content);
    assert_true(p.length == HTTP_LENGTH_UNKNOWN);
    exchange_grant(&p.x, 10);
    assert_int_equal(parties_deliver_text(&p, "in"), ROUTED_OK);
    assert_int_equal(parties_send_text(&p, "out"), ROUTED_OK);
    assert_span(buffer_span(&p.content), "in");
    assert_span(buffer_span(&p.body), "out");
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_OK);
    assert_int_equal(parties_deliver_text(&p, "more"), ROUTED_OK);
    assert_false(exchange_is_complete(&p.x));
    assert_int_equal(exchange_deliver_end(&p.x, NULL), ROUTED_OK);
    assert_true(exchange_is_complete(&p.x));
    parties_release(&p);
}

static void a_101_unasked_for_is_refused(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    assert_int_equal(parties_head(&p, 101, NULL, NULL), ROUTED_ERROR_RESPONSE);
    assert_int_equal(p.responds, 0);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_OK);
    parties_release(&p);
}

/* ---- endings ---- */

static void a_failure_is_told_once(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "POST", 5);
    exchange_fail(&p.x, ROUTED_ERROR_HANDLER);
    exchange_fail(&p.x, ROUTED_ERROR_MEMORY);
    assert_int_equal(p.fails, 1);
    assert_int_equal(p.failed, ROUTED_ERROR_HANDLER);
    assert_int_equal(p.closes, 0); /* the carrier's to call, later */
    assert_int_equal(parties_deliver_text(&p, "more than it was told"), ROUTED_OK);
    assert_int_equal(exchange_deliver_end(&p.x, NULL), ROUTED_OK);
    assert_int_equal(buffer_size(&p.content), 0);
    assert_int_equal(p.request_ends, 0);
    assert_false(exchange_is_complete(&p.x));
    exchange_close(&p.x, ROUTED_ERROR_HANDLER);
    exchange_close(&p.x, ROUTED_OK);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.closed, ROUTED_ERROR_HANDLER);
    parties_release(&p);
}

static void calls_after_the_end_do_nothing(void **state)
{
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        struct parties p;
        parties_open(&p, "POST", 5);
        if (closes)
            exchange_close(&p.x, ROUTED_ERROR_CLIENT_GONE);
        else
            exchange_fail(&p.x, ROUTED_ERROR_HANDLER);
        int fails = p.fails;
        struct http_response head = {.status = 103};
        assert_int_equal(exchange_inform(&p.x, &head), ROUTED_ERROR_CLOSED);
        assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_ERROR_CLOSED);
        assert_int_equal(parties_send_text(&p, "x"), ROUTED_ERROR_CLOSED);
        assert_int_equal(exchange_end(&p.x, NULL), ROUTED_ERROR_CLOSED);
        exchange_fail(&p.x, ROUTED_ERROR_HANDLER);
        exchange_grant(&p.x, 5);
        assert_int_equal(p.fails, fails);
        assert_int_equal(p.granted, 0);
        assert_int_equal(p.responds + p.informs + p.ends, 0);
        parties_release(&p);
    }
}

static void slices_are_taken_whatever_happens(void **state)
{
    (void)state;
    struct parties p;
    size_t held = memory_held();
    struct slice s = slice_copy(SPAN("shared"));
    parties_open(&p, "GET", 0);
    exchange_send(&p.x, slice_retain(s)); /* before the head */
    exchange_deliver(&p.x, slice_retain(s));
    parties_head(&p, 200, "content-length", "3");
    exchange_send(&p.x, slice_retain(s)); /* more than declared */
    exchange_send(&p.x, slice_retain(s)); /* failed */
    exchange_deliver(&p.x, slice_retain(s));
    exchange_close(&p.x, ROUTED_ERROR_RESPONSE);
    exchange_send(&p.x, slice_retain(s));
    exchange_deliver(&p.x, slice_retain(s));
    assert_true(block_is_unshared(s.block));
    slice_release(&s);
    parties_release(&p);
    assert_int_equal(memory_held(), held);
}

static void an_exchange_may_fail_before_it_is_opened(void **state)
{
    (void)state;
    struct parties p;
    parties_prepare(&p, "GET", 0);
    exchange_fail(&p.x, ROUTED_ERROR_OVERLOADED);
    assert_int_equal(p.failed, ROUTED_ERROR_OVERLOADED);
    exchange_close(&p.x, ROUTED_ERROR_OVERLOADED);
    assert_int_equal(p.closes, 0);
    parties_release(&p);
}

static void a_carrier_without_memory_is_told_of(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    p.refuses = true;
    struct http_response head = {.status = 103};
    assert_int_equal(exchange_inform(&p.x, &head), ROUTED_ERROR_MEMORY);
    assert_int_equal(parties_head(&p, 200, NULL, NULL), ROUTED_ERROR_MEMORY);
    assert_int_equal(parties_send_text(&p, "x"), ROUTED_ERROR_MEMORY);
    assert_int_equal(exchange_end(&p.x, NULL), ROUTED_ERROR_MEMORY);
    parties_release(&p);
}

static void an_exchange_is_used_again_with_its_memory(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    parties_head(&p, 200, "x-a", "1");
    exchange_end(&p.x, NULL);
    exchange_close(&p.x, ROUTED_OK);
    struct arena_chunk *chunk = p.x.arena.first;
    assert_non_null(chunk);
    const uint8_t *used_to = p.x.arena.next;
    exchange_init(&p.x, &parties_carrier, &p, NULL);
    assert_ptr_equal(p.x.arena.first, chunk);
    assert_true(p.x.arena.next < used_to);
    assert_false(p.x.is_closed);
    assert_int_equal(p.x.status, 0);
    assert_true(p.x.response_length == HTTP_LENGTH_UNKNOWN);
    parties_release(&p);
}

static uint64_t clock_of_test(void)
{
    return 1234;
}

static void the_clock_is_asked_at_the_head(void **state)
{
    (void)state;
    struct parties p;
    parties_open(&p, "GET", 0);
    p.x.clock = clock_of_test;
    assert_int_equal(p.x.responded_at, 0);
    parties_head(&p, 200, NULL, NULL);
    assert_int_equal(p.x.responded_at, 1234);
    parties_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_exchange),
        cmocka_unit_test(nothing_comes_before_the_head),
        cmocka_unit_test(nothing_comes_after_the_requests_end),
        cmocka_unit_test(applications_may_answer_inside_their_callback),
        cmocka_unit_test(request_lengths_are_proved),
        cmocka_unit_test(response_lengths_are_proved),
        cmocka_unit_test(surplus_in_pieces_is_refused),
        cmocka_unit_test(the_largest_length_does_not_overflow),
        cmocka_unit_test(one_slice_may_overshoot_the_credit),
        cmocka_unit_test(writable_is_told_only_to_who_is_sending),
        cmocka_unit_test(credit_does_not_overflow),
        cmocka_unit_test(answers_to_head_carry_nothing),
        cmocka_unit_test(statuses_without_content_refuse_it),
        cmocka_unit_test(only_304_may_tell_a_length),
        cmocka_unit_test(a_101_opens_both_directions),
        cmocka_unit_test(a_101_unasked_for_is_refused),
        cmocka_unit_test(a_failure_is_told_once),
        cmocka_unit_test(calls_after_the_end_do_nothing),
        cmocka_unit_test(slices_are_taken_whatever_happens),
        cmocka_unit_test(an_exchange_may_fail_before_it_is_opened),
        cmocka_unit_test(a_carrier_without_memory_is_told_of),
        cmocka_unit_test(an_exchange_is_used_again_with_its_memory),
        cmocka_unit_test(the_clock_is_asked_at_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Budgets, frame heads, their order and the preface, each alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http2/budget.h"
#include "http2/order.h"
#include "http2/preface.h"
#include <nghttp2/nghttp2.h>
#include <routed/error.h>

static const struct http2_limits limits = {.resets = {10, 5},
                                           .glitches = {3, 0},
                                           .small_data = {2, 1},
                                           .small_data_below = 256,
                                           .continuations_max = 8,
                                           .streams_max = 100,
                                           .overhead_share = 8,
                                           .overhead_slack = 1000};

static int take(struct http2_budget *b, milliseconds now, uint8_t type, uint8_t flags,
                uint32_t size)
{
    struct http2_frame frame = {.size = size, .type = type, .flags = flags};
    return http2_budget_take_frame(b, &limits, now, &frame);
}

static void test_resets_refill(void **state)
{
    struct http2_budget b;
    (void)state;
    http2_budget_init(&b, &limits, 1000);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(http2_budget_is_low(&b, &limits), i > 7);
        assert_int_equal(http2_budget_take_reset(&b, &limits, 1000), ROUTED_OK);
    }
    assert_int_equal(http2_budget_take_reset(&b, &limits, 1000), ROUTED_ERROR_HTTP2_RESETS);
    assert_int_equal(http2_budget_take_reset(&b, &limits, 1199), ROUTED_ERROR_HTTP2_RESETS);
    assert_int_equal(http2_budget_take_reset(&b, &limits, 1200), ROUTED_OK);
    assert_int_equal(take(&b, 1399, NGHTTP2_RST_STREAM, 0, 4), ROUTED_ERROR_HTTP2_RESETS);
    assert_int_equal(take(&b, 1400, NGHTTP2_RST_STREAM, 0, 4), ROUTED_OK);
    for (int i = 0; i < 10; i++) /* never more than the burst */
        assert_int_equal(http2_budget_take_reset(&b, &limits, UINT64_MAX - 1), ROUTED_OK);
    assert_int_equal(http2_budget_take_reset(&b, &limits, UINT64_MAX - 1),
                     ROUTED_ERROR_HTTP2_RESETS);
    assert_int_equal(http2_budget_take_reset(&b, &limits, 5), ROUTED_ERROR_HTTP2_RESETS);
}

static void test_glitches(void **state)
{
    static const uint8_t types[] = {
        NGHTTP2_PING, NGHTTP2_SETTINGS, NGHTTP2_PRIORITY, NGHTTP2_WINDOW_UPDATE,
        0xfa,         NGHTTP2_DATA};
    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        struct http2_budget b;
        http2_budget_init(&b, &limits, 0);
        for (int n = 0; n < 3; n++)
            assert_int_equal(take(&b, 0, types[i], 0, 0), ROUTED_OK);
        assert_int_equal(take(&b, 0, types[i], 0, 0), ROUTED_ERROR_HTTP2_GLITCHES);
        assert_int_equal(take(&b, 0, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0), ROUTED_OK);
        assert_int_equal(take(&b, 0, NGHTTP2_HEADERS, 0, 0), ROUTED_OK);
    }
}

/* What we send gives the client reason to open windows. */
static void test_updates(void **state)
{
    struct http2_budget b;
    (void)state;
    http2_budget_init(&b, &limits, 0);
    http2_budget_sent(&b, 100);
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&b, 0, NGHTTP2_WINDOW_UPDATE, 0, 4), ROUTED_OK);
    assert_int_equal(take(&b, 0, NGHTTP2_WINDOW_UPDATE, 0, 4), ROUTED_ERROR_HTTP2_GLITCHES);
}

static void test_small_data(void **state)
{
    struct http2_budget b;
    (void)state;
    http2_budget_init(&b, &limits, 0);
    take(&b, 0, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 10);
    for (int i = 0; i < 3; i++) { /* the first of the request, and two */
        assert_int_equal(take(&b, 0, NGHTTP2_DATA, 0, 255), ROUTED_OK);
        assert_int_equal(take(&b, 0, NGHTTP2_DATA, 0, 256), ROUTED_OK);
    }
    assert_int_equal(take(&b, 0, NGHTTP2_DATA, 0, 255), ROUTED_ERROR_HTTP2_SMALL_FRAMES);
    assert_int_equal(take(&b, 0, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 255), ROUTED_OK);
    assert_int_equal(take(&b, 1000, NGHTTP2_DATA, 0, 255), ROUTED_OK);
}

static void test_overhead(void **state)
{
    struct http2_budget b;
    (void)state;
    http2_budget_init(&b, &limits, 0);
    http2_budget_received(&b, 50);
    http2_budget_sent(&b, 50);
    assert_false(http2_budget_is_overhead(&b, &limits, 8 * 1100 + 7));
    assert_true(http2_budget_is_overhead(&b, &limits, 8 * 1101));
}

/* Two frames behind a preface, at every split. */
static void test_frame_heads(void **state)
{
    static const uint8_t bytes[] = {'p', 'r', 0, 0, 3, 1, 0, 0x80, 0, 1, 5, 'a',
                                    'b', 'c', 0, 1, 0, 9, 4, 0,    0, 0, 7, 'x'};
    (void)state;
    for (size_t split = 0; split <= sizeof(bytes); split++) {
        struct http2_frames f;
        struct http2_frame frames[3];
        size_t count = 0;
        struct span parts[2] = {span_of(bytes, split),
                                span_of(bytes + split, sizeof(bytes) - split)};
        http2_frames_init(&f, 2);
        for (size_t i = 0; i < 2; i++)
            while (http2_frames_next(&f, &parts[i], &frames[count]))
                count++;
        assert_int_equal(count, 2);
        assert_int_equal(frames[0].size, 3);
        assert_int_equal(frames[0].type, NGHTTP2_HEADERS);
        assert_int_equal(frames[0].stream, 0x105);
        assert_int_equal(frames[1].size, 256);
        assert_int_equal(frames[1].type, NGHTTP2_CONTINUATION);
        assert_int_equal(frames[1].flags, NGHTTP2_FLAG_END_HEADERS);
        assert_int_equal(frames[1].stream, 7);
        assert_true(http2_frames_is_in_block(&f)); /* 255 bytes are to come */
        uint8_t rest[255] = {0};
        struct span last = span_of(rest, sizeof(rest));
        assert_false(http2_frames_next(&f, &last, &frames[2]));
        assert_false(http2_frames_is_in_block(&f));
    }
}

static void test_preface(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore";
    (void)state;
    for (size_t size = 0; size < sizeof(preface); size++)
        assert_int_equal(http2_preface_match(span_of(preface, size)),
                         size < HTTP2_PREFACE_SIZE ? HTTP2_PREFACE_MORE : HTTP2_PREFACE_YES);
    assert_int_equal(http2_preface_match(SPAN("G")), HTTP2_PREFACE_NO);
    assert_int_equal(http2_preface_match(SPAN("PRI * HTTP/1")), HTTP2_PREFACE_NO);
    assert_int_equal(http2_preface_match(SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX")),
                     HTTP2_PREFACE_NO);
}

static uint32_t order(struct http2_order *o, uint8_t type, uint8_t flags, uint32_t stream)
{
    struct http2_frame frame = {.type = type, .flags = flags, .stream = stream};
    return http2_order_take(o, &frame);
}

static void test_order(void **state)
{
    struct http2_order o = {0};
    (void)state;
    assert_int_equal(order(&o, NGHTTP2_HEADERS, 0, 1), 0);
    assert_int_equal(order(&o, NGHTTP2_DATA, 0, 1), 0);
    assert_int_equal(order(&o, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1), 0); /* trailers */
    assert_int_equal(order(&o, NGHTTP2_DATA, 0, 1), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(order(&o, NGHTTP2_HEADERS, 0, 1), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(order(&o, NGHTTP2_WINDOW_UPDATE, 0, 1), 0);
    assert_int_equal(order(&o, NGHTTP2_HEADERS, 0, 7), 0); /* closes 3 and 5 */
    assert_int_equal(order(&o, NGHTTP2_HEADERS, 0, 5), NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(order(&o, NGHTTP2_RST_STREAM, 0, 7), 0);
    assert_int_equal(order(&o, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 7), NGHTTP2_STREAM_CLOSED);
    for (uint32_t id = 9; id < 9 + 2 * HTTP2_ORDER_KEPT; id += 2) {
        assert_int_equal(order(&o, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, id), 0);
        assert_int_equal(order(&o, NGHTTP2_DATA, 0, id), NGHTTP2_STREAM_CLOSED);
    }
    assert_int_equal(order(&o, NGHTTP2_DATA, 0, 7), 0); /* forgotten */
    assert_int_equal(order(&o, NGHTTP2_HEADERS, 0, INT32_MAX), 0);
    assert_int_equal(order(&o, NGHTTP2_DATA, 0, INT32_MAX), 0);
    assert_int_equal(order(&o, NGHTTP2_PRIORITY, 0, 0), NGHTTP2_PROTOCOL_ERROR);
    struct http2_frame itself = {.type = NGHTTP2_PRIORITY, .stream = 11, .depends_on = 11};
    assert_int_equal(http2_order_take(&o, &itself), NGHTTP2_PROTOCOL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),       cmocka_unit_test(test_resets_refill),
        cmocka_unit_test(test_glitches),    cmocka_unit_test(test_updates),
        cmocka_unit_test(test_small_data),  cmocka_unit_test(test_overhead),
        cmocka_unit_test(test_frame_heads), cmocka_unit_test(test_preface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

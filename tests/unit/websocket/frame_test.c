#include "websocket/frame.h"

#include "websocket/utf8.h"
#include <routed/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_heads_there_and_back(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0,     1,     125,   126,        127,
                                     65535, 65536, 65537, 4294967296, INT64_MAX};
    static const size_t heads[] = {2, 2, 2, 4, 4, 4, 10, 10, 10, 10};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (int masked = 0; masked < 2; masked++) {
            struct websocket_frame f = {WEBSOCKET_BINARY, i % 2 == 0, masked, {0}, sizes[i]}, back;
            uint8_t out[WEBSOCKET_HEAD_MAX];
            if (masked)
                memcpy(f.mask, "\1\2\3\4", 4);
            size_t size = websocket_frame_write(out, &f);
            assert_int_equal(size, heads[i] + (masked ? 4 : 0));
            for (size_t part = 0; part < size; part++)
                assert_int_equal(websocket_frame_read(span_of(out, part), masked, &back), 0);
            assert_int_equal(websocket_frame_read(span_of(out, size), masked, &back), size);
            assert_int_equal(back.opcode, f.opcode);
            assert_int_equal(back.is_final, f.is_final);
            assert_int_equal(back.size, f.size);
            assert_memory_equal(back.mask, f.mask, 4);
        }
    }
}

static void test_refused_heads(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[10];
        size_t size;
    } cases[] = {
        {{0xc1, 0x80}, 2},                              /* RSV1 */
        {{0xa1, 0x80}, 2},                              /* RSV2 */
        {{0x91, 0x80}, 2},                              /* RSV3 */
        {{0x83, 0x80}, 2},                              /* opcodes that do not exist */
        {{0x87, 0x80}, 2},                              /* */
        {{0x8b, 0x80}, 2},                              /* */
        {{0x8f, 0x80}, 2},                              /* */
        {{0x81, 0x00}, 2},                              /* no mask */
        {{0x09, 0x80}, 2},                              /* fragmented ping */
        {{0x0a, 0x80}, 2},                              /* pong */
        {{0x08, 0x80}, 2},                              /* close */
        {{0x89, 0xfe}, 2},                              /* ping of 126 bytes or more */
        {{0x88, 0xff}, 2},                              /* */
        {{0x81, 0xfe, 0, 125}, 4},                      /* 125 in two bytes */
        {{0x81, 0xfe, 0, 0}, 4},                        /* */
        {{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}, 10},     /* 1 in eight */
        {{0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255}, 10}, /* 65535 in eight */
        {{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10},  /* 2^63 */
        {{0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255}, 10},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct websocket_frame f;
        struct span bytes = span_of(cases[i].bytes, cases[i].size);
        if (websocket_frame_read(bytes, true, &f) != ROUTED_ERROR_WEBSOCKET_PROTOCOL)
            fail_msg("case %zu", i);
        assert_int_equal(websocket_frame_read(span_part(bytes, 0, bytes.size - 1), true, &f), 0);
    }
    struct websocket_frame f;
    assert_int_equal(websocket_frame_read(SPAN("\x81\x80"), false, &f),
                     ROUTED_ERROR_WEBSOCKET_PROTOCOL);
}

static void test_mask_at_every_offset(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t plain[40], out[48];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t offset = 0; offset < 9; offset++)
        for (size_t size = 0; size <= sizeof(plain); size++)
            for (size_t shift = 0; shift < 8; shift++) {
                websocket_mask(out + shift, plain, size, mask, offset);
                for (size_t i = 0; i < size; i++)
                    assert_int_equal(out[shift + i], plain[i] ^ mask[(offset + i) % 4]);
                websocket_mask(out + shift, out + shift, size, mask, offset);
                assert_memory_equal(out + shift, plain, size);
            }
}

static void test_close_frames(void **state)
{
    (void)state;
    uint8_t out[WEBSOCKET_CLOSE_FRAME_MAX];
    assert_int_equal(websocket_close_write(out, 0, SPAN("dropped")), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    assert_int_equal(websocket_close_write(out, 1000, SPAN("bye")), 7);
    assert_memory_equal(out,
                        "\x88\x05\x03\xe8"
                        "bye",
                        7);
    /* 122 bytes, then a character of three: it does not fit and is left out whole. */
    uint8_t reason[WEBSOCKET_REASON_MAX + 2];
    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 122, "\xe2\x82\xac", 3);
    size_t size = websocket_close_write(out, 1001, span_of(reason, sizeof(reason)));
    assert_int_equal(size, 4 + 122);
    assert_true(websocket_utf8_is_valid(span_of(out + 4, size - 4)));
    memset(reason, 'r', sizeof(reason));
    assert_int_equal(websocket_close_write(out, 1001, span_of(reason, sizeof(reason))),
                     WEBSOCKET_CLOSE_FRAME_MAX);
}

static void test_close_codes(void **state)
{
    (void)state;
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                    1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const uint16_t bad[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(websocket_close_code_is_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(websocket_close_code_is_valid(bad[i]));
    assert_int_equal(websocket_close_code(ROUTED_OK), 1000);
    assert_int_equal(websocket_close_code(ROUTED_ERROR_STOPPING), 1001);
    assert_int_equal(websocket_close_code(ROUTED_ERROR_WEBSOCKET_PROTOCOL), 1002);
    assert_int_equal(websocket_close_code(ROUTED_ERROR_WEBSOCKET_UTF8), 1007);
    assert_int_equal(websocket_close_code(ROUTED_ERROR_BUDGET), 1008);
    assert_int_equal(websocket_close_code(ROUTED_ERROR_WEBSOCKET_TOO_BIG), 1009);
    assert_int_equal(websocket_close_code(ROUTED_ERROR_MEMORY), 1011);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_there_and_back), cmocka_unit_test(test_refused_heads),
        cmocka_unit_test(test_mask_at_every_offset), cmocka_unit_test(test_close_frames),
        cmocka_unit_test(test_close_codes),
    };
    return cmocka_run_group_tests_name("websocket/frame", tests, NULL, NULL);
}

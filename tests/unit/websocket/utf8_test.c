#include "websocket/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

static const struct span valid[] = {
    TEXT(""),
    TEXT("\0"),
    TEXT("Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!"),
    TEXT("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"),
    TEXT("\x7f"),
    TEXT("\xc2\x80"),
    TEXT("\xdf\xbf"),
    TEXT("\xe0\xa0\x80"),
    TEXT("\xed\x9f\xbf"),
    TEXT("\xee\x80\x80"),
    TEXT("\xef\xbf\xbd"),
    TEXT("\xef\xbf\xbf"),
    TEXT("\xf0\x90\x80\x80"),
    TEXT("\xf0\x9f\x98\x80"),
    TEXT("\xf4\x8f\xbf\xbf"),
    TEXT("12345678\xc3\xa9"
         "12345678901234567\xe2\x82\xac"),
};

/* The byte at `wrong` is the first that cannot be; size: the text only stops too early. */
static const struct {
    struct span text;
    size_t wrong;
} invalid[] = {
    {TEXT("\x80"), 0},
    {TEXT("\xbf"), 0},
    {TEXT("a\x80z"), 1},
    {TEXT("\xc0\x80"), 0},
    {TEXT("\xc1\xbf"), 0},
    {TEXT("\xc2"), 1},
    {TEXT("\xc2 "), 1},
    {TEXT("\xc2\xc2"), 1},
    {TEXT("\xe0\x80\x80"), 1},
    {TEXT("\xe0\x9f\xbf"), 1},
    {TEXT("\xe1\x80"), 2},
    {TEXT("\xe1\x80\xe1"), 2},
    {TEXT("\xed\xa0\x80"), 1},
    {TEXT("\xed\xbf\xbf"), 1},
    {TEXT("\xf0\x80\x80\x80"), 1},
    {TEXT("\xf0\x8f\xbf\xbf"), 1},
    {TEXT("\xf0\x90\x80"), 3},
    {TEXT("\xf4\x90\x80\x80"), 1},
    {TEXT("\xf5\x80\x80\x80"), 0},
    {TEXT("\xf8\x88\x80\x80\x80"), 0},
    {TEXT("\xfe"), 0},
    {TEXT("\xff"), 0},
    {TEXT("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
          "edited"),
     12},
    {TEXT("123456789012345\xff"
          "78"),
     15},
};

static void test_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(valid) / sizeof(*valid); i++) {
        assert_true(websocket_utf8_is_valid(valid[i]));
        for (size_t cut = 0; cut <= valid[i].size; cut++) {
            struct websocket_utf8 u = WEBSOCKET_UTF8_START;
            assert_true(websocket_utf8_feed(&u, span_part(valid[i], 0, cut)));
            assert_true(websocket_utf8_feed(&u, span_after(valid[i], cut)));
            assert_true(websocket_utf8_is_complete(&u));
        }
    }
}

static void test_first_wrong_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(*invalid); i++) {
        struct span text = invalid[i].text;
        struct websocket_utf8 u = WEBSOCKET_UTF8_START;
        assert_false(websocket_utf8_is_valid(text));
        for (size_t at = 0; at < invalid[i].wrong; at++)
            assert_true(websocket_utf8_feed(&u, span_part(text, at, 1)));
        if (invalid[i].wrong < text.size)
            assert_false(websocket_utf8_feed(&u, span_part(text, invalid[i].wrong, 1)));
        else
            assert_false(websocket_utf8_is_complete(&u));
    }
}

static size_t write_character(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(leads[size] | c);
    return size;
}

static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t bytes[4];
        bool is_character = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
        if (websocket_utf8_is_valid(span_of(bytes, write_character(bytes, c))) != is_character)
            fail_msg("U+%04X", c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_first_wrong_byte),
        cmocka_unit_test(test_every_character),
    };
    return cmocka_run_group_tests_name("websocket/utf8", tests, NULL, NULL);
}

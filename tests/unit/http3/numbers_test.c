/* Numbers and frames, split everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http3/frames.h"

/* RFC 9000 appendix A.1, and the largest. */
static void test_numbers(void **state)
{
    static const struct {
        struct span bytes;
        uint64_t value;
    } cases[] = {
        {SPAN("\xc2\x19\x7c\x5e\xff\x14\xe8\x8c"), 151288809941952652},
        {SPAN("\x9d\x7f\x3e\x7d"), 494878333},
        {SPAN("\x7b\xbd"), 15293},
        {SPAN("\x40\x25"), 37},
        {SPAN("\x25"), 37},
        {SPAN("\xff\xff\xff\xff\xff\xff\xff\xff"), (UINT64_C(1) << 62) - 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http3_number number = {0};
        assert_int_equal(http3_number_size(cases[i].bytes.data[0]), cases[i].bytes.size);
        for (size_t at = 0; at < cases[i].bytes.size; at++) {
            struct span byte = span_part(cases[i].bytes, at, 1);
            bool is_last = at + 1 == cases[i].bytes.size;
            assert_int_equal(http3_number_read(&number, &byte), is_last);
            assert_int_equal(byte.size, 0);
        }
        assert_true(number.value == cases[i].value);
    }
}

static void test_frames(void **state)
{
    const struct span all = SPAN("\0\3abc\x40\x21\x40\0\1\2xy\0\xff\xff\xff\xff\xff\xff\xff\xffz");
    (void)state;
    for (size_t cut = 0; cut <= all.size; cut++) {
        struct http3_frames frames = {0};
        struct span parts[] = {span_part(all, 0, cut), span_after(all, cut)}, payload;
        char text[16] = {0};
        size_t size = 0;
        unsigned heads = 0;
        assert_true(http3_frames_is_between(&frames));
        for (size_t i = 0; i < 2; i++) {
            enum http3_part part;
            while ((part = http3_frames_next(&frames, &parts[i], &payload)) != HTTP3_PART_NONE) {
                heads += part == HTTP3_PART_HEAD;
                for (size_t j = 0; part == HTTP3_PART_PAYLOAD && j < payload.size; j++)
                    text[size++] = (char)payload.data[j];
            }
            assert_int_equal(parts[i].size, 0);
            if (i == 0)
                assert_int_equal(http3_frames_is_between(&frames),
                                 cut == 0 || cut == 5 || cut == 9 || cut == 13);
        }
        assert_int_equal(heads, 4);
        assert_string_equal(text, "abcxyz");
        assert_true(frames.left == (UINT64_C(1) << 62) - 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

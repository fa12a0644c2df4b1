/* Everything that is written is read back by a JSON parser of another house. */
#include "base/json.h"

#include "base/memory.h"
#include "support/unit.h"
#include <jansson.h>
#include <routed/error.h>

static json_t *read_back(struct buffer *b)
{
    struct span s = buffer_span(b);
    json_error_t error;
    json_t *read =
        json_loadb((const char *)s.data, s.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!read)
        fail_msg("not JSON: %s: %.*s", error.text, (int)s.size, (const char *)s.data);
    return read;
}

static void assert_written(struct span text, const char *expected)
{
    struct buffer b = BUFFER_EMPTY;
    assert_int_equal(json_append_string(&b, text), ROUTED_OK);
    assert_span(buffer_span(&b), expected);
    json_decref(read_back(&b));
    buffer_release(&b);
}

static void plain_text_stays_as_it_is(void **state)
{
    (void)state;
    assert_written(SPAN(""), "\"\"");
    assert_written(SPAN_EMPTY, "\"\"");
    assert_written(SPAN("/a?b=c&d"), "\"/a?b=c&d\"");
    assert_written(SPAN("\"\\\n\r\t/"), "\"\\\"\\\\\\n\\r\\t/\"");
    assert_written(SPAN("\0\x1f\x7f"), "\"\\u0000\\u001f\\u007f\"");
}

static void each_byte_alone_is_valid_json(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        struct buffer b = BUFFER_EMPTY;
        assert_int_equal(json_append_string(&b, span_of(&byte, 1)), ROUTED_OK);
        json_t *read = read_back(&b);
        const char *text = json_string_value(read);
        /* U+0080 to U+00FF are two bytes of UTF-8. */
        char expected[2] = {(char)c, 0};
        if (c >= 0x80) {
            expected[0] = (char)(0xc0 | c >> 6);
            expected[1] = (char)(0x80 | (c & 0x3f));
        }
        assert_int_equal(json_string_length(read), c >= 0x80 ? 2 : 1);
        assert_memory_equal(text, expected, json_string_length(read));
        json_decref(read);
        buffer_release(&b);
    }
}

static void valid_utf8_stays_as_it_is(void **state)
{
    (void)state;
    assert_written(SPAN("\xc2\x80\xdf\xbf"), "\"\xc2\x80\xdf\xbf\"");
    assert_written(SPAN("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
                   "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
    assert_written(SPAN("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
                   "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
}

static void invalid_utf8_is_escaped_byte_by_byte(void **state)
{
    (void)state;
    assert_written(SPAN("\xc0\xaf"), "\"\\u00c0\\u00af\"");            /* overlong "/" */
    assert_written(SPAN("\xc1\xbf"), "\"\\u00c1\\u00bf\"");            /* overlong */
    assert_written(SPAN("\xe0\x9f\xbf"), "\"\\u00e0\\u009f\\u00bf\""); /* overlong */
    assert_written(SPAN("\xf0\x8f\xbf\xbf"), "\"\\u00f0\\u008f\\u00bf\\u00bf\"");
    assert_written(SPAN("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\""); /* surrogate */
    assert_written(SPAN("\xed\xbf\xbf"), "\"\\u00ed\\u00bf\\u00bf\""); /* surrogate */
    assert_written(SPAN("\xf4\x90\x80\x80"), "\"\\u00f4\\u0090\\u0080\\u0080\"");
    assert_written(SPAN("\xf5\x80\x80\x80"), "\"\\u00f5\\u0080\\u0080\\u0080\"");
    assert_written(SPAN("\x80\xbf"), "\"\\u0080\\u00bf\""); /* lone continuation */
    assert_written(SPAN("\xe2\x82"), "\"\\u00e2\\u0082\""); /* cut short */
    assert_written(SPAN("\xe2\x82x"), "\"\\u00e2\\u0082x\"");
    assert_written(SPAN("\xc3\xc3\xa9"), "\"\\u00c3\xc3\xa9\"");
}

static void random_bytes_are_valid_json(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (int round = 0; round < 3000; round++) {
        uint8_t text[64];
        size_t size = unit_random(&seed) % sizeof(text);
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t)(unit_random(&seed) >> 20 | (round & 1 ? 0x80 : 0));
        struct buffer b = BUFFER_EMPTY;
        assert_int_equal(json_append_string(&b, span_of(text, size)), ROUTED_OK);
        json_decref(read_back(&b));
        buffer_release(&b);
    }
}

/* The longest beginning whose text is short enough, and not one byte less. */
static void what_fits_is_measured_as_written(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int round = 0; round < 2000; round++) {
        uint8_t text[40];
        size_t size = unit_random(&seed) % sizeof(text);
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t)(unit_random(&seed) >> 20);
        if (round % 2 && size >= 3)
            memcpy(text + size - 3, "\xe2\x82\xac", 3);
        size_t max = unit_random(&seed) % 120;
        size_t fitting = json_fitting(span_of(text, size), max);
        assert_true(fitting <= size);
        struct buffer b = BUFFER_EMPTY;
        json_append_string(&b, span_of(text, fitting));
        assert_true(buffer_size(&b) - 2 <= max);
        buffer_release(&b);
        if (fitting == size)
            continue;
        json_append_string(&b, span_of(text, size));
        assert_true(buffer_size(&b) - 2 > max);
        buffer_release(&b);
    }
    assert_int_equal(json_fitting(SPAN("abc"), 2), 2);
    assert_int_equal(json_fitting(SPAN("ab\xff"), 7), 2);
    assert_int_equal(json_fitting(SPAN("ab\xff"), 8), 3);
    assert_int_equal(json_fitting(SPAN("a\xe2\x82\xac"), 3), 1);
    assert_int_equal(json_fitting(SPAN("a\n"), 2), 1);
    assert_int_equal(json_fitting(SPAN_EMPTY, 0), 0);
}

static void want_of_memory_is_told(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    memory_fault_set(1);
    assert_int_equal(json_append_string(&b, SPAN("x")), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    char large[1000];
    memset(large, 'x', sizeof(large));
    memory_fault_set(2);
    assert_int_equal(json_append_string(&b, span_of(large, sizeof(large))), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(each_byte_alone_is_valid_json),
        cmocka_unit_test(valid_utf8_stays_as_it_is),
        cmocka_unit_test(invalid_utf8_is_escaped_byte_by_byte),
        cmocka_unit_test(random_bytes_are_valid_json),
        cmocka_unit_test(what_fits_is_measured_as_written),
        cmocka_unit_test(want_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Strings of field sections that are too long for nghttp3's decoder, found before it meets them. */
#include "support/unit.h"

#include "base/buffer.h"
#include "http3/lines.h"
#include <stdlib.h>

/* A string length behind the bits of `first`. */
static void put_size(struct buffer *b, uint8_t first, unsigned bits, size_t size)
{
    size_t mask = (1u << bits) - 1;
    uint8_t byte = (uint8_t)(first | (size < mask ? size : mask));
    buffer_append(b, &byte, 1);
    if (size < mask)
        return;
    for (size -= mask; size >= 128; size >>= 7)
        buffer_append(b, (uint8_t[]){(uint8_t)(size | 0x80)}, 1);
    buffer_append(b, (uint8_t[]){(uint8_t)size}, 1);
}

static void put_zeros(struct buffer *b, size_t size)
{
    uint8_t *zeros = calloc(size + 1, 1);
    buffer_append(b, zeros, size);
    free(zeros);
}

static bool fit(struct http3_lines lines, const struct buffer *b, size_t split)
{
    struct span bytes = buffer_span(b);
    bool all = true;
    while (bytes.size && all) {
        size_t size = split && split < bytes.size ? split : bytes.size;
        all = http3_lines_fit(&lines, span_part(bytes, 0, size));
        bytes = span_after(bytes, size);
    }
    return all;
}

/* One of each kind of line, with strings in both. */
static void put_lines(struct buffer *b, size_t name, size_t value)
{
    put_size(b, 0xc0, 6, 5);   /* indexed */
    put_size(b, 0x80, 6, 100); /* of the dynamic table */
    put_size(b, 0x10, 4, 40);  /* post-base */
    put_size(b, 0x50, 4, 70);  /* static name */
    put_size(b, 0x80, 7, 150);
    put_zeros(b, 150);
    put_size(b, 0x00, 3, 12); /* post-base name */
    put_size(b, 0x00, 7, 3);
    put_zeros(b, 3);
    put_size(b, 0x20, 3, name);
    put_zeros(b, name);
    put_size(b, 0x00, 7, value);
    put_zeros(b, value);
    put_size(b, 0x28, 3, 1);
    put_zeros(b, 1);
    put_size(b, 0x00, 7, 0);
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t split = 0; split < 4; split++)
        for (size_t more = 0; more < 3; more++) {
            struct buffer names = BUFFER_EMPTY, values = BUFFER_EMPTY;
            buffer_append(&names, "\xff\x81\1\x80", 4); /* a prefix */
            buffer_append(&values, "\0\0", 2);
            put_lines(&names, 20, 300);
            put_lines(&names, HTTP3_NAME_MAX - 1 + more, 300);
            put_lines(&values, 20, HTTP3_VALUE_MAX - 1 + more);
            assert_int_equal(fit((struct http3_lines){0}, &names, split), more < 2);
            assert_int_equal(fit((struct http3_lines){0}, &values, split), more < 2);
            buffer_release(&names);
            buffer_release(&values);
        }
}

static void test_behind_the_prefix(void **state)
{
    struct buffer b = BUFFER_EMPTY;
    (void)state;
    put_lines(&b, HTTP3_NAME_MAX + 1, 1);
    assert_false(fit(HTTP3_LINES_FIRST, &b, 1));
    buffer_release(&b);
}

/* A number without an end is longer than anything, and no reason to count wrongly. */
static void test_endless_number(void **state)
{
    struct buffer b = BUFFER_EMPTY;
    (void)state;
    buffer_append(&b, "\0\0\x27", 3);
    for (int i = 0; i < 100; i++)
        buffer_append(&b, "\xff", 1);
    assert_true(fit((struct http3_lines){0}, &b, 1));
    buffer_append(&b, "\1", 1);
    assert_false(fit((struct http3_lines){0}, &b, 1));
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_behind_the_prefix),
        cmocka_unit_test(test_endless_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

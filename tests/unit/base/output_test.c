#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/output.h"
#include <routed/error.h>

static struct slice slice_of_size(size_t size, uint8_t fill)
{
    struct block *b = block_new(size);
    memset(block_data(b), fill, size);
    return (struct slice){b, block_data(b), size};
}

/* Whatever is queued comes out in order, in steps of any size, and no block is kept. */
static void test_order(void **state)
{
    (void)state;
    for (size_t step = 1; step < 9000; step = step * 3 + 1) {
        struct output o = {0};
        uint8_t expected[20000], got[20000];
        size_t total = 0, at = 0;
        static const size_t sizes[] = {10, 3000, 2048, 2049, 1, 5000, 4000, 7};
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            memset(expected + total, (int)i, sizes[i]);
            total += sizes[i];
            assert_int_equal(output_append(&o, slice_of_size(sizes[i], (uint8_t)i)), 0);
        }
        assert_int_equal(output_end(&o), total);
        while (o.size) {
            struct span spans[3];
            size_t left = step;
            size_t count = output_spans(&o, spans, 3);
            assert_true(count > 0);
            size_t taken = 0;
            for (size_t i = 0; i < count && left; i++) {
                size_t size = spans[i].size < left ? spans[i].size : left;
                memcpy(got + at, spans[i].data, size);
                at += size;
                taken += size;
                left -= size;
            }
            output_consume(&o, taken);
        }
        assert_int_equal(at, total);
        assert_int_equal(o.written, total);
        assert_memory_equal(expected, got, total);
        output_release(&o);
    }
}

static void test_small_pieces_are_one_span(void **state)
{
    struct output o = {0};
    struct span spans[4];
    (void)state;
    output_copy(&o, SPAN("head"));
    output_append(&o, slice_of_size(OUTPUT_COPY_MAX, 'x'));
    output_copy(&o, SPAN("tail"));
    assert_int_equal(output_spans(&o, spans, 4), 1);
    struct slice large = slice_of_size(OUTPUT_COPY_MAX + 1, 'y');
    output_append(&o, large);
    assert_int_equal(output_spans(&o, spans, 4), 2);
    assert_ptr_equal(spans[1].data, large.data);
    output_rest(&o); /* not empty: nothing happens */
    assert_int_equal(output_spans(&o, spans, 1), 1);
    output_consume(&o, o.size);
    output_rest(&o);
    assert_null(o.bytes.data);
    assert_null(o.pieces);
    output_release(&o);
}

static void test_release_lets_go(void **state)
{
    struct output o = {0};
    (void)state;
    struct slice s = slice_of_size(4000, 'x');
    struct slice mine = slice_retain(s);
    output_append(&o, s);
    assert_false(block_is_unshared(mine.block));
    output_release(&o);
    assert_true(block_is_unshared(mine.block));
    slice_release(&mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_small_pieces_are_one_span),
        cmocka_unit_test(test_release_lets_go),
    };
    return cmocka_run_group_tests_name("http1 output", tests, NULL, NULL);
}

#include "base/buffer.h"

#include "base/memory.h"
#include "support/unit.h"
#include <routed/error.h>

static void empty_buffers_hold_nothing(void **state)
{
    (void)state;
    size_t held = memory_held();
    struct buffer b = BUFFER_EMPTY;
    assert_int_equal(buffer_size(&b), 0);
    assert_null(buffer_span(&b).data);
    assert_int_equal(buffer_append(&b, NULL, 0), ROUTED_OK);
    assert_int_equal(buffer_append_span(&b, SPAN_EMPTY), ROUTED_OK);
    assert_null(b.data);
    assert_int_equal(memory_held(), held);
    buffer_release(&b);
    buffer_release(&b);
}

static void bytes_come_out_in_order(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    assert_int_equal(buffer_append_text(&b, "one "), ROUTED_OK);
    assert_int_equal(buffer_append_decimal(&b, UINT64_MAX), ROUTED_OK);
    assert_int_equal(buffer_append_span(&b, SPAN(" three")), ROUTED_OK);
    assert_span(buffer_span(&b), "one 18446744073709551615 three");
    buffer_consume(&b, 4);
    assert_span(buffer_span(&b), "18446744073709551615 three");
    buffer_consume(&b, buffer_size(&b));
    assert_int_equal(buffer_size(&b), 0);
    assert_int_equal(b.head, 0);
    buffer_append_text(&b, "more");
    buffer_clear(&b);
    assert_int_equal(buffer_size(&b), 0);
    buffer_release(&b);
}

static void reserved_room_counts_after_commit(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    uint8_t *room = buffer_reserve(&b, 1000);
    assert_non_null(room);
    memset(room, 'x', 1000);
    assert_int_equal(buffer_size(&b), 0);
    buffer_commit(&b, 1000);
    assert_int_equal(buffer_size(&b), 1000);
    assert_null(buffer_reserve(&b, SIZE_MAX));
    assert_null(buffer_reserve(&b, SIZE_MAX / 2));
    assert_int_equal(buffer_size(&b), 1000);
    buffer_release(&b);
}

/* Sizes and order against a stream of known bytes, over growth and moving to the front. */
static void random_use_against_a_counting_stream(void **state)
{
    (void)state;
    uint64_t seed = 7;
    uint8_t in = 0;
    uint8_t out = 0;
    struct buffer b = BUFFER_EMPTY;
    for (int round = 0; round < 20000; round++) {
        uint8_t piece[300];
        size_t size = unit_random(&seed) % sizeof(piece);
        for (size_t i = 0; i < size; i++)
            piece[i] = in++;
        assert_int_equal(buffer_append(&b, piece, size), ROUTED_OK);
        size_t drop = unit_random(&seed) % (buffer_size(&b) + 1);
        struct span s = buffer_span(&b);
        for (size_t i = 0; i < drop; i++)
            if (s.data[i] != out++)
                fail_msg("byte %zu of round %d", i, round);
        buffer_consume(&b, drop);
    }
    buffer_release(&b);
}

static void steady_use_does_not_grow(void **state)
{
    (void)state;
    uint8_t piece[100] = {0};
    struct buffer b = BUFFER_EMPTY;
    for (int i = 0; i < 10000; i++) {
        buffer_append(&b, piece, sizeof(piece));
        if (i > 0)
            buffer_consume(&b, sizeof(piece));
    }
    assert_true(b.capacity <= 1024);
    buffer_release(&b);
}

static void without_memory_it_is_as_before(void **state)
{
    (void)state;
    struct buffer b = BUFFER_EMPTY;
    memory_fault_set(1);
    assert_int_equal(buffer_append_text(&b, "lost"), ROUTED_ERROR_MEMORY);
    assert_true(memory_fault_fired());
    buffer_append_text(&b, "kept");
    uint8_t large[4096] = {0};
    memory_fault_set(1);
    assert_int_equal(buffer_append(&b, large, sizeof(large)), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    assert_span(buffer_span(&b), "kept");
    buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buffers_hold_nothing),
        cmocka_unit_test(bytes_come_out_in_order),
        cmocka_unit_test(reserved_room_counts_after_commit),
        cmocka_unit_test(random_use_against_a_counting_stream),
        cmocka_unit_test(steady_use_does_not_grow),
        cmocka_unit_test(without_memory_it_is_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

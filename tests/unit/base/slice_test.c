#include "base/slice.h"

#include "base/memory.h"
#include "support/unit.h"
#include <pthread.h>

static void blocks_live_until_the_last_slice(void **state)
{
    (void)state;
    size_t held = memory_held();
    struct block *b = block_new(16);
    assert_int_equal(block_capacity(b), 16);
    memcpy(block_data(b), "0123456789abcdef", 16);
    assert_true(block_is_unshared(b));
    struct slice front = slice_of_block(b, 0, 8);
    struct slice back = slice_of_block(b, 8, 8);
    assert_false(block_is_unshared(b));
    block_release(b);
    slice_release(&front);
    assert_null(front.data);
    assert_int_equal(front.size, 0);
    assert_span(slice_span(back), "89abcdef");
    struct slice again = slice_retain(back);
    slice_release(&back);
    assert_span(slice_span(again), "89abcdef");
    slice_release(&again);
    slice_release(&again);
    block_release(NULL);
    assert_int_equal(memory_held(), held);
}

static void taking_splits_without_copying(void **state)
{
    (void)state;
    struct slice s = slice_copy(SPAN("headtail"));
    const uint8_t *start = s.data;
    struct slice nothing = slice_take(&s, 0);
    struct slice head = slice_take(&s, 4);
    assert_int_equal(nothing.size, 0);
    assert_ptr_equal(head.data, start);
    assert_ptr_equal(s.data, start + 4);
    assert_span(slice_span(head), "head");
    assert_span(slice_span(s), "tail");
    struct slice rest = slice_take(&s, 4);
    assert_int_equal(s.size, 0);
    slice_release(&s);
    slice_release(&head);
    slice_release(&nothing);
    assert_span(slice_span(rest), "tail");
    slice_release(&rest);
}

static void spare_memory_serves_again_when_nobody_keeps_it(void **state)
{
    static uint8_t large[SLICE_SPARE_SIZE + 1];
    (void)state;
    size_t held = memory_held();
    struct block *spare = NULL;
    struct slice nothing = slice_copy_spare(&spare, SPAN_EMPTY);
    assert_null(nothing.data);
    assert_null(spare);
    struct slice first = slice_copy_spare(&spare, SPAN("first"));
    const uint8_t *start = first.data;
    slice_release(&first);
    first = slice_copy_spare(&spare, SPAN("again"));
    assert_ptr_equal(first.data, start);
    struct slice second = slice_copy_spare(&spare, SPAN("kept"));
    assert_ptr_not_equal(second.block, first.block);
    assert_span(slice_span(first), "again");
    assert_span(slice_span(second), "kept");
    slice_release(&first);
    first = slice_copy_spare(&spare, span_of(large, SLICE_SPARE_SIZE));
    assert_ptr_equal(first.data, start);
    slice_release(&first);
    first = slice_copy_spare(&spare, span_of(large, SLICE_SPARE_SIZE + 1));
    assert_ptr_not_equal(first.block, spare);
    assert_int_equal(first.size, SLICE_SPARE_SIZE + 1);
    slice_release(&first);
    slice_release(&second);
    block_release(spare);
    assert_int_equal(memory_held(), held);
}

static void literals_and_nothing_are_not_counted(void **state)
{
    (void)state;
    struct slice literal = slice_static(SPAN("static"));
    struct slice more = slice_retain(literal);
    struct slice part = slice_take(&more, 3);
    assert_span(slice_span(part), "sta");
    assert_span(slice_span(more), "tic");
    slice_release(&part);
    slice_release(&more);
    slice_release(&literal);
    struct slice none = slice_copy(SPAN_EMPTY);
    assert_null(none.block);
    slice_release(&none);
}

static void without_memory_there_is_no_block(void **state)
{
    (void)state;
    assert_null(block_new(SIZE_MAX));
    memory_fault_set(1);
    assert_null(block_new(1));
    memory_fault_set(1);
    assert_null(slice_copy(SPAN("x")).data);
    memory_fault_set(0);
}

#define THREADS 4

static void *split_and_drop(void *argument)
{
    struct slice *mine = argument;
    unsigned sum = 0;
    while (mine->size) {
        struct slice piece = slice_take(mine, 1 + mine->size % 7 % mine->size);
        for (size_t i = 0; i < piece.size; i++)
            sum += piece.data[i];
        slice_release(&piece);
    }
    slice_release(mine);
    return (void *)(uintptr_t)sum;
}

static void slices_of_one_block_on_several_threads(void **state)
{
    (void)state;
    size_t held = memory_held();
    pthread_t threads[THREADS];
    struct slice slices[THREADS];
    struct block *b = block_new(4096);
    memset(block_data(b), 1, 4096);
    for (int i = 0; i < THREADS; i++)
        slices[i] = slice_of_block(b, 0, 4096);
    block_release(b);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, split_and_drop, &slices[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        assert_int_equal((uintptr_t)sum, 4096);
    }
    assert_int_equal(memory_held(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_live_until_the_last_slice),
        cmocka_unit_test(taking_splits_without_copying),
        cmocka_unit_test(spare_memory_serves_again_when_nobody_keeps_it),
        cmocka_unit_test(literals_and_nothing_are_not_counted),
        cmocka_unit_test(without_memory_there_is_no_block),
        cmocka_unit_test(slices_of_one_block_on_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

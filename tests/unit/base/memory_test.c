#include "base/memory.h"

#include "support/unit.h"
#include <pthread.h>

static void held_memory_is_counted(void **state)
{
    (void)state;
    size_t held = memory_held();
    char *a = memory_new(1000);
    assert_true(memory_held() >= held + 1000);
    char *b = memory_new_zeroed(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(b[i], 0);
    a = memory_resize(a, 5000);
    assert_true(memory_held() >= held + 5100);
    char *c = memory_copy_text("text");
    assert_string_equal(c, "text");
    void *d = memory_resize(NULL, 0);
    assert_non_null(d);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free(d);
    memory_free(NULL);
    assert_int_equal(memory_held(), held);
}

static void sums_that_overflow_give_nothing(void **state)
{
    (void)state;
    assert_null(memory_new_array(SIZE_MAX / 2, 3));
    assert_null(memory_new_array(SIZE_MAX, SIZE_MAX));
    void *none = memory_new_array(0, 8);
    assert_non_null(none);
    memory_free(none);
}

static void exactly_the_nth_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 4; nth++) {
        void *blocks[4];
        memory_fault_set(nth);
        for (uint64_t i = 0; i < 4; i++) {
            blocks[i] = i % 2 ? memory_new_zeroed(1) : memory_new(1);
            assert_int_equal(blocks[i] == NULL, i + 1 == nth);
            assert_int_equal(memory_fault_fired(), i + 1 >= nth);
        }
        for (int i = 0; i < 4; i++)
            memory_free(blocks[i]);
    }
    memory_fault_set(1);
    assert_null(memory_resize(NULL, 1));
    memory_fault_set(2);
    memory_fault_set(0);
    assert_false(memory_fault_fired());
    void *block = memory_new(1);
    assert_non_null(block);
    char *text = block;
    text[0] = 'k';
    memory_fault_set(1);
    assert_null(memory_resize(block, 1 << 20));
    assert_int_equal(text[0], 'k');
    memory_free(block);
    memory_fault_set(0);
}

static void *count_failures(void *argument)
{
    uintptr_t failures = 0;
    (void)argument;
    for (int i = 0; i < 10000; i++) {
        void *block = memory_new(8);
        failures += !block;
        memory_free(block);
    }
    return (void *)failures;
}

static void one_fails_however_many_threads_allocate(void **state)
{
    (void)state;
    pthread_t threads[4];
    uintptr_t sum = 0;
    size_t held = memory_held();
    memory_fault_set(20000);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_failures, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failures;
        pthread_join(threads[i], &failures);
        sum += (uintptr_t)failures;
    }
    memory_fault_set(0);
    assert_int_equal(sum, 1);
    assert_int_equal(memory_held(), held);
}

static void the_number_may_live_elsewhere(void **state)
{
    (void)state;
    static atomic_size_t place = 77;
    void *before = memory_new(1000);
    size_t held = memory_held();
    memory_count_in(&place);
    assert_int_equal(memory_held(), held);
    void *after = memory_new(5000);
    assert_true(atomic_load(&place) >= held + 5000);
    memory_free(before);
    memory_free(after);
    assert_true(atomic_load(&place) <= held - 1000);
    assert_int_equal(memory_held(), atomic_load(&place));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_memory_is_counted),
        cmocka_unit_test(sums_that_overflow_give_nothing),
        cmocka_unit_test(exactly_the_nth_allocation_fails),
        cmocka_unit_test(one_fails_however_many_threads_allocate),
        cmocka_unit_test(the_number_may_live_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

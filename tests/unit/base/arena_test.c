#include "base/arena.h"

#include "base/memory.h"
#include "support/unit.h"

static void memory_is_aligned_and_does_not_overlap(void **state)
{
    (void)state;
    struct arena a = ARENA_EMPTY;
    uint64_t seed = 3;
    struct {
        uint8_t *at;
        size_t size;
    } parts[500];
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        parts[i].size = unit_random(&seed) % (i % 50 == 0 ? 9000 : 90);
        parts[i].at = arena_new(&a, parts[i].size);
        assert_non_null(parts[i].at);
        assert_int_equal((uintptr_t)parts[i].at % _Alignof(max_align_t), 0);
        memset(parts[i].at, (int)i, parts[i].size);
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        for (size_t j = 0; j < parts[i].size; j++)
            if (parts[i].at[j] != (uint8_t)i)
                fail_msg("part %zu was overwritten", i);
    arena_release(&a);
}

static void copies_are_independent(void **state)
{
    (void)state;
    struct arena a = ARENA_EMPTY;
    char text[] = "text";
    struct span copy = arena_copy(&a, span_from(text));
    char *c = arena_text(&a, span_from(text));
    text[0] = 'n';
    assert_span(copy, "text");
    assert_string_equal(c, "text");
    assert_string_equal(arena_text(&a, SPAN_EMPTY), "");
    assert_int_equal(arena_copy(&a, SPAN_EMPTY).size, 0);
    arena_release(&a);
}

static void a_reset_keeps_the_first_chunk_only(void **state)
{
    (void)state;
    struct arena a = ARENA_EMPTY;
    size_t before = memory_held();
    void *first = arena_new(&a, 100);
    size_t one_chunk = memory_held() - before;
    arena_new(&a, 100000);
    arena_reset(&a);
    assert_int_equal(memory_held() - before, one_chunk);
    for (int i = 0; i < 100; i++) {
        assert_ptr_equal(arena_new(&a, 100), first);
        arena_reset(&a);
    }
    assert_int_equal(memory_held() - before, one_chunk);
    arena_release(&a);
    assert_int_equal(memory_held(), before);
    arena_reset(&a);
    arena_release(&a);
}

static void a_reset_may_keep_a_large_first_chunk(void **state)
{
    (void)state;
    struct arena a = ARENA_EMPTY;
    assert_non_null(arena_new(&a, 10000));
    arena_reset(&a);
    memory_fault_set(1);
    assert_non_null(arena_new(&a, 10000));
    memory_fault_set(0);
    arena_release(&a);
}

static void without_memory_it_stays_usable(void **state)
{
    (void)state;
    struct arena a = ARENA_EMPTY;
    assert_null(arena_new(&a, SIZE_MAX));
    memory_fault_set(1);
    assert_null(arena_new(&a, 1));
    memory_fault_set(1);
    assert_null(arena_copy(&a, SPAN("x")).data);
    memory_fault_set(1);
    assert_null(arena_text(&a, SPAN("x")));
    memory_fault_set(0);
    char *text = arena_text(&a, SPAN("kept"));
    memory_fault_set(1);
    assert_null(arena_new(&a, 5000));
    memory_fault_set(0);
    assert_non_null(arena_new(&a, 5000));
    assert_string_equal(text, "kept");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_does_not_overlap),
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(a_reset_keeps_the_first_chunk_only),
        cmocka_unit_test(a_reset_may_keep_a_large_first_chunk),
        cmocka_unit_test(without_memory_it_stays_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

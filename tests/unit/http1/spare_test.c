#include "http1/spare.h"

#include "base/memory.h"
#include "http1/state.h"
#include "support/unit.h"

static size_t before;

static int note_memory(void **state)
{
    (void)state;
    before = memory_held();
    return 0;
}

static int expect_nothing_held(void **state)
{
    (void)state;
    return memory_held() == before ? 0 : -1;
}

static void test_turns(void **state)
{
    struct http1_spare spare;
    struct http1_turn *turns[HTTP1_SPARE_MAX + 1];
    (void)state;
    http1_spare_init(&spare);
    for (size_t i = 0; i <= HTTP1_SPARE_MAX; i++) {
        turns[i] = http1_spare_take_turn(&spare);
        assert_non_null(turns[i]);
    }
    for (size_t i = 0; i < HTTP1_SPARE_MAX; i++) {
        http1_spare_give_turn(&spare, turns[i]);
        assert_int_equal(spare.turn_count, i + 1);
    }
    size_t held = memory_held();
    http1_spare_give_turn(&spare, turns[HTTP1_SPARE_MAX]);
    assert_int_equal(spare.turn_count, HTTP1_SPARE_MAX);
    assert_true(memory_held() < held);
    assert_ptr_equal(http1_spare_take_turn(&spare), turns[HTTP1_SPARE_MAX - 1]);
    http1_spare_give_turn(&spare, turns[HTTP1_SPARE_MAX - 1]);
    http1_spare_give_turn(&spare, NULL);
    http1_spare_release(&spare);
    assert_int_equal(spare.turn_count, 0);
}

/* Of the arena the first chunk stays. */
static void test_arena(void **state)
{
    struct http1_spare spare;
    (void)state;
    http1_spare_init(&spare);
    struct http1_turn *t = http1_spare_take_turn(&spare);
    assert_non_null(arena_new(&t->exchange.arena, 100));
    size_t held = memory_held();
    assert_non_null(arena_new(&t->exchange.arena, 5000));
    http1_spare_give_turn(&spare, t);
    assert_int_equal(memory_held(), held);
    http1_spare_release(&spare);
}

static void fill(struct output *o, size_t size)
{
    *o = (struct output){0};
    assert_non_null(output_reserve(o, size));
}

static void test_outputs(void **state)
{
    struct http1_spare spare;
    struct output o = {0};
    (void)state;
    http1_spare_init(&spare);
    http1_spare_lend_output(&spare, &o);
    assert_false(output_has_memory(&o));
    for (size_t i = 0; i <= HTTP1_SPARE_MAX; i++) {
        fill(&o, 100);
        http1_spare_return_output(&spare, &o);
        assert_false(output_has_memory(&o));
        assert_int_equal(spare.output_count, i < HTTP1_SPARE_MAX ? i + 1 : HTTP1_SPARE_MAX);
    }
    http1_spare_lend_output(&spare, &o);
    assert_true(output_has_memory(&o));
    http1_spare_lend_output(&spare, &o);
    assert_int_equal(spare.output_count, HTTP1_SPARE_MAX - 1);
    output_release(&o);
    http1_spare_release(&spare);
    assert_int_equal(spare.output_count, 0);
}

static void test_large_outputs(void **state)
{
    struct http1_spare spare;
    struct output o;
    (void)state;
    http1_spare_init(&spare);
    fill(&o, HTTP1_SPARE_OUTPUT_MAX);
    http1_spare_return_output(&spare, &o);
    assert_int_equal(spare.output_count, 1);
    fill(&o, HTTP1_SPARE_OUTPUT_MAX + 1);
    http1_spare_return_output(&spare, &o);
    assert_int_equal(spare.output_count, 1);
    assert_false(output_has_memory(&o));
    http1_spare_release(&spare);
}

static void test_no_memory(void **state)
{
    struct http1_spare spare;
    (void)state;
    http1_spare_init(&spare);
    memory_fault_set(1);
    assert_null(http1_spare_take_turn(&spare));
    memory_fault_set(0);
    http1_spare_release(&spare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turns, note_memory, expect_nothing_held),
        cmocka_unit_test_setup_teardown(test_arena, note_memory, expect_nothing_held),
        cmocka_unit_test_setup_teardown(test_outputs, note_memory, expect_nothing_held),
        cmocka_unit_test_setup_teardown(test_large_outputs, note_memory, expect_nothing_held),
        cmocka_unit_test_setup_teardown(test_no_memory, note_memory, expect_nothing_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

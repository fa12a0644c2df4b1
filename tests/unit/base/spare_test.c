#include "base/spare.h"

#include "base/memory.h"
#include "support/unit.h"

static void test_classes(void **state)
{
    struct spare spare = {0};
    (void)state;
    for (size_t size = 1; size <= SPARE_BLOCK_MAX + 1; size++) {
        size_t before = memory_held();
        size_t capacity = spare_capacity(size);
        assert_true(capacity >= size);
        uint8_t *block = spare_take(&spare, size);
        assert_non_null(block);
        memset(block, 0xff, capacity);
        spare_give(&spare, block, size);
        assert_int_equal(spare.held, size <= SPARE_BLOCK_MAX ? capacity : 0);
        if (size <= SPARE_BLOCK_MAX)
            assert_ptr_equal(spare_take(&spare, capacity), block);
        assert_int_equal(spare.held, 0);
        if (size <= SPARE_BLOCK_MAX)
            spare_give(&spare, block, size);
        spare_release(&spare);
        assert_int_equal(spare.held, 0);
        assert_int_equal(memory_held(), before);
    }
}

/* One below, on and one above. */
static void test_bound(void **state)
{
    enum {
        COUNT = SPARE_MAX / SPARE_BLOCK_MAX
    };
    struct spare spare = {0};
    void *blocks[COUNT + 1];
    size_t before = memory_held();
    (void)state;
    for (size_t i = 0; i <= COUNT; i++)
        blocks[i] = spare_take(&spare, SPARE_BLOCK_MAX);
    for (size_t i = 0; i <= COUNT; i++) {
        spare_give(&spare, blocks[i], SPARE_BLOCK_MAX);
        assert_int_equal(spare.held, (i < COUNT ? i + 1 : COUNT) * SPARE_BLOCK_MAX);
    }
    spare_release(&spare);
    assert_int_equal(memory_held(), before);
}

static void test_no_memory(void **state)
{
    struct spare spare = {0};
    (void)state;
    memory_fault_set(1);
    assert_null(spare_take(&spare, 1));
    memory_fault_set(1);
    assert_null(spare_take(&spare, SPARE_BLOCK_MAX + 1));
    memory_fault_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

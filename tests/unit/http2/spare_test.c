#include "http2/spare.h"

#include "base/memory.h"
#include "support/unit.h"

static void test_classes(void **state)
{
    struct http2_spare spare = {0};
    (void)state;
    for (size_t size = 1; size <= HTTP2_SPARE_BLOCK_MAX + 1; size++) {
        size_t before = memory_held();
        size_t capacity = http2_spare_capacity(size);
        assert_true(capacity >= size);
        uint8_t *block = http2_spare_take(&spare, size);
        assert_non_null(block);
        memset(block, 0xff, capacity);
        http2_spare_give(&spare, block, size);
        assert_int_equal(spare.held, size <= HTTP2_SPARE_BLOCK_MAX ? capacity : 0);
        if (size <= HTTP2_SPARE_BLOCK_MAX)
            assert_ptr_equal(http2_spare_take(&spare, capacity), block);
        assert_int_equal(spare.held, 0);
        if (size <= HTTP2_SPARE_BLOCK_MAX)
            http2_spare_give(&spare, block, size);
        http2_spare_release(&spare);
        assert_int_equal(spare.held, 0);
        assert_int_equal(memory_held(), before);
    }
}

/* One below, on and one above. */
static void test_bound(void **state)
{
    enum {
        COUNT = HTTP2_SPARE_MAX / HTTP2_SPARE_BLOCK_MAX
    };
    struct http2_spare spare = {0};
    void *blocks[COUNT + 1];
    size_t before = memory_held();
    (void)state;
    for (size_t i = 0; i <= COUNT; i++)
        blocks[i] = http2_spare_take(&spare, HTTP2_SPARE_BLOCK_MAX);
    for (size_t i = 0; i <= COUNT; i++) {
        http2_spare_give(&spare, blocks[i], HTTP2_SPARE_BLOCK_MAX);
        assert_int_equal(spare.held, (i < COUNT ? i + 1 : COUNT) * HTTP2_SPARE_BLOCK_MAX);
    }
    http2_spare_release(&spare);
    assert_int_equal(memory_held(), before);
}

static void test_no_memory(void **state)
{
    struct http2_spare spare = {0};
    (void)state;
    memory_fault_set(1);
    assert_null(http2_spare_take(&spare, 1));
    memory_fault_set(1);
    assert_null(http2_spare_take(&spare, HTTP2_SPARE_BLOCK_MAX + 1));
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

#include "front/address_table.h"

#include "base/memory.h"
#include "support/unit.h"
#include <pthread.h>

static void the_limit_is_exact(void **state)
{
    (void)state;
    struct address_table *t = address_table_new(100);
    for (int i = 0; i < 3; i++)
        assert_true(address_table_enter(t, 7, 3));
    assert_false(address_table_enter(t, 7, 3));
    assert_true(address_table_enter(t, 8, 3));
    address_table_leave(t, 7);
    assert_true(address_table_enter(t, 7, 3));
    assert_false(address_table_enter(t, 7, 3));
    assert_true(address_table_enter(t, 7, UINT64_MAX));
    address_table_free(t);
}

static void nobody_is_not_limited(void **state)
{
    (void)state;
    struct address_table *t = address_table_new(1);
    for (int i = 0; i < 1000; i++)
        assert_true(address_table_enter(t, 0, 1));
    address_table_leave(t, 0);
    address_table_leave(t, 99); /* never entered */
    address_table_free(t);
    address_table_free(NULL);
}

static void there_is_room_for_as_many_as_promised(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 31, 32, 33, 1000, 1024, 10000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct address_table *t = address_table_new(sizes[i]);
        for (uint64_t k = 1; k <= sizes[i]; k++)
            assert_true(address_table_enter(t, k * 64, 1));
        address_table_free(t);
    }
}

/* Keys that all want the same few places, so that chains form, wrap around and get holes. */
static void random_use_against_a_model(void **state)
{
    (void)state;
    enum {
        KEYS = 60
    };
    uint64_t seed = 17;
    struct address_table *t = address_table_new(32);
    uint64_t keys[KEYS];
    uint64_t counts[KEYS] = {0};
    unsigned used = 0;
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = (i + 1) * 64 + (i % 4 ? 61 + i % 3 : 2); /* 64 places: homes 61 to 63 and 2 */
    for (int round = 0; round < 200000; round++) {
        size_t i = unit_random(&seed) % KEYS;
        if (unit_random(&seed) % 2) {
            bool expected = counts[i] < 3 && (counts[i] || used < 32);
            assert_int_equal(address_table_enter(t, keys[i], 3), expected);
            used += expected && !counts[i];
            counts[i] += expected;
        } else if (counts[i]) {
            address_table_leave(t, keys[i]);
            used -= --counts[i] == 0;
        }
    }
    for (size_t i = 0; i < KEYS; i++) { /* what is left is exactly what the model says */
        for (; counts[i]; counts[i]--)
            address_table_leave(t, keys[i]);
    }
    for (size_t i = 0; i < 32; i++)
        assert_true(address_table_enter(t, keys[i], 1));
    address_table_free(t);
}

static struct address_table *shared;

static void *come_and_go(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < 20000; i++) {
        uint64_t key = 1 + unit_random(&seed) % 8;
        if (address_table_enter(shared, key, 2))
            address_table_leave(shared, key);
    }
    return NULL;
}

static void any_thread_may_use_it(void **state)
{
    (void)state;
    pthread_t threads[4];
    shared = address_table_new(8);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t key = 1; key <= 8; key++) {
        assert_true(address_table_enter(shared, key, 1));
        assert_false(address_table_enter(shared, key, 1));
    }
    address_table_free(shared);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    memory_fault_set(1);
    assert_null(address_table_new(1));
    memory_fault_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(nobody_is_not_limited),
        cmocka_unit_test(there_is_room_for_as_many_as_promised),
        cmocka_unit_test(random_use_against_a_model),
        cmocka_unit_test(any_thread_may_use_it),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

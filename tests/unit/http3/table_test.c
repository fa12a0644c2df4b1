/* Ids, whose they are, and when connections are due. */
#include "support/unit.h"

#include "base/memory.h"
#include "http3/deadlines.h"
#include "http3/identifier.h"
#include "http3/table.h"
#include <routed/error.h>
#include <stdlib.h>

static const uint8_t secret[32] = "one secret";

static void an_id_tells_its_worker_to_its_server_only(void **state)
{
    (void)state;
    struct http3_identifier_key key, other;
    ngtcp2_cid id, again;
    unsigned worker;
    http3_identifier_key_init(&key, secret);
    http3_identifier_key_init(&other, (const uint8_t[32]){1});
    for (unsigned i = 0; i < HTTP3_WORKERS_MAX; i += 257) {
        assert_true(http3_identifier_make(&key, i, &id));
        assert_int_equal(id.datalen, HTTP3_IDENTIFIER_SIZE);
        assert_true(http3_identifier_read(&key, span_of(id.data, id.datalen), &worker));
        assert_int_equal(worker, i);
        assert_false(http3_identifier_read(&other, span_of(id.data, id.datalen), &worker));
        assert_true(http3_identifier_make(&key, i, &again));
        assert_false(ngtcp2_cid_eq(&id, &again));
        for (size_t size = 0; size < id.datalen; size++)
            assert_false(http3_identifier_read(&key, span_of(id.data, size), &worker));
        id.data[i % 16] ^= 0x10;
        assert_false(http3_identifier_read(&key, span_of(id.data, id.datalen), &worker));
    }
}

static ngtcp2_cid numbered(unsigned n, size_t size)
{
    ngtcp2_cid id = {.datalen = size};
    for (size_t i = 0; i < size; i++)
        id.data[i] = (uint8_t)(n >> 8 * (i % 4));
    return id;
}

static void every_id_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct http3_table t;
    struct list_link routes;
    static char owners[5000]; /* stand for connections */
    size_t held = memory_held();
    list_init(&routes);
    assert_int_equal(http3_table_init(&t, 42), ROUTED_OK);
    for (unsigned i = 0; i < 5000; i++) {
        ngtcp2_cid id = numbered(i, 4 + i % 17);
        struct http3_connection *c = (struct http3_connection *)(void *)&owners[i];
        assert_int_equal(http3_table_add(&t, &id, c, &routes), ROUTED_OK);
        assert_int_equal(http3_table_add(&t, &id, c, &routes), ROUTED_ERROR_STATE);
    }
    for (unsigned i = 0; i < 5000; i++) {
        ngtcp2_cid id = numbered(i, 4 + i % 17);
        struct span bytes = span_of(id.data, id.datalen);
        assert_ptr_equal(http3_table_find(&t, bytes), &owners[i]);
        if (i % 2) {
            http3_table_remove(&t, http3_table_route(&t, bytes));
            assert_null(http3_table_find(&t, bytes));
        }
    }
    assert_int_equal(t.count, 2500);
    assert_null(http3_table_find(&t, SPAN_EMPTY));
    while (!list_is_empty(&routes))
        http3_table_remove(&t, LIST_ITEM(routes.next, struct http3_route, link));
    assert_int_equal(t.count, 0);
    http3_table_release(&t);
    assert_int_equal(memory_held(), held);
}

/* Ids that differ in one place only are spread all the same. */
static void chains_stay_short(void **state)
{
    (void)state;
    struct http3_table t;
    struct list_link routes;
    list_init(&routes);
    assert_int_equal(http3_table_init(&t, 7), ROUTED_OK);
    for (unsigned i = 0; i < 4096; i++) {
        ngtcp2_cid id = {.datalen = 20};
        id.data[i % 20] = (uint8_t)(i / 20);
        id.data[(i + 7) % 20] = (uint8_t)(i % 20);
        http3_table_add(&t, &id, NULL, &routes);
    }
    size_t longest = 0;
    for (size_t i = 0; i <= t.mask; i++) {
        size_t length = 0;
        for (struct http3_route *r = t.buckets[i]; r; r = r->next)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_true(longest <= 10);
    while (!list_is_empty(&routes))
        http3_table_remove(&t, LIST_ITEM(routes.next, struct http3_route, link));
    http3_table_release(&t);
}

static void the_earliest_is_first(void **state)
{
    (void)state;
    enum {
        COUNT = 500
    };
    static struct http3_deadline items[COUNT];
    struct http3_deadlines d = {0};
    uint64_t random = 4711;
    memset(items, 0, sizeof(items));
    assert_null(http3_deadlines_first(&d));
    assert_int_equal(http3_deadlines_reserve(&d, COUNT), ROUTED_OK);
    for (int round = 0; round < 20000; round++) {
        struct http3_deadline *item = &items[unit_random(&random) % COUNT];
        uint64_t at = unit_random(&random) % 1000;
        http3_deadlines_set(&d, item, at < 100 ? CLOCK_NEVER : at);
        nanoseconds least = CLOCK_NEVER;
        size_t waiting = 0;
        if (round % 50)
            continue;
        for (size_t i = 0; i < COUNT; i++) {
            waiting += items[i].place != 0;
            if (items[i].place && items[i].at < least)
                least = items[i].at;
        }
        assert_int_equal(d.count, waiting);
        assert_true(!waiting || http3_deadlines_first(&d)->at == least);
    }
    nanoseconds last = 0;
    for (struct http3_deadline *first; (first = http3_deadlines_first(&d));) {
        assert_true(first->at >= last);
        last = first->at;
        http3_deadlines_set(&d, first, CLOCK_NEVER);
    }
    http3_deadlines_release(&d);
}

static void tables_grow_or_do_without(void **state)
{
    (void)state;
    struct http3_table t;
    struct list_link routes;
    struct http3_deadlines d = {0};
    list_init(&routes);
    memory_fault_set(1);
    assert_int_equal(http3_table_init(&t, 1), ROUTED_ERROR_MEMORY);
    assert_int_equal(http3_table_init(&t, 1), ROUTED_OK);
    memory_fault_set(1);
    assert_int_equal(http3_deadlines_reserve(&d, 1), ROUTED_ERROR_MEMORY);
    for (unsigned i = 0; i < 200; i++) {
        ngtcp2_cid id = numbered(i, 8);
        memory_fault_set(2); /* the route can be had, larger buckets cannot */
        assert_int_equal(http3_table_add(&t, &id, NULL, &routes), ROUTED_OK);
    }
    memory_fault_set(0);
    assert_int_equal(t.mask, 63);
    assert_int_equal(t.count, 200);
    while (!list_is_empty(&routes))
        http3_table_remove(&t, LIST_ITEM(routes.next, struct http3_route, link));
    http3_table_release(&t);
    http3_deadlines_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_tells_its_worker_to_its_server_only),
        cmocka_unit_test(every_id_is_found_until_it_is_removed),
        cmocka_unit_test(chains_stay_short),
        cmocka_unit_test(the_earliest_is_first),
        cmocka_unit_test(tables_grow_or_do_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

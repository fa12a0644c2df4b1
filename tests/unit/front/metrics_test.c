#include "front/metrics.h"

#include "base/limits.h"
#include "base/memory.h"
#include "support/metrics.h"
#include <routed/error.h>

static void names_are_unique(void **state)
{
    (void)state;
    struct metric_set s;
    assert_int_equal(front_metrics_init(&s, NULL), ROUTED_OK);
    assert_int_equal(s.count, FRONT_METRIC_COUNT + limit_count);
    for (unsigned i = 0; i < s.count; i++) {
        assert_non_null(s.names[i].name);
        assert_int_equal(metric_read(&s, i), 0);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(s.names[i].name, s.names[j].name);
    }
    front_metrics_release(&s);
    front_metrics_release(&s);
}

static void limits_and_statuses_are_counted_under_their_name(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *name;
    } cases[] = {{200, "responses.2xx"}, {299, "responses.2xx"},   {304, "responses.3xx"},
                 {404, "responses.4xx"}, {599, "responses.5xx"},   {101, "responses.other"},
                 {0, "responses.other"}, {600, "responses.other"}, {999, "responses.other"}};
    struct metric_set s;
    assert_int_equal(front_metrics_init(&s, NULL), ROUTED_OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t before = metric_named(&s, cases[i].name);
        front_metrics_status(&s, cases[i].status);
        assert_int_equal(metric_named(&s, cases[i].name), before + 1);
    }
    front_metrics_hit(&s, offsetof(routed_limits, connections));
    front_metrics_hit(&s, offsetof(routed_limits, drain_timeout));
    front_metrics_error(&s, ROUTED_ERROR_FIELD_TOO_LARGE);
    front_metrics_error(&s, ROUTED_ERROR_CHUNK);
    assert_int_equal(metric_named(&s, "limit.connections"), 1);
    assert_int_equal(metric_named(&s, "limit.drain_timeout"), 1);
    assert_int_equal(metric_named(&s, "limit.field_line"), 1);
    metric_add(&s, FRONT_CONNECTIONS_OPEN, 5);
    metric_subtract(&s, FRONT_CONNECTIONS_OPEN, 2);
    assert_int_equal(metric_read(&s, FRONT_CONNECTIONS_OPEN), 3);
    front_metrics_release(&s);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    struct metric_set s;
    memory_fault_set(1);
    assert_int_equal(front_metrics_init(&s, NULL), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    front_metrics_release(&s);
}

/* Counters go on where the former owner of the row ended; nothing of it is open. */
static void rows_outlive_their_owners(void **state)
{
    (void)state;
    unsigned count;
    const struct metric_name *names = front_metrics_names(&count);
    struct metric_rows *rows = memory_new_zeroed(metric_rows_size(count, 2));
    *rows = (struct metric_rows){.names = names, .count = count, .rows = 2};
    struct metric_set first, second, third;
    assert_int_equal(front_metrics_init(&first, rows), ROUTED_OK);
    assert_int_equal(front_metrics_init(&second, rows), ROUTED_OK);
    assert_int_equal(front_metrics_init(&third, rows), ROUTED_ERROR_MEMORY);
    metric_add(&first, FRONT_REQUESTS, 3);
    metric_add(&second, FRONT_REQUESTS, 4);
    metric_add(&second, FRONT_CONNECTIONS_OPEN, 1);
    assert_int_equal(metric_rows_sum(rows, FRONT_REQUESTS), 7);
    assert_int_equal(metric_rows_sum(rows, FRONT_CONNECTIONS_OPEN), 1);
    front_metrics_release(&first); /* not ours to free */
    metric_rows_abandon(rows);
    assert_int_equal(metric_rows_sum(rows, FRONT_CONNECTIONS_OPEN), 0);
    assert_int_equal(front_metrics_init(&third, rows), ROUTED_OK);
    metric_add(&third, FRONT_REQUESTS, 1);
    assert_int_equal(metric_rows_sum(rows, FRONT_REQUESTS), 8);
    memory_free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(limits_and_statuses_are_counted_under_their_name),
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(rows_outlive_their_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/limits.h"

#include "support/unit.h"
#include <routed/error.h>

static void each_member_has_its_entry_in_order(void **state)
{
    (void)state;
    assert_int_equal(limit_count, (sizeof(routed_limits) - sizeof(uint64_t)) / sizeof(uint64_t));
    for (unsigned i = 0; i < limit_count; i++) {
        assert_int_equal(limit_number(limit_entries[i].offset), i);
        assert_int_equal(strncmp(limit_entries[i].metric, "limit.", 6), 0);
        assert_string_equal(limit_entries[i].metric + 6, limit_entries[i].name);
        assert_true(limit_entries[i].standard > 0);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(limit_entries[i].name, limit_entries[j].name);
    }
}

static void nothing_given_means_defaults(void **state)
{
    (void)state;
    routed_limits out;
    routed_limits given;
    limits_resolve(&out, NULL);
    assert_int_equal(out.size, sizeof(out));
    assert_int_equal(out.connections, 10000);
    assert_int_equal(out.drain_timeout, 30000);
    assert_true(out.content == ROUTED_NO_LIMIT);
    routed_limits_init(&given);
    routed_limits again;
    limits_resolve(&again, &given);
    assert_memory_equal(&out, &again, sizeof(out));
}

static void given_values_replace_defaults(void **state)
{
    (void)state;
    routed_limits given;
    routed_limits out;
    routed_limits_init(&given);
    given.connections = 1;
    given.idle_timeout = ROUTED_NO_LIMIT;
    given.drain_timeout = 5;
    limits_resolve(&out, &given);
    assert_int_equal(out.connections, 1);
    assert_true(out.idle_timeout == ROUTED_NO_LIMIT);
    assert_int_equal(out.drain_timeout, 5);
    assert_int_equal(out.header_timeout, 10000);
}

/* A host that was built against an older, shorter struct. */
static void members_beyond_the_given_size_are_not_read(void **state)
{
    (void)state;
    routed_limits given;
    routed_limits out;
    memset(&given, 0x01, sizeof(given));
    for (size_t size = 0; size <= sizeof(given); size++) {
        given.size = size;
        limits_resolve(&out, &given);
        assert_int_equal(out.size, sizeof(out));
        for (unsigned i = 0; i < limit_count; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&out + limit_entries[i].offset, sizeof(value));
            bool is_given = limit_entries[i].offset + sizeof(value) <= size;
            assert_true(value ==
                        (is_given ? UINT64_C(0x0101010101010101) : limit_entries[i].standard));
        }
    }
}

/* A host that was built against a newer, longer struct. */
static void a_longer_struct_is_read_as_far_as_known(void **state)
{
    (void)state;
    struct {
        routed_limits known;
        uint64_t unknown;
    } given = {.known = {.size = sizeof(given), .rate = 9}, .unknown = 8};
    routed_limits out;
    limits_resolve(&out, &given.known);
    assert_int_equal(out.size, sizeof(out));
    assert_int_equal(out.rate, 9);
}

static void errors_report_the_limit_they_come_from(void **state)
{
    (void)state;
    unsigned number;
    assert_true(limit_of_error(ROUTED_ERROR_TARGET_TOO_LONG, &number));
    assert_string_equal(limit_entries[number].name, "request_line");
    assert_true(limit_of_error(ROUTED_ERROR_FIELDS_TOO_MANY, &number));
    assert_string_equal(limit_entries[number].name, "fields_count");
    assert_true(limit_of_error(ROUTED_ERROR_CONTENT_TOO_LARGE, &number));
    assert_string_equal(limit_entries[number].name, "content");
    assert_false(limit_of_error(ROUTED_OK, &number));
    assert_false(limit_of_error(ROUTED_ERROR_CHUNK, &number));
}

/* These are counted where they are decided: one error stands for several limits. */
static void timeouts_and_overload_are_counted_elsewhere(void **state)
{
    (void)state;
    unsigned number;
    assert_false(limit_of_error(ROUTED_ERROR_REQUEST_TIMEOUT, &number));
    assert_false(limit_of_error(ROUTED_ERROR_TOO_SLOW, &number));
    assert_false(limit_of_error(ROUTED_ERROR_OVERLOADED, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_member_has_its_entry_in_order),
        cmocka_unit_test(nothing_given_means_defaults),
        cmocka_unit_test(given_values_replace_defaults),
        cmocka_unit_test(members_beyond_the_given_size_are_not_read),
        cmocka_unit_test(a_longer_struct_is_read_as_far_as_known),
        cmocka_unit_test(errors_report_the_limit_they_come_from),
        cmocka_unit_test(timeouts_and_overload_are_counted_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

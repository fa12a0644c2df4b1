/* What the heads of a connection hold together: counted as it comes, and all given back. What is
 * made of heads is the matter of the protocols' tests. */
#include "http/head.h"

#include "support/unit.h"
#include <routed/error.h>

static size_t held; /* references */

static struct span text_of(const void *text)
{
    return span_from(text);
}

static void retain(void *text)
{
    (void)text;
    held++;
}

static void release(void *text)
{
    (void)text;
    held--;
}

static const struct http_keeper keeper = {text_of, retain, release};
static const struct http_head_limits limits = {.target_max = 100,
                                               .field_max = 100,
                                               .fields_count_max = 200,
                                               .fields_count_hard = 200,
                                               .fields_bytes_max = 10000,
                                               .content_max = 100};

static void add(struct http_head *h, const char *name, const char *value)
{
    assert_int_equal(http_head_add(h, (void *)(uintptr_t)name, (void *)(uintptr_t)value),
                     ROUTED_OK);
}

static void add_request(struct http_head *h)
{
    add(h, ":method", "GET");
    add(h, ":scheme", "https");
    add(h, ":path", "/");
    add(h, ":authority", "example.org");
}

static int read_request(struct http_head *h, struct arena *arena)
{
    struct http_request request = {.protocol = HTTP_2};
    return http_head_read(h, &request, arena, true);
}

static void a_small_request_costs_nothing(void **state)
{
    struct http_heads all = {.limits = &limits, .cookies = {.keeper = &keeper}};
    struct http_head h = {.all = &all};
    struct arena arena = ARENA_EMPTY;
    (void)state;
    add_request(&h);
    assert_int_equal(read_request(&h, &arena), ROUTED_OK);
    assert_int_equal(http_heads_memory(&all), 0);
    http_head_release(&h);
    arena_release(&arena);
    assert_int_equal(held, 0);
}

static void many_lines_are_counted_and_given_back(void **state)
{
    struct http_heads all = {.limits = &limits, .cookies = {.keeper = &keeper}};
    struct http_head heads[2] = {{.all = &all}, {.all = &all}};
    struct arena arena = ARENA_EMPTY;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        add_request(&heads[i]);
        for (size_t n = 0; n < 100; n++)
            add(&heads[i], "x-line", "1");
    }
    size_t lines = http_heads_memory(&all);
    assert_true(lines >= 200 * sizeof(struct http_head_line));
    assert_int_equal(read_request(&heads[0], &arena), ROUTED_OK);
    assert_true(http_heads_memory(&all) >= lines + 100 * sizeof(struct field));
    http_head_reset(&heads[0]);
    assert_int_equal(http_heads_memory(&all), lines / 2);
    http_head_release(&heads[1]);
    assert_int_equal(http_heads_memory(&all), 0);
    http_head_release(&heads[0]);
    arena_release(&arena);
    assert_int_equal(held, 0);
}

static void joined_cookies_are_counted_while_they_are_used(void **state)
{
    struct http_heads all = {.limits = &limits, .cookies = {.keeper = &keeper}};
    struct http_head h = {.all = &all};
    struct arena arena = ARENA_EMPTY;
    (void)state;
    add_request(&h);
    add(&h, "cookie", "a=1");
    add(&h, "cookie", "b=2");
    assert_int_equal(read_request(&h, &arena), ROUTED_OK);
    assert_true(http_heads_memory(&all) >= sizeof("a=1; b=2") - 1);
    http_head_reset(&h);
    assert_true(http_heads_memory(&all) > 0); /* the latest is kept for the next request */
    http_cookies_release(&all.cookies);
    assert_int_equal(http_heads_memory(&all), 0);
    http_head_release(&h);
    arena_release(&arena);
    assert_int_equal(held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_request_costs_nothing),
        cmocka_unit_test(many_lines_are_counted_and_given_back),
        cmocka_unit_test(joined_cookies_are_counted_while_they_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

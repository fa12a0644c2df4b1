/* Request content that waits for its application. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exchange/inlet.h"

static struct {
    char text[32];
    size_t size;
    struct exchange_inlet *gives_up; /* in the next on_body */
    bool borrows;                    /* the latest slice was part of the block */
} seen;
static struct block *block;

static void on_request(struct exchange *x, void *context)
{
    (void)x;
    (void)context;
}

static void on_body(struct exchange *x, struct slice body)
{
    (void)x;
    for (size_t i = 0; i < body.size && seen.size < sizeof(seen.text); i++)
        seen.text[seen.size++] = (char)body.data[i];
    seen.borrows = block && body.block == block;
    slice_release(&body);
    if (seen.gives_up)
        exchange_inlet_give_up(seen.gives_up);
}

static void on_grant(struct exchange *x, size_t bytes)
{
    (void)x;
    (void)bytes;
}

static const struct exchange_application application = {.on_request = on_request,
                                                        .on_body = on_body};
static const struct exchange_carrier carrier = {.grant = on_grant};

static void open(struct exchange *x)
{
    memset(&seen, 0, sizeof(seen));
    memset(x, 0, sizeof(*x));
    exchange_init(x, &carrier, NULL, NULL);
    x->request.content_length = HTTP_LENGTH_UNKNOWN;
    exchange_open(x, &application, NULL);
}

static void test_credit(void **state)
{
    struct exchange x;
    struct exchange_inlet in = {0};
    size_t taken = 0;
    (void)state;
    open(&x);
    assert_false(exchange_inlet_is_waiting(&in, &x));
    assert_int_equal(exchange_inlet_receive(&in, &x, INT64_MAX, NULL, SPAN("abc"), &taken),
                     ROUTED_OK);
    assert_int_equal(taken, 0);
    exchange_grant(&x, 2);
    assert_true(exchange_inlet_is_waiting(&in, &x));
    assert_int_equal(exchange_inlet_receive(&in, &x, INT64_MAX, NULL, SPAN("def"), &taken),
                     ROUTED_OK);
    assert_int_equal(taken, 2);
    in.has_ended = true;
    assert_false(exchange_inlet_is_at_end(&in, &x));
    exchange_grant(&x, 100);
    assert_int_equal(exchange_inlet_deliver(&in, &x, &taken), ROUTED_OK);
    assert_int_equal(taken, 6);
    assert_memory_equal(seen.text, "abcdef", 6);
    assert_true(exchange_inlet_is_at_end(&in, &x));
    exchange_release(&x);
}

/* What is over the limit is not delivered, and does not wait. What is held counts. */
static void test_max(void **state)
{
    struct exchange x;
    (void)state;
    for (int64_t max = 5; max <= 7; max++) {
        struct exchange_inlet in = {0};
        size_t taken = 0;
        int expected = max < 6 ? ROUTED_ERROR_CONTENT_TOO_LARGE : ROUTED_OK;
        open(&x);
        exchange_grant(&x, 1);
        assert_int_equal(exchange_inlet_receive(&in, &x, max, NULL, SPAN("abc"), &taken),
                         ROUTED_OK);
        exchange_grant(&x, 100);
        assert_int_equal(exchange_inlet_receive(&in, &x, max, NULL, SPAN("def"), &taken), expected);
        assert_int_equal(taken, expected ? 4 : 6);
        assert_int_equal(seen.size, expected ? 1 : 6);
        exchange_inlet_release(&in);
        exchange_release(&x);
    }
}

static void test_tunnel_has_no_max(void **state)
{
    struct exchange x;
    struct exchange_inlet in = {0};
    size_t taken = 0;
    (void)state;
    open(&x);
    x.is_tunnel = true;
    exchange_grant(&x, 3);
    assert_int_equal(exchange_inlet_receive(&in, &x, 2, NULL, SPAN("abc"), &taken), ROUTED_OK);
    assert_int_equal(seen.size, 3);
    exchange_release(&x);
}

/* Every byte is told once, whoever gives up and when. */
static void test_give_up(void **state)
{
    struct exchange x;
    struct exchange_inlet in = {0};
    size_t taken = 0;
    (void)state;
    open(&x);
    exchange_inlet_receive(&in, &x, INT64_MAX, NULL, SPAN("abc"), &taken);
    assert_int_equal(exchange_inlet_give_up(&in), 3);
    assert_int_equal(exchange_inlet_receive(&in, &x, INT64_MAX, NULL, SPAN("def"), &taken),
                     ROUTED_OK);
    assert_int_equal(taken, 3);
    assert_int_equal(seen.size, 0);
    exchange_release(&x);

    in = (struct exchange_inlet){0};
    taken = 0;
    open(&x);
    exchange_grant(&x, 1);
    seen.gives_up = &in;
    assert_int_equal(exchange_inlet_receive(&in, &x, INT64_MAX, NULL, SPAN("abc"), &taken),
                     ROUTED_OK);
    assert_int_equal(taken, 3);
    assert_int_equal(seen.size, 1);
    assert_int_equal(buffer_size(&in.held), 0);
    exchange_release(&x);
}

/* Many bytes are not copied. */
static void test_block(void **state)
{
    struct exchange x;
    struct exchange_inlet in = {0};
    size_t taken = 0;
    (void)state;
    block = block_new(8192);
    memset(block_data(block), 'x', 8192);
    for (size_t size = 4095; size <= 4096; size++) {
        open(&x);
        exchange_grant(&x, size);
        exchange_inlet_receive(&in, &x, INT64_MAX, block, span_of(block_data(block) + 7, size),
                               &taken);
        assert_int_equal(seen.borrows, size == 4096);
        exchange_release(&x);
    }
    assert_true(block_is_unshared(block));
    block_release(block);
    block = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_tunnel_has_no_max),
        cmocka_unit_test(test_give_up),
        cmocka_unit_test(test_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

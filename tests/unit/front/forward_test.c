/* The two limits of what is on its way to a worker, each below, on and above. */
#include "front/forward.h"

#include "base/memory.h"
#include "support/metrics.h"
#include <routed/error.h>

static struct loop *loop;
static struct front_shared shared;
static struct front_worker from;
static struct front_forwards to;
static unsigned arrived;

static void on_datagram(struct front_forwards *f, const struct http3_datagram *d)
{
    assert_ptr_equal(f, &to);
    assert_span(span_of(d->bytes.data, 3), "abc");
    arrived++;
}

static void prepare(uint64_t count, uint64_t bytes)
{
    shared =
        (struct front_shared){.limits = {.http3_forwards = count, .http3_forward_bytes = bytes}};
    from = (struct front_worker){.shared = &shared};
    to = (struct front_forwards){.on_datagram = on_datagram};
    arrived = 0;
    assert_int_equal(front_metrics_init(&from.metrics, NULL), ROUTED_OK);
    assert_int_equal(loop_open(&loop), ROUTED_OK);
}

static void release(void)
{
    loop_free(loop);
    front_metrics_release(&from.metrics);
}

static void forward(struct span bytes)
{
    struct http3_datagram d = {.bytes = bytes};
    front_forward(&from, loop, &to, &d);
}

static void expect(unsigned wanted, uint64_t bytes)
{
    assert_int_equal(atomic_load(&to.count), wanted);
    assert_int_equal(atomic_load(&to.bytes), bytes);
    loop_turn(loop, 0);
    assert_int_equal(arrived, wanted);
    assert_int_equal(atomic_load(&to.count), 0);
    assert_int_equal(atomic_load(&to.bytes), 0);
    arrived = 0;
}

static void so_many_at_once(void **state)
{
    (void)state;
    prepare(3, 1000);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 3; i++)
            forward(SPAN("abc"));
        assert_int_equal(metric_named(&from.metrics, "limit.http3_forwards"), round);
        forward(SPAN("abc"));
        assert_int_equal(metric_named(&from.metrics, "limit.http3_forwards"), round + 1);
        expect(3, 9);
    }
    assert_int_equal(metric_named(&from.metrics, "limit.http3_forward_bytes"), 0);
    release();
}

static void so_many_bytes_at_once(void **state)
{
    (void)state;
    prepare(100, 10);
    forward(SPAN("abcd"));
    forward(SPAN("abcde"));
    forward(SPAN("abc")); /* too much, */
    assert_int_equal(metric_named(&from.metrics, "limit.http3_forward_bytes"), 1);
    expect(2, 9);
    forward(SPAN("abcde"));
    forward(SPAN("abcde")); /* just enough */
    assert_int_equal(metric_named(&from.metrics, "limit.http3_forward_bytes"), 1);
    expect(2, 10);
    assert_int_equal(metric_named(&from.metrics, "limit.http3_forwards"), 0);
    release();
}

static void without_memory_nothing_is_on_its_way(void **state)
{
    (void)state;
    prepare(100, 1000);
    memory_fault_set(1);
    forward(SPAN("abc"));
    memory_fault_set(0);
    expect(0, 0);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_at_once),
        cmocka_unit_test(so_many_bytes_at_once),
        cmocka_unit_test(without_memory_nothing_is_on_its_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

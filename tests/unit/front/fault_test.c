/* The n-th allocation fails, for every n: of a start, a GET, a chunked POST and a stop. */
#include "base/memory.h"
#include "front/client.h"

static const char post[] = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                           "5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n";

/* 200, or a failure that the client can see: a refusal or the end of the connection. */
static void ask(const struct front *f, const char *request)
{
    int client = client_connect(f);
    int status = client_write(client, request) ? client_status(client) : -1;
    if (status != 200 && status != 503 && status > 0)
        fail_msg("status %d", status);
    close(client);
}

/* False when no allocation was left to fail. */
static bool run_with_fault(uint64_t nth, const char *log)
{
    struct front f;
    size_t held = memory_held();
    front_prepare(&f);
    f.options.access_log = log;
    memory_fault_set(nth);
    int error = front_begin(&f);
    if (error) {
        assert_true(error == ROUTED_ERROR_MEMORY);
        assert_true(memory_fault_fired());
    } else {
        ask(&f, CLIENT_GET);
        ask(&f, post);
        bool was_fired = memory_fault_fired();
        if (was_fired) { /* whatever failed, the next client is served */
            close(client_connect_served(&f));
        }
        front_await_metric(&f, "connections.open", 0);
        assert_int_equal(front_metric(&f, "exchanges.open"), 0);
        assert_int_equal(front_end(&f), ROUTED_OK);
    }
    bool has_fired = memory_fault_fired();
    memory_fault_set(0);
    assert_int_equal(memory_held(), held);
    return has_fired;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t nth = 1;
    while (run_with_fault(nth, NULL))
        nth++;
    assert_true(nth > 10);
}

static void every_allocation_may_fail_with_a_log(void **state)
{
    (void)state;
    uint64_t nth = 1;
    while (run_with_fault(nth, "/dev/null"))
        nth++;
    assert_true(nth > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_allocation_may_fail_with_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

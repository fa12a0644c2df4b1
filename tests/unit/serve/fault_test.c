#include "serve/served.h"

#include "base/memory.h"

/* Start, one exchange and stop, once for each allocation in this process, and each time another
 * one fails. Whatever happens then, nothing crashes, nothing leaks, and the client is not left
 * waiting. */

static bool run(int mode, uint64_t nth)
{
    char text[1024];
    routed_engine *engine = new_engine();
    routed_serve_options options = options_of(mode);
    options.workers = options.engines = 1;
    routed_server *server;
    memory_fault_set(nth);
    int error = routed_serve(engine, &options, &server);
    if (error) {
        assert_null(server);
        assert_string_not_equal(routed_last_error(), "");
    } else {
        int client = ask(server, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        uint64_t asked_at = now_ms();
        read_until(client, text, sizeof(text), NULL);
        assert_true(now_ms() - asked_at < PATIENCE);
        close(client);
        routed_server_stop(server, ROUTED_NO_LIMIT);
        routed_server_wait(server);
        routed_server_free(server);
    }
    bool has_fired = memory_fault_fired();
    memory_fault_set(0);
    routed_engine_free(engine);
    return has_fired;
}

static void fail_each(int mode)
{
    size_t before = memory_held();
    uint64_t nth = 1;
    while (run(mode, nth))
        nth++;
    assert_in_range(nth, 10, 1000);
    assert_int_equal(memory_held(), before);
}

static void test_bridge(void **state)
{
    (void)state;
    fail_each(ROUTED_MODE_BRIDGE);
}

static void test_in_process(void **state)
{
    (void)state;
    fail_each(ROUTED_MODE_IN_PROCESS);
}

/* Children count on from where they were forked, unseen here: more numbers than there are
 * allocations in any of them. */
static void test_processes(void **state)
{
    (void)state;
    size_t before = memory_held();
    for (uint64_t nth = 1; nth <= 60; nth++)
        run(ROUTED_MODE_PROCESSES, nth);
    assert_int_equal(memory_held(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bridge),
        cmocka_unit_test(test_in_process),
        cmocka_unit_test(test_processes),
    };
    return cmocka_run_group_tests_name("serve/fault", tests, NULL, NULL);
}

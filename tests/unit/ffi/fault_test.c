#include "ffi/host.h"

#include "base/memory.h"

/* Start, one exchange and stop, once for each allocation on the way, and each time another one
 * fails. Whatever happens then, nothing crashes, nothing leaks, and the client is not left
 * waiting. */

#define REQUEST                                                                                    \
    "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\nx-a: b\r\n\r\n"       \
    "some text"

/* What has no memory is given up, as a host would. */
static void answer(routed_ffi *server, uint64_t id)
{
    int error = send_start(server, id, 200);
    if (!error)
        error = send_chunk(server, id, "text");
    if (!error)
        error = send_mark(server, id, 8);
    if (error == ROUTED_ERROR_MEMORY)
        routed_ffi_abort(server, id);
}

static void take_events(routed_ffi *server)
{
    routed_ffi_event events[4];
    int64_t count = routed_ffi_poll(server, events, 4, 1);
    assert_true(count >= 0 || count == ROUTED_ERROR_MEMORY);
    for (int64_t i = 0; i < count; i++) {
        if (events[i].kind == ROUTED_FFI_BODY)
            routed_ffi_grant(server, events[i].exchange, events[i].size);
        if (events[i].kind == ROUTED_FFI_END)
            answer(server, events[i].exchange);
    }
}

/* Serves until the client has read the end of its connection. */
static void serve_one(routed_ffi *server)
{
    char sink[512];
    int client = connect_client(server);
    uint64_t deadline = now_ms() + PATIENCE;
    ssize_t count = send(client, REQUEST, strlen(REQUEST), MSG_NOSIGNAL);
    do {
        take_events(server);
        count = recv(client, sink, sizeof(sink), MSG_DONTWAIT);
    } while ((count > 0 || (count < 0 && errno == EAGAIN)) && now_ms() < deadline);
    assert_true(now_ms() < deadline);
    close(client);
}

static bool run(uint64_t nth)
{
    routed_ffi *server;
    routed_ffi_options options = {.size = sizeof(options), .workers = 1};
    size_t before = memory_held();
    memory_fault_set(nth);
    int error = routed_ffi_start(&options, &server);
    if (error) {
        assert_null(server);
        assert_true(routed_ffi_last_error(NULL, 0) > 0);
    } else {
        serve_one(server);
        routed_ffi_stop(server, ROUTED_NO_LIMIT);
        routed_ffi_wait(server);
        routed_ffi_free(server);
    }
    bool has_fired = memory_fault_fired();
    memory_fault_set(0);
    assert_int_equal(memory_held(), before);
    return has_fired;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t nth = 1;
    while (run(nth))
        nth++;
    assert_in_range(nth, 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_may_fail)};
    return cmocka_run_group_tests_name("ffi/fault", tests, NULL, NULL);
}

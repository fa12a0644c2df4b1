#include "load/request.h"

#include "base/memory.h"
#include "support/unit.h"
#include "websocket/receiver.h"
#include <routed/error.h>

static struct load_options plain(void)
{
    return (struct load_options){
        .host = "127.0.0.1", .port = 8080, .path = "/bench", .spread = 1, .body = -1};
}

static void a_get_has_no_content(void **state)
{
    (void)state;
    struct load_options o = plain();
    struct load_requests r;
    assert_int_equal(load_requests_init(&r, &o), ROUTED_OK);
    assert_span(buffer_span(&load_requests_next(&r)->bytes),
                "GET /bench HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n\r\n");
    load_requests_release(&r);
    assert_int_equal(memory_held(), 0);
}

static void small_content_is_part_of_the_request(void **state)
{
    (void)state;
    struct load_options o = plain();
    struct load_requests r;
    o.body = 3;
    assert_int_equal(load_requests_init(&r, &o), ROUTED_OK);
    assert_span(buffer_span(&load_requests_next(&r)->bytes),
                "POST /bench HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-length: 3\r\n\r\nxxx");
    assert_int_equal(r.rest.size, 0);
    load_requests_release(&r);
}

static void large_content_is_apart(void **state)
{
    (void)state;
    struct load_options o = plain();
    struct load_requests r;
    o.body = LOAD_REQUEST_WHOLE_MAX;
    assert_int_equal(load_requests_init(&r, &o), ROUTED_OK);
    assert_int_equal(r.rest.size, 0);
    load_requests_release(&r);
    o.body = LOAD_REQUEST_WHOLE_MAX + 1;
    assert_int_equal(load_requests_init(&r, &o), ROUTED_OK);
    assert_int_equal(r.rest.size, LOAD_REQUEST_WHOLE_MAX + 1);
    load_requests_release(&r);
}

static void paths_take_turns(void **state)
{
    (void)state;
    struct load_options o = plain();
    struct load_requests r;
    o.path = "/r{n}/items";
    o.spread = 3;
    assert_int_equal(load_requests_init(&r, &o), ROUTED_OK);
    static const char *const paths[] = {"/r0/items", "/r1/items", "/r2/items", "/r0/items"};
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        assert_string_equal(load_requests_next(&r)->path, paths[i]);
    load_requests_release(&r);
}

static void a_message_is_one_masked_frame(void **state)
{
    (void)state;
    struct load_options o = plain();
    struct load_requests r;
    struct websocket_receiver receiver;
    struct websocket_event event;
    o.socket = LOAD_SOCKET_ECHO;
    o.body = 5;
    assert_int_equal(load_requests_init(&r, &o), ROUTED_OK);
    websocket_receiver_init(&receiver, true, NULL);
    struct span input = buffer_span(&r.message);
    websocket_receiver_feed(&receiver, &input, &event);
    assert_int_equal(event.type, WEBSOCKET_EVENT_MESSAGE);
    assert_span(event.payload, "xxxxx");
    websocket_receiver_release(&receiver);
    load_requests_release(&r);
}

static void without_memory_nothing_is_kept(void **state)
{
    (void)state;
    struct load_options o = plain();
    struct load_requests r;
    o.body = 100;
    o.spread = 2;
    o.socket = LOAD_SOCKET_ECHO;
    uint64_t number = 1;
    for (;; number++) {
        memory_fault_set(number);
        int error = load_requests_init(&r, &o);
        if (!memory_fault_fired()) {
            assert_int_equal(error, ROUTED_OK);
            break;
        }
        assert_int_equal(error, ROUTED_ERROR_MEMORY);
        assert_int_equal(memory_held(), 0);
    }
    memory_fault_set(0);
    assert_true(number > 5);
    load_requests_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_has_no_content),
        cmocka_unit_test(small_content_is_part_of_the_request),
        cmocka_unit_test(large_content_is_apart),
        cmocka_unit_test(paths_take_turns),
        cmocka_unit_test(a_message_is_one_masked_frame),
        cmocka_unit_test(without_memory_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

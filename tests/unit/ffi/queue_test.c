#include "ffi/host.h"

#include "base/memory.h"
#include "wire/decoder.h"
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

/* ---- requests ---- */

/* The request's payload, read with the codec of the bridge. */
static void read_request(const routed_ffi_event *event, struct arena *arena, struct http_request *r,
                         struct wire_origin *origin)
{
    struct wire_decoder decoder;
    struct wire_event read;
    struct buffer frame = BUFFER_EMPTY;
    const uint8_t size[4] = {(uint8_t)(event->size >> 24), (uint8_t)(event->size >> 16),
                             (uint8_t)(event->size >> 8), (uint8_t)event->size};
    buffer_append(&frame, size, 4);
    buffer_append(&frame, event->data, event->size);
    struct span input = buffer_span(&frame);
    wire_decoder_init(&decoder, WIRE_REQUESTS, NULL);
    wire_decoder_feed(&decoder, &input, &read);
    assert_int_equal(read.type, WIRE_EVENT_HEAD);
    assert_int_equal(wire_request_read(&read.head, arena, r, origin), ROUTED_OK);
    wire_decoder_release(&decoder);
    buffer_release(&frame);
}

static void assert_span(struct span s, const char *text)
{
    assert_true(span_equals(s, span_from(text)));
}

static void test_a_short_request_is_one_event(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_request r;
    struct wire_origin origin;
    routed_ffi *server = start_queue();
    assert_false(is_readable(routed_ffi_descriptor(server)));
    int client =
        client_asks(server, "GET /a%20b?x=1 HTTP/1.1\r\nhost: here:80\r\nx-one: 1\r\n\r\n");
    routed_ffi_event event = expect_event(server, ROUTED_FFI_REQUEST);
    assert_int_equal(event.data[1], 11);
    read_request(&event, &arena, &r, &origin);
    assert_span(r.method, "GET");
    assert_span(r.path, "/a%20b");
    assert_span(r.query, "x=1");
    assert_span(r.authority, "here:80");
    assert_span(origin.address, "127.0.0.1");
    assert_true(origin.port != 0);
    assert_true(origin.request_id.size > 0);
    assert_int_equal(r.content_length, 0);
    arena_release(&arena);
    assert_int_equal(send_single(server, event.exchange, 200, "hi"), ROUTED_OK);
    expect_answer(client, "HTTP/1.1 200 OK\r\n", "\r\n\r\nhi");
    expect_closed(server, event.exchange, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

static void test_content_is_gathered_until_it_is_asked_for(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = client_asks(server, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\n");
    routed_ffi_event event = expect_event(server, ROUTED_FFI_REQUEST);
    uint64_t id = event.exchange;
    assert_int_equal(event.data[1], 13);
    write_text(client, "abc");
    event = expect_event(server, ROUTED_FFI_BODY);
    assert_int_equal(event.size, 3);
    assert_memory_equal(event.data, "abc", 3);
    write_text(client, "def");
    event = expect_event(server, ROUTED_FFI_BODY);
    assert_memory_equal(event.data, "def", 3);
    assert_true(expect_event(server, ROUTED_FFI_END).exchange == id);
    send_single(server, id, 204, "");
    expect_answer(client, "HTTP/1.1 204 ", "\r\n\r\n");
    expect_closed(server, id, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

/* Content comes as far as it was granted, and no further. */
static void test_content_waits_for_grants(void **state)
{
    (void)state;
    routed_limits limits;
    routed_limits_init(&limits);
    limits.window = 1000;
    routed_ffi *server = start_with((routed_ffi_options){.limits = &limits});
    char content[2501];
    memset(content, 'x', 2500);
    content[2500] = '\0';
    int client = client_asks(server, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2500\r\n\r\n");
    write_text(client, content);
    uint64_t id = expect_request(server);
    uint64_t got = 0;
    for (uint64_t granted = 1000; granted < 2500; granted += 500) {
        while (got < granted) {
            got += expect_event(server, ROUTED_FFI_BODY).size;
            assert_true(got <= granted);
        }
        assert_false(is_readable(routed_ffi_descriptor(server)));
        assert_int_equal(routed_ffi_grant(server, id, 0), ROUTED_OK);
        assert_int_equal(routed_ffi_grant(server, id, 500), ROUTED_OK);
    }
    while (got < 2500)
        got += expect_event(server, ROUTED_FFI_BODY).size;
    expect_event(server, ROUTED_FFI_END);
    send_single(server, id, 200, "");
    expect_closed(server, id, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

/* However much a host grants, no count overflows. */
static void test_grants_without_measure(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = client_asks(server, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n");
    uint64_t id = expect_request(server);
    for (int i = 0; i < 20; i++)
        assert_int_equal(routed_ffi_grant(server, id, UINT64_MAX / 3), ROUTED_OK);
    write_text(client, "a");
    expect_event(server, ROUTED_FFI_BODY);
    for (int i = 0; i < 20; i++)
        assert_int_equal(routed_ffi_grant(server, id, UINT64_MAX), ROUTED_OK);
    write_text(client, "bc");
    expect_event(server, ROUTED_FFI_BODY);
    expect_event(server, ROUTED_FFI_END);
    send_single(server, id, 200, "");
    expect_closed(server, id, ROUTED_OK);
    close(client);
    stop_and_free(server);
}

/* ---- ids ---- */

static void test_ids_of_nobody(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    uint64_t id = exchange_of(server, client, GET("/"));
    uint64_t wrong[] = {0,
                        1,
                        UINT64_MAX,
                        id + 1,
                        id - 1,
                        ~id,
                        id + (UINT64_C(1) << 28),
                        id | (UINT64_C(63) << 22),
                        id | 0x3FFFFF};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(send_single(server, wrong[i], 200, "no"), ROUTED_ERROR_CLOSED);
        assert_int_equal(routed_ffi_grant(server, wrong[i], 1), ROUTED_ERROR_CLOSED);
        assert_int_equal(routed_ffi_abort(server, wrong[i]), ROUTED_ERROR_CLOSED);
    }
    send_single(server, id, 200, "yes");
    expect_answer(client, "HTTP/1.1 200 ", "yes");
    close(client);
    routed_ffi_free(server);
}

static void test_ids_are_not_used_again(void **state)
{
    (void)state;
    enum {
        ROUNDS = 300
    };
    static uint64_t ids[ROUNDS];
    routed_ffi *server = start_queue();
    int client = connect_client(server);
    for (int i = 0; i < ROUNDS; i++) {
        ids[i] = exchange_of(server, client, GET("/"));
        for (int before = 0; before < i; before++)
            assert_true(ids[before] != ids[i]);
        send_single(server, ids[i], 200, "ok");
        expect_closed(server, ids[i], ROUTED_OK);
        char text[512];
        read_until(client, text, sizeof(text), "ok");
    }
    close(client);
    stop_and_free(server);
}

static void test_more_exchanges_than_first_slots(void **state)
{
    (void)state;
    enum {
        CLIENTS = 200
    };
    int clients[CLIENTS];
    uint64_t ids[CLIENTS];
    routed_ffi *server = start_queue();
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_asks(server, GET("/"));
    for (int i = 0; i < CLIENTS; i++)
        ids[i] = expect_request(server);
    for (int i = CLIENTS - 1; i >= 0; i--)
        assert_int_equal(send_single(server, ids[i], 200, "one of many"), ROUTED_OK);
    for (int i = 0; i < CLIENTS; i++) {
        expect_answer(clients[i], "HTTP/1.1 200 ", "one of many");
        expect_event(server, ROUTED_FFI_CLOSED);
        close(clients[i]);
    }
    stop_and_free(server);
}

/* ---- clients that leave ---- */

static void test_a_client_that_leaves_is_told_of(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    for (int streaming = 0; streaming < 2; streaming++) {
        int client = connect_client(server);
        uint64_t id = exchange_of(server, client, GET("/"));
        if (streaming) {
            send_start(server, id, 200);
            send_chunk(server, id, "some");
            expect_answer(client, "HTTP/1.1 200 ", "some");
        }
        close(client);
        expect_closed(server, id, ROUTED_ERROR_CLIENT_GONE); /* nothing was asked or sent */
        assert_int_equal(send_chunk(server, id, "more"), ROUTED_ERROR_CLOSED);
    }
    stop_and_free(server);
}

static uint64_t metric(const routed_ffi *server, const char *name)
{
    routed_metric metrics[256];
    return value_of(metrics, routed_ffi_metrics(server, metrics, 256), name);
}

static void await_no_connections(const routed_ffi *server)
{
    uint64_t deadline = now_ms() + PATIENCE;
    while (metric(server, "connections.open") && now_ms() < deadline)
        sched_yield();
    assert_int_equal(metric(server, "connections.open"), 0);
}

/* Nothing is told of requests whose client left before the host asked, and nothing is kept. */
static void test_a_host_that_does_not_poll_holds_nothing_of_the_gone(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    size_t before = 0;
    for (int i = 0; i < 30; i++) {
        int client = client_asks(server, GET("/"));
        uint64_t deadline = now_ms() + PATIENCE;
        while (!is_readable(routed_ffi_descriptor(server)) && now_ms() < deadline)
            sched_yield();
        assert_true(is_readable(routed_ffi_descriptor(server)));
        close(client);
        await_no_connections(server);
        assert_false(is_readable(routed_ffi_descriptor(server)));
        if (i == 10)
            before = memory_held();
    }
    assert_true(memory_held() <= before + 1024);
    routed_ffi_event event;
    assert_int_equal(routed_ffi_poll(server, &event, 1, 0), 0);
    stop_and_free(server);
}

/* ---- hosts that do not poll ---- */

static void test_a_host_that_never_polls(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    size_t before = memory_held();
    int client = client_asks(server, "POST / HTTP/1.1\r\nhost: x\r\n"
                                     "transfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10000; i++)
        write_text(client, "1\r\nx\r\n");
    write_text(client, "0\r\n\r\n");
    uint64_t deadline = now_ms() + PATIENCE;
    while (metric(server, "bytes.read") < 60000 && now_ms() < deadline)
        sched_yield();
    assert_true(memory_held() - before < 512 * 1024);
    /* All of it comes as one run. */
    expect_request(server);
    uint64_t got = 0;
    while (got < 10000)
        got += expect_event(server, ROUTED_FFI_BODY).size;
    expect_event(server, ROUTED_FFI_END);
    close(client);
    routed_ffi_free(server);
}

static void test_stop_without_polling(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    int client = client_asks(server, GET("/"));
    uint64_t deadline = now_ms() + PATIENCE;
    while (!is_readable(routed_ffi_descriptor(server)) && now_ms() < deadline)
        sched_yield();
    routed_ffi_stop(server, 0);
    assert_int_equal(routed_ffi_wait(server), ROUTED_ERROR_TIMEOUT);
    close(client);
    routed_ffi_free(server);
}

/* ---- the poll ---- */

static void test_events_come_one_by_one_or_together(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    routed_ffi_event events[8];
    int client = client_asks(server, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab");
    uint64_t id = expect_request(server);
    assert_int_equal(routed_ffi_poll(server, NULL, 0, UINT64_MAX), 0);
    assert_int_equal(routed_ffi_poll(server, NULL, 1, 0), ROUTED_ERROR_ARGUMENT);
    send_single(server, id, 200, "ok");
    expect_answer(client, "HTTP/1.1 200 ", "ok");
    await_no_connections((close(client), server));
    assert_true(is_readable(routed_ffi_descriptor(server)));
    assert_int_equal(routed_ffi_poll(server, events, 8, 0), 3);
    assert_int_equal(events[0].kind, ROUTED_FFI_BODY);
    assert_memory_equal(events[0].data, "ab", 2);
    assert_int_equal(events[1].kind, ROUTED_FFI_END);
    assert_null(events[1].data);
    assert_int_equal(events[2].kind, ROUTED_FFI_CLOSED);
    assert_false(is_readable(routed_ffi_descriptor(server)));
    stop_and_free(server);
}

static void test_poll_waits_as_long_as_it_is_told(void **state)
{
    (void)state;
    routed_ffi *server = start_queue();
    routed_ffi_event event;
    assert_int_equal(routed_ffi_poll(server, &event, 1, 0), 0);
    uint64_t began = now_ms();
    assert_int_equal(routed_ffi_poll(server, &event, 1, 30), 0);
    assert_in_range(now_ms() - began, 29, PATIENCE);
    stop_and_free(server);
}

static void on_signal(int number)
{
    (void)number;
}

struct waker {
    pthread_t sleeper;
    atomic_bool is_awake;
};

static void *interrupt(void *argument)
{
    struct waker *w = argument;
    while (!atomic_load(&w->is_awake)) {
        pthread_kill(w->sleeper, SIGUSR1);
        poll(NULL, 0, 1);
    }
    return NULL;
}

static void test_a_signal_ends_a_wait_without_end(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal};
    struct waker w = {.sleeper = pthread_self()};
    pthread_t other;
    routed_ffi_event event;
    routed_ffi *server = start_queue();
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&other, NULL, interrupt, &w);
    assert_int_equal(routed_ffi_poll(server, &event, 1, UINT64_MAX), 0);
    atomic_store(&w.is_awake, true);
    pthread_join(other, NULL);
    stop_and_free(server);
}

/* ---- threads ---- */

struct sender {
    routed_ffi *server;
    uint64_t id;
    char letter;
};

/* Sends its own exchange in small pieces while the others do the same. */
static void *send_much(void *argument)
{
    struct sender *s = argument;
    char block[100];
    memset(block, s->letter, sizeof(block));
    send_start(s->server, s->id, 200);
    for (int i = 0; i < 2000;) {
        int error = send_content(s->server, s->id, 7, block, sizeof(block));
        i += error == ROUTED_OK;
        if (error && error != ROUTED_ERROR_AGAIN)
            return NULL;
        if (error)
            sched_yield();
    }
    while (send_mark(s->server, s->id, 8) == ROUTED_ERROR_AGAIN)
        sched_yield();
    return NULL;
}

static void *read_all(void *argument)
{
    static _Thread_local char sink[65536];
    int fd = *(int *)argument;
    uint64_t total = 0;
    ssize_t count;
    while ((count = recv(fd, sink, sizeof(sink), 0)) > 0)
        for (ssize_t i = 0; i < count; i++)
            total += sink[i] == 'A' || sink[i] == 'B' || sink[i] == 'D' || sink[i] == 'E';
    return (void *)(uintptr_t)total;
}

static void test_threads_send_at_the_same_time(void **state)
{
    (void)state;
    enum {
        THREADS = 4
    };
    routed_ffi *server = start_with((routed_ffi_options){.workers = 2});
    pthread_t senders[THREADS];
    pthread_t readers[THREADS];
    struct sender jobs[THREADS];
    int clients[THREADS];
    for (int i = 0; i < THREADS; i++) {
        clients[i] = client_asks(server, "GET / HTTP/1.0\r\n\r\n");
        jobs[i] = (struct sender){server, expect_request(server), "ABDE"[i]};
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&readers[i], NULL, read_all, &clients[i]);
        pthread_create(&senders[i], NULL, send_much, &jobs[i]);
    }
    for (int closed = 0; closed < THREADS;) {
        routed_ffi_event event = next_event(server);
        closed += event.kind == ROUTED_FFI_CLOSED;
        if (event.kind == ROUTED_FFI_CLOSED)
            assert_int_equal(event.code, ROUTED_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        void *total;
        pthread_join(senders[i], NULL);
        pthread_join(readers[i], &total);
        assert_in_range((uintptr_t)total, 200000, 200100);
        close(clients[i]);
    }
    stop_and_free(server);
}

struct crowd {
    routed_ffi *server;
    atomic_uint left; /* clients that are through */
};

/* Clients that leave at any moment, while the host answers exchanges that may be gone. */
static void *leave_soon(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < 200; i++) {
        int client = client_asks(crowd->server, GET("/"));
        char text[64];
        if (i % 3 == 0)
            read_until(client, text, sizeof(text), "HTTP");
        close(client);
    }
    atomic_fetch_add(&crowd->left, 1);
    return NULL;
}

static int64_t answer_some(routed_ffi *server, uint64_t *open)
{
    routed_ffi_event events[16];
    int64_t count = routed_ffi_poll(server, events, 16, 10);
    for (int64_t i = 0; i < count; i++) {
        *open += events[i].kind == ROUTED_FFI_REQUEST;
        *open -= events[i].kind == ROUTED_FFI_CLOSED;
        if (events[i].kind == ROUTED_FFI_REQUEST)
            send_single(server, events[i].exchange, 200, "hello");
    }
    return count;
}

static void test_leaving_and_sending_race(void **state)
{
    (void)state;
    struct crowd crowd = {.server = start_with((routed_ffi_options){.workers = 2})};
    pthread_t clients[2];
    uint64_t open = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&clients[i], NULL, leave_soon, &crowd);
    while (atomic_load(&crowd.left) < 2)
        answer_some(crowd.server, &open);
    for (int i = 0; i < 2; i++)
        pthread_join(clients[i], NULL);
    routed_ffi_stop(crowd.server, ROUTED_NO_LIMIT);
    while (answer_some(crowd.server, &open) >= 0)
        ;
    assert_int_equal(open, 0);
    assert_int_equal(routed_ffi_wait(crowd.server), ROUTED_OK);
    routed_ffi_free(crowd.server);
}

/* From the end of the request to the head of the answer, as over the bridge. Who still sends, or
 * has a head, is not late. */
static void test_host_that_does_not_answer(void **state)
{
    (void)state;
    routed_limits limits;
    routed_limits_init(&limits);
    limits.engine_answer_timeout = 1000;
    routed_ffi *server = start_with((routed_ffi_options){.limits = &limits});
    int slow = client_asks(server, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nab");
    uint64_t slow_id = expect_request(server);
    expect_event(server, ROUTED_FFI_BODY);
    int begun = client_asks(server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    uint64_t begun_id = expect_request(server);
    send_start(server, begun_id, 200);
    int late = client_asks(server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    uint64_t late_id = expect_request(server);
    expect_answer(late, "HTTP/1.1 504 ", "\r\n\r\n");
    expect_closed(server, late_id, ROUTED_ERROR_ENGINE_TIMEOUT);
    assert_int_equal(metric(server, "limit.engine_answer_timeout"), 1);
    write_text(slow, "c");
    expect_event(server, ROUTED_FFI_BODY);
    assert_true(expect_event(server, ROUTED_FFI_END).exchange == slow_id);
    expect_answer(slow, "HTTP/1.1 504 ", "\r\n\r\n");
    expect_closed(server, slow_id, ROUTED_ERROR_ENGINE_TIMEOUT);
    send_mark(server, begun_id, 8);
    expect_answer(begun, "HTTP/1.1 200 ", "\r\n\r\n");
    expect_closed(server, begun_id, ROUTED_OK);
    assert_int_equal(metric(server, "limit.engine_answer_timeout"), 2);
    close(slow);
    close(begun);
    close(late);
    stop_and_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_short_request_is_one_event),
        cmocka_unit_test(test_content_is_gathered_until_it_is_asked_for),
        cmocka_unit_test(test_content_waits_for_grants),
        cmocka_unit_test(test_grants_without_measure),
        cmocka_unit_test(test_host_that_does_not_answer),
        cmocka_unit_test(test_ids_of_nobody),
        cmocka_unit_test(test_ids_are_not_used_again),
        cmocka_unit_test(test_more_exchanges_than_first_slots),
        cmocka_unit_test(test_a_client_that_leaves_is_told_of),
        cmocka_unit_test(test_a_host_that_does_not_poll_holds_nothing_of_the_gone),
        cmocka_unit_test(test_a_host_that_never_polls),
        cmocka_unit_test(test_stop_without_polling),
        cmocka_unit_test(test_events_come_one_by_one_or_together),
        cmocka_unit_test(test_poll_waits_as_long_as_it_is_told),
        cmocka_unit_test(test_a_signal_ends_a_wait_without_end),
        cmocka_unit_test(test_threads_send_at_the_same_time),
        cmocka_unit_test(test_leaving_and_sending_race),
    };
    return cmocka_run_group_tests_name("ffi/queue", tests, NULL, NULL);
}

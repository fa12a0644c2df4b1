#include "io/stream.h"

#include "base/memory.h"
#include "support/unit.h"
#include <routed/error.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

struct pipe_end {
    struct stream stream;
    unsigned readies;
    unsigned turns;
};

static struct loop *loop;
static struct pipe_end near;
static int far;

static void on_ready(struct stream *s)
{
    LIST_ITEM(s, struct pipe_end, stream)->readies++;
}

static void on_turn(struct stream *s)
{
    LIST_ITEM(s, struct pipe_end, stream)->turns++;
}

static int open_pair(void **state)
{
    static const struct stream_events events = {on_ready, on_turn};
    int fds[2];
    (void)state;
    loop = loop_new();
    near = (struct pipe_end){.readies = 0};
    if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        return -1;
    far = fds[1];
    return stream_open(&near.stream, loop, fds[0], true, &events);
}

static int close_pair(void **state)
{
    (void)state;
    stream_close(&near.stream);
    close(far);
    loop_free(loop);
    return memory_held() == 0 ? 0 : -1;
}

static void turn_until_readable(void)
{
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while (!near.stream.can_read) {
        assert_true(loop_clock() < end);
        loop_turn(loop, 100);
    }
}

static void test_a_short_read_means_empty(void **state)
{
    uint8_t bytes[16];
    (void)state;
    assert_false(near.stream.can_read);
    assert_int_equal(write(far, "abc", 3), 3);
    turn_until_readable();
    assert_int_equal(stream_read(&near.stream, bytes, 2), 2);
    assert_true(near.stream.can_read); /* filled its room: there may be more */
    assert_int_equal(stream_read(&near.stream, bytes, sizeof(bytes)), 1);
    assert_false(near.stream.can_read);
    assert_int_equal(near.stream.bytes_in, 3);
    assert_int_equal(write(far, "d", 1), 1);
    turn_until_readable();
    assert_int_equal(stream_read(&near.stream, bytes, sizeof(bytes)), 1);
}

/* There is no edge after the last one, so the end itself must be read. */
static void test_bytes_and_end_in_one_edge(void **state)
{
    uint8_t bytes[16];
    (void)state;
    assert_int_equal(write(far, "abc", 3), 3);
    assert_int_equal(shutdown(far, SHUT_WR), 0);
    turn_until_readable();
    assert_true(near.stream.has_ended);
    assert_int_equal(stream_read(&near.stream, bytes, sizeof(bytes)), 3);
    assert_true(near.stream.can_read);
    assert_int_equal(stream_read(&near.stream, bytes, sizeof(bytes)), 0);
    assert_false(near.stream.can_read);
}

/* The peer's reading is no event while nobody waits for room. */
static void test_deaf_to_room_until_it_is_needed(void **state)
{
    uint8_t bytes[16];
    (void)state;
    loop_turn(loop, 0);
    unsigned before = near.readies;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(buffer_append_text(&near.stream.bytes, "request"), ROUTED_OK);
        assert_int_equal(stream_flush(&near.stream), ROUTED_OK);
        assert_int_equal(read(far, bytes, sizeof(bytes)), 7);
        loop_turn(loop, 0);
    }
    assert_int_equal(near.readies, before);
}

static void fill(uint8_t *bytes, size_t size, uint64_t *random)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)unit_random(random);
}

/* Queues a piece of the text as bytes or as a slice, sizes around the limit between them. */
static size_t queue_piece(const uint8_t *text, size_t left, uint64_t *random)
{
    static const size_t sizes[] = {1, 7, 300, 1023, 1024, 1025, 5000, 70000};
    size_t size = sizes[unit_random(random) % COUNT_OF(sizes)];
    if (size > left)
        size = left;
    if (unit_random(random) % 2) {
        assert_int_equal(buffer_append(&near.stream.bytes, text, size), ROUTED_OK);
    } else {
        struct slice copy = slice_copy(span_of(text, size));
        assert_non_null(copy.data);
        assert_int_equal(stream_append(&near.stream, copy), ROUTED_OK);
    }
    return size;
}

static size_t read_far(uint8_t *into, size_t size)
{
    ssize_t moved = recv(far, into, size, MSG_DONTWAIT);
    return moved > 0 ? (size_t)moved : 0;
}

/* Bytes and slices in any mixture come out in order, whatever the kernel takes at a time. */
static void test_output_keeps_its_order(void **state)
{
    size_t size = 3 << 20;
    uint64_t random = 4711;
    uint8_t *text = malloc(size), *got = malloc(size);
    size_t queued = 0, read = 0;
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    (void)state;
    assert_true(text && got);
    fill(text, size, &random);
    while (read < size) {
        assert_true(loop_clock() < end);
        while (queued < size && stream_queued(&near.stream) < 600000)
            queued += queue_piece(text + queued, size - queued, &random);
        assert_int_equal(stream_queued(&near.stream), queued - near.stream.bytes_out);
        assert_int_equal(stream_flush(&near.stream), ROUTED_OK);
        size_t part = unit_random(&random) % 100000 + 1;
        read += read_far(got + read, part < size - read ? part : size - read);
        loop_turn(loop, 0);
    }
    assert_memory_equal(got, text, size);
    assert_int_equal(stream_queued(&near.stream), 0);
    assert_int_equal(near.stream.bytes_out, size);
    free(text);
    free(got);
}

static void test_many_slices_leave_in_one_queue(void **state)
{
    static uint8_t content[2000], got[200 * 2000];
    (void)state;
    for (int i = 0; i < 200; i++)
        assert_int_equal(stream_append(&near.stream, slice_static(span_of(content, 2000))),
                         ROUTED_OK);
    size_t read = 0;
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while (read < sizeof(got)) {
        assert_true(loop_clock() < end);
        assert_int_equal(stream_flush(&near.stream), ROUTED_OK);
        read += read_far(got + read, sizeof(got) - read);
        loop_turn(loop, 0);
    }
    assert_int_equal(stream_queued(&near.stream), 0);
}

static void test_a_dead_peer_is_told_by_the_flush(void **state)
{
    (void)state;
    close(far);
    far = dup(STDIN_FILENO);
    assert_int_equal(buffer_append_text(&near.stream.bytes, "late"), ROUTED_OK);
    assert_int_equal(stream_flush(&near.stream), ROUTED_ERROR_CLOSED);
    assert_int_equal(near.stream.bytes_out, 0);
}

static void test_waking_runs_one_turn(void **state)
{
    (void)state;
    stream_wake(&near.stream);
    stream_wake(&near.stream);
    loop_turn(loop, 0);
    assert_int_equal(near.turns, 1);
    stream_wake(&near.stream);
    stream_close(&near.stream);
    stream_close(&near.stream);
    loop_turn(loop, 0);
    assert_int_equal(near.turns, 1);
    assert_false(stream_is_open(&near.stream));
}

static void test_memory_that_is_not_there(void **state)
{
    static uint8_t content[2000];
    (void)state;
    memory_fault_set(1);
    assert_int_equal(stream_append(&near.stream, slice_static(span_of(content, 2000))),
                     ROUTED_ERROR_MEMORY);
    memory_fault_set(1);
    assert_int_equal(stream_append(&near.stream, slice_static(SPAN("short"))), ROUTED_ERROR_MEMORY);
    memory_fault_set(0);
    assert_int_equal(stream_queued(&near.stream), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        TEST(test_a_short_read_means_empty),
        TEST(test_bytes_and_end_in_one_edge),
        TEST(test_deaf_to_room_until_it_is_needed),
        TEST(test_output_keeps_its_order),
        TEST(test_many_slices_leave_in_one_queue),
        TEST(test_a_dead_peer_is_told_by_the_flush),
        TEST(test_waking_runs_one_turn),
        TEST(test_memory_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

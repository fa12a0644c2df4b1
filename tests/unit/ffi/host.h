/* A host in C and its clients, for the tests of the C ABI. Clients are plain blocking sockets;
 * whatever should come and does not fails the test after PATIENCE. */
#ifndef TESTS_FFI_HOST_H
#define TESTS_FFI_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <routed/ffi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20000 /* milliseconds */

static inline uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the server ---- */

static inline routed_ffi *start_with(routed_ffi_options options)
{
    routed_ffi *server = NULL;
    if (!options.workers)
        options.workers = 1;
    options.size = sizeof(options);
    assert_int_equal(routed_ffi_start(&options, &server), ROUTED_OK);
    assert_non_null(server);
    return server;
}

static inline routed_ffi *start_queue(void)
{
    return start_with((routed_ffi_options){0});
}

static inline uint64_t value_of(const routed_metric *metrics, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return metrics[i].value;
    fail_msg("no metric %s", name);
    return 0;
}

static inline bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static inline routed_ffi_event next_event(routed_ffi *server)
{
    routed_ffi_event event;
    assert_int_equal(routed_ffi_poll(server, &event, 1, PATIENCE), 1);
    return event;
}

static inline routed_ffi_event expect_event(routed_ffi *server, unsigned kind)
{
    routed_ffi_event event = next_event(server);
    assert_int_equal(event.kind, kind);
    return event;
}

static inline uint64_t expect_request(routed_ffi *server)
{
    routed_ffi_event event = expect_event(server, ROUTED_FFI_REQUEST);
    assert_true(event.exchange != 0);
    assert_true(event.size > 2);
    assert_int_equal(event.data[0], 1);
    return event.exchange;
}

static inline void expect_closed(routed_ffi *server, uint64_t exchange, int code)
{
    routed_ffi_event event = expect_event(server, ROUTED_FFI_CLOSED);
    assert_true(event.exchange == exchange);
    assert_int_equal(event.code, code);
    assert_int_equal(routed_ffi_grant(server, exchange, 1), ROUTED_ERROR_CLOSED);
}

/* Stops, hears of it as the last event of all, and frees. */
static inline void stop_and_free(routed_ffi *server)
{
    routed_ffi_stop(server, 0);
    routed_ffi_event event = next_event(server);
    while (event.kind != ROUTED_FFI_STOPPED)
        event = next_event(server);
    assert_int_equal(routed_ffi_poll(server, &event, 1, UINT64_MAX), ROUTED_ERROR_CLOSED);
    assert_false(is_readable(routed_ffi_descriptor(server)));
    routed_ffi_wait(server);
    routed_ffi_free(server);
}

/* ---- payloads, by hand ---- */

struct payload {
    uint8_t bytes[70000];
    size_t size;
};

static inline void put(struct payload *p, const void *bytes, size_t size)
{
    assert_true(p->size + size <= sizeof(p->bytes));
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static inline void put_number(struct payload *p, uint32_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        put(p, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static inline void put_string(struct payload *p, const char *text)
{
    put_number(p, (uint32_t)strlen(text), 4);
    put(p, text, strlen(text));
}

/* Status and fields: pairs of name and value up to NULL. */
static inline void put_head(struct payload *p, uint8_t type, uint32_t status,
                            const char *const *fields)
{
    uint32_t count = 0;
    while (fields && fields[2 * count])
        count++;
    p->size = 0;
    put(p, (const uint8_t[]){1, type}, 2);
    put_number(p, status, 2);
    put_number(p, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        put_number(p, 0xFFFF, 2);
        put_string(p, fields[2 * i]);
        put_string(p, fields[2 * i + 1]);
    }
}

static inline int send_payload(routed_ffi *server, uint64_t id, const struct payload *p)
{
    return routed_ffi_send(server, id, p->bytes, p->size);
}

static inline int send_single(routed_ffi *server, uint64_t id, uint32_t status, const char *body)
{
    struct payload p;
    put_head(&p, 12, status, NULL);
    put_string(&p, body);
    return send_payload(server, id, &p);
}

static inline int send_start(routed_ffi *server, uint64_t id, uint32_t status)
{
    struct payload p;
    put_head(&p, 14, status, NULL);
    return send_payload(server, id, &p);
}

static inline int send_content(routed_ffi *server, uint64_t id, uint8_t type, const void *bytes,
                               size_t size)
{
    struct payload p = {.size = 0};
    put(&p, (const uint8_t[]){1, type}, 2);
    put_number(&p, (uint32_t)size, 4);
    put(&p, bytes, size);
    return send_payload(server, id, &p);
}

static inline int send_chunk(routed_ffi *server, uint64_t id, const char *text)
{
    return send_content(server, id, 7, text, strlen(text));
}

static inline int send_mark(routed_ffi *server, uint64_t id, uint8_t type)
{
    return routed_ffi_send(server, id, (const uint8_t[]){1, type}, 2);
}

/* ---- clients ---- */

static inline int connect_port(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline int connect_client(const routed_ffi *server)
{
    return connect_port((uint16_t)routed_ffi_port(server));
}

static inline void write_text(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size) {
        ssize_t count = send(fd, text, size, MSG_NOSIGNAL);
        assert_true(count > 0);
        text += count;
        size -= (size_t)count;
    }
}

static inline int client_asks(const routed_ffi *server, const char *text)
{
    int fd = connect_client(server);
    write_text(fd, text);
    return fd;
}

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

/* Asks on a connection that stands, and takes the request from the queue. */
static inline uint64_t exchange_of(routed_ffi *server, int client, const char *request)
{
    write_text(client, request);
    return expect_request(server);
}

/* Reads until the input has `end` in it, or ends; a text with a NUL. */
static inline size_t read_until(int fd, char *out, size_t size, const char *end)
{
    size_t used = 0;
    out[0] = '\0';
    while (used + 1 < size && !(end && strstr(out, end))) {
        ssize_t count = recv(fd, out + used, size - 1 - used, 0);
        if (count <= 0)
            break;
        used += (size_t)count;
        out[used] = '\0';
    }
    return used;
}

static inline void expect_answer(int fd, const char *start, const char *end)
{
    char text[4096];
    read_until(fd, text, sizeof(text), end);
    if (strncmp(text, start, strlen(start)) != 0 || !strstr(text, end))
        fail_msg("the answer is \"%s\"", text);
}

#endif

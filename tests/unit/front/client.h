/* A real front on a free port with a face, and clients on blocking sockets. Everything waits for
 * an event, at most PATIENCE_MS. */
#ifndef UNIT_FRONT_CLIENT_H
#define UNIT_FRONT_CLIENT_H

#include "front/native_direct.h"
#include "front/server.h"
#include "io/loop.h"
#include "support/unit.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 20000

/* ---- the front ---- */

struct front {
    struct front_options options;
    routed_limits limits;
    struct front_server *server;
    struct failure why;
};

/* Options for one worker on a free port of 127.0.0.1; change them, then front_begin. */
static inline void front_prepare(struct front *f)
{
    *f = (struct front){.options = {.workers = 1}};
    routed_limits_init(&f->limits);
    f->options.limits = &f->limits;
    front_native_direct_face(&f->options.face);
}

static inline int front_begin(struct front *f)
{
    return front_server_start(&f->options, &f->server, &f->why);
}

static inline void front_serve(struct front *f)
{
    int error = front_begin(f);
    if (error)
        fail_msg("start: %s", f->why.text);
}

static inline int front_end(struct front *f)
{
    front_server_stop(f->server, ROUTED_NO_LIMIT);
    int result = front_server_wait(f->server);
    front_server_free(f->server);
    f->server = NULL;
    return result;
}

struct front_wanted {
    const char *name;
    uint64_t value;
    bool is_found;
};

static inline void front_match(void *user, const struct metric_name *name, uint64_t value)
{
    struct front_wanted *w = user;
    if (strcmp(w->name, name->name) == 0) {
        w->is_found = true;
        w->value += value;
    }
}

static inline uint64_t front_metric(const struct front *f, const char *name)
{
    struct front_wanted w = {.name = name};
    front_server_metrics(f->server, front_match, &w);
    if (!w.is_found)
        fail_msg("no metric %s", name);
    return w.value;
}

/* Until the number is there: nothing tells of it but the number. */
static inline void front_await_metric(const struct front *f, const char *name, uint64_t value)
{
    microseconds end = loop_clock() + PATIENCE_MS * 1000;
    while (front_metric(f, name) != value) {
        if (loop_clock() > end)
            fail_msg("%s is %llu", name, (unsigned long long)front_metric(f, name));
        poll(NULL, 0, 1);
    }
}

/* ---- clients ---- */

static inline int client_connect_port(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline int client_connect(const struct front *f)
{
    int fd = client_connect_port(front_server_port(f->server));
    assert_true(fd >= 0);
    return fd;
}

static inline int client_connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline bool client_write(int fd, const char *text)
{
    size_t size = strlen(text);
    return send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size;
}

enum client_end {
    CLIENT_MORE,
    CLIENT_ENDED,
    CLIENT_RESET
};

/* What came. Not from base/memory.h, which these tests make fail. */
struct client_text {
    size_t size;
    char bytes[16384];
};

/* One read into `t`; what does not fit pushes out what came before. */
static inline enum client_end client_read(int fd, struct client_text *t)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, PATIENCE_MS) != 1)
        fail_msg("nothing came in %d ms after \"%.*s\"", PATIENCE_MS, (int)t->size, t->bytes);
    if (t->size == sizeof(t->bytes))
        t->size = 0;
    ssize_t count = recv(fd, t->bytes + t->size, sizeof(t->bytes) - t->size, 0);
    if (count > 0)
        t->size += (size_t)count;
    return count > 0 ? CLIENT_MORE : count == 0 ? CLIENT_ENDED : CLIENT_RESET;
}

static inline bool client_has(const struct client_text *t, const char *text)
{
    return memmem(t->bytes, t->size, text, strlen(text)) != NULL;
}

#define CLIENT_CONTENT "{\"ok\":true,\"label\":\"routed_ffi_native_direct\"}"

/* Is a whole answer there? All answers of these tests tell their length. */
static inline bool client_has_answer(const struct client_text *t)
{
    const char *end = memmem(t->bytes, t->size, "\r\n\r\n", 4);
    const char *length = memmem(t->bytes, t->size, "\r\ncontent-length: ", 18);
    if (!end || !length || length > end)
        return false;
    return t->size >= (size_t)(end + 4 - t->bytes) + (size_t)atoi(length + 18);
}

/* The status of the next answer, 0 for an end without one, -1 for a reset. What comes behind the
 * answer is lost. */
static inline int client_status(int fd)
{
    struct client_text t = {0};
    enum client_end end = CLIENT_MORE;
    while (end == CLIENT_MORE && !client_has_answer(&t))
        end = client_read(fd, &t);
    if (client_has_answer(&t))
        return atoi(t.bytes + 9);
    return end == CLIENT_RESET ? -1 : 0;
}

#define CLIENT_GET "GET / HTTP/1.1\r\nhost: x\r\n\r\n"

static inline int client_get(int fd)
{
    return client_write(fd, CLIENT_GET) ? client_status(fd) : -1;
}

/* A new connection that was served once. */
static inline int client_connect_served(const struct front *f)
{
    int fd = client_connect(f);
    assert_int_equal(client_get(fd), 200);
    return fd;
}

/* Reads until the connection is over. */
static inline enum client_end client_await_end(int fd)
{
    struct client_text t = {0};
    enum client_end end;
    do
        end = client_read(fd, &t);
    while (end == CLIENT_MORE);
    return end;
}

#endif

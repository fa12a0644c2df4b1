/* floor.c: bench-floor [ADDRESS]: the least that answering can cost: one epoll loop that reads,
 * counts ends of heads without looking at what they say, and writes one fixed answer for each. No
 * server; a mark for servers to be measured against. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define READ_SIZE   65536
#define ANSWERS_MAX 1024 /* in one write */

#define ANSWER                                                                                     \
    "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"                                   \
    "content-type: application/json\r\ncontent-length: "                                           \
    "27\r\n\r\n{\"ok\":true,\"label\":\"floor\"}"

static char answers[(sizeof(ANSWER) - 1) * ANSWERS_MAX];
static char input[READ_SIZE];

static int listen_on(const char *host)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char port[8];
    if (getaddrinfo(host, "0", &hints, &found) != 0)
        return -1;
    int listener = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool listens = listener >= 0 && bind(listener, found->ai_addr, found->ai_addrlen) == 0 &&
                   listen(listener, 1024) == 0;
    freeaddrinfo(found);
    if (!listens || getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof(port),
                    NI_NUMERICSERV) != 0)
        return -1;
    printf("{\"port\":%s}\n", port);
    fflush(stdout);
    return listener;
}

static int watch(int epoll, int fd, uint32_t interests)
{
    struct epoll_event event = {.events = interests, .data = {.fd = fd}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(int epoll, int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (watch(epoll, fd, EPOLLIN | EPOLLRDHUP | EPOLLET) != 0)
            close(fd);
    }
}

static size_t count_heads(const char *bytes, size_t size)
{
    size_t count = 0;
    const char *end = bytes + size;
    while ((bytes = memmem(bytes, (size_t)(end - bytes), "\r\n\r\n", 4)) != NULL) {
        count++;
        bytes += 4;
    }
    return count < ANSWERS_MAX ? count : ANSWERS_MAX;
}

static void answer(int fd)
{
    for (;;) {
        ssize_t size = read(fd, input, sizeof(input));
        if (size == 0)
            close(fd);
        if (size <= 0)
            return;
        size_t wanted = count_heads(input, (size_t)size) * (sizeof(ANSWER) - 1);
        if (wanted && write(fd, answers, wanted) != (ssize_t)wanted) {
            close(fd);
            return;
        }
        if (size < READ_SIZE)
            return;
    }
}

int main(int argc, char **argv)
{
    static struct epoll_event events[EVENTS_MAX];
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        memcpy(answers + i * (sizeof(ANSWER) - 1), ANSWER, sizeof(ANSWER) - 1);
    int listener = listen_on(argc > 1 ? argv[1] : "127.0.0.1"),
        epoll = epoll_create1(EPOLL_CLOEXEC);
    /* Whoever started this ends it by closing its standard input. */
    if (listener < 0 || epoll < 0 || watch(epoll, listener, EPOLLIN) != 0 ||
        watch(epoll, STDIN_FILENO, EPOLLIN) != 0) {
        perror("bench-floor");
        return 1;
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == STDIN_FILENO)
                return 0;
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                answer(events[i].data.fd);
        }
    }
}

/* load/options.h: the command line of routed-load. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_protocol_name {
    LOAD_H1,
    LOAD_H1S,
    LOAD_H2, /* over TLS */
    LOAD_H2C,
    LOAD_H3
};

enum load_socket_use {
    LOAD_SOCKET_NONE,
    LOAD_SOCKET_ECHO,     /* each message comes back to its sender */
    LOAD_SOCKET_BROADCAST /* each message of the first connection comes to all */
};

struct load_options {
    const char *host;
    uint16_t port;
    const char *path;
    uint32_t spread; /* "{n}" in the path is 0 to spread - 1 in turn; 1: it is taken as it is */
    enum load_protocol_name protocol;
    enum load_socket_use socket;
    uint32_t connections;
    uint32_t depth;        /* requests under way on one connection: streams, or pipelined */
    uint64_t requests;     /* UINT64_MAX: until `duration` is over */
    uint64_t warmup;       /* requests before those that count */
    microseconds duration; /* CLOCK_NEVER: until `requests` are made */
    microseconds patience; /* what is under way is given up after so long without a byte */
    double rate;           /* requests a second at fixed times; 0: as fast as answers come */
    int64_t body;          /* bytes of request content, or of a WebSocket message; -1: a GET */
    int64_t table;         /* HTTP/3: bytes of QPACK table for answers' fields; -1: not said */
    bool reconnect;        /* each request on a connection of its own */
    bool resume;           /* with TLS sessions that go on from one before */
    bool one_by_one;       /* the warm-up: one request at a time, on each connection in turn */
    bool hold;             /* wait for a line of input before what counts, stay until its end */
    int core;              /* run on this core only; -1: wherever */
};

#define LOAD_CONNECTIONS_MAX 60000
#define LOAD_DEPTH_MAX       1024
#define LOAD_SPREAD_MAX      10000
#define LOAD_BODY_MAX        (INT64_C(1) << 30)
#define LOAD_TABLE_DEFAULT   65536 /* what Chromium and Firefox offer */
#define LOAD_TABLE_MAX       (INT64_C(1) << 24)

enum load_options_outcome {
    LOAD_OPTIONS_RUN,
    LOAD_OPTIONS_DONE, /* help was printed */
    LOAD_OPTIONS_WRONG /* told on standard error */
};

enum load_options_outcome load_options_read(struct load_options *o, int argc, char **argv);

static inline bool load_options_is_secure(const struct load_options *o)
{
    return o->protocol == LOAD_H1S || o->protocol == LOAD_H2 || o->protocol == LOAD_H3;
}

static inline bool load_options_is_http2(const struct load_options *o)
{
    return o->protocol == LOAD_H2 || o->protocol == LOAD_H2C;
}

/* "h1" and so on. */
const char *load_options_protocol_text(const struct load_options *o);

#endif

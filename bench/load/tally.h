/* load/tally.h: what is counted while it is measured. One thread. */
#ifndef LOAD_TALLY_H
#define LOAD_TALLY_H

#include "base/clock.h"
#include "load/histogram.h"

enum load_error {
    LOAD_ERROR_NONE,
    LOAD_ERROR_CONNECT,   /* no connection, or it ended before the first request */
    LOAD_ERROR_HANDSHAKE, /* TLS or WebSocket */
    LOAD_ERROR_CLOSED,    /* the connection ended with the request under way */
    LOAD_ERROR_PROTOCOL,  /* an answer that is none, or a reset stream */
    LOAD_ERROR_STATUS,    /* an answer that is not 2xx */
    LOAD_ERROR_TIMEOUT,   /* no answer by the end of the wait after the run */
    LOAD_ERROR_COUNT
};

/* "connect", "handshake" and so on. */
const char *load_error_name(enum load_error e);

struct load_tally {
    struct load_histogram latency; /* microseconds */
    uint64_t answers;              /* of those that were well */
    uint64_t errors[LOAD_ERROR_COUNT];
    uint64_t from_table; /* HTTP/3: answers with fields from QPACK's dynamic table */
    uint64_t connects;   /* connections made */
    uint64_t resumed;    /* TLS sessions among them that were resumed */
    uint64_t content;    /* bytes of content received */
    uint64_t bytes_in;   /* as read from sockets */
    uint64_t bytes_out;
    microseconds last; /* when the last answer was complete */
};

void load_tally_init(struct load_tally *t, microseconds now);
void load_tally_answer(struct load_tally *t, microseconds intended, microseconds now);
uint64_t load_tally_errors(const struct load_tally *t);

#endif

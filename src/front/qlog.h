/* front/qlog.h: a file for each QUIC connection with its events, to be read by people who look for
 * a fault: qlog 0.3 in JSON text sequences (RFC 7464), as ngtcp2 writes them.
 *
 * Only in builds with ROUTED_QLOG, since it writes to disk in the loop's turns. The files are for
 * this user alone and named after the first connection id that the client chose, ID.sqlog. There
 * are at most limits.qlog_files of them in the life of a server, of at most limits.qlog_bytes each;
 * what would be more is not written, so that what is there stays whole. */
#ifndef FRONT_QLOG_H
#define FRONT_QLOG_H

#include "base/failure.h"
#include "base/log.h"
#include "http3/endpoint.h"
#include <routed/error.h>
#include <stdatomic.h>

struct front_worker;

struct front_qlog {
    char *folder; /* NULL: nothing is written */
    atomic_uint_fast64_t files;
    atomic_bool has_complained;
};

#ifdef ROUTED_QLOG

/* Makes the folder where there is none; NULL: nothing is to be written. ROUTED_OK, or why not. */
int front_qlog_open(struct front_qlog *q, const char *folder, const struct log *log,
                    struct failure *why);
void front_qlog_close(struct front_qlog *q);
/* What the endpoint of a worker calls. */
struct http3_qlog front_qlog_of(struct front_worker *w);

#else

static inline int front_qlog_open(struct front_qlog *q, const char *folder, const struct log *log,
                                  struct failure *why)
{
    (void)q;
    (void)folder;
    (void)log;
    (void)why;
    return ROUTED_OK;
}

static inline void front_qlog_close(struct front_qlog *q)
{
    (void)q;
}

static inline struct http3_qlog front_qlog_of(struct front_worker *w)
{
    (void)w;
    return (struct http3_qlog){.open = NULL};
}

#endif

#endif

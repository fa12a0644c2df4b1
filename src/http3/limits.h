/* http3/limits.h: how much of everything a client may send on one connection. What is exactly on a
 * limit is accepted. The request's limits are those of HTTP/2; a budget of the connection
 * that is used up ends it with H3_EXCESSIVE_LOAD (RFC 9114 section 8.1). */
#ifndef HTTP3_LIMITS_H
#define HTTP3_LIMITS_H

#include "base/bucket.h"
#include "http/head.h"

/* Unidirectional streams that a client may have open at once: the three that HTTP/3 needs, and
 * those of unknown types, which it is asked to stop (RFC 9114 section 6.2). */
#define HTTP3_SIDE_STREAMS_MAX 16

/* Bytes of one SETTINGS frame, and of one frame of an unknown type: more is H3_EXCESSIVE_LOAD. */
#define HTTP3_SETTINGS_SIZE_MAX 512
#define HTTP3_UNKNOWN_SIZE_MAX  65536

/* What the least entry of the dynamic table takes (RFC 9204 section 3.2.1). */
#define HTTP3_TABLE_ENTRY 32

struct http3_limits {
    /* Of one request. fields_bytes_max is told as SETTINGS_MAX_FIELD_SECTION_SIZE. */
    struct http_head_limits head;

    /* Told to the client in transport parameters and SETTINGS. */
    uint32_t streams_max;       /* request streams open at once */
    uint32_t stream_window;     /* bytes */
    uint32_t connection_window; /* bytes; grows with the pace of the client, at most by... */
    size_t upload_growth;       /* ...this, as the windows of streams do: see exchange/window.h */
    uint32_t table_max;         /* bytes of QPACK's dynamic table (RFC 9204 section 3.2); 0: none */
    uint32_t blocked_max;       /* streams that may wait for its inserts (section 2.1.2) */
    uint32_t answer_table_max;  /* bytes of the client's that answers use; 0: none */

    /* Of the connection. */
    struct bucket_rate resets;     /* RESET_STREAM and STOP_SENDING by the client, and by us because
                                    * of what it sent */
    struct bucket_rate glitches;   /* frames and streams that are odd but legal */
    struct bucket_rate small_data; /* DATA frames under small_data_below bytes */
    uint32_t small_data_below;
    uint32_t send_rate; /* bytes a second, after send_grace milliseconds, as in HTTP/2 */
    uint32_t send_grace;
    /* Bytes of answers that were sent and are kept until they are acknowledged, of all streams:
     * what an application may queue on each comes on top. At the limit content waits, and nothing
     * else does. */
    size_t unacknowledged_max;
    uint32_t memory_share;
    size_t memory_slack;
};

#define HTTP3_LIMITS_DEFAULT                                                                       \
    ((struct http3_limits){.head = HTTP_HEAD_LIMITS_DEFAULT,                                       \
                           .streams_max = 100,                                                     \
                           .stream_window = 65536,                                                 \
                           .connection_window = 1048576,                                           \
                           .upload_growth = 4194304,                                               \
                           .table_max = 4096,                                                      \
                           .blocked_max = 16,                                                      \
                           .answer_table_max = 4096,                                               \
                           .resets = {1000, 33},                                                   \
                           .glitches = {10000, 330},                                               \
                           .small_data = {25600, 2560},                                            \
                           .small_data_below = 256,                                                \
                           .send_rate = 500,                                                       \
                           .send_grace = 20000,                                                    \
                           .unacknowledged_max = 4194304,                                          \
                           .memory_share = 10,                                                     \
                           .memory_slack = 65536})

#endif

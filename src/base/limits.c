#include "base/limits.h"

#include <routed/error.h>
#include <string.h>

#define ENTRY(member, standard)                                                                    \
    {                                                                                              \
#member, "limit." #member, offsetof(routed_limits, member), standard                       \
    }

const struct limit_entry limit_entries[] = {
    ENTRY(connections, 10000),
    ENTRY(connections_per_address, 256),
    ENTRY(memory, UINT64_C(1) << 30),
    ENTRY(requests_per_connection, 10000),
    ENTRY(connection_lifetime, 3600000),
    ENTRY(request_line, 8192),
    ENTRY(field_line, 8192),
    ENTRY(fields_bytes, 32768),
    ENTRY(fields_count, 100),
    ENTRY(content, ROUTED_NO_LIMIT),
    ENTRY(chunk_extension, 256),
    ENTRY(chunk_extensions, 4096),
    ENTRY(chunk_overhead, 102400),
    ENTRY(unread_content, 65536),
    ENTRY(pipelined, 16),
    ENTRY(header_timeout, 10000),
    ENTRY(idle_timeout, 60000),
    ENTRY(stall_timeout, 30000),
    ENTRY(rate, 500),
    ENTRY(rate_grace, 20000),
    ENTRY(linger_timeout, 1000),
    ENTRY(window, 262144),
    ENTRY(engine_connect_timeout, 1000),
    ENTRY(engine_answer_timeout, 30000),
    ENTRY(engine_idle_timeout, 30000),
    ENTRY(engine_total_timeout, ROUTED_NO_LIMIT),
    ENTRY(engine_connections, 1024),
    ENTRY(engine_idle_connections, 64),
    ENTRY(engine_idle_expiry, 30000),
    ENTRY(queue_requests, 1000),
    ENTRY(queue_timeout, 5000),
    ENTRY(drain_timeout, 30000),
    ENTRY(handshake_timeout, 10000),
    ENTRY(handshakes, 200),
    ENTRY(http2_streams, 100),
    ENTRY(http2_idle_timeout, 180000),
    ENTRY(http2_fields_count, 1000),
    ENTRY(http2_resets, 1000),
    ENTRY(http2_glitches, 10000),
    ENTRY(http2_continuations, 8),
    ENTRY(http2_small_frames, 25600),
    ENTRY(http2_overhead, 1048576),
    ENTRY(http3_streams, 100),
    ENTRY(http3_stream_window, 262144),
    ENTRY(http3_connection_window, 1048576),
    ENTRY(http3_idle_timeout, 60000),
    ENTRY(http3_handshakes, 1000),
    ENTRY(http3_retry_from, 100),
    ENTRY(http3_fields_count, 1000),
    ENTRY(http3_resets, 1000),
    ENTRY(http3_glitches, 10000),
    ENTRY(http3_small_frames, 25600),
    ENTRY(http3_forwards, 1024),
    ENTRY(http3_forward_bytes, 2097152),
    ENTRY(http3_table, 4096),
    ENTRY(http3_blocked_streams, 16),
    ENTRY(http3_answer_table, 4096),
    ENTRY(qlog_files, 1000),
    ENTRY(qlog_bytes, 16777216),
};

const unsigned limit_count = sizeof(limit_entries) / sizeof(limit_entries[0]);

void routed_limits_init(routed_limits *limits)
{
    memset(limits, 0, sizeof(*limits));
    limits->size = sizeof(*limits);
}

void limits_resolve(routed_limits *out, const routed_limits *given)
{
    routed_limits_init(out);
    for (unsigned i = 0; i < limit_count; i++) {
        const struct limit_entry *entry = &limit_entries[i];
        uint64_t value = 0;
        if (given && given->size >= entry->offset + sizeof(value))
            memcpy(&value, (const char *)given + entry->offset, sizeof(value));
        if (value == 0)
            value = entry->standard;
        memcpy((char *)out + entry->offset, &value, sizeof(value));
    }
}

unsigned limit_number(size_t offset)
{
    return (unsigned)((offset - offsetof(routed_limits, connections)) / sizeof(uint64_t));
}

uint64_t limit_value(const routed_limits *limits, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)limits + offset, sizeof(value));
    return value;
}

bool limit_of_error(int error, unsigned *number)
{
    static const struct {
        int error;
        size_t offset;
    } pairs[] = {
        {ROUTED_ERROR_TARGET_TOO_LONG, offsetof(routed_limits, request_line)},
        {ROUTED_ERROR_FIELD_TOO_LARGE, offsetof(routed_limits, field_line)},
        {ROUTED_ERROR_FIELDS_TOO_LARGE, offsetof(routed_limits, fields_bytes)},
        {ROUTED_ERROR_FIELDS_TOO_MANY, offsetof(routed_limits, fields_count)},
        {ROUTED_ERROR_CONTENT_TOO_LARGE, offsetof(routed_limits, content)},
        {ROUTED_ERROR_CHUNK_EXTENSION, offsetof(routed_limits, chunk_extension)},
        {ROUTED_ERROR_CHUNK_EXTENSIONS, offsetof(routed_limits, chunk_extensions)},
        {ROUTED_ERROR_BUDGET, offsetof(routed_limits, chunk_overhead)},
        {ROUTED_ERROR_HTTP2_FIELDS, offsetof(routed_limits, http2_fields_count)},
        {ROUTED_ERROR_HTTP2_RESETS, offsetof(routed_limits, http2_resets)},
        {ROUTED_ERROR_HTTP2_GLITCHES, offsetof(routed_limits, http2_glitches)},
        {ROUTED_ERROR_HTTP2_CONTINUATIONS, offsetof(routed_limits, http2_continuations)},
        {ROUTED_ERROR_HTTP2_SMALL_FRAMES, offsetof(routed_limits, http2_small_frames)},
        {ROUTED_ERROR_HTTP2_OVERHEAD, offsetof(routed_limits, http2_overhead)},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i].error == error) {
            *number = limit_number(pairs[i].offset);
            return true;
        }
    }
    return false;
}

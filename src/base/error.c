#include "base/error.h"

#include <stddef.h>

/* clang-format off */
static const struct error_entry entries[] = {
    {ROUTED_OK, "ROUTED_OK", "no error", 200, 0x0, 0x100, ERROR_REACH_CALL},
    {ROUTED_ERROR_ARGUMENT, "ROUTED_ERROR_ARGUMENT", "an argument is out of range", 500, 0x2, 0x102, ERROR_REACH_CALL},
    {ROUTED_ERROR_MEMORY, "ROUTED_ERROR_MEMORY", "out of memory", 503, 0x2, 0x102, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_STATE, "ROUTED_ERROR_STATE", "not allowed in this state", 500, 0x2, 0x102, ERROR_REACH_CALL},
    {ROUTED_ERROR_CLOSED, "ROUTED_ERROR_CLOSED", "already ended", 0, 0x8, 0x10c, ERROR_REACH_CALL},
    {ROUTED_ERROR_AGAIN, "ROUTED_ERROR_AGAIN", "the window is full", 0, 0x2, 0x102, ERROR_REACH_CALL},
    {ROUTED_ERROR_UNSUPPORTED, "ROUTED_ERROR_UNSUPPORTED", "not supported by this build", 501, 0x2, 0x102, ERROR_REACH_CALL},
    {ROUTED_ERROR_SYSTEM, "ROUTED_ERROR_SYSTEM", "a system call failed", 500, 0x2, 0x102, ERROR_REACH_CALL},
    {ROUTED_ERROR_LIMIT, "ROUTED_ERROR_LIMIT", "a configured limit was reached", 503, 0xb, 0x107, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_TIMEOUT, "ROUTED_ERROR_TIMEOUT", "the wait ended first", 504, 0x2, 0x102, ERROR_REACH_CALL},
    {ROUTED_ERROR_ADDRESS_IN_USE, "ROUTED_ERROR_ADDRESS_IN_USE", "the address is in use", 0, 0x0, 0x0, ERROR_REACH_SERVER},
    {ROUTED_ERROR_ADDRESS_UNKNOWN, "ROUTED_ERROR_ADDRESS_UNKNOWN", "the address cannot be resolved", 0, 0x0, 0x0, ERROR_REACH_SERVER},
    {ROUTED_ERROR_PERMISSION, "ROUTED_ERROR_PERMISSION", "permission denied", 0, 0x0, 0x0, ERROR_REACH_SERVER},
    {ROUTED_ERROR_FILE, "ROUTED_ERROR_FILE", "the file cannot be used", 0, 0x0, 0x0, ERROR_REACH_SERVER},
    {ROUTED_ERROR_REQUEST_LINE, "ROUTED_ERROR_REQUEST_LINE", "malformed request line", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_METHOD, "ROUTED_ERROR_METHOD", "malformed method", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TARGET, "ROUTED_ERROR_TARGET", "malformed request target", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TARGET_TOO_LONG, "ROUTED_ERROR_TARGET_TOO_LONG", "request target too long", 414, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_VERSION, "ROUTED_ERROR_VERSION", "HTTP version not supported", 505, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_FIELD_SYNTAX, "ROUTED_ERROR_FIELD_SYNTAX", "malformed field line", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_FIELD_TOO_LARGE, "ROUTED_ERROR_FIELD_TOO_LARGE", "field line too large", 431, 0x1, 0x107, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_FIELDS_TOO_LARGE, "ROUTED_ERROR_FIELDS_TOO_LARGE", "fields too large in total", 431, 0x1, 0x107, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_FIELDS_TOO_MANY, "ROUTED_ERROR_FIELDS_TOO_MANY", "too many fields", 431, 0x1, 0x107, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_HOST, "ROUTED_ERROR_HOST", "missing, repeated or malformed host", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_FRAMING, "ROUTED_ERROR_FRAMING", "ambiguous message framing", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_CONTENT_LENGTH, "ROUTED_ERROR_CONTENT_LENGTH", "malformed content length", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TRANSFER_CODING, "ROUTED_ERROR_TRANSFER_CODING", "transfer coding not supported", 501, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_CHUNK, "ROUTED_ERROR_CHUNK", "malformed chunk", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TRAILER, "ROUTED_ERROR_TRAILER", "malformed trailer", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_CONTENT_TOO_LARGE, "ROUTED_ERROR_CONTENT_TOO_LARGE", "content too large", 413, 0x8, 0x10c, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_EXPECTATION, "ROUTED_ERROR_EXPECTATION", "expectation not supported", 417, 0x8, 0x10c, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_CONNECT, "ROUTED_ERROR_CONNECT", "CONNECT is not supported", 501, 0xa, 0x10f, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_REQUEST_TIMEOUT, "ROUTED_ERROR_REQUEST_TIMEOUT", "the request took too long", 408, 0x8, 0x10c, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TOO_SLOW, "ROUTED_ERROR_TOO_SLOW", "the peer is too slow", 408, 0x8, 0x10c, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TRUNCATED, "ROUTED_ERROR_TRUNCATED", "the input ended inside a message", 400, 0x1, 0x10e, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_CLIENT_GONE, "ROUTED_ERROR_CLIENT_GONE", "the client has left", 0, 0x8, 0x10c, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_UPGRADE, "ROUTED_ERROR_UPGRADE", "malformed WebSocket handshake", 400, 0x1, 0x10e, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_BUDGET, "ROUTED_ERROR_BUDGET", "too many odd messages", 400, 0xb, 0x107, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_TLS, "ROUTED_ERROR_TLS", "TLS failed", 0, 0x2, 0x102, ERROR_REACH_CONNECTION},
    {ROUTED_ERROR_OVERLOADED, "ROUTED_ERROR_OVERLOADED", "the server is overloaded", 503, 0x7, 0x10b, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_STOPPING, "ROUTED_ERROR_STOPPING", "the server is stopping", 503, 0x7, 0x10b, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_NO_ENGINE, "ROUTED_ERROR_NO_ENGINE", "no application is available", 503, 0x7, 0x10b, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_NOT_FOUND, "ROUTED_ERROR_NOT_FOUND", "not found", 404, 0x0, 0x100, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_METHOD_NOT_ALLOWED, "ROUTED_ERROR_METHOD_NOT_ALLOWED", "method not allowed", 405, 0x0, 0x100, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_HANDLER, "ROUTED_ERROR_HANDLER", "the application failed", 500, 0x2, 0x102, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_BRIDGE_FRAME, "ROUTED_ERROR_BRIDGE_FRAME", "malformed bridge frame", 502, 0x2, 0x102, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_BRIDGE_CLOSED, "ROUTED_ERROR_BRIDGE_CLOSED", "the application closed its connection", 502, 0x2, 0x102, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_RESPONSE, "ROUTED_ERROR_RESPONSE", "the application sent an invalid response", 502, 0x2, 0x102, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_ENGINE_TIMEOUT, "ROUTED_ERROR_ENGINE_TIMEOUT", "the application did not answer in time", 504, 0x2, 0x102, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_WEBSOCKET_PROTOCOL, "ROUTED_ERROR_WEBSOCKET_PROTOCOL", "WebSocket protocol error", 0, 0x8, 0x10c, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_WEBSOCKET_UTF8, "ROUTED_ERROR_WEBSOCKET_UTF8", "WebSocket text is not UTF-8", 0, 0x8, 0x10c, ERROR_REACH_EXCHANGE},
    {ROUTED_ERROR_WEBSOCKET_TOO_BIG, "ROUTED_ERROR_WEBSOCKET_TOO_BIG", "WebSocket message too big", 0, 0x8, 0x10c, ERROR_REACH_EXCHANGE},
};
/* clang-format on */

static const struct error_entry unknown_entry = {
    0, "ROUTED_ERROR_UNKNOWN", "unknown error", 500, 0x2, 0x102, ERROR_REACH_EXCHANGE};

const struct error_entry *error_entry(int code)
{
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        if (entries[i].code == code)
            return &entries[i];
    return &unknown_entry;
}

const char *routed_error_name(int code)
{
    return error_entry(code)->name;
}

const char *routed_error_text(int code)
{
    return error_entry(code)->text;
}

/* routed/error.h: every failure that routed_ffi can report, in one list.
 *
 * Functions that can fail return ROUTED_OK (0) or one of the negative codes below. A code is
 * stable for the life of a major version; texts may be reworded. The same list decides how a
 * mistake of a client or an engine is answered in every HTTP version (see docs/routes.md). */
#ifndef ROUTED_ERROR_H
#define ROUTED_ERROR_H

#include <routed/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum routed_error {
    ROUTED_OK = 0,

    /* Misuse and resources: what a caller of this library sees. */
    ROUTED_ERROR_ARGUMENT = -1,    /* an argument or option is out of range */
    ROUTED_ERROR_MEMORY = -2,      /* memory could not be had */
    ROUTED_ERROR_STATE = -3,       /* not allowed now, for example a second response head */
    ROUTED_ERROR_CLOSED = -4,      /* the exchange, connection or server has ended */
    ROUTED_ERROR_AGAIN = -5,       /* the window is full: try after the writable event */
    ROUTED_ERROR_UNSUPPORTED = -6, /* known but not available in this build */
    ROUTED_ERROR_SYSTEM = -7,      /* a system call failed; the text names it */
    ROUTED_ERROR_LIMIT = -8,       /* a configured limit was reached */
    ROUTED_ERROR_TIMEOUT = -9,     /* a wait ended before what was waited for */

    /* Start: returned by the start call, never later. */
    ROUTED_ERROR_ADDRESS_IN_USE = -20,
    ROUTED_ERROR_ADDRESS_UNKNOWN = -21, /* the host name does not resolve, the path is too long */
    ROUTED_ERROR_PERMISSION = -22,
    ROUTED_ERROR_FILE = -23, /* a file cannot be read or has no use */

    /* Mistakes of a client. */
    ROUTED_ERROR_REQUEST_LINE = -100,
    ROUTED_ERROR_METHOD = -101,
    ROUTED_ERROR_TARGET = -102,
    ROUTED_ERROR_TARGET_TOO_LONG = -103,
    ROUTED_ERROR_VERSION = -104,
    ROUTED_ERROR_FIELD_SYNTAX = -105,
    ROUTED_ERROR_FIELD_TOO_LARGE = -106,
    ROUTED_ERROR_FIELDS_TOO_LARGE = -107,
    ROUTED_ERROR_FIELDS_TOO_MANY = -108,
    ROUTED_ERROR_HOST = -109,
    ROUTED_ERROR_FRAMING = -110, /* Content-Length and Transfer-Encoding that do not agree */
    ROUTED_ERROR_CONTENT_LENGTH = -111,
    ROUTED_ERROR_TRANSFER_CODING = -112,
    ROUTED_ERROR_CHUNK = -113,
    ROUTED_ERROR_TRAILER = -114,
    ROUTED_ERROR_CONTENT_TOO_LARGE = -115,
    ROUTED_ERROR_EXPECTATION = -116,
    ROUTED_ERROR_CONNECT = -117, /* the CONNECT method: this is no proxy */
    ROUTED_ERROR_REQUEST_TIMEOUT = -118,
    ROUTED_ERROR_TOO_SLOW = -119,    /* under the minimum rate after the grace period */
    ROUTED_ERROR_TRUNCATED = -120,   /* the input ended inside a message */
    ROUTED_ERROR_CLIENT_GONE = -121, /* the client left before the answer was complete */
    ROUTED_ERROR_UPGRADE = -122,     /* a WebSocket handshake that breaks RFC 6455 section 4.2 */
    ROUTED_ERROR_MISDIRECTED = -126, /* the certificate does not speak for that authority */
    ROUTED_ERROR_PLAIN_HTTP = -127,  /* HTTP on a port that speaks TLS */
    ROUTED_ERROR_TOO_EARLY = -128,   /* early data with a method that is not safe (RFC 8470) */
    ROUTED_ERROR_BUDGET = -123,      /* too much that is odd but legal */
    ROUTED_ERROR_CHUNK_EXTENSION = -124,  /* one chunk has too much of it */
    ROUTED_ERROR_CHUNK_EXTENSIONS = -125, /* all chunks together have */

    /* Limits of an HTTP/2 connection; each ends it with ENHANCE_YOUR_CALM. */
    ROUTED_ERROR_HTTP2_FIELDS = -140,        /* one head with more than http2_fields_count */
    ROUTED_ERROR_HTTP2_RESETS = -141,        /* by the client, or because of it */
    ROUTED_ERROR_HTTP2_GLITCHES = -142,      /* frames that are odd but legal */
    ROUTED_ERROR_HTTP2_CONTINUATIONS = -143, /* of one head */
    ROUTED_ERROR_HTTP2_SMALL_FRAMES = -144,  /* of content */
    ROUTED_ERROR_HTTP2_OVERHEAD = -145,      /* more framing than content */

    /* The server cannot or will not. */
    ROUTED_ERROR_OVERLOADED = -200,
    ROUTED_ERROR_STOPPING = -201,
    ROUTED_ERROR_NO_ENGINE = -202,
    ROUTED_ERROR_NOT_FOUND = -203,
    ROUTED_ERROR_METHOD_NOT_ALLOWED = -204,
    ROUTED_ERROR_HANDLER = -205, /* a handler reported a failure */

    /* Mistakes of an engine. */
    ROUTED_ERROR_BRIDGE_FRAME = -300,  /* bytes that are no frame, or a frame out of turn */
    ROUTED_ERROR_BRIDGE_CLOSED = -301, /* the engine closed its connection too early */
    ROUTED_ERROR_RESPONSE = -302,      /* a response that must not be passed on */
    ROUTED_ERROR_ENGINE_TIMEOUT = -303,

    /* WebSocket, RFC 6455 section 7.4.1. */
    ROUTED_ERROR_WEBSOCKET_PROTOCOL = -400, /* close 1002 */
    ROUTED_ERROR_WEBSOCKET_UTF8 = -401,     /* close 1007 */
    ROUTED_ERROR_WEBSOCKET_TOO_BIG = -402,  /* close 1009 */

    /* TLS, RFC 8446 section 6.2: a handshake or a record that cannot be accepted. */
    ROUTED_ERROR_TLS = -500
};

/* The name of a code, for example "ROUTED_ERROR_CHUNK"; "ROUTED_ERROR_UNKNOWN" for others.
 * Static storage. Any thread. */
ROUTED_API const char *routed_error_name(int code);

/* A sentence about a code without a full stop, for example "malformed chunk". Static storage.
 * Any thread. */
ROUTED_API const char *routed_error_text(int code);

#ifdef __cplusplus
}
#endif

#endif

/* base/error.h: the one table behind every error: what it is called, how it is told, how it is
 * answered in each HTTP version and how far it reaches. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <routed/error.h>
#include <stdint.h>

enum error_reach {
    ERROR_REACH_CALL,       /* the call that returned it */
    ERROR_REACH_EXCHANGE,   /* one request and its response */
    ERROR_REACH_CONNECTION, /* what comes after it on the connection cannot be trusted */
    ERROR_REACH_SERVER
};

struct error_entry {
    int code; /* enum routed_error */
    const char *name;
    const char *text;
    uint16_t status; /* HTTP status where an answer is still possible; 0: none, cut instead */
    uint16_t http2;  /* RFC 9113 section 7 */
    uint16_t http3;  /* RFC 9114 section 8.1 */
    enum error_reach reach;
};

/* Never NULL: an unknown code gets the entry of an internal failure. */
const struct error_entry *error_entry(int code);

static inline uint16_t error_status(int code)
{
    return error_entry(code)->status;
}

#endif

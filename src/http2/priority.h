/* http2/priority.h: which streams were given a priority before they were opened (RFC 9218
 * section 7.1). nghttp2 keeps what the PRIORITY_UPDATE frame said, and ends the connection where
 * such streams are more than may be open; that there was one is known here alone. */
#ifndef HTTP2_PRIORITY_H
#define HTTP2_PRIORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP2_PRIORITY_KEPT 16 /* the latest; those before are forgotten */

struct http2_priority {
    int32_t streams[HTTP2_PRIORITY_KEPT];
    size_t next;
    int32_t highest; /* ever noted */
};

/* A PRIORITY_UPDATE frame came for a stream that is not open. */
void http2_priority_note(struct http2_priority *p, int32_t stream);
/* Was one noted? */
bool http2_priority_is_noted(const struct http2_priority *p, int32_t stream);

#endif

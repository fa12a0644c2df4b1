/* http1/limits.h: how much of everything a client may send. Each limit counts in bytes unless its
 * name says otherwise; what is exactly on the limit is accepted. */
#ifndef HTTP1_LIMITS_H
#define HTTP1_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define HTTP1_METHOD_MAX             32 /* longer methods: 400 */
#define HTTP1_CHUNK_DIGITS_MAX       16 /* hexadecimal digits of a chunk size, leading zeros too */
#define HTTP1_CONNECTION_OPTIONS_MAX 16 /* members of all Connection fields: 400 */
#define HTTP1_FIELD_OVERHEAD         32 /* what a field costs beyond its name and value */

struct http1_limits {
    size_t request_line_max;     /* without its CRLF: 414 */
    size_t field_line_max;       /* without its CRLF: 431 */
    size_t fields_bytes_max;     /* name + value + HTTP1_FIELD_OVERHEAD of all fields: 431 */
    size_t fields_count_max;     /* fields of head and trailers together: 431 */
    size_t chunk_extension_max;  /* of one chunk: 400 */
    size_t chunk_extensions_max; /* of one body: 400 */
    size_t chunk_overhead_max;   /* chunk framing beyond this plus the content so far: 400 */
    int64_t content_max;         /* request content: 413, when declared or when it is passed */
};

#define HTTP1_LIMITS_DEFAULT                                                                       \
    ((struct http1_limits){.request_line_max = 8192,                                               \
                           .field_line_max = 8192,                                                 \
                           .fields_bytes_max = 32768,                                              \
                           .fields_count_max = 100,                                                \
                           .chunk_extension_max = 256,                                             \
                           .chunk_extensions_max = 4096,                                           \
                           .chunk_overhead_max = 102400,                                           \
                           .content_max = INT64_MAX})

#endif

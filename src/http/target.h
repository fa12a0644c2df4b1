/* http/target.h: the request target (RFC 9112 section 3.2).
 *
 * One rule for every target: it is cut into its parts and never decoded, normalised or repaired.
 * "//a", "/a/../b", "%2e%2e", "%2f", "%00" and "\" reach the application exactly as they came. A
 * target must be printable ASCII without "#"; bytes such as "|" or "{" that RFC 3986 leaves out
 * but browsers send in queries pass. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/span.h"

struct http_target {
    struct span authority; /* of the absolute form; empty in the others */
    struct span path;      /* part of the target, or static */
    struct span query;     /* without "?" */
    uint16_t default_port; /* of the absolute form's scheme */
    bool is_absolute;
};

/* Origin-form for every method, absolute-form with http or https, "*" for OPTIONS alone. The
 * parts are spans of `target`. ROUTED_OK or ROUTED_ERROR_TARGET. */
int http_target_parse(struct span method, struct span target, struct http_target *parts);

/* The same host and port? Ignores case, and a port that is the default or empty. */
bool http_target_same_authority(struct span a, struct span b, uint16_t default_port);

#endif

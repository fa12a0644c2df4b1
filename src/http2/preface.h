/* http2/preface.h: is this HTTP/2? On a plain port a client with prior knowledge begins with the
 * connection preface (RFC 9113 section 3.4), which no HTTP/1 request begins with. Pure. */
#ifndef HTTP2_PREFACE_H
#define HTTP2_PREFACE_H

#include "base/span.h"

#define HTTP2_PREFACE_SIZE 24

enum http2_preface {
    HTTP2_PREFACE_NO,
    HTTP2_PREFACE_YES,
    HTTP2_PREFACE_MORE /* all bytes so far fit, but there are not enough */
};

/* `bytes` are the first of the connection. The preface stays part of what the session is fed. */
enum http2_preface http2_preface_match(struct span bytes);

#endif

/* http/keeper.h: texts that a decoder of field blocks counts references to, as nghttp2 and nghttp3
 * do each with buffers of their own. Who holds a text holds a reference; the address names the text
 * as long as it is held. */
#ifndef HTTP_KEEPER_H
#define HTTP_KEEPER_H

#include "base/span.h"

struct http_keeper {
    struct span (*text)(const void *held);
    void (*retain)(void *held);
    void (*release)(void *held);
};

#endif

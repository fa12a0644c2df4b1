/* load/request.h: the requests of a run, made once and sent again and again. One thread. */
#ifndef LOAD_REQUEST_H
#define LOAD_REQUEST_H

#include "base/buffer.h"
#include "load/options.h"

/* Content up to this size is part of what is sent as one piece. */
#define LOAD_REQUEST_WHOLE_MAX 16384

struct load_request {
    char *path;
    struct buffer bytes; /* HTTP/1.1: the head, and the content where it is small; WebSocket: the
                            opening handshake */
};

struct load_requests {
    struct load_request *items;
    size_t count;
    size_t next;
    char *authority;
    char length[24];       /* of the content, in decimal; "" for a GET */
    struct buffer content; /* all of it */
    struct span rest;      /* of the content: what `bytes` does not have */
    struct buffer message; /* WebSocket: one masked frame */
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int load_requests_init(struct load_requests *r, const struct load_options *options);
void load_requests_release(struct load_requests *r);
/* The next one in turn; stays the owner's. */
const struct load_request *load_requests_next(struct load_requests *r);

#endif

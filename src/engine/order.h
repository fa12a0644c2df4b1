/* engine/order.h: one call on a response, done at once on the exchange's thread, posted to it
 * from others. */
#ifndef ENGINE_ORDER_H
#define ENGINE_ORDER_H

#include "engine/exchange.h"

enum order_kind {
    ORDER_STATUS,       /* number */
    ORDER_ADD_FIELD,    /* name, value */
    ORDER_SET_FIELD,    /* name, value */
    ORDER_REMOVE_FIELD, /* name */
    ORDER_INFORM,       /* number, fields, field_count */
    ORDER_WHOLE,        /* body; number (0: as set), name and value of a field to set, or empty */
    ORDER_ERROR,        /* number */
    ORDER_BEGIN,        /* length */
    ORDER_WRITE,        /* body, admitted by the outbox */
    ORDER_TRAILER,      /* name, value */
    ORDER_END,
    ORDER_FAIL, /* number */
    ORDER_NEXT,
    ORDER_RESUME,
    ORDER_CLOSE_SOCKET, /* number, value */
    ORDER_CALL          /* callback, user */
};

struct order {
    struct loop_message message;
    routed_exchange *x;
    enum order_kind kind;
    int number;
    int64_t length;
    struct span name;
    struct span value;
    const routed_field *fields;
    size_t field_count;
    struct slice body;
    routed_callback *callback;
    void *user;
};

/* Takes o->body. Here: what the order came to. Elsewhere: ROUTED_OK once it is on its way, and a
 * failure there ends the exchange; ROUTED_ERROR_MEMORY or ROUTED_ERROR_CLOSED. */
int engine_order_submit(routed_exchange *x, struct order *o);
/* Posts even from the own thread: for what must not run before the caller returns. */
int engine_order_post(routed_exchange *x, const struct order *o);

#endif

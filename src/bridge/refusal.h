/* bridge/refusal.h: the answer with which an engine says that it cannot read a request: a single
 * frame with status 400, no field, and content that starts with a fixed text. The front wrote the
 * request, so the client is not to blame and must not see that text. Any other 400 is an
 * ordinary response. */
#ifndef BRIDGE_REFUSAL_H
#define BRIDGE_REFUSAL_H

#include "base/slice.h"
#include "wire/head.h"

#define BRIDGE_REFUSAL_TEXT   "invalid bridge request: "
#define BRIDGE_REFUSAL_STATUS 400

struct bridge_refusal {
    bool is_open;   /* not known yet */
    size_t matched; /* bytes of the text seen */
};

enum bridge_refusal_verdict {
    BRIDGE_REFUSAL_OPEN,
    BRIDGE_REFUSAL_CERTAIN,
    BRIDGE_REFUSAL_NONE
};

/* Can this be a refusal? Then the content decides. */
bool bridge_refusal_begin(struct bridge_refusal *r, const struct wire_head *head);

/* Takes what it has judged from the front of `body`. With BRIDGE_REFUSAL_NONE `known` is what it
 * took earlier and what comes before the rest of `body`; static. */
enum bridge_refusal_verdict bridge_refusal_feed(struct bridge_refusal *r, struct slice *body,
                                                struct span *known);

#endif

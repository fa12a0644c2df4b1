/* front/pace.h: is a peer that we wait for moving, and fast enough? Counts bytes in windows as
 * long as the grace period: a window with less than rate x grace bytes, or a stall, is too slow.
 * Only time in which we wait for the peer counts: start a pace when the wait begins. */
#ifndef FRONT_PACE_H
#define FRONT_PACE_H

#include "base/clock.h"
#include <routed/limits.h>
#include <stdbool.h>

struct pace {
    bool is_running;
    milliseconds window_start;
    uint64_t window_bytes; /* the byte count at its start */
    milliseconds moved_at;
    uint64_t moved_bytes; /* the byte count when it last changed */
};

/* Harmless when it runs already. */
void pace_start(struct pace *p, milliseconds now, uint64_t bytes);
void pace_stop(struct pace *p);
/* Bytes may have moved: from then on a stall is counted. */
void pace_note(struct pace *p, milliseconds now, uint64_t bytes);
/* When to look again; CLOCK_NEVER when it does not run. */
milliseconds pace_deadline(const struct pace *p, const routed_limits *limits);

enum pace_verdict {
    PACE_GOOD,
    PACE_STALLED,
    PACE_SLOW
};
/* Call at the deadline. */
enum pace_verdict pace_check(struct pace *p, milliseconds now, uint64_t bytes,
                             const routed_limits *limits);

#endif

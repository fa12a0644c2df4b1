/* front/patience.h: how long a client may take for what it is doing: handshake, head, content,
 * reading our answer, being idle, lingering. Each wait has a limit of its own in
 * routed/limits.h. */
#ifndef FRONT_PATIENCE_H
#define FRONT_PATIENCE_H

#include "front/client.h"

/* At the end of each turn: what is waited for now, and has the client taken the output? */
void front_patience_note(struct front_client *c, enum session_wait wait, bool is_written);
/* Arms the client's timer; `earlier` is another reason to wake, or CLOCK_NEVER. */
void front_patience_set(struct front_client *c, milliseconds earlier);

enum front_verdict {
    FRONT_GO_ON,
    FRONT_LINGERED, /* long enough after the last answer: close */
    FRONT_CUT       /* a greeting that does not end, an answer that is not taken: abort */
};
/* The timer fired: ends what took too long. Where the session was told, a turn of the client
 * follows; *error says why a client is cut. */
enum front_verdict front_patience_check(struct front_client *c, int *error);

#endif

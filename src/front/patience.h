/* front/patience.h: how long a connection may take for what it is doing: handshake, head, content,
 * reading our answer, being idle, lingering. Each wait has a limit of its own in
 * routed/limits.h. */
#ifndef FRONT_PATIENCE_H
#define FRONT_PATIENCE_H

#include <stdbool.h>

struct front_connection;

/* At the end of each turn: what is waited for now, and has the output been written? */
void front_patience_note(struct front_connection *c, bool is_written);
/* Arms the connection's timer. */
void front_patience_set(struct front_connection *c);
/* The timer fired: ends what took too long, asks for a sign of life where that is due. A turn of
 * the connection follows. */
void front_patience_check(struct front_connection *c);

#endif

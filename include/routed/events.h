/* routed/events.h: server-sent events, the text/event-stream of the HTML standard.
 *
 * An event stream is a streamed response: routed_response_is_writable, routed_response_on_writable,
 * routed_response_wait and routed_response_end of routed/engine.h apply. Any thread with a
 * reference, as for all of the response. */
#ifndef ROUTED_EVENTS_H
#define ROUTED_EVENTS_H

#include <routed/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sends the head: 200, text/event-stream, not to be stored. */
ROUTED_API int routed_events_begin(routed_exchange *x);

/* Sends one event. `id` and `event` may be NULL; ROUTED_ERROR_ARGUMENT when they contain a line
 * end. `data` may have several lines, which may end in LF, CRLF or CR; NULL sends an event
 * without data. ROUTED_ERROR_AGAIN when the window is full: nothing was taken. */
ROUTED_API int routed_events_send(routed_exchange *x, const char *id, const char *event,
                                  const char *data);

/* A comment line, which clients ignore: keeps idle streams open. */
ROUTED_API int routed_events_comment(routed_exchange *x, const char *text);

/* How long the client is to wait before it connects again. */
ROUTED_API int routed_events_retry(routed_exchange *x, uint32_t milliseconds);

#ifdef __cplusplus
}
#endif

#endif

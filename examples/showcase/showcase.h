/* showcase.h: one small application that uses everything the library offers.
 *
 *   main.c       starts the server, turns signals into calls, ends with an exit code
 *   options.c    the command line
 *   pages.c      short answers: the page, JSON, text, statuses, fields, redirects, parameters
 *   streams.c    long answers: bytes, lines, events; the echo
 *   inspect.c    what the server understood of a request; the digest of a body
 *   sockets.c    WebSockets
 *   ends.c       how exchanges end: hang, crash, the count of clients that left, the ledger
 *   text.c       a growing text with JSON in it
 *
 * Each add_* function adds its routes to the engine and returns ROUTED_OK or what went wrong. */
#ifndef SHOWCASE_H
#define SHOWCASE_H

#include <routed/engine.h>
#include <stdbool.h>

int add_pages(routed_engine *engine);
int add_streams(routed_engine *engine);
int add_inspection(routed_engine *engine);
int add_sockets(routed_engine *engine);

/* Must come before routed_serve: what the ends count is shared with engine processes, which are
 * forked there. `ledger` is a file or NULL. -1 with errno when it cannot be had. */
int ends_open(const char *ledger);
void ends_close(void);
int add_ends(routed_engine *engine, bool allow_crash);

/* Tells the ledger which bytes of the request the handler took. */
void ledger_took(routed_exchange *x, const void *bytes, size_t size);

/* Adds a route and keeps the first failure, so that tables of routes stay free of checks. */
static inline void add_route(int *error, routed_engine *engine, const char *method,
                             const char *pattern, routed_handler *handler,
                             const routed_route_options *options)
{
    if (*error == ROUTED_OK)
        *error = routed_engine_route(engine, method, pattern, handler, NULL, options);
}

#endif

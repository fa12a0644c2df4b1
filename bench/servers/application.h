/* servers/application.h: what every one of our servers serves when it is measured. Written
 * against the public interface, as any application is. */
#ifndef SERVERS_APPLICATION_H
#define SERVERS_APPLICATION_H

#include <routed/engine.h>

/*  GET  /bench          {"ok":true,"label":LABEL}
 *  POST /bench          reads all content, then the same
 *  GET  /bytes/{n}      n bytes
 *  GET  /events/{n}     n server-sent events, as fast as they are taken
 *  GET  /delay/{ms}     the same as /bench, so many milliseconds later
 *  GET  /rN/items/{id}  for N from 0 to 99: the same as /bench
 *  /ws/echo, /ws/broadcast
 * `label` outlives the engine. NULL when there is no memory. */
routed_engine *servers_application_new(const char *label);

#endif

/* engine/engine.h: the engine's face to the house: an application in the sense of
 * exchange/exchange.h, the same in a front's worker as behind the bridge. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "exchange/exchange.h"
#include <routed/engine.h>

/* The context of exchange_open is the routed_engine, which must be frozen. */
const struct exchange_application *engine_application(void);

/* Each server calls this before its threads start: from now on the engine changes no more and may
 * be shared. ROUTED_OK or ROUTED_ERROR_MEMORY: the engine is as before. */
int engine_freeze(routed_engine *engine);

/* The server stops: starts to close the WebSockets of this loop with 1001, and each that opens
 * from now on. On the loop's thread; twice does no harm. */
void engine_shut(routed_engine *engine, struct loop *loop);

#endif

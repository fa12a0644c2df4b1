/* serve/last_error.h: the text behind routed_last_error, one for each thread. */
#ifndef SERVE_LAST_ERROR_H
#define SERVE_LAST_ERROR_H

#include "base/failure.h"

/* Empties the thread's text and gives it out to be filled. */
struct failure *serve_last_error_begin(void);

#endif

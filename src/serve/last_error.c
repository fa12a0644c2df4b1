#include "serve/last_error.h"

#include <routed/serve.h>

static _Thread_local struct failure last;

struct failure *serve_last_error_begin(void)
{
    last = (struct failure){.code = ROUTED_OK};
    return &last;
}

const char *routed_last_error(void)
{
    return last.text;
}

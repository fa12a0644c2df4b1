#include "base/failure.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int failure_set(struct failure *f, int code, const char *format, ...)
{
    if (!f)
        return code;
    f->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->text, sizeof(f->text), format, arguments);
    va_end(arguments);
    return code;
}

#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define LINE_MAX_SIZE 1024

/* A log line is one line whatever a peer put into it. */
static void mask_control_bytes(char *line)
{
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
    if (!log || !log->function || level < log->least)
        return;
    char line[LINE_MAX_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    mask_control_bytes(line);
    log->function(log->user, (int)level, line);
}

#include "http2/priority.h"

bool http2_priority_is_noted(const struct http2_priority *p, int32_t stream)
{
    if (stream > p->highest) /* clients that never send the frame are the rule */
        return false;
    for (size_t i = 0; i < HTTP2_PRIORITY_KEPT; i++)
        if (p->streams[i] == stream)
            return true;
    return false;
}

void http2_priority_note(struct http2_priority *p, int32_t stream)
{
    if (http2_priority_is_noted(p, stream))
        return;
    p->streams[p->next] = stream;
    if (stream > p->highest)
        p->highest = stream;
    p->next = (p->next + 1) % HTTP2_PRIORITY_KEPT;
}

#include "http/message.h"

struct span http_protocol_text(enum http_protocol p)
{
    switch (p) {
    case HTTP_1_0:
        return SPAN("1.0");
    case HTTP_1_1:
        return SPAN("1.1");
    case HTTP_2:
        return SPAN("2");
    case HTTP_3:
        return SPAN("3");
    }
    return SPAN_EMPTY;
}

bool http_method_is_safe(struct span method)
{
    return span_equals(method, SPAN("GET")) || span_equals(method, SPAN("HEAD")) ||
           span_equals(method, SPAN("OPTIONS")) || span_equals(method, SPAN("TRACE"));
}

bool http_method_is_idempotent(struct span method)
{
    return http_method_is_safe(method) || span_equals(method, SPAN("PUT")) ||
           span_equals(method, SPAN("DELETE"));
}

#include "exchange/fallback.h"

#define RETRY_STATUS 503 /* the one that says when to try again */

void exchange_fallback_make(struct exchange_fallback *f, struct exchange *x, int error)
{
    uint16_t status = error_status(error);
    *f = (struct exchange_fallback){
        .items = {{SPAN("content-type"), SPAN("text/plain; charset=utf-8"), FIELD_CONTENT_TYPE},
                  {SPAN("retry-after"), SPAN("1"), FIELD_RETRY_AFTER}},
        .text = http_reason(status)};
    f->fields = (struct field_list){f->items, status == RETRY_STATUS ? 2 : 1, 2};
    f->length = (int64_t)f->text.size + 1;
    x->status = status;
    x->suppress_content = span_equals(x->request.method, SPAN("HEAD"));
    if (!x->suppress_content)
        x->response_bytes = (uint64_t)f->length;
}

/* exchange/fallback.h: the answer that stands for an error, alike in every version of HTTP. */
#ifndef EXCHANGE_FALLBACK_H
#define EXCHANGE_FALLBACK_H

#include "exchange/exchange.h"

struct exchange_fallback {
    struct field items[2];
    struct field_list fields; /* of the response: `items` */
    struct span text;         /* its content, static; a line feed follows */
    int64_t length;           /* of the content, as it is declared */
};

/* The error has a status (error_status). Notes in `x` what will have been answered; nothing of the
 * content is sent where x->suppress_content is set. */
void exchange_fallback_make(struct exchange_fallback *f, struct exchange *x, int error);

#endif

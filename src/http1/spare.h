/* http1/spare.h: the memory of a request, between requests.
 *
 * The sessions of one worker lend it to each other: what a session needs only while a request is
 * under way it takes from here and puts back, so that an idle connection holds none of it and a
 * busy worker allocates nothing per request. One thread. */
#ifndef HTTP1_SPARE_H
#define HTTP1_SPARE_H

#include "base/list.h"
#include "base/output.h"

#define HTTP1_SPARE_MAX        128   /* kept of each sort */
#define HTTP1_SPARE_OUTPUT_MAX 16384 /* an output that grew beyond this is not kept */

struct http1_turn;

struct http1_spare {
    struct list_link turns;
    unsigned turn_count;
    unsigned output_count;
    struct output outputs[HTTP1_SPARE_MAX];
};

void http1_spare_init(struct http1_spare *p);
/* Frees all that is kept; it may be filled again. */
void http1_spare_release(struct http1_spare *p);

/* A turn whose arena holds nothing, its other members of old or zero; NULL: no memory. */
struct http1_turn *http1_spare_take_turn(struct http1_spare *p);
/* NULL is allowed. */
void http1_spare_give_turn(struct http1_spare *p, struct http1_turn *t);

/* Memory for an output that has none, if there is some. */
void http1_spare_lend_output(struct http1_spare *p, struct output *o);
/* Takes the memory of an empty output. */
void http1_spare_return_output(struct http1_spare *p, struct output *o);

#endif

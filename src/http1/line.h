/* http1/line.h: cuts input into the lines of RFC 9112 section 2.2.
 *
 * A line ends with CRLF and nothing else. Every control byte but the tab inside a line is refused
 * as soon as it is seen, and so is a bare CR or LF: heads, chunk sizes and trailers all pass
 * here, so none of them can disagree about where a line ends. Each byte is looked at once,
 * however the input is split, and the verdict is that of the first offending byte. */
#ifndef HTTP1_LINE_H
#define HTTP1_LINE_H

#include "base/buffer.h"
#include "base/span.h"

enum http1_line_result {
    HTTP1_LINE_READY,
    HTTP1_LINE_PARTIAL,  /* all input taken, the end of the line is not there yet */
    HTTP1_LINE_BAD,      /* a control byte, a bare CR or a bare LF */
    HTTP1_LINE_TOO_LONG, /* more than the limit without an end */
    HTTP1_LINE_MEMORY
};

struct http1_line {
    struct buffer partial; /* the start of a line that came in pieces; at most the limit + 1 */
    bool is_given;         /* the partial line was completed and handed out */
};

#define HTTP1_LINE_EMPTY ((struct http1_line){BUFFER_EMPTY, false})

/* Takes bytes off the front of `bytes`. READY: `line` is the line without CRLF, valid until the
 * next call and while the input is. After BAD, TOO_LONG and MEMORY the input is not usable. */
enum http1_line_result http1_line_feed(struct http1_line *l, struct span *bytes, size_t limit,
                                       struct span *line);

/* Has a line begun that did not end yet? */
static inline bool http1_line_has_partial(const struct http1_line *l)
{
    return !l->is_given && buffer_size(&l->partial) > 0;
}

/* Forgets a partial line and frees its memory. */
void http1_line_release(struct http1_line *l);

#endif

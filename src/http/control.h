/* http/control.h: the bytes that no line of HTTP may hold: 0x00 to 0x1f but the tab, and 0x7f. */
#ifndef HTTP_CONTROL_H
#define HTTP_CONTROL_H

#include "base/span.h"

/* The place of the first one, or text.size. */
size_t http_control_at(struct span text);

#endif

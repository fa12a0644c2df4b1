/* page.h: the page at /, in two parts around the version of HTTP that it shows. */
#ifndef PAGE_H
#define PAGE_H

extern const char page_before_protocol[];
extern const char page_after_protocol[];

#endif

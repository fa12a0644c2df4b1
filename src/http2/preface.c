#include "http2/preface.h"

enum http2_preface http2_preface_match(struct span bytes)
{
    static const char preface[HTTP2_PREFACE_SIZE + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t size = bytes.size < HTTP2_PREFACE_SIZE ? bytes.size : HTTP2_PREFACE_SIZE;
    if (size && memcmp(bytes.data, preface, size) != 0)
        return HTTP2_PREFACE_NO;
    return size == HTTP2_PREFACE_SIZE ? HTTP2_PREFACE_YES : HTTP2_PREFACE_MORE;
}

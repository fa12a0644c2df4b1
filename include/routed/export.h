/* routed/export.h: marks the public symbols; everything else in the library is hidden. */
#ifndef ROUTED_EXPORT_H
#define ROUTED_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define ROUTED_API __attribute__((visibility("default")))
#else
#define ROUTED_API
#endif

#endif

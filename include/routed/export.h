/* routed/export.h: marks the public symbols; everything else in the library is hidden.
 *
 * Tools that read declarations only, such as those of foreign function interfaces, define
 * ROUTED_API as nothing: gcc -E -DROUTED_API= */
#ifndef ROUTED_EXPORT_H
#define ROUTED_EXPORT_H

#ifndef ROUTED_API
#if defined(__GNUC__) || defined(__clang__)
#define ROUTED_API __attribute__((visibility("default")))
#else
#define ROUTED_API
#endif
#endif

#endif

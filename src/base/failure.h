/* base/failure.h: why something could not be started: a code for programs, a text for people.
 * The caller gives the storage and may give NULL when it does not want to know. */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#define FAILURE_TEXT_MAX 256

struct failure {
    int code; /* enum routed_error */
    char text[FAILURE_TEXT_MAX];
};

/* Notes the failure and returns `code`, so that a function can end with it. */
int failure_set(struct failure *f, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

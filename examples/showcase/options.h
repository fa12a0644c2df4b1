/* options.h: the command line of the showcase. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <routed/serve.h>
#include <stdbool.h>

#define OPTIONS_CERTIFICATES_MAX 16

struct options {
    routed_serve_options serve; /* points into this struct */
    routed_limits limits;
    routed_tls_certificate certificates[OPTIONS_CERTIFICATES_MAX];
    const char *certificate_folder; /* for development */
    const char *ledger;             /* a file for one line per exchange, or NULL */
    const char *metrics; /* a file for the numbers of the server, written on SIGUSR2, or NULL */
    bool allow_crash;
};

enum options_outcome {
    OPTIONS_SERVE,
    OPTIONS_DONE, /* --help and --version were answered */
    OPTIONS_WRONG /* a mistake, already told on stderr */
};

/* The strings of `o` are those of argv. */
enum options_outcome options_read(struct options *o, int argc, char **argv);

/* "bridge" for ROUTED_MODE_BRIDGE and so on. */
const char *options_mode_name(int mode);

#endif

/* front/listen.h: turns a host, a port and a path into listening sockets for every worker. */
#ifndef FRONT_LISTEN_H
#define FRONT_LISTEN_H

#include "base/failure.h"
#include "front/server.h"
#include "front/worker.h"

/* The real TCP ports; 0 without such a listener. */
struct front_ports {
    uint16_t clear;
    uint16_t secure;
};

/* Gives each worker its listeners. On failure the workers still own, and later close, what they
 * were given. */
int front_listen(struct front_worker *const *workers, unsigned count,
                 const struct front_options *options, struct front_ports *ports,
                 struct failure *why);
/* Removes the file of a Unix listener. */
void front_unlisten(const char *unix_path);

#endif

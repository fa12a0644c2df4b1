/* load/fleet.h: all connections of a run, and who of them sends when. One thread. */
#ifndef LOAD_FLEET_H
#define LOAD_FLEET_H

#include "load/client.h"
#include "load/options.h"
#include "load/pacer.h"
#include "load/request.h"

/* Connections that are being made at a time: listeners have queues of finite length. */
#define LOAD_CONNECTING_MAX 128

struct load_fleet {
    const struct load_options *options;
    struct socket_address address;
    struct loop *loop;
    struct load_requests requests;
    struct load_seal_context *seals; /* NULL: in the clear, or over QUIC */
    struct load_quic_context *quics; /* NULL: over TCP */
    struct load_client *clients;
    uint32_t count;
    uint32_t connecting;
    uint32_t ready;
    struct list_link idle;   /* clients that have room for a request */
    struct list_link closed; /* clients that are to connect */
    struct load_pacer pacer;
    struct load_tally tally;
    uint64_t under_way;    /* issued and neither answered nor lost */
    uint64_t losses;       /* connections lost since the last answer */
    uint64_t moved;        /* bytes that came or went, on all connections, */
    uint64_t moved_before; /* and how many when that was looked at last */
    microseconds progress; /* when they had grown last */
    bool is_running;       /* requests are issued, */
    bool goes_round;       /* one at a time, on each connection in turn */
    bool is_broken;        /* too many losses: there is nobody to talk to */
    microseconds round;    /* broadcast: when the message under way was meant to be sent, */
    uint32_t round_left;   /* and how many have not heard it */
    uint8_t *room;         /* what is read, and */
    uint8_t *plain;        /* what is opened of it: LOAD_READ_SIZE each */
};

#define LOAD_READ_SIZE 65536

/* `options` outlives the fleet. ROUTED_OK, or ROUTED_ERROR_ADDRESS_UNKNOWN, _MEMORY, _SYSTEM. */
int load_fleet_init(struct load_fleet *f, const struct load_options *options);
void load_fleet_release(struct load_fleet *f);

/* Makes all connections; with --reconnect there is nothing to make. False: not all could be. */
bool load_fleet_connect(struct load_fleet *f);
/* Issues requests until the pacer is over and all answers are here, or are given up. The tally
 * begins anew. */
void load_fleet_run(struct load_fleet *f, double rate, uint64_t most, microseconds duration);
/* Keeps the connections alive for a moment in which nothing is asked. */
void load_fleet_rest(struct load_fleet *f);

/* With --resume: is there a TLS session to go on with? */
bool load_fleet_has_ticket(const struct load_fleet *f);

/* ---- for the clients ---- */

void load_fleet_connected(struct load_fleet *f, struct load_client *c);
/* Gives it requests as long as it has room and there are any to be issued. */
void load_fleet_offer(struct load_fleet *f, struct load_client *c);
void load_fleet_answered(struct load_fleet *f, microseconds intended, uint16_t status);
/* The connection is gone, with `count` requests on it. */
void load_fleet_lost(struct load_fleet *f, struct load_client *c, enum load_error error,
                     uint32_t count);

#endif

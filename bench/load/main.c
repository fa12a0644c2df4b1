/* main.c: routed-load, the load of a benchmark in a process of its own. */
#include "load/report.h"

#include <poll.h>
#include <routed/error.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum {
    STATUS_MEASURED = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 64
};

static int fail(const char *what)
{
    fprintf(stderr, "routed-load: %s\n", what);
    return STATUS_FAILED;
}

static bool stay_on(int core)
{
    cpu_set_t set;
    if (core < 0)
        return true;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* Until there is a line, true, or the end of the input. Peers are answered meanwhile: QUIC, for
 * one, says everything again that is not acknowledged. */
static bool wait_for_word(struct load_fleet *f)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[16];
    while (poll(&input, 1, 0) == 0)
        load_fleet_rest(f);
    return fgets(line, sizeof(line), stdin) != NULL;
}

static int measure(struct load_fleet *f)
{
    const struct load_options *o = f->options;
    if (!load_fleet_connect(f))
        return fail("not all connections could be made");
    uint64_t warmup = o->warmup;
    f->goes_round = o->one_by_one;
    if (o->resume && warmup == 0)
        warmup = 1; /* the first one has no session to go on with */
    if (warmup)
        load_fleet_run(f, 0, warmup, CLOCK_NEVER);
    if (f->is_broken)
        return fail("the server does not serve");
    if (o->resume && !load_fleet_has_ticket(f))
        return fail("the server gives no session to go on with");
    f->goes_round = false;
    if (o->hold) {
        puts("ready");
        fflush(stdout);
        if (!wait_for_word(f))
            return STATUS_MEASURED;
    }
    load_fleet_run(f, o->rate, o->requests, o->duration);
    load_report_print(f);
    while (o->hold && wait_for_word(f))
        ; /* what it says now is nothing to us */
    return f->tally.answers ? STATUS_MEASURED : fail("no request was answered");
}

int main(int argc, char **argv)
{
    static struct load_fleet fleet;
    struct load_options options;
    enum load_options_outcome outcome = load_options_read(&options, argc, argv);
    if (outcome != LOAD_OPTIONS_RUN)
        return outcome == LOAD_OPTIONS_DONE ? STATUS_MEASURED : STATUS_USAGE;
    if (!stay_on(options.core))
        return fail("there is no such core");
    int error = load_fleet_init(&fleet, &options);
    if (error != ROUTED_OK)
        return fail(routed_error_text(error));
    int status = measure(&fleet);
    load_fleet_release(&fleet);
    return status;
}

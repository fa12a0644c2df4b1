#include "io/poller.h"

#include <errno.h>
#include <limits.h>
#include <routed/error.h>
#include <unistd.h>

#define QUIET_EVENTS_MAX          (POLLER_EVENTS_MAX / 2) /* at a time */
#define NANOSECONDS_A_MILLISECOND UINT64_C(1000000)
#define NANOSECONDS_A_SECOND      UINT64_C(1000000000)

/* ---- what is watched ---- */

static const uint32_t interests[] = {
    [POLLER_ALL] = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
    [POLLER_INPUT] = EPOLLIN | EPOLLRDHUP | EPOLLET,
    [POLLER_LEVEL] = EPOLLIN,
    [POLLER_SHARED] = EPOLLIN | EPOLLEXCLUSIVE,
    [POLLER_NOTHING] = 0,
};

static int epoll_of(const struct poller *p, const struct loop_handle *h)
{
    return h->is_quiet ? p->quiet : p->epoll;
}

static int control(int epoll, int operation, struct loop_handle *h, enum poller_interest interest)
{
    struct epoll_event event = {.events = interests[interest], .data.ptr = h};
    if (epoll_ctl(epoll, operation, h->fd, &event) == 0)
        return ROUTED_OK;
    return errno == ENOMEM || errno == ENOSPC ? ROUTED_ERROR_MEMORY : ROUTED_ERROR_SYSTEM;
}

int poller_watch(struct poller *p, struct loop_handle *h, enum poller_interest interest)
{
    h->is_quiet = interest == POLLER_INPUT && p->bell;
    p->has_quiet_news |= h->is_quiet;
    return control(epoll_of(p, h), EPOLL_CTL_ADD, h, interest);
}

void poller_set_interest(struct poller *p, struct loop_handle *h, enum poller_interest interest)
{
    control(epoll_of(p, h), EPOLL_CTL_MOD, h, interest);
}

/* On failure it stays where it is, and is heard when the bell rings. */
static void move(struct poller *p, struct loop_handle *h, enum poller_interest interest)
{
    int from = epoll_of(p, h), to = h->is_quiet ? p->epoll : p->quiet;
    if (control(to, EPOLL_CTL_ADD, h, interest)) {
        poller_set_interest(p, h, interest);
        return;
    }
    control(from, EPOLL_CTL_DEL, h, POLLER_NOTHING);
    h->is_quiet = !h->is_quiet;
    p->has_quiet_news |= h->is_quiet;
}

void poller_hear_output(struct poller *p, struct loop_handle *h, bool wanted)
{
    enum poller_interest interest = wanted ? POLLER_ALL : POLLER_INPUT;
    if (p->bell && h->is_quiet == wanted)
        move(p, h, interest);
    else
        poller_set_interest(p, h, interest);
}

void poller_forget(struct poller *p, struct loop_handle *h)
{
    control(epoll_of(p, h), EPOLL_CTL_DEL, h, POLLER_NOTHING);
    for (int i = p->event_next; i < p->event_count; i++)
        if (p->events[i].data.ptr == h)
            p->events[i].data.ptr = NULL;
}

/* ---- what is ready ---- */

static unsigned translate(uint32_t events)
{
    unsigned result = 0;
    if (events & EPOLLIN)
        result |= LOOP_READABLE;
    if (events & EPOLLOUT)
        result |= LOOP_WRITABLE;
    if (events & EPOLLRDHUP)
        result |= LOOP_HALF_CLOSED;
    if (events & (EPOLLHUP | EPOLLERR))
        result |= LOOP_HUNG_UP;
    return result;
}

void poller_dispatch(struct poller *p)
{
    for (p->event_next = 0; p->event_next < p->event_count;) {
        struct epoll_event *event = &p->events[p->event_next++];
        struct loop_handle *h = event->data.ptr;
        if (h)
            h->on_ready(h, translate(event->events));
    }
    p->event_count = p->event_next = 0;
}

static int in_milliseconds(nanoseconds sleep)
{
    if (sleep == CLOCK_NEVER)
        return -1;
    milliseconds rounded =
        sleep / NANOSECONDS_A_MILLISECOND + (sleep % NANOSECONDS_A_MILLISECOND != 0);
    return rounded > INT_MAX ? INT_MAX : (int)rounded;
}

/* Only a part of a millisecond needs the newer call, which some sandboxes forbid. */
static int await_events(struct poller *p, int epoll, int room, nanoseconds sleep)
{
    struct epoll_event *events = p->events + p->event_count;
    if (sleep != CLOCK_NEVER && sleep % NANOSECONDS_A_MILLISECOND && !p->is_coarse) {
        struct timespec t = {.tv_sec = (time_t)(sleep / NANOSECONDS_A_SECOND),
                             .tv_nsec = (long)(sleep % NANOSECONDS_A_SECOND)};
        int count = epoll_pwait2(epoll, events, room, &t, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        p->is_coarse = true;
    }
    return epoll_wait(epoll, events, room, in_milliseconds(sleep));
}

static void fetch(struct poller *p, nanoseconds sleep)
{
    int count = await_events(p, p->epoll, POLLER_EVENTS_MAX - p->event_count, sleep);
    p->event_count += count > 0 ? count : 0;
}

/* Room is left for the others. What is not fetched now is in the next turn. Returns how many have
 * something to tell; the event without a handle says that there are others. */
static unsigned fetch_quiet(struct poller *p, nanoseconds sleep, bool *has_others)
{
    int count = await_events(p, p->quiet, QUIET_EVENTS_MAX, sleep);
    unsigned told = 0;
    p->has_quiet_news = count == QUIET_EVENTS_MAX;
    for (; count > 0; count--) {
        if (p->events[p->event_count++].data.ptr)
            told++;
        else
            *has_others = true;
    }
    return told;
}

/* ---- with a bell ---- */

static unsigned fetch_announced(struct poller *p)
{
    bool has_others = false;
    unsigned rings = bell_rings(p->bell);
    if (rings == p->rings && !p->has_quiet_news)
        return 0;
    p->rings = rings;
    return fetch_quiet(p, 0, &has_others);
}

static void wait_deep(struct poller *p, nanoseconds sleep)
{
    if (sleep)
        bell_await(p->bell);
    unsigned told = fetch_announced(p);
    fetch(p, p->event_count ? 0 : sleep);
    bell_disregard(p->bell);
    if (p->event_count <= POLLER_EVENTS_MAX - QUIET_EVENTS_MAX)
        told += fetch_announced(p);
    if (told)
        p->singles = told == 1 ? p->singles + 1 : 0;
    p->is_light = p->singles == POLLER_LIGHT_AFTER;
    p->unannounced = 0;
}

/* Who writes once a turn rings once for each event, if later. More events than that are a bunch
 * whose first one woke this loop too early. The bell tells nothing of what came meanwhile, hence
 * the news. */
static void wait_light(struct poller *p, nanoseconds sleep)
{
    bool has_others = false;
    p->unannounced += fetch_quiet(p, sleep, &has_others);
    if (has_others)
        fetch(p, 0);
    unsigned rings = bell_rings(p->bell), announced = rings - p->rings;
    p->rings = rings;
    p->unannounced -= announced < p->unannounced ? announced : p->unannounced;
    if (p->unannounced <= 1)
        return;
    p->is_light = false;
    p->has_quiet_news = true;
    p->singles = 0;
}

void poller_wait(struct poller *p, nanoseconds sleep)
{
    if (!p->bell)
        fetch(p, sleep);
    else if (p->is_light)
        wait_light(p, sleep);
    else
        wait_deep(p, sleep);
}

/* ---- life ---- */

int poller_open(struct poller *p)
{
    p->quiet = -1;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    return p->epoll >= 0 ? ROUTED_OK : ROUTED_ERROR_SYSTEM;
}

void poller_close(struct poller *p)
{
    if (p->epoll >= 0)
        close(p->epoll);
    if (p->quiet >= 0)
        close(p->quiet);
}

/* What was announced is found by looking at the quiet handles. */
static void on_rung(struct loop_handle *h, unsigned events)
{
    (void)h;
    (void)events;
}

int poller_attend(struct poller *p, struct bell *b)
{
    struct epoll_event others = {.events = EPOLLIN, .data.ptr = NULL};
    p->quiet = epoll_create1(EPOLL_CLOEXEC);
    if (p->quiet < 0 || epoll_ctl(p->quiet, EPOLL_CTL_ADD, p->epoll, &others) != 0)
        return ROUTED_ERROR_SYSTEM;
    p->rung = (struct loop_handle){.fd = b->fd, .on_ready = on_rung};
    int error = poller_watch(p, &p->rung, POLLER_INPUT); /* not quiet: there is no bell yet */
    if (!error)
        p->bell = b;
    return error;
}

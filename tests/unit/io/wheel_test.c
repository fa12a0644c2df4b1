/* The wheel with a simulated clock: no test here waits. */
#include "io/wheel.h"

#include "support/unit.h"
#include <stdlib.h>

static struct wheel wheel;
static milliseconds now;

struct alarm {
    struct loop_timer timer;
    milliseconds due;
    unsigned fired;
    milliseconds fired_at;
};

static void on_alarm(struct loop_timer *t)
{
    struct alarm *a = LIST_ITEM(t, struct alarm, timer);
    a->fired++;
    a->fired_at = wheel.tick;
}

static void start(milliseconds at)
{
    now = at;
    wheel_init(&wheel, at);
}

static void alarm_set(struct alarm *a, milliseconds due)
{
    if (loop_timer_is_set(&a->timer))
        wheel_remove(&wheel, &a->timer);
    else
        loop_timer_init(&a->timer, on_alarm);
    a->due = a->timer.due = due;
    wheel_add(&wheel, &a->timer);
}

static void advance(milliseconds to)
{
    now = to;
    wheel_advance(&wheel, to);
}

/* As a loop does it: sleeps until the wheel says so, never longer. Counts the wake-ups. */
static unsigned sleep_until_fired(const struct alarm *a)
{
    unsigned wakes = 0;
    while (!a->fired) {
        milliseconds next = wheel_next(&wheel);
        assert_true(next != CLOCK_NEVER && next > now);
        assert_true(next <= a->due);
        advance(next);
        wakes++;
    }
    return wakes;
}

static void an_empty_wheel_never_wakes(void **state)
{
    (void)state;
    start(123456);
    assert_true(wheel_next(&wheel) == CLOCK_NEVER);
    advance(9999999);
    assert_int_equal(wheel.tick, 9999999);
    advance(5); /* a clock that steps back is ignored */
    assert_int_equal(wheel.tick, 9999999);
}

/* Around every border between levels. */
static void timers_fire_at_their_time(void **state)
{
    (void)state;
    static const milliseconds starts[] = {0, 1, 63, 64, 4095, 262143, 1700000000123};
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        for (int bits = 0; bits <= 35; bits++)
            for (int offset = -1; offset <= 1; offset++) {
                struct alarm a = {0};
                milliseconds delay = ((milliseconds)1 << bits) + (milliseconds)offset;
                if (delay == 0)
                    continue;
                start(starts[i]);
                alarm_set(&a, now + delay);
                advance(now + delay - 1);
                assert_int_equal(a.fired, 0);
                advance(now + 1);
                assert_int_equal(a.fired, 1);
                assert_true(a.fired_at == a.due);
                assert_true(wheel_next(&wheel) == CLOCK_NEVER);
                advance(now + 1000000);
                assert_int_equal(a.fired, 1);
                start(starts[i]);
                a.fired = 0;
                alarm_set(&a, now + delay);
                assert_true(sleep_until_fired(&a) <= WHEEL_LEVELS);
                assert_true(now == a.due);
            }
}

static void times_that_have_passed_fire_next(void **state)
{
    (void)state;
    struct alarm a = {0};
    start(1000);
    alarm_set(&a, 5);
    assert_int_equal(wheel_next(&wheel), 1001);
    advance(1000);
    assert_int_equal(a.fired, 0);
    advance(1001);
    assert_int_equal(a.fired, 1);
}

static void a_late_clock_fires_everything_in_order(void **state)
{
    (void)state;
    struct alarm a = {0};
    struct alarm b = {0};
    struct alarm c = {0};
    start(50);
    alarm_set(&c, 100000);
    alarm_set(&a, 60);
    alarm_set(&b, 5000);
    advance(200000);
    assert_int_equal(a.fired_at, 60);
    assert_int_equal(b.fired_at, 5000);
    assert_int_equal(c.fired_at, 100000);
}

/* ---- far away ---- */

static void never_does_not_fire(void **state)
{
    (void)state;
    struct alarm a = {0};
    start(10);
    alarm_set(&a, CLOCK_NEVER);
    assert_true(loop_timer_is_set(&a.timer));
    for (milliseconds years = 1; years < 100; years++)
        advance(years * 365 * 86400000);
    assert_int_equal(a.fired, 0);
    wheel_remove(&wheel, &a.timer);
    assert_true(wheel_next(&wheel) == CLOCK_NEVER);
}

static unsigned rounds;

static void set_again(struct loop_timer *t)
{
    struct alarm *a = LIST_ITEM(t, struct alarm, timer);
    a->fired++;
    assert_true(wheel.tick >= a->due);
    if (++rounds < 1000) {
        a->due = t->due = now + 5000;
        wheel_add(&wheel, t);
    }
}

/* A machine that has been up for two years and two months: 2^36 milliseconds. */
static void high_borders_of_the_clock_are_crossed(void **state)
{
    (void)state;
    for (int bits = 30; bits <= 41; bits++) {
        milliseconds border = (milliseconds)1 << bits;
        struct alarm a = {0};
        start(border - 1000);
        alarm_set(&a, border + 4000);
        advance(border - 1);
        assert_int_equal(a.fired, 0);
        advance(border + 3999);
        assert_int_equal(a.fired, 0);
        advance(border + 4000);
        assert_int_equal(a.fired, 1);
        struct alarm again = {0};
        rounds = 0;
        start(border - 1);
        loop_timer_init(&again.timer, set_again);
        again.due = again.timer.due = border;
        wheel_add(&wheel, &again.timer);
        advance(border + 1);
        assert_int_equal(again.fired, 1);
        wheel_remove(&wheel, &again.timer);
    }
}

/* ---- inside callbacks ---- */

static struct alarm *victims[3];

static void clear_victims(struct loop_timer *t)
{
    on_alarm(t);
    for (size_t i = 0; i < COUNT_OF(victims); i++)
        wheel_remove(&wheel, &victims[i]->timer);
}

static void callbacks_may_clear_others_and_themselves(void **state)
{
    (void)state;
    struct alarm first = {0};
    struct alarm same = {0};
    struct alarm later = {0};
    start(0);
    alarm_set(&first, 70);
    first.timer.on_due = clear_victims;
    alarm_set(&same, 70);
    alarm_set(&later, 90);
    victims[0] = &same;
    victims[1] = &later;
    victims[2] = &first;
    advance(1000);
    assert_int_equal(first.fired, 1);
    assert_int_equal(same.fired, 0);
    assert_int_equal(later.fired, 0);
    assert_true(wheel_next(&wheel) == CLOCK_NEVER);
}

static void set_soon(struct loop_timer *t)
{
    on_alarm(t);
    alarm_set(LIST_ITEM(t, struct alarm, timer), wheel.tick);
    t->on_due = set_soon;
}

/* Once for each millisecond that passes, not for ever. */
static void a_timer_that_sets_itself_at_once_ends(void **state)
{
    (void)state;
    struct alarm a = {0};
    start(0);
    alarm_set(&a, 10);
    a.timer.on_due = set_soon;
    advance(19);
    assert_int_equal(a.fired, 10);
    assert_true(loop_timer_is_set(&a.timer));
}

static void move_victim(struct loop_timer *t)
{
    on_alarm(t);
    alarm_set(victims[0], wheel.tick + 7);
}

static void callbacks_may_move_others(void **state)
{
    (void)state;
    struct alarm mover = {0};
    struct alarm moved = {0};
    start(0);
    alarm_set(&mover, 4096);
    mover.timer.on_due = move_victim;
    alarm_set(&moved, 4096);
    victims[0] = &moved;
    advance(4102);
    assert_int_equal(moved.fired, 0);
    advance(4103);
    assert_int_equal(moved.fired, 1);
}

/* ---- against a model ---- */

#define TIMERS 100000

static struct alarm *alarms;

static milliseconds some_delay(uint64_t *seed)
{
    return unit_random(seed) % ((uint64_t)1 << (1 + unit_random(seed) % 34));
}

static void assert_model(const struct alarm *a)
{
    bool is_due = a->due <= now;
    if (a->due == CLOCK_NEVER ? a->fired != 0 : a->fired != is_due)
        fail_msg("due at %llu, now %llu, fired %u times", (unsigned long long)a->due,
                 (unsigned long long)now, a->fired);
    if (a->fired && a->fired_at != a->due)
        fail_msg("due at %llu, fired at %llu", (unsigned long long)a->due,
                 (unsigned long long)a->fired_at);
}

/* A model is a due time and a count for each; a cleared one is never due. */
static void random_timers_against_a_model(void **state)
{
    (void)state;
    uint64_t seed = 99;
    alarms = calloc(TIMERS, sizeof(*alarms));
    assert_non_null(alarms);
    start(1 + unit_random(&seed) % 100000000);
    for (size_t i = 0; i < TIMERS; i++)
        alarm_set(&alarms[i], now + 1 + some_delay(&seed));
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 2000; i++) {
            struct alarm *a = &alarms[unit_random(&seed) % TIMERS];
            if (a->fired)
                continue;
            if (unit_random(&seed) % 2) {
                wheel_remove(&wheel, &a->timer);
                a->due = CLOCK_NEVER;
            } else {
                alarm_set(a, now + 1 + some_delay(&seed));
            }
        }
        milliseconds next = wheel_next(&wheel);
        milliseconds first = CLOCK_NEVER;
        for (size_t i = 0; i < TIMERS; i++)
            if (!alarms[i].fired && alarms[i].due < first)
                first = alarms[i].due;
        assert_true(next <= first);
        advance(now + some_delay(&seed));
        for (size_t i = 0; i < TIMERS; i++)
            assert_model(&alarms[i]);
    }
    free(alarms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_wheel_never_wakes),
        cmocka_unit_test(timers_fire_at_their_time),
        cmocka_unit_test(times_that_have_passed_fire_next),
        cmocka_unit_test(a_late_clock_fires_everything_in_order),
        cmocka_unit_test(never_does_not_fire),
        cmocka_unit_test(high_borders_of_the_clock_are_crossed),
        cmocka_unit_test(callbacks_may_clear_others_and_themselves),
        cmocka_unit_test(a_timer_that_sets_itself_at_once_ends),
        cmocka_unit_test(callbacks_may_move_others),
        cmocka_unit_test(random_timers_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

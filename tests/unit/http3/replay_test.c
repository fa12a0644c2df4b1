/* Early data by the clock of the system, which GnuTLS reads for itself; and what workers know of
 * each other's tokens. */
#include "http3/stage.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t ahead; /* seconds, of the system's clock */

/* In place of the system's, for all that this program is linked with. */
int clock_gettime(clockid_t id, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, id, out);
    if (id == CLOCK_REALTIME)
        out->tv_sec += ahead;
    return (int)result;
}

static void pass(struct stage *s, unsigned seconds)
{
    ahead += seconds;
    stage_run(s, seconds * STAGE_SECOND);
}

static struct stage *open_stage(void)
{
    struct stage *s = stage_new();
    s->options.has_early_data = true;
    stage_open(s);
    return s;
}

static void learn(struct stage *s, struct client_memory *memory)
{
    *memory = (struct client_memory){.token_size = 0};
    struct client *c = stage_connect(s, &(struct client_wish){.memory = memory});
    assert_int_equal(c->ticket_count, 1);
    c->memory = NULL;
}

/* With the ticket and the token of then, and new ones are not kept. */
static bool is_served_early(struct stage *s, struct client_memory *memory)
{
    struct client *c =
        stage_client(s, &(struct client_wish){.memory = memory, .sends_early = true});
    c->memory = NULL;
    client_get(c, "/5");
    stage_run(s, STAGE_SECOND);
    assert_true(c->is_done);
    if (!c->was_early_refused)
        stage_expect_content(c, 0, 5);
    return !c->was_early_refused;
}

/* Others come all the time, which must not make the tickets of everybody else too old. */
static void a_ticket_holds_on_a_busy_server(void **state)
{
    (void)state;
    struct stage *s = open_stage();
    struct client_memory patient, others[4];
    learn(s, &patient);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        learn(s, &others[i]);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        pass(s, 12 * 60);
        assert_true(is_served_early(s, &others[i]));
        gnutls_free(others[i].ticket.data);
    }
    assert_true(is_served_early(s, &patient));
    gnutls_free(patient.ticket.data);
    stage_close(s);
}

static void no_ticket_holds_longer_than_its_token(void **state)
{
    (void)state;
    struct stage *s = open_stage();
    struct client_memory memory;
    learn(s, &memory);
    pass(s, TLS_QUIC_REGULAR_TIME / STAGE_SECOND + 1);
    assert_false(is_served_early(s, &memory));
    gnutls_free(memory.ticket.data);
    stage_close(s);
}

/* What one worker has served early, no other serves early again. */
static void tokens_count_once_for_all_workers(void **state)
{
    (void)state;
    struct stage *first = open_stage();
    struct client_memory memory;
    learn(first, &memory);
    assert_true(is_served_early(first, &memory));

    stage_shared_tls = first->tls; /* as workers share it */
    struct stage *second = stage_new();
    stage_shared_tls = NULL;
    second->options.worker = 2;
    second->options.spent = &first->spent;
    second->options.has_early_data = true;
    stage_open(second);
    for (unsigned again = 1; again < 4; again++) {
        assert_false(is_served_early(second, &memory));
        assert_int_equal(stage_count(second, HTTP3_TOKENS_SPENT), again);
    }
    assert_int_equal(stage_count(second, HTTP3_EARLY_DATA), 0);
    gnutls_free(memory.ticket.data);
    stage_close(second);
    stage_close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_holds_on_a_busy_server),
        cmocka_unit_test(no_ticket_holds_longer_than_its_token),
        cmocka_unit_test(tokens_count_once_for_all_workers),
    };
    return cmocka_run_group_tests(tests, stage_set_up, pki_close_folder);
}

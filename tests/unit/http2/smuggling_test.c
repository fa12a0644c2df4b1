#include "peer.h"
#include "streams/smuggling.h"

/* Trailers end the request. */
static void test_a_head_in_the_middle(void **state)
{
    struct peer p;
    (void)state;
    peer_open(&p, &origin_reads_then_answers);
    peer_post(&p, 1);
    peer_head(&p, 1, (struct peer_line[]){PEER_LINE("x-a", "b")}, 1, false);
    expect_no_end(&p, "a head in the middle");
}

int main(void)
{
    const struct CMUnitTest tests[] = {SMUGGLING_TESTS,
                                       cmocka_unit_test(test_a_head_in_the_middle)};
    return cmocka_run_group_tests_name("http2 smuggling", tests, NULL, NULL);
}

#include "peer.h"
#include "streams/smuggling.h"

int main(void)
{
    const struct CMUnitTest tests[] = {SMUGGLING_TESTS};
    return cmocka_run_group_tests_name("http3 smuggling", tests, NULL, NULL);
}

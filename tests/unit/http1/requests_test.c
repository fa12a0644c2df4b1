/* Every case of tests/conformance/http1/requests.tsv: whole, byte by byte, split at random, from
 * blocks, and twice in a row; the verdict is always the same. */
#include "peer.h"
#include "support/unit.h"
#include <stdio.h>

#define LINE_MAX_SIZE 16384
#define RANDOM_SPLITS 4

enum column {
    ROW,
    NAME,
    STATUSES,
    COMPLETE,
    THEN,
    SEES,
    INPUT,
    COLUMNS
};

struct request_case {
    char *columns[COLUMNS];
    struct buffer input;
    char expected[512]; /* statuses */
    unsigned complete;
};

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void unescape(struct buffer *out, const char *text, const char *end)
{
    while (text < end) {
        if (text[0] == '{' && text[1] == '{' && text[2] >= '0' && text[2] <= '9') {
            char *bar;
            unsigned long count = strtoul(text + 2, &bar, 10);
            const char *close = strstr(bar, "}}");
            assert_non_null(close);
            struct buffer once = BUFFER_EMPTY;
            unescape(&once, bar + 1, close);
            for (unsigned long i = 0; i < count; i++)
                buffer_append_span(out, buffer_span(&once));
            buffer_release(&once);
            text = close + 2;
        } else if (text[0] == '\\') {
            char c = text[1];
            if (c == 'x')
                c = (char)(hex_value(text[2]) << 4 | hex_value(text[3]));
            else
                c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : '\\';
            text += text[1] == 'x' ? 4 : 2;
            buffer_append(out, &c, 1);
        } else {
            buffer_append(out, text++, 1);
        }
    }
}

static bool is_then(const struct request_case *c, const char *then)
{
    return strcmp(c->columns[THEN], then) == 0;
}

static void check(const struct request_case *c, struct peer *p, const char *how, unsigned times)
{
    char statuses[512], expected[1100];
    peer_statuses(p, statuses, sizeof(statuses));
    snprintf(expected, sizeof(expected), "%s%s%s", c->expected, times > 1 ? "," : "",
             times > 1 ? c->expected : "");
    if (strcmp(statuses, expected) != 0 || p->origin.complete != c->complete * times)
        fail_msg("%s %s, %s: statuses \"%s\" for \"%s\", %u complete for %u", c->columns[ROW],
                 c->columns[NAME], how, statuses, expected, p->origin.complete,
                 c->complete * times);
    bool has_closed = peer_wait(p) == SESSION_LINGER || peer_wait(p) == SESSION_FINISHED;
    bool waits = peer_wait(p) == SESSION_HEAD || peer_wait(p) == SESSION_BODY;
    bool good = is_then(c, "open")     ? peer_wait(p) == SESSION_IDLE
                : is_then(c, "closed") ? has_closed
                                       : waits;
    if (!good || !p->session->wants_input)
        fail_msg("%s %s, %s: then %s, but the wait is %d", c->columns[ROW], c->columns[NAME], how,
                 c->columns[THEN], (int)peer_wait(p));
    if (has_closed && !peer_has(&p->output, "connection: close\r\n"))
        fail_msg("%s %s, %s: the close is not announced", c->columns[ROW], c->columns[NAME], how);
    const char *sees = c->columns[SEES];
    if (sees[0] == '!' ? peer_has(&p->origin.view, sees + 1) : !peer_has(&p->origin.view, sees))
        fail_msg("%s %s, %s: the application sees %.*s", c->columns[ROW], c->columns[NAME], how,
                 (int)buffer_size(&p->origin.view),
                 (const char *)buffer_span(&p->origin.view).data);
    assert_int_equal(p->origin.closed, p->origin.opened - (p->origin.exchange ? 1 : 0));
}

static void run_split(const struct request_case *c, const char *how, uint64_t seed, size_t most,
                      bool blocks)
{
    struct peer p;
    struct span rest = buffer_span(&c->input);
    peer_open(&p, &origin_reads_then_answers);
    p.gives_blocks = blocks;
    while (rest.size) {
        size_t size = seed ? unit_random(&seed) % most + 1 : most;
        size = size < rest.size ? size : rest.size;
        peer_write(&p, span_part(rest, 0, size));
        rest = span_after(rest, size);
    }
    check(c, &p, how, 1);
    peer_close(&p);
}

/* Behind a case that keeps the connection comes the same again, with the same verdict; behind one
 * that closes it nothing is looked at. */
static void run_twice(const struct request_case *c)
{
    struct peer p;
    if (is_then(c, "wait"))
        return;
    peer_open(&p, &origin_reads_then_answers);
    struct buffer twice = BUFFER_EMPTY;
    buffer_append_span(&twice, buffer_span(&c->input));
    buffer_append_span(&twice, buffer_span(&c->input));
    peer_write(&p, buffer_span(&twice));
    check(c, &p, "twice", is_then(c, "open") ? 2 : 1);
    buffer_release(&twice);
    peer_close(&p);
}

static void run_case(const struct request_case *c)
{
    size_t size = buffer_size(&c->input);
    run_split(c, "whole", 0, size, false);
    run_split(c, "whole from a block", 0, size, true);
    run_split(c, "byte by byte", 0, 1, false);
    for (uint64_t seed = 1; seed <= RANDOM_SPLITS; seed++)
        run_split(c, "split at random", seed * 7919, size / 3 + 2, seed % 2);
    run_twice(c);
}

static bool read_case(FILE *file, char *line, struct request_case *c)
{
    do {
        if (!fgets(line, LINE_MAX_SIZE, file))
            return false;
    } while (line[0] == '#');
    line[strcspn(line, "\n")] = '\0';
    char *rest = line;
    for (int i = 0; i < COLUMNS; i++) {
        c->columns[i] = strsep(&rest, "\t");
        assert_non_null(c->columns[i]);
    }
    snprintf(c->expected, sizeof(c->expected), "%s", c->columns[STATUSES]);
    c->complete = (unsigned)strtoul(c->columns[COMPLETE], NULL, 10);
    c->input = BUFFER_EMPTY;
    unescape(&c->input, c->columns[INPUT], c->columns[INPUT] + strlen(c->columns[INPUT]));
    return true;
}

static void test_table(void **state)
{
    const char *row = *state;
    static char line[LINE_MAX_SIZE];
    FILE *file = fopen(VECTORS "/http1/requests.tsv", "r");
    struct request_case c;
    unsigned cases = 0;
    assert_non_null(file);
    while (read_case(file, line, &c)) {
        if (strcmp(c.columns[ROW], row) == 0) {
            run_case(&c);
            cases++;
        }
        buffer_release(&c.input);
    }
    fclose(file);
    assert_true(cases >= 19);
}

int main(void)
{
#define ROW_TEST(row)                                                                              \
    {                                                                                              \
        "row " row, test_table, NULL, NULL, row                                                    \
    }
    const struct CMUnitTest tests[] = {
        ROW_TEST("A"), ROW_TEST("B"), ROW_TEST("C"), ROW_TEST("D"), ROW_TEST("E"),
        ROW_TEST("F"), ROW_TEST("G"), ROW_TEST("H"), ROW_TEST("W"),
    };
    return cmocka_run_group_tests_name("http1 requests", tests, NULL, NULL);
}

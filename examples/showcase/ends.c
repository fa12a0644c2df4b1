/* ends.c: how exchanges end, and who is told. */
#include "showcase.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Shared with engine processes. */
struct counts {
    atomic_uint_fast64_t cancelled;
    atomic_uint_fast64_t hung;
};

static struct counts *counts;
static int ledger = -1;

/* What the ledger remembers of an exchange until its end. */
struct entry {
    const char *request_id;
    const char *method;
    const char *target;
    struct sha256_ctx taken;
    uint64_t taken_length;
};

int ends_open(const char *path)
{
    counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) {
        counts = NULL;
        return -1;
    }
    if (!path)
        return 0;
    /* O_APPEND and one write for each line: threads and processes never mix their lines. */
    ledger = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return ledger < 0 ? -1 : 0;
}

void ends_close(void)
{
    if (ledger >= 0)
        close(ledger);
    if (counts)
        munmap(counts, sizeof(*counts));
}

/* ---- the ledger ---- */

static int start_entry(routed_exchange *x, void *user)
{
    (void)user;
    struct entry *entry = routed_exchange_memory(x, sizeof(*entry));
    if (!entry)
        return ROUTED_ERROR_MEMORY;
    *entry = (struct entry){.request_id = routed_request_id(x),
                            .method = routed_request_method(x),
                            .target = routed_request_target(x)};
    sha256_init(&entry->taken);
    routed_exchange_set_user(x, entry);
    return ROUTED_NEXT;
}

void ledger_took(routed_exchange *x, const void *bytes, size_t size)
{
    struct entry *entry = routed_exchange_user(x);
    if (!entry)
        return;
    sha256_update(&entry->taken, size, bytes);
    entry->taken_length += size;
}

static void add_hex(struct text *line, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char pair[3];
        snprintf(pair, sizeof(pair), "%02x", bytes[i]);
        text_add_bytes(line, pair, 2);
    }
}

static void finish_entry(routed_exchange *x, int error, void *user)
{
    (void)user;
    struct entry *entry = routed_exchange_user(x);
    if (!entry)
        return;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&entry->taken, sizeof(digest), digest);

    struct text line = TEXT_EMPTY;
    text_add(&line, "{\"request_id\":");
    text_add_json(&line, entry->request_id);
    text_add(&line, ",\"method\":");
    text_add_json(&line, entry->method);
    text_add(&line, ",\"target\":");
    text_add_json(&line, entry->target);
    text_add(&line, error == ROUTED_OK ? ",\"outcome\":\"done\"" : ",\"outcome\":\"cancelled\"");
    text_add(&line, ",\"status\":");
    text_add_number(&line, (uint64_t)routed_exchange_status(x));
    text_add(&line, ",\"request\":{\"length\":");
    text_add_number(&line, entry->taken_length);
    text_add(&line, ",\"sha256\":\"");
    add_hex(&line, digest, sizeof(digest));
    text_add(&line, "\"},\"response\":{\"length\":");
    text_add_number(&line, routed_exchange_sent(x));
    text_add(&line, "}}\n");
    if (!line.failed && write(ledger, line.bytes, line.size) != (ssize_t)line.size)
        fputs("the ledger lost a line\n", stderr);
    text_free(&line);
}

/* ---- clients that leave ---- */

/* A client that leaves in the middle of its own request has cut it. */
static bool has_left(int error)
{
    return error == ROUTED_ERROR_CLIENT_GONE || error == ROUTED_ERROR_TRUNCATED;
}

static void count_cancelled(routed_exchange *x, int error, void *user)
{
    (void)x;
    (void)user;
    if (has_left(error))
        atomic_fetch_add(&counts->cancelled, 1);
}

static int answer_cancelled(routed_exchange *x, void *user)
{
    (void)user;
    return routed_response_format(x, "application/json", "{\"cancelled\":%llu,\"hung\":%llu}",
                                  (unsigned long long)atomic_load(&counts->cancelled),
                                  (unsigned long long)atomic_load(&counts->hung));
}

/* Neither answers nor fails: only the client can end this, or the front's patience. */
static int hang(routed_exchange *x, void *user)
{
    (void)x;
    (void)user;
    atomic_fetch_add(&counts->hung, 1);
    return ROUTED_OK;
}

static int crash(routed_exchange *x, void *user)
{
    (void)x;
    (void)user;
    abort();
}

int add_ends(routed_engine *engine, bool allow_crash)
{
    int error = routed_engine_on_done(engine, count_cancelled, NULL);
    if (error == ROUTED_OK && ledger >= 0)
        error = routed_engine_use(engine, start_entry, NULL, NULL);
    if (error == ROUTED_OK && ledger >= 0)
        error = routed_engine_on_done(engine, finish_entry, NULL);
    add_route(&error, engine, "GET", "/hang", hang, NULL);
    add_route(&error, engine, "GET", "/cancelled", answer_cancelled, NULL);
    if (allow_crash)
        add_route(&error, engine, "GET", "/crash", crash, NULL);
    return error;
}

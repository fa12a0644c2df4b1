#include "front/access_log.h"

#include "base/json.h"
#include "base/memory.h"
#include "front/metrics.h"
#include "io/system.h"
#include <time.h>

#define METHOD_MAX 64
#define ID_MAX     64
#define TARGET_MAX 4096 /* of its text in JSON, as are the others */
#define TIME_SIZE  20   /* 2026-11-22T12:00:00Z */

int access_log_open(struct access_log *log, const char *path)
{
    log->path = memory_copy_text(path);
    if (!log->path)
        return ROUTED_ERROR_MEMORY;
    int fd = system_log_open(path);
    atomic_init(&log->fd, fd);
    atomic_init(&log->wants_reopen, false);
    atomic_init(&log->is_torn, false);
    if (fd >= 0)
        return ROUTED_OK;
    memory_free(log->path);
    log->path = NULL;
    return fd;
}

void access_log_close(struct access_log *log)
{
    if (!log->path)
        return;
    system_close(atomic_load(&log->fd));
    memory_free(log->path);
    log->path = NULL;
}

void access_log_reopen(struct access_log *log)
{
    atomic_store(&log->wants_reopen, true);
}

/* The new file takes the old descriptor's number, so that no worker can write to a closed one.
 * When it cannot be opened the old file stays in use. */
static void reopen(struct access_log *log)
{
    int fd = system_log_open(log->path);
    if (fd < 0)
        return;
    system_replace(fd, atomic_load(&log->fd));
    atomic_store(&log->is_torn, false);
}

/* ---- lines ---- */

static void two_digits(char *out, int value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

static void write_time(char out[TIME_SIZE], int64_t wall_seconds)
{
    struct tm t;
    time_t seconds = (time_t)wall_seconds;
    gmtime_r(&seconds, &t);
    memcpy(out, "0000-00-00T00:00:00Z", TIME_SIZE);
    int year = t.tm_year + 1900;
    two_digits(out, year / 100);
    two_digits(out + 2, year);
    two_digits(out + 5, t.tm_mon + 1);
    two_digits(out + 8, t.tm_mday);
    two_digits(out + 11, t.tm_hour);
    two_digits(out + 14, t.tm_min);
    two_digits(out + 17, t.tm_sec);
}

static int key(struct buffer *b, const char *name)
{
    int error = buffer_append_text(b, ",\"");
    if (!error)
        error = buffer_append_text(b, name);
    return error ? error : buffer_append_text(b, "\":");
}

static int text(struct buffer *b, const char *name, struct span value)
{
    int error = key(b, name);
    if (error)
        return error;
    return value.size ? json_append_string(b, value) : buffer_append_text(b, "null");
}

static int number(struct buffer *b, const char *name, uint64_t value)
{
    int error = key(b, name);
    return error ? error : buffer_append_decimal(b, value);
}

static int truth(struct buffer *b, const char *name, bool value)
{
    int error = key(b, name);
    return error ? error : buffer_append_text(b, value ? "true" : "false");
}

static int short_text(struct buffer *b, const char *name, struct span value, size_t max)
{
    return text(b, name, span_of(value.data, json_fitting(value, max)));
}

static int append_request(struct buffer *b, const struct exchange *x)
{
    struct span target = x->request.target;
    int error = text(b, "peer", x->peer.address);
    if (!error)
        error = number(b, "port", x->peer.port);
    if (!error)
        error = text(b, "protocol", http_protocol_text(x->request.protocol));
    if (!error)
        error = short_text(b, "method", x->request.method, METHOD_MAX);
    if (!error)
        error = short_text(b, "target", target, TARGET_MAX);
    if (!error && json_fitting(target, TARGET_MAX) < target.size)
        error = truth(b, "target_cut", true);
    return error;
}

static int append_result(struct buffer *b, const struct access_record *r)
{
    const struct exchange *x = r->exchange;
    int error = number(b, "status", r->status);
    if (!error)
        error = number(b, "bytes_in", x->request_bytes);
    if (!error)
        error = number(b, "bytes_out", x->response_bytes);
    if (!error && r->responded)
        error = number(b, "head_us", r->responded - r->started);
    if (!error)
        error = number(b, "total_us", r->ended - r->started);
    if (!error && r->round_trip)
        error = number(b, "rtt_us", r->round_trip);
    if (!error)
        error = short_text(b, "request_id", x->request_id, ID_MAX);
    if (!error)
        error = truth(b, "engine", x->reached_application);
    if (!error)
        error = text(b, "error", r->error ? span_from(routed_error_name(r->error)) : SPAN_EMPTY);
    return error;
}

bool access_log_append(struct buffer *lines, const struct access_record *r)
{
    size_t before = buffer_size(lines);
    char now[TIME_SIZE];
    write_time(now, r->wall_seconds);
    int error = buffer_append_text(lines, "{\"time\":\"");
    if (!error)
        error = buffer_append(lines, now, sizeof(now));
    if (!error)
        error = buffer_append_text(lines, "\"");
    if (!error)
        error = append_request(lines, r->exchange);
    if (!error)
        error = append_result(lines, r);
    if (!error)
        error = buffer_append_text(lines, "}\n");
    if (error)
        lines->tail = lines->head + before;
    return !error;
}

static uint64_t count_lines(struct span s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s.size; i++)
        count += s.data[i] == '\n';
    return count;
}

/* A file may take half a line, when the disk or the pipe is full. That half must not run into the
 * next line. False when not even the line end is taken. */
static bool end_torn_line(struct access_log *log)
{
    if (!atomic_exchange(&log->is_torn, false))
        return true;
    if (system_log_write(atomic_load(&log->fd), SPAN("\n")) > 0)
        return true;
    atomic_store(&log->is_torn, true);
    return false;
}

/* The lines that the file took whole. */
static uint64_t write_lines(struct access_log *log, struct span all)
{
    if (!end_torn_line(log))
        return 0;
    ssize_t written = system_log_write(atomic_load(&log->fd), all);
    if (written <= 0)
        return 0;
    if (all.data[written - 1] != '\n')
        atomic_store(&log->is_torn, true);
    return count_lines(span_of(all.data, (size_t)written));
}

void access_log_flush(struct access_log *log, struct buffer *lines, struct metric_set *metrics)
{
    struct span all = buffer_span(lines);
    if (all.size == 0)
        return;
    if (atomic_exchange(&log->wants_reopen, false))
        reopen(log);
    uint64_t count = count_lines(all);
    uint64_t done = write_lines(log, all);
    metric_add(metrics, FRONT_LOG_LINES, done);
    metric_add(metrics, FRONT_LOG_DROPPED, count - done);
    buffer_clear(lines);
}

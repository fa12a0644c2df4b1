#include "load/report.h"

#include <stdio.h>

/* Enough points for a curve; the upper end is where it matters. */
static const double curve[] = {0,      0.1,   0.2,   0.3,    0.4,    0.5,  0.6,  0.7,
                               0.8,    0.85,  0.9,   0.95,   0.975,  0.98, 0.99, 0.995,
                               0.9975, 0.998, 0.999, 0.9995, 0.9999, 1};

static void print_latency(const struct load_histogram *h)
{
    printf("\"latency\":{\"mean\":%.2f,\"min\":%llu,\"max\":%llu", load_histogram_mean(h),
           (unsigned long long)(h->total ? h->least : 0), (unsigned long long)h->most);
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}};
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
        printf(",\"%s\":%llu", shares[i].name,
               (unsigned long long)load_histogram_quantile(h, shares[i].share));
    printf("},\"curve\":[");
    for (size_t i = 0; i < sizeof(curve) / sizeof(curve[0]); i++)
        printf("%s[%g,%llu]", i ? "," : "", curve[i],
               (unsigned long long)load_histogram_quantile(h, curve[i]));
    printf("]");
}

static void print_errors(const struct load_tally *t)
{
    printf("\"errors\":{\"total\":%llu", (unsigned long long)load_tally_errors(t));
    for (int i = LOAD_ERROR_NONE + 1; i < LOAD_ERROR_COUNT; i++)
        printf(",\"%s\":%llu", load_error_name((enum load_error)i),
               (unsigned long long)t->errors[i]);
    printf("}");
}

void load_report_print(const struct load_fleet *f)
{
    const struct load_tally *t = &f->tally;
    microseconds elapsed = t->last - f->pacer.start;
    printf("{\"protocol\":\"%s\",\"connections\":%u,\"depth\":%u,\"requests\":%llu,"
           "\"elapsed_us\":%llu,\"requests_per_second\":%.2f,",
           load_options_protocol_text(f->options), f->count, f->options->depth,
           (unsigned long long)t->answers, (unsigned long long)elapsed,
           elapsed ? (double)t->answers * 1e6 / (double)elapsed : 0.0);
    print_latency(&t->latency);
    printf(",");
    print_errors(t);
    printf(",\"missed\":%llu,\"connects\":%llu,\"resumed\":%llu,\"from_table\":%llu,\"content_"
           "bytes\":%llu,"
           "\"bytes_in\":%llu,\"bytes_out\":%llu}\n",
           (unsigned long long)load_pacer_missed(&f->pacer, loop_clock()),
           (unsigned long long)t->connects, (unsigned long long)t->resumed,
           (unsigned long long)t->from_table, (unsigned long long)t->content,
           (unsigned long long)t->bytes_in, (unsigned long long)t->bytes_out);
    fflush(stdout);
}

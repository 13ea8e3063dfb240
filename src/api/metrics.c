/* SPDX-License-Identifier: MIT */
#include "api/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* One figure of a queue, as a row: its name, kind, help, and how to read it. */
struct figure {
    const char *name, *kind, *help;
    double (*read)(const struct jobd_stats *stats);
};

static double capacity(const struct jobd_stats *s)
{
    return s->capacity;
}
static double workers(const struct jobd_stats *s)
{
    return s->workers;
}
static double paused(const struct jobd_stats *s)
{
    return s->paused;
}
static double queued(const struct jobd_stats *s)
{
    return s->queued;
}
static double scheduled(const struct jobd_stats *s)
{
    return s->scheduled;
}
static double running(const struct jobd_stats *s)
{
    return s->running;
}
static double leased(const struct jobd_stats *s)
{
    return s->leased;
}
static double oldest(const struct jobd_stats *s)
{
    return (double)s->oldest_us / 1e6;
}
static double drain(const struct jobd_stats *s)
{
    return s->drain_per_s;
}
static double admitted(const struct jobd_stats *s)
{
    return (double)s->admitted;
}
static double retried(const struct jobd_stats *s)
{
    return (double)s->retried;
}

static double rejected(const struct jobd_stats *s)
{
    return (double)s->rejected;
}
static double done(const struct jobd_stats *s)
{
    return (double)s->done;
}
static double failed(const struct jobd_stats *s)
{
    return (double)s->failed;
}
static double cancelled(const struct jobd_stats *s)
{
    return (double)s->cancelled;
}

static const struct figure figures[] = {
    {"jobd_queue_capacity", "gauge", "Jobs that may wait.", capacity},
    {"jobd_queue_workers", "gauge", "Jobs that may run at a time.", workers},
    {"jobd_queue_paused", "gauge", "1 while the queue is paused.", paused},
    {"jobd_queue_queued", "gauge", "Jobs that wait for a worker.", queued},
    {"jobd_queue_scheduled", "gauge", "Jobs that wait for a time.", scheduled},
    {"jobd_queue_running", "gauge", "Jobs that run.", running},
    {"jobd_queue_leased", "gauge", "Of those that run: by remote workers.", leased},
    {"jobd_queue_oldest_seconds", "gauge", "How long the oldest queued job has waited.", oldest},
    {"jobd_queue_drain_per_second", "gauge", "Slots that become free, as measured.", drain},
    {"jobd_jobs_admitted_total", "counter", "Jobs that were let in.", admitted},
    {"jobd_jobs_rejected_total", "counter", "Jobs that met a full queue.", rejected},
    {"jobd_retries_total", "counter", "Failed attempts that were not the last.", retried},
    {"jobd_jobs_done_total", "counter", "Jobs that ended well.", done},
    {"jobd_jobs_failed_total", "counter", "Jobs whose attempts are used up.", failed},
    {"jobd_jobs_cancelled_total", "counter", "Jobs that were cancelled.", cancelled},
};

static void head(FILE *out, const char *name, const char *kind, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void histogram(FILE *out, const char *name, const char *queue,
                      const struct jobd_histogram *of)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++) {
        count += of->counts[i];
        if (jobd_histogram_bounds_us[i] == JOBD_NEVER)
            fprintf(out, "%s_bucket{queue=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, queue, count);
        else
            fprintf(out, "%s_bucket{queue=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, queue,
                    (double)jobd_histogram_bounds_us[i] / 1e6, count);
    }
    fprintf(out, "%s_sum{queue=\"%s\"} %.6f\n", name, queue, (double)of->sum_us / 1e6);
    fprintf(out, "%s_count{queue=\"%s\"} %" PRIu64 "\n", name, queue, count);
}

static void queues(FILE *out, struct jobd *jobd, const struct jobd_stats *stats)
{
    uint32_t len = jobd_queues_len(jobd);
    for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
        head(out, figures[f].name, figures[f].kind, figures[f].help);
        for (uint32_t i = 0; i < len; i++)
            fprintf(out, "%s{queue=\"%s\"} %.15g\n", figures[f].name, jobd_queue_name(jobd, i),
                    figures[f].read(&stats[i]));
    }
    head(out, "jobd_job_wait_seconds", "histogram", "From ready to run until running.");
    for (uint32_t i = 0; i < len; i++)
        histogram(out, "jobd_job_wait_seconds", jobd_queue_name(jobd, i), &stats[i].waited);
    head(out, "jobd_job_run_seconds", "histogram", "How long jobs ran.");
    for (uint32_t i = 0; i < len; i++)
        histogram(out, "jobd_job_run_seconds", jobd_queue_name(jobd, i), &stats[i].ran);
}

static void server(FILE *out, struct jobd *jobd, struct http *http)
{
    struct http_stats stats;
    http_stats(http, &stats);
    head(out, "jobd_payload_bytes", "gauge",
         "Bytes of payloads, outputs and errors that are remembered.");
    fprintf(out, "jobd_payload_bytes %zu\n", jobd_memory(jobd));
    head(out, "jobd_connections", "gauge", "Open connections.");
    fprintf(out, "jobd_connections %" PRIu32 "\n", stats.conns.open);
    head(out, "jobd_connections_accepted_total", "counter", "Connections that were made.");
    fprintf(out, "jobd_connections_accepted_total %" PRIu64 "\n", stats.conns.accepted);
    head(out, "jobd_connections_refused_total", "counter", "Connections over a limit.");
    fprintf(out, "jobd_connections_refused_total{limit=\"all\"} %" PRIu64 "\n",
            stats.conns.refused_total);
    fprintf(out, "jobd_connections_refused_total{limit=\"address\"} %" PRIu64 "\n",
            stats.conns.refused_address);
    head(out, "jobd_connections_cut_total", "counter", "Connections closed at a deadline.");
    fprintf(out, "jobd_connections_cut_total %" PRIu64 "\n", stats.conns.cut);
    head(out, "jobd_requests_parked", "gauge", "Requests that wait for a job.");
    fprintf(out, "jobd_requests_parked %" PRIu32 "\n", stats.parked);
    head(out, "jobd_request_bytes", "gauge", "Bytes of bodies and replies under way.");
    fprintf(out, "jobd_request_bytes %zu\n", stats.bytes);
    head(out, "jobd_replies_total", "counter", "Replies by the class of their status.");
    for (int i = 2; i < 6; i++)
        fprintf(out, "jobd_replies_total{class=\"%dxx\"} %" PRIu64 "\n", i, stats.replies[i]);
    head(out, "jobd_build_info", "gauge", "Always 1; what is running.");
    fprintf(out, "jobd_build_info{version=\"" JOBD_VERSION "\",libmicrohttpd=\"%s\"} 1\n",
            http_library());
}

static void store_figures(FILE *out, struct store *store)
{
    struct store_stats stats;
    store_stats(store, &stats);
    head(out, "jobd_store_failing", "gauge", "1: nothing new can be written down.");
    fprintf(out, "jobd_store_failing %d\n", stats.failing);
    head(out, "jobd_store_commits_total", "counter", "Transactions.");
    fprintf(out, "jobd_store_commits_total %" PRIu64 "\n", stats.commits);
    head(out, "jobd_store_changes_total", "counter", "Changes in them.");
    fprintf(out, "jobd_store_changes_total %" PRIu64 "\n", stats.changes);
    head(out, "jobd_store_failures_total", "counter", "Times that the disk was full or failed.");
    fprintf(out, "jobd_store_failures_total %" PRIu64 "\n", stats.failures);
    head(out, "jobd_store_bytes", "gauge", "Size of the database and its log.");
    fprintf(out, "jobd_store_bytes %" PRIu64 "\n", stats.bytes);
}

char *metrics_text(struct jobd *jobd, struct http *http, struct store *store)
{
    char *text = NULL;
    size_t size;
    uint32_t len = jobd_queues_len(jobd);
    struct jobd_stats *stats = calloc(len, sizeof *stats);
    FILE *out = stats != NULL ? open_memstream(&text, &size) : NULL;
    if (out != NULL) {
        int64_t now_us = clock_now_us();
        for (uint32_t i = 0; i < len; i++)
            jobd_stats(jobd, i, now_us, &stats[i]);
        queues(out, jobd, stats);
        server(out, jobd, http);
        if (store != NULL)
            store_figures(out, store);
        bool failed = ferror(out) != 0;
        if (fclose(out) != 0 || failed) {
            free(text);
            text = NULL;
        }
    }
    free(stats);
    return text;
}

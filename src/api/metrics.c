/* SPDX-License-Identifier: MIT */
/* Figures are rows: a name, a kind, a help text, and the field that has the value. A figure of a
 * queue is a row of `queue_figures`, with its name in GET /queues where it has one; one of the
 * whole server is a row of `server_figures`. What the field is says how it is printed. */
#include "api/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ready.h"
#include "api/live.h"
#include "base/clock.h"
#include "base/process_stats.h"
#include "jobd/schedule.h"

#define GAUGE     "gauge"
#define COUNTER   "counter"
#define HISTOGRAM "histogram"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

/* What a field is. */
enum number { IS_BOOL, IS_UINT32, IS_UINT64, IS_MICROSECONDS, IS_DOUBLE, IS_HISTOGRAM };

struct figure {
    const char *name, *kind, *help;
    size_t offset; /* of the field in what the table is about */
    enum number number;
    const char *label; /* NULL: none */
    const char *json;  /* its name there; NULL: it is only a metric */
};

/* size_t is one of these. */
#define FIELD(of, field)                                                                           \
    .offset = offsetof(struct of, field),                                                          \
    .number = _Generic(((const struct of *)NULL)->field, bool                                      \
                       : IS_BOOL, uint32_t                                                         \
                       : IS_UINT32, uint64_t                                                       \
                       : IS_UINT64, int64_t                                                        \
                       : IS_MICROSECONDS, double                                                   \
                       : IS_DOUBLE, struct jobd_histogram                                          \
                       : IS_HISTOGRAM)
#define QUEUE(field) FIELD(jobd_stats, field)

/* In the order of GET /queues. */
static const struct figure queue_figures[] = {
    {"jobd_queue_capacity", GAUGE, "Jobs that may wait.", QUEUE(capacity), .json = "capacity"},
    {"jobd_queue_workers", GAUGE, "Jobs that may run at a time.", QUEUE(workers),
     .json = "workers"},
    {"jobd_queue_paused", GAUGE, "1 while the queue is paused.", QUEUE(paused), .json = "paused"},
    {"jobd_queue_held", GAUGE, "1 while jobs wait as the service of the queue is down.",
     QUEUE(held)},
    {"jobd_queue_probing", GAUGE, "1 while one of them tries whether that is back.",
     QUEUE(probing)},
    {"jobd_queue_queued", GAUGE, "Jobs that wait for a worker.", QUEUE(queued), .json = "queued"},
    {"jobd_queue_scheduled", GAUGE, "Jobs that wait for a time.", QUEUE(scheduled),
     .json = "scheduled"},
    {"jobd_queue_blocked", GAUGE, "Jobs that wait for the end of others.", QUEUE(blocked),
     .json = "blocked"},
    {"jobd_queue_running", GAUGE, "Jobs that run.", QUEUE(running), .json = "running"},
    {"jobd_queue_leased", GAUGE, "Running jobs that remote workers have leased.", QUEUE(leased)},
    {"jobd_queue_held_back", GAUGE, "Queued jobs that a limit keeps from beginning.",
     QUEUE(held_back), .json = "held_back"},
    {"jobd_queue_keys", GAUGE, "Keys that have jobs, where they take turns.", QUEUE(groups)},
    {"jobd_queue_running_limit", GAUGE, "Jobs that may run at a time by the limit; 0: no limit.",
     QUEUE(limits.running)},
    {"jobd_jobs_admitted_total", COUNTER, "Jobs that were let in.", QUEUE(admitted)},
    {"jobd_retries_total", COUNTER, "Failed attempts that were not the last.", QUEUE(retried)},
    {"jobd_leases_expired_total", COUNTER, "Leases that nobody ended in time.",
     QUEUE(leases_expired)},
    {"jobd_leases_released_total", COUNTER, "Leases whose jobs were given back.",
     QUEUE(leases_released)},
    {"jobd_breaker_opened_total", COUNTER, "Times that the service of the queue was found down.",
     QUEUE(breaker_opened)},
    {"jobd_jobs_done_total", COUNTER, "Jobs that ended well.", QUEUE(done), .json = "done"},
    {"jobd_jobs_failed_total", COUNTER, "Jobs whose attempts are used up.", QUEUE(failed),
     .json = "failed"},
    {"jobd_jobs_cancelled_total", COUNTER, "Jobs that were cancelled.", QUEUE(cancelled),
     .json = "cancelled"},
    {"jobd_jobs_expired_total", COUNTER, "Cancelled jobs that had not begun in time.",
     QUEUE(expired), .json = "expired"},
    {"jobd_jobs_rejected_total", COUNTER, "Jobs that were refused with 429.", QUEUE(rejected),
     .json = "rejected"},
    {"jobd_jobs_forgotten_early_total", COUNTER,
     "Ended jobs that were forgotten before their time, as memory was short.",
     QUEUE(forgotten_early)},
    {"jobd_queue_oldest_seconds", GAUGE, "How long the oldest queued job has waited.",
     QUEUE(oldest_us), .json = "oldest_age_ms"},
    {"jobd_queue_drain_per_second", GAUGE, "Slots that become free, as measured.",
     QUEUE(drain_per_s), .json = "drain_per_s"},
    {"jobd_job_wait_seconds", HISTOGRAM, "From ready to run until running.", QUEUE(waited)},
    {"jobd_job_run_seconds", HISTOGRAM, "How long jobs ran.", QUEUE(ran)},
};

struct server_stats {
    struct http_stats http;
    struct live_stats live;
    uint64_t payload_bytes, memory_limit;
    uint32_t undeclared;
    bool ready, reloaded;
    int64_t reloaded_us;
    struct jobd_schedule_stats schedules;
};
#define SERVER(field) FIELD(server_stats, field)

/* Those with the same name stand together. */
static const struct figure server_figures[] = {
    {"jobd_ready", GAUGE, "1 while /readyz says so.", SERVER(ready)},
    {"jobd_config_last_reload_successful", GAUGE,
     "1 unless the last SIGHUP has changed nothing, as something was wrong.", SERVER(reloaded)},
    {"jobd_config_last_reload_success_timestamp_seconds", GAUGE,
     "When the configuration was last read with success.", SERVER(reloaded_us)},
    {"jobd_queues_undeclared", GAUGE, "Queues that have jobs and are not in the configuration.",
     SERVER(undeclared)},
    {"jobd_memory_limit_bytes", GAUGE,
     "Bytes of payloads, outputs and errors that there may be: --memory.", SERVER(memory_limit)},
    {"jobd_payload_bytes", GAUGE, "Bytes of payloads, outputs and errors that are remembered.",
     SERVER(payload_bytes)},
    {"jobd_schedules", GAUGE, "Schedules of recurring jobs.", SERVER(schedules.schedules)},
    {"jobd_schedule_instants_total", COUNTER, "Instants of schedules, by what became of them.",
     SERVER(schedules.fired), "result=\"fired\""},
    {"jobd_schedule_instants_total", COUNTER, "Instants of schedules, by what became of them.",
     SERVER(schedules.missed), "result=\"missed\""},
    {"jobd_schedule_instants_total", COUNTER, "Instants of schedules, by what became of them.",
     SERVER(schedules.skipped), "result=\"skipped\""},
    {"jobd_connections", GAUGE, "Open connections.", SERVER(http.conns.open)},
    {"jobd_connections_limit", GAUGE, "Open connections that there may be.",
     SERVER(http.conns.open_max)},
    {"jobd_connections_accepted_total", COUNTER, "Connections that were made.",
     SERVER(http.conns.accepted)},
    {"jobd_connections_refused_total", COUNTER, "Connections over a limit.",
     SERVER(http.conns.refused_total), "limit=\"all\""},
    {"jobd_connections_refused_total", COUNTER, "Connections over a limit.",
     SERVER(http.conns.refused_address), "limit=\"address\""},
    {"jobd_connections_cut_total", COUNTER, "Connections closed at a deadline.",
     SERVER(http.conns.cut)},
    {"jobd_requests_parked", GAUGE, "Requests that wait.", SERVER(http.parked)},
    {"jobd_streams", GAUGE, "Clients that follow events or an output.", SERVER(live.streams)},
    {"jobd_streams_cut_total", COUNTER,
     "Clients that followed and did not read, and were disconnected.",
     SERVER(http.conns.cut_streams)},
    {"jobd_stream_gaps_total", COUNTER,
     "Times that one who followed events was told that some are missed.", SERVER(live.gaps)},
    {"jobd_request_bytes", GAUGE, "Bytes of bodies and replies under way.", SERVER(http.bytes)},
    {"jobd_replies_total", COUNTER, "Replies by the class of their status.",
     SERVER(http.replies[2]), "class=\"2xx\""},
    {"jobd_replies_total", COUNTER, "Replies by the class of their status.",
     SERVER(http.replies[3]), "class=\"3xx\""},
    {"jobd_replies_total", COUNTER, "Replies by the class of their status.",
     SERVER(http.replies[4]), "class=\"4xx\""},
    {"jobd_replies_total", COUNTER, "Replies by the class of their status.",
     SERVER(http.replies[5]), "class=\"5xx\""},
    {"jobd_access_log_dropped_total", COUNTER, "Lines of the access log that were not written.",
     SERVER(http.access_dropped)},
};

#define STORE(field) FIELD(store_stats, field)

static const struct figure store_figures[] = {
    {"jobd_store_failing", GAUGE, "1: nothing new can be written down.", STORE(failing)},
    {"jobd_store_commits_total", COUNTER, "Transactions.", STORE(commits)},
    {"jobd_store_changes_total", COUNTER, "Changes in them.", STORE(changes)},
    {"jobd_store_commit_seconds", HISTOGRAM, "How long they took.", STORE(commit)},
    {"jobd_store_failures_total", COUNTER, "Times that the disk was full or failed.",
     STORE(failures)},
    {"jobd_store_bytes", GAUGE, "Size of the database and its log.", STORE(bytes)},
};

struct ledger_values {
    struct turns_stats turns;
    bool failing;
};

#define LEDGER(field) FIELD(ledger_values, turns.field)

static const struct figure ledger_figures[] = {
    {"jobd_store_failing", GAUGE, "1: nothing new can be written down.",
     FIELD(ledger_values, failing)},
    {"jobd_ledger_connected", GAUGE, "1 while there is a connection to the database.",
     LEDGER(connected)},
    {"jobd_ledger_turns_total", COUNTER, "Turns that changed something.", LEDGER(turns)},
    {"jobd_ledger_lost_total", COUNTER, "Turns of which nothing is left.", LEDGER(lost)},
    {"jobd_ledger_entries_total", COUNTER, "Entries added to the log.", LEDGER(entries)},
    {"jobd_ledger_entry_bytes_total", COUNTER, "Their bytes.", LEDGER(bytes)},
    {"jobd_ledger_adopted_total", COUNTER, "Entries of other servers.", LEDGER(adopted)},
    {"jobd_ledger_anew_total", COUNTER, "Times that all jobs were read again.", LEDGER(anew)},
};

#define PROCESS(field) FIELD(process_stats, field)

/* As all client libraries of Prometheus have them. */
static const struct figure process_figures[] = {
    {"process_cpu_seconds_total", COUNTER, "Total user and system CPU time spent in seconds.",
     PROCESS(cpu_us)},
    {"process_start_time_seconds", GAUGE, "Start time of the process since unix epoch in seconds.",
     PROCESS(start_us)},
    {"process_virtual_memory_bytes", GAUGE, "Virtual memory size in bytes.",
     PROCESS(virtual_bytes)},
    {"process_resident_memory_bytes", GAUGE, "Resident memory size in bytes.",
     PROCESS(resident_bytes)},
    {"process_threads", GAUGE, "Number of OS threads in the process.", PROCESS(threads)},
    {"process_max_fds", GAUGE, "Maximum number of open file descriptors.", PROCESS(fds_max)},
    {"process_open_fds", GAUGE, "Number of open file descriptors.", PROCESS(fds)}, /* the last */
};

/* ---- a figure as text */

static void head(FILE *out, const char *name, const char *kind, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void histogram(FILE *out, const char *name, const char *labels,
                      const struct jobd_histogram *of)
{
    uint64_t count = 0;
    bool has = labels != NULL;
    const char *all = has ? labels : "", *comma = has ? "," : "";
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++) {
        count += of->counts[i];
        if (jobd_histogram_bounds_us[i] == JOBD_NEVER)
            fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, all, comma, count);
        else
            fprintf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, all, comma,
                    (double)jobd_histogram_bounds_us[i] / 1e6, count);
    }
    const char *open = has ? "{" : "", *close = has ? "}" : "";
    fprintf(out, "%s_sum%s%s%s %.6f\n", name, open, all, close, (double)of->sum_us / 1e6);
    fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, all, close, count);
}

static int64_t whole_number(const struct figure *figure, const void *field)
{
    switch (figure->number) {
    case IS_BOOL:
        return *(const bool *)field;
    case IS_UINT32:
        return *(const uint32_t *)field;
    case IS_UINT64: /* no count gets so far that it does not fit */
        return (int64_t) * (const uint64_t *)field;
    case IS_MICROSECONDS:
        return *(const int64_t *)field;
    case IS_DOUBLE:
    case IS_HISTOGRAM:
        break;
    }
    return 0;
}

/* `labels` NULL: none. */
static void sample(FILE *out, const struct figure *figure, const char *labels, const void *values)
{
    const void *field = (const char *)values + figure->offset;
    if (figure->number == IS_HISTOGRAM) {
        histogram(out, figure->name, labels, field);
        return;
    }
    if (labels != NULL)
        fprintf(out, "%s{%s} ", figure->name, labels);
    else
        fprintf(out, "%s ", figure->name);
    if (figure->number == IS_DOUBLE)
        fprintf(out, "%.15g\n", *(const double *)field);
    else if (figure->number == IS_MICROSECONDS)
        fprintf(out, "%.15g\n", (double)whole_number(figure, field) / 1e6);
    else
        fprintf(out, "%" PRId64 "\n", whole_number(figure, field));
}

/* ---- a figure as JSON */

static void write_figure(struct json_out *out, const struct figure *figure, const void *values)
{
    const void *field = (const char *)values + figure->offset;
    int64_t number = whole_number(figure, field);
    if (figure->number == IS_BOOL)
        json_out_bool(out, figure->json, number != 0);
    else if (figure->number == IS_DOUBLE)
        json_out_thousandths(out, figure->json, (uint64_t)(*(const double *)field * 1000 + 0.5));
    else
        json_out_int(out, figure->json, figure->number == IS_MICROSECONDS ? number / 1000 : number);
}

void metrics_write_queue(struct json_out *out, const struct jobd_stats *stats)
{
    for (size_t f = 0; f < LEN(queue_figures); f++)
        if (queue_figures[f].json != NULL)
            write_figure(out, &queue_figures[f], stats);
}

/* ---- all of them as text */

static void queues(FILE *out, struct jobd *jobd, const struct jobd_stats *stats, uint32_t len)
{
    for (size_t f = 0; f < LEN(queue_figures); f++) {
        const struct figure *figure = &queue_figures[f];
        head(out, figure->name, figure->kind, figure->help);
        for (uint32_t i = 0; i < len; i++) {
            if (stats[i].gone)
                continue;
            char labels[sizeof "queue=\"\"" + JOBD_QUEUE_NAME_MAX];
            snprintf(labels, sizeof labels, "queue=\"%s\"", jobd_queue_name(jobd, i));
            sample(out, figure, labels, &stats[i]);
        }
    }
}

static void table(FILE *out, const struct figure *figures, size_t len, const void *values)
{
    const char *former = NULL;
    for (size_t f = 0; f < len; f++) {
        if (former == NULL || strcmp(former, figures[f].name) != 0)
            head(out, figures[f].name, figures[f].kind, figures[f].help);
        former = figures[f].name;
        sample(out, &figures[f], figures[f].label, values);
    }
}

static uint32_t undeclared(const struct jobd_stats *queues, uint32_t len)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < len; i++)
        count += !queues[i].declared && !queues[i].gone;
    return count;
}

static void server(FILE *out, const struct api *api, uint32_t queues_undeclared)
{
    struct problem why;
    struct server_stats stats = {
        .payload_bytes = jobd_memory(api->jobd),
        .memory_limit = api->memory_max_bytes,
        .undeclared = queues_undeclared,
        .ready = api_ready(api, &why),
        .reloaded = !atomic_load(&api->reload.failed),
        .reloaded_us = atomic_load(&api->reload.good_us),
    };
    http_stats(api->http, &stats.http);
    live_stats(api->live, &stats.live);
    jobd_schedule_stats(api->jobd, &stats.schedules);
    table(out, server_figures, LEN(server_figures), &stats);
    head(out, "jobd_build_info", GAUGE, "Always 1; what is running.");
    fprintf(out, "jobd_build_info{version=\"" JOBD_VERSION "\",libmicrohttpd=\"%s\"} 1\n",
            http_library());
}

static void disk(FILE *out, struct store *store)
{
    struct store_stats stats;
    store_stats(store, &stats);
    table(out, store_figures, LEN(store_figures), &stats);
}

static void ledger(FILE *out, struct turns *turns)
{
    struct ledger_values values;
    struct problem why;
    turns_stats(turns, &values.turns);
    values.failing = turns_failing(turns, &why);
    table(out, ledger_figures, LEN(ledger_figures), &values);
}

static void process(FILE *out)
{
    struct process_stats stats;
    if (process_stats(&stats))
        table(out, process_figures, LEN(process_figures) - !stats.fds_known, &stats);
}

char *metrics_text(const struct api *api)
{
    struct jobd *jobd = api->jobd;
    char *text = NULL;
    size_t size;
    uint32_t len = jobd_queues_len(jobd);
    struct jobd_stats *stats = calloc(len, sizeof *stats);
    FILE *out = stats != NULL ? open_memstream(&text, &size) : NULL;
    if (out != NULL) {
        int64_t now_us = clock_now_us();
        for (uint32_t i = 0; i < len; i++)
            jobd_stats(jobd, i, now_us, &stats[i]);
        queues(out, jobd, stats, len);
        server(out, api, undeclared(stats, len));
        if (api->store != NULL)
            disk(out, api->store);
        if (api->turns != NULL)
            ledger(out, api->turns);
        process(out);
        bool failed = ferror(out) != 0;
        if (fclose(out) != 0 || failed) {
            free(text);
            text = NULL;
        }
    }
    free(stats);
    return text;
}

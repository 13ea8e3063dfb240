/* SPDX-License-Identifier: MIT */
#include "client/worker.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "base/text.h"
#include "client/backoff.h"
#include "client/keeper.h"
#include "run/exec.h"

#define TAKE_US     ((TAKE_WAIT_S + 15) * CLOCK_SECOND_US)
#define HEAR_US     CLOCK_SECOND_US /* a job that was on its way when the drain began */
#define REPORT_US   (30 * CLOCK_SECOND_US)
#define PAYLOAD_MAX ((size_t)1 << 30) /* as --max-body */

enum { FIELD_SIZE = 256, TRACE_SIZE = 128 };

struct work_loop {
    struct work *work;
    _Atomic uint64_t *job;        /* its own in work->jobs */
    struct remote_client *client; /* to take and report */
    struct remote_client *keeper_client;
    struct keeper *keeper;
    struct backoff backoff;
};

/* A job that was taken. */
struct taken_job {
    char lease[LEASE_PATH_SIZE];
    char queue[FIELD_SIZE];
    char trace[TRACE_SIZE];
    bool cut;            /* there was no memory for all of the payload */
    int64_t limit_at_us; /* when its time is over; JOBD_NEVER: it has no limit */
    bool timed_out;      /* its command was stopped then */
    struct jobd_task task;
};

void work_drain(struct work *work)
{
    event_set(work->drain);
}

static bool drains(const struct work *work)
{
    struct pollfd look = {.fd = work->drain, .events = POLLIN};
    return poll(&look, 1, 0) > 0;
}

static void give_up(struct work *work, const char *why)
{
    atomic_store(&work->code, EXIT_FAILED);
    if (!atomic_exchange(&work->gave_up, true))
        log_error("%s: %s", remote_name(work->remote), why);
    work_drain(work);
}

/* ---- a job */

static bool field_number(struct work_loop *worker, const char *name, uint64_t max, uint64_t *number)
{
    char text[FIELD_SIZE];
    return remote_field(worker->client, name, text, sizeof text) &&
           text_to_number(text, max, number);
}

static void read_payload(const struct http_answer *answer, struct taken_job *taken)
{
    taken->cut = answer->cut;
    if (answer->size == 0)
        return;
    taken->task.payload = jobd_blob_new(answer->size, answer->type);
    if (taken->task.payload != NULL)
        memcpy(taken->task.payload->bytes, answer->bytes, answer->size);
    else
        taken->cut = true;
}

/* The lease's path below the server's URL, in a Location that a proxy may have put its own path or
 * a whole URL before. False: there is none. */
static bool read_lease(struct work_loop *worker, char lease[LEASE_PATH_SIZE])
{
    char location[FIELD_SIZE];
    if (!remote_field(worker->client, "Location", location, sizeof location))
        return false;
    const char *path = strstr(location, "/leases/");
    if (path == NULL || strlen(path) >= LEASE_PATH_SIZE ||
        strcspn(path + 8, "/?#") != strlen(path + 8))
        return false;
    memcpy(lease, path, strlen(path) + 1);
    return text_is_word(lease, LEASE_PATH_SIZE);
}

/* False: this is no jobd's answer. */
static bool read_job(struct work_loop *worker, const struct http_answer *answer,
                     struct taken_job *taken)
{
    struct remote_client *client = worker->client;
    char text[FIELD_SIZE];
    uint64_t attempt = 0;
    *taken = (struct taken_job){.task = {.key = "", .trace = taken->trace}};
    if (!read_lease(worker, taken->lease) ||
        !field_number(worker, "Jobd-Id", INT64_MAX, &taken->task.id) ||
        !field_number(worker, "Jobd-Attempt", UINT32_MAX, &attempt) ||
        !remote_field(client, "Jobd-Queue", taken->queue, sizeof taken->queue) ||
        !text_is_name(taken->queue))
        return false;
    taken->task.attempt = (uint32_t)attempt;
    if (remote_field(client, "Jobd-Timeout", text, sizeof text) &&
        !text_to_duration(text, &taken->task.timeout_us))
        return false;
    taken->limit_at_us =
        taken->task.timeout_us > 0 ? clock_after_us(taken->task.timeout_us) : JOBD_NEVER;
    if (!remote_field(client, "traceparent", taken->trace, sizeof taken->trace))
        taken->trace[0] = '\0';
    read_payload(answer, taken);
    return true;
}

static void pause_for(struct work_loop *worker, int64_t least_us)
{
    (void)backoff_wait(backoff_next(&worker->backoff, least_us), worker->work->drain);
}

/* An error that will not go away by itself. */
static bool is_final(long status)
{
    return status == 400 || status == 401 || status == 403 || status == 405;
}

static void say_refused(struct work_loop *worker, const struct http_answer *answer)
{
    char said[REMOTE_SAID_SIZE];
    remote_said(answer, said);
    if (is_final(answer->status)) {
        give_up(worker->work, said);
        return;
    }
    if (worker->backoff.next_us == 0)
        log_warn("%s: %s; retrying", remote_name(worker->work->remote), said);
    pause_for(worker, answer->wait_for_s * CLOCK_SECOND_US);
}

/* False: there is none at the moment. */
static bool take(struct work_loop *worker, struct taken_job *taken)
{
    const struct remote_request request = {
        .path = worker->work->take_path, .timeout_us = TAKE_US, .stop_fd = worker->work->drain};
    struct http_answer answer;
    enum remote_end end = remote_ask(worker->client, &request, &answer);
    if (end == REMOTE_STOPPED)
        return false;
    if (end == REMOTE_AWAY) {
        pause_for(worker, answer.wait_for_s * CLOCK_SECOND_US);
        return false;
    }
    if (answer.status == 200 && read_job(worker, &answer, taken)) {
        backoff_reset(&worker->backoff);
        return true;
    }
    if (answer.status == 204)
        backoff_reset(&worker->backoff);
    else
        say_refused(worker, &answer);
    return false;
}

/* ---- how it ended */

enum reported { REPORTED, NOT_NOW, NOT_THIS, NEVER };

static void say_stopped(const struct taken_job *taken)
{
    log_info("job %" PRIu64 ": stopped%s", taken->task.id,
             taken->timed_out ? " at its time limit"
                              : ": it is cancelled, or given to another worker");
}

/* Tries once to report it. */
static enum reported report_once(struct work_loop *worker, const struct taken_job *taken,
                                 const char *path, struct jobd_blob *body, int64_t *wait_us)
{
    const struct remote_request request = {
        .path = path, .payload = body, .timeout_us = REPORT_US, .stop_fd = -1};
    struct http_answer answer;
    char said[REMOTE_SAID_SIZE];
    enum remote_end end = remote_ask(worker->client, &request, &answer);
    *wait_us = answer.wait_for_s * CLOCK_SECOND_US;
    if (end != REMOTE_ANSWERED)
        return NOT_NOW;
    switch (answer.status) {
    case 200:
        return REPORTED;
    case 413:
        return NOT_THIS;
    case 400:
    case 404:
    case 405:
    case 409:
        remote_said(&answer, said);
        if (taken->timed_out) /* which the server knew before */
            say_stopped(taken);
        else
            log_warn("job %" PRIu64 ": its end does not count: %s", taken->task.id, said);
        return NEVER;
    case 401:
    case 403:
        remote_said(&answer, said);
        give_up(worker->work, said);
        return NOT_NOW; /* the token may be known again in a moment */
    default:
        return NOT_NOW;
    }
}

/* Until it is heard, or the lease is nobody's any more; while the workers end, no longer than the
 * server waits for a word. */
static void report(struct work_loop *worker, const struct taken_job *taken, const char *path,
                   struct jobd_blob *body)
{
    struct work *work = worker->work;
    struct backoff backoff = {0};
    int64_t until_us = clock_after_us(work->options->lease_us), wait_us;
    enum reported end;
    while ((end = report_once(worker, taken, path, body, &wait_us)) == NOT_NOW ||
           (end == NOT_THIS && body != NULL)) {
        if (end == NOT_THIS) {
            keeper_send_rest(worker->keeper); /* what was appended counts then */
            body = NULL;
            continue;
        }
        bool draining = drains(work);
        if (draining && clock_now_us() >= until_us)
            break;
        (void)backoff_wait(backoff_next(&backoff, wait_us), draining ? -1 : work->drain);
    }
    if (end == NOT_NOW) {
        log_error("job %" PRIu64 ": its end could not be reported: it will run again",
                  taken->task.id);
        atomic_store(&work->code, EXIT_FAILED);
    }
}

static void report_outcome(struct work_loop *worker, const struct taken_job *taken,
                           const struct jobd_outcome *outcome)
{
    char path[LEASE_PATH_SIZE + 64], exited[32] = "";
    bool done = outcome->state == JOBD_DONE;
    if (outcome->exited)
        snprintf(exited, sizeof exited, "?exit_code=%d", outcome->exit_code);
    snprintf(path, sizeof path, "%s/%s%s", taken->lease, done ? "done" : "fail", exited);
    report(worker, taken, path, done ? outcome->output : outcome->error);
}

/* The command of its last attempt, which the server has given up, is still being stopped here: it
 * is somebody's next when that is gone. */
static bool is_not_over(const struct work_loop *worker, uint64_t job)
{
    const struct work *work = worker->work;
    bool runs = false;
    for (size_t i = 0; i < work->options->workers; i++)
        runs |= atomic_load(&work->jobs[i]) == job;
    return runs;
}

static void give_back(struct work_loop *worker, const struct taken_job *taken)
{
    char path[LEASE_PATH_SIZE + 64];
    log_info("job %" PRIu64 ": its last attempt is still being stopped: given back for a second",
             taken->task.id);
    snprintf(path, sizeof path, "%s/release?delay=1s", taken->lease);
    report(worker, taken, path, NULL);
}

static void run(struct work_loop *worker, struct taken_job *taken)
{
    const struct client_options *options = worker->work->options;
    const struct exec_config config = {.command = (const char *const *)options->command,
                                       .queue = taken->queue,
                                       .output_max_bytes = (size_t)options->output_max_bytes,
                                       .kill_after_us = options->kill_after_us,
                                       .on_output = keeper_output,
                                       .output_context = worker->keeper};
    struct jobd_outcome outcome = {.state = JOBD_DONE};
    if (taken->cut || keeper_begin(worker->keeper, taken->lease) != 0) {
        outcome.state = JOBD_FAILED;
        outcome.error = jobd_blob_text("the worker is short of memory");
        report_outcome(worker, taken, &outcome);
    } else {
        exec_attempt(&taken->task, &outcome, &config, keeper_stop_descriptor(worker->keeper));
        bool late = clock_now_us() >= taken->limit_at_us;
        bool ours = keeper_end(worker->keeper) && outcome.state != JOBD_CANCELLED;
        taken->timed_out = late && outcome.state != JOBD_DONE &&
                           keeper_lost_at_us(worker->keeper) >= taken->limit_at_us;
        if (ours && outcome.state == JOBD_FAILED)
            keeper_send_rest(worker->keeper);
        if (ours)
            report_outcome(worker, taken, &outcome);
        else
            say_stopped(taken);
    }
    jobd_blob_unref(outcome.output);
    jobd_blob_unref(outcome.error);
}

/* ---- the thread */

static bool open_worker(struct work_loop *worker)
{
    const struct client_options *options = worker->work->options;
    worker->client = remote_client_new(worker->work->remote, PAYLOAD_MAX);
    worker->keeper_client = remote_client_new(worker->work->remote, 0);
    if (worker->client == NULL || worker->keeper_client == NULL)
        return false;
    remote_client_hear_out(worker->client, HEAR_US);
    worker->keeper =
        keeper_new(worker->keeper_client, options->lease_us, (size_t)options->output_max_bytes);
    return worker->keeper != NULL;
}

void *worker_run(void *context)
{
    struct work *work = context;
    struct work_loop worker = {.work = work, .job = &work->jobs[atomic_fetch_add(&work->begun, 1)]};
    if (!open_worker(&worker))
        give_up(work, "short of memory or descriptors");
    while (!drains(work)) {
        struct taken_job taken;
        if (!take(&worker, &taken))
            continue;
        if (is_not_over(&worker, taken.task.id)) {
            give_back(&worker, &taken);
        } else {
            log_debug("job %" PRIu64 ": attempt %" PRIu32 " begins", taken.task.id,
                      taken.task.attempt);
            atomic_store(worker.job, taken.task.id);
            run(&worker, &taken);
            atomic_store(worker.job, 0);
        }
        jobd_blob_unref(taken.task.payload);
    }
    keeper_free(worker.keeper);
    remote_client_free(worker.client);
    remote_client_free(worker.keeper_client);
    if (atomic_fetch_sub(&work->left, 1) == 1)
        event_set(work->over);
    return NULL;
}

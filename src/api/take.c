/* SPDX-License-Identifier: MIT */
/* Workers elsewhere take jobs. With each they get a lease, the right to run one attempt. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/job_json.h"
#include "api/lease_values.h"
#include "api/respond.h"
#include "base/container.h"
#include "base/random.h"
#include "base/text.h"
#include "base/utf8.h"
#include "jobd/lease.h"

#define QUEUES_VALUES "1 to 16 names with commas between them, each once"

enum {
    TAKES_MAX = 1000,
    TAKES_BYTES = 256 * 1024, /* of payloads in an answer, about: the last one passes it */
    /* The most that a job takes in JSON without its payload; and the most that a byte of the
     * payload takes, which is then written like \u0001. */
    TAKEN_JSON_BYTES = 3072,
    BYTE_JSON_BYTES = 6
};

struct take_state {
    uint32_t queue;             /* asked alone, */
    struct jobd_choice *choice; /* or these, in their order; not NULL then */
    int64_t wait_us;
    bool several; /* max was given: the answer is a list */
    uint32_t max;
    struct takers *takers; /* not NULL: the first one is taken, and more are */
};

static struct take_state *state_of(struct request *request)
{
    return request_state(request, sizeof(struct take_state));
}

/* ---- answers */

static void write_payload(struct json_out *out, const struct jobd_blob *payload)
{
    if (payload == NULL) {
        json_out_text(out, "payload", "");
        return;
    }
    if (payload->type[0] != '\0')
        json_out_bytes(out, "content_type", payload->type, strlen(payload->type));
    if (utf8_valid(payload->bytes, payload->size)) {
        json_out_bytes(out, "payload", payload->bytes, payload->size);
        return;
    }
    json_out_base64(out, "payload_base64", payload->bytes, payload->size);
}

/* Gives back the reference to the task's payload. */
static void write_taken(struct json_out *out, const struct api *api,
                        const struct jobd_waiter *taker)
{
    const struct jobd_task *task = &taker->task;
    const char *trace = taker->info.trace;
    char location[sizeof "/leases/" + JOBD_TOKEN_SIZE];
    stpcpy(stpcpy(location, "/leases/"), taker->token);
    json_out_open(out, NULL, '{');
    json_out_int(out, "id", (int64_t)task->id);
    json_out_text(out, "lease", location);
    json_out_text(out, "queue", jobd_queue_name(api->jobd, task->queue));
    json_out_int(out, "attempt", task->attempt);
    json_out_int(out, "attempts", task->attempts);
    if (task->timeout_us != 0)
        json_out_int(out, "timeout_ms", task->timeout_us / 1000);
    json_out_time(out, "expires_at", task->expires_us);
    if (trace[0] != '\0')
        json_out_text(out, "trace", trace);
    if (taker->info.has_words)
        job_json_write_words(out, api, task->id);
    write_payload(out, task->payload);
    json_out_close(out, '}');
    jobd_blob_unref(task->payload);
}

/* How much one usually takes in the answer. */
static size_t taken_room(const struct jobd_waiter *taker)
{
    return taker->task.payload_bytes + 320;
}

static enum step respond_taken(struct call *call)
{
    const struct jobd_waiter *taker = &call->request->waiter;
    struct reply *reply = call->reply;
    char expires[TEXT_TIME_SIZE];
    call->request->job = taker->task.id;
    if (call->request->wants_json) {
        struct json_out out;
        json_out_begin(&out, taken_room(taker));
        write_taken(&out, call->api, taker);
        return respond_written(call, 200, &out);
    }
    text_time(clock_wall_us(taker->task.expires_us), expires);
    reply_text(reply, "Location", "/leases/", taker->token);
    reply_number(reply, "Jobd-Id", "", taker->task.id);
    reply_text(reply, "Jobd-Queue", "", jobd_queue_name(call->api->jobd, taker->task.queue));
    reply_number(reply, "Jobd-Attempt", "", taker->task.attempt);
    reply_number(reply, "Jobd-Attempts", "", taker->task.attempts);
    if (taker->task.timeout_us > 0)
        reply_field(reply, "Jobd-Timeout", "%" PRId64 "ms", taker->task.timeout_us / 1000);
    if (taker->info.trace[0] != '\0')
        reply_text(reply, "traceparent", "", taker->info.trace);
    reply_text(reply, "Jobd-Expires", "", expires);
    return respond_bytes(call, 200, taker->task.payload);
}

/* ---- several at once: the first job goes to the request's own waiter, each other one to a struct
 * taken */

struct taken {
    struct jobd_waiter waiter;
    struct takers *all;
    struct taken *next;
};

struct takers {
    struct request *request;
    atomic_uint left; /* who are not told yet, and one for who asks for them */
    struct taken *first;
};

static void release_takers(struct takers *takers)
{
    struct taken *taken = takers->first, *next;
    for (; taken != NULL; taken = next) {
        next = taken->next;
        free(taken);
    }
    free(takers);
}

/* The last one resumes the request. */
static void taken_woken(struct jobd_waiter *waiter)
{
    struct takers *all = container_of(waiter, struct taken, waiter)->all;
    struct jobd_waiter *own = &all->request->waiter;
    if (atomic_fetch_sub(&all->left, 1) == 1)
        own->wake(own);
}

static enum jobd_result take(struct jobd *jobd, const struct take_state *state,
                             struct jobd_waiter *waiter)
{
    return state->choice != NULL ? jobd_take_any(jobd, state->choice, waiter, clock_now_us())
                                 : jobd_take(jobd, state->queue, waiter, clock_now_us());
}

/* NULL when there is no job at the moment. */
static const struct taken *take_one_more(struct takers *takers, struct jobd *jobd)
{
    struct taken *taken = calloc(1, sizeof *taken);
    if (taken == NULL)
        return NULL;
    taken->all = takers;
    const struct jobd_waiter *own = &takers->request->waiter;
    taken->waiter = (struct jobd_waiter){.lease_us = own->lease_us,
                                         .account = own->account,
                                         .told_bytes = own->told_bytes + sizeof *taken,
                                         .told_times = own->told_times,
                                         .worker = own->worker,
                                         .at_once = true,
                                         .uncounted = true,
                                         .deadline_us = JOBD_NEVER,
                                         .wake = taken_woken};
    random_hex(taken->waiter.token, sizeof taken->waiter.token);
    atomic_fetch_add(&takers->left, 1);
    enum jobd_result result = take(jobd, state_of(takers->request), &taken->waiter);
    if (result != JOBD_PENDING)
        atomic_fetch_sub(&takers->left, 1);
    if (result != JOBD_PENDING && result != JOBD_OK) {
        free(taken);
        return NULL;
    }
    if (result == JOBD_OK)
        taken->waiter.result = JOBD_OK;
    taken->next = takers->first;
    takers->first = taken;
    return taken;
}

/* Takes as many more as there are at the moment, until the answer is large enough. */
static enum jobd_result take_more(struct request *request, struct jobd *jobd)
{
    const struct take_state *state = state_of(request);
    struct takers *takers = state->takers;
    size_t bytes = request->waiter.task.payload_bytes;
    atomic_store(&takers->left, 1);
    for (uint32_t i = 1; i < state->max && bytes <= TAKES_BYTES; i++) {
        const struct taken *taken = take_one_more(takers, jobd);
        if (taken == NULL)
            break;
        bytes += taken->waiter.task.payload_bytes;
    }
    return atomic_fetch_sub(&takers->left, 1) == 1 ? JOBD_OK : JOBD_PENDING;
}

static enum step respond_several(struct call *call)
{
    struct request *request = call->request;
    struct take_state *state = state_of(request);
    struct takers *takers = state->takers;
    request->job = request->waiter.task.id;
    struct json_out out;
    json_out_begin(&out, taken_room(&request->waiter));
    json_out_open(&out, NULL, '{');
    json_out_open(&out, "jobs", '[');
    write_taken(&out, call->api, &request->waiter);
    struct taken *in_order = NULL, *taken, *next;
    for (taken = takers->first; taken != NULL; taken = next) {
        next = taken->next;
        taken->next = in_order;
        in_order = taken;
    }
    takers->first = in_order;
    for (taken = in_order; taken != NULL; taken = taken->next)
        if (taken->waiter.result == JOBD_OK)
            write_taken(&out, call->api, &taken->waiter);
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    release_takers(takers);
    state->takers = NULL;
    return respond_written(call, 200, &out);
}

/* A job goes back in a turn of its own: nobody waits for that. */
struct giving_back {
    struct jobd_turn turn;
    char token[JOBD_TOKEN_SIZE];
};

static enum jobd_result run_release(struct jobd_turn *turn)
{
    const struct giving_back *giving = container_of(turn, struct giving_back, turn);
    return jobd_lease_release(turn->context, giving->token, 0, NULL, clock_now_us());
}

static void release_over(struct jobd_turn *turn, enum jobd_result result)
{
    (void)result; /* where it could not be, the lease expires */
    free(container_of(turn, struct giving_back, turn));
}

/* As if it had not been taken. */
static void give_back_one(struct jobd *jobd, const struct jobd_waiter *taker)
{
    struct giving_back *giving = jobd_shared(jobd) ? calloc(1, sizeof *giving) : NULL;
    jobd_blob_unref(taker->task.payload);
    if (!jobd_shared(jobd))
        (void)jobd_lease_release(jobd, taker->token, 0, NULL, clock_now_us());
    if (giving == NULL)
        return;
    giving->turn = (struct jobd_turn){.run = run_release, .over = release_over, .context = jobd};
    memcpy(giving->token, taker->token, sizeof giving->token);
    jobd_enter(jobd, &giving->turn);
}

static enum step begin_several(struct call *call)
{
    struct request *request = call->request;
    struct takers *takers = calloc(1, sizeof *takers);
    if (takers == NULL) {
        give_back_one(call->api->jobd, &request->waiter);
        return respond_no_memory(call);
    }
    takers->request = request;
    request->watch_hangup = false; /* it has the first one */
    state_of(request)->takers = takers;
    return STEP_START;
}

/* ---- take */

/* Memory for the answer is set aside before a job is taken, so that the worker always hears of
 * it. */
static void count_answer(struct request *request)
{
    struct jobd_waiter *waiter = &request->waiter;
    request->reply_account.empties = true;
    waiter->told_times = request->wants_json ? BYTE_JSON_BYTES : 1;
    waiter->told_bytes = request->wants_json ? TAKEN_JSON_BYTES : 0;
}

static void release_take(struct request *request)
{
    struct take_state *state = state_of(request);
    free(state->choice);
    jobd_blob_unref(request->waiter.worker);
    state->choice = NULL;
    request->waiter.worker = NULL;
}

static enum step no_such_queue(struct call *call, const char *name)
{
    char shown[2 * JOBD_QUEUE_NAME_MAX], detail[sizeof shown + 24];
    snprintf(detail, sizeof detail, "no such queue: %s", text_printable(name, shown, sizeof shown));
    return respond_error(call, 404, detail);
}

static bool is_chosen(const struct jobd_choice *choice, uint32_t queue)
{
    for (uint32_t i = 0; i < choice->len; i++)
        if (choice->queues[i] == queue)
            return true;
    return false;
}

/* Several queues, in their order. */
static enum step parse_choice(struct call *call, const char *names, struct jobd_choice *choice)
{
    struct jobd *jobd = call->api->jobd;
    char name[REQUEST_SUBJECT_SIZE];
    while (names != NULL) {
        const char *from = names;
        names = next_word(names, name, sizeof name);
        uint32_t queue = name[0] != '\0' ? jobd_queue_named(jobd, name) : JOBD_NO_QUEUE;
        if (*from == ',' || *from == '\0' || choice->len == JOBD_CHOICE_MAX)
            return respond_bad_value(call, "queue", QUEUES_VALUES);
        if (queue == JOBD_NO_QUEUE || !jobd_queue_gives(jobd, queue))
            return no_such_queue(call, name[0] != '\0' ? name : from);
        if (is_chosen(choice, queue))
            return respond_bad_value(call, "queue", QUEUES_VALUES);
        choice->queues[choice->len++] = queue;
    }
    return STEP_START;
}

static enum step parse_queues(struct call *call)
{
    struct request *request = call->request;
    struct take_state *state = state_of(request);
    const char *names = request_parameter(request, "queue");
    if (names == NULL) {
        state->queue = path_giving_queue(call);
        return state->queue != JOBD_NO_QUEUE ? STEP_START
                                             : respond_error(call, 404, "no such queue");
    }
    if (request->subject[0] != '\0')
        return respond_error(call, 400, "queue: the path names one already");
    if (jobd_charge(&request->body_account, sizeof *state->choice))
        state->choice = calloc(1, sizeof *state->choice);
    return state->choice != NULL ? parse_choice(call, names, state->choice)
                                 : respond_no_memory(call);
}

static enum step parse_worker(struct call *call)
{
    struct request *request = call->request;
    const char *name = request_parameter(request, "worker");
    if (name == NULL)
        return STEP_START;
    if (!text_is_word(name, JOBD_WORKER_SIZE))
        return respond_bad_value(call, "worker", WORD_VALUES);
    struct jobd_blob *worker = jobd_blob_new(strlen(name), NULL);
    if (worker == NULL)
        return respond_no_memory(call);
    memcpy(worker->bytes, name, worker->size);
    request->waiter.worker = worker;
    return STEP_START;
}

static enum step parse_take(struct call *call)
{
    struct request *request = call->request;
    struct take_state *state = state_of(request);
    int64_t lease_us = LEASE_US;
    uint64_t max = 1;
    request->release = release_take;
    if (parse_queues(call) == STEP_REPLY || parse_worker(call) == STEP_REPLY)
        return STEP_REPLY;
    if (!parameter_duration(call, "wait", WAIT_MAX_US, &state->wait_us))
        return respond_bad_value(call, "wait", WAIT_VALUES);
    if (!parameter_duration(call, "lease", LEASE_MAX_US, &lease_us) || lease_us < LEASE_MIN_US)
        return respond_bad_value(call, "lease", LEASE_VALUES);
    if (!parameter_number(call, "max", 1, TAKES_MAX, &max))
        return respond_bad_value(call, "max", "1 to 1000");
    state->several = request_parameter(request, "max") != NULL;
    state->max = (uint32_t)max;
    if (state->several && !request->wants_json)
        return respond_error(call, 400, "max needs Accept: application/json");
    request->waiter.lease_us = lease_us;
    request->watch_hangup = true;
    count_answer(request);
    return STEP_START;
}

static enum jobd_result start_take(struct call *call)
{
    struct request *request = call->request;
    struct jobd_waiter *waiter = &request->waiter;
    const struct take_state *state = state_of(request);
    if (state->takers != NULL)
        return take_more(request, call->api->jobd);
    waiter->at_once = state->wait_us == 0;
    waiter->deadline_us = clock_now_us() + state->wait_us;
    random_hex(waiter->token, sizeof waiter->token);
    return take(call->api->jobd, state, waiter);
}

/* When the store failed none of these was given out after all: frees their payloads. */
static void forget_lost(struct takers *takers, enum jobd_result result)
{
    if (result != JOBD_STORE_FAILED)
        return;
    for (struct taken *taken = takers->first; taken != NULL; taken = taken->next) {
        if (taken->waiter.result == JOBD_OK)
            jobd_blob_unref(taken->waiter.task.payload);
        taken->waiter.result = JOBD_STORE_FAILED;
    }
}

static enum step answer_take(struct call *call, enum jobd_result result)
{
    const struct take_state *state = state_of(call->request);
    if (state->takers != NULL) {
        forget_lost(state->takers, result);
        return respond_several(call);
    }
    switch (result) {
    case JOBD_OK:
        return state->several ? begin_several(call) : respond_taken(call);
    case JOBD_TIMEOUT:
        call->reply->status = 204;
        return STEP_REPLY;
    case JOBD_UNDECLARED: /* gone meanwhile */
        return respond_error(call, 404, "no such queue");
    case JOBD_OUT_OF_MEMORY:
        call->reply->retry_after_s = 1;
        return respond_error(call, 503, "there is no memory for the answer at the moment");
    case JOBD_STORE_FAILED: /* what it had been given it has not */
        jobd_blob_unref(call->request->waiter.task.payload);
        return respond_result(call, result);
    default:
        return respond_result(call, result);
    }
}

/* Its client went away just when it was given jobs: they go back, as if they had not been taken. */
static void give_back(struct request *request, void *context)
{
    const struct api *api = context;
    struct take_state *state = state_of(request);
    give_back_one(api->jobd, &request->waiter);
    if (state->takers == NULL)
        return;
    for (const struct taken *taken = state->takers->first; taken != NULL; taken = taken->next)
        if (taken->waiter.result == JOBD_OK)
            give_back_one(api->jobd, &taken->waiter);
    release_takers(state->takers);
    state->takers = NULL;
}

const struct endpoint take_endpoints[] = {
    {
        .paths = {"/take", "/take/*"},
        .methods = METHOD_POST,
        .scope = SCOPE_WORK,
        .about = ABOUT_QUEUES,
        .parameters = {"wait", "lease", "max", "queue", "worker"},
        .summary = "Takes a job, with a lease.",
        .answers = "200 Taken|bytes, 204",
        .sent = "200 Location Jobd-Id Jobd-Queue Jobd-Attempt Jobd-Attempts Jobd-Expires "
                "Jobd-Timeout traceparent",
        .parse = parse_take,
        .start = start_take,
        .answer = answer_take,
        .abandoned = give_back,
    },
    {.methods = 0},
};

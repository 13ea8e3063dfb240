/* SPDX-License-Identifier: MIT */
#include "api/put_batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/lines.h"
#include "api/put_jobs.h"
#include "api/respond.h"

enum { ID_BYTES = 17 }; /* of a job's id and a comma: JOBD_ID_MAX has 16 digits */

/* ---- reading the request */

/* How many lines there are, and their bytes. */
static uint64_t count_lines(const struct jobd_blob *body, size_t *bytes)
{
    const char *line;
    size_t at = 0, size;
    uint32_t number = 0;
    uint64_t count = 0;
    *bytes = 0;
    for (; lines_next(body, &at, &number, &line, &size); count++)
        *bytes += size;
    return count;
}

/* Puts the lines, as blobs that share its type, in place of the body. False when memory is short:
 * the request frees what was made. */
static bool split_lines(struct request *request, uint64_t count)
{
    const char *line;
    size_t at = 0, size;
    uint32_t number = 0;
    struct jobd_type *type = jobd_type_new(request->body->type);
    request->batch = type != NULL ? calloc((size_t)count, sizeof *request->batch) : NULL;
    while (request->batch != NULL && lines_next(request->body, &at, &number, &line, &size)) {
        struct jobd_blob *blob = jobd_blob_new_typed(size, type);
        if (blob == NULL)
            break;
        memcpy(blob->bytes, line, size);
        request->batch[request->batch_len++] = blob;
    }
    jobd_type_unref(type);
    if (request->batch_len < count)
        return false;
    jobd_blob_unref(request->body);
    request->body = NULL;
    return true;
}

/* The most that the ids of a batch take in JSON. */
static size_t ids_size(size_t count)
{
    return sizeof "{\"ids\":[]}\n" + count * ID_BYTES;
}

/* What the payloads and the answer take, before the jobs are the engine's. */
static size_t count_payloads(const struct request *request, uint64_t count)
{
    size_t each = BLOB_BYTES + sizeof *request->batch;
    return (size_t)count * each + (request->wants_json ? ids_size((size_t)count) : 0);
}

static enum step no_memory(struct call *call)
{
    call->reply->retry_after_s = 1;
    return respond_error(call, 503, "there is no memory for the batch at the moment");
}

/* A short line takes much more memory than its bytes: for its blob, its job in the queue, and its
 * id in the answer. So all of that is counted first. */
static enum step read_lines(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                            uint64_t count)
{
    struct request *request = call->request;
    struct jobd_put counted = *put;
    size_t bytes;
    counted.batch_len = (uint32_t)count_lines(request->body, &bytes);
    counted.terms = terms;
    bytes += count_payloads(request, count) + jobd_put_weight(call->api->jobd, &counted);
    if (!jobd_charge(&request->body_account, bytes))
        return no_memory(call);
    if (!split_lines(request, count))
        return respond_no_memory(call);
    put->payload = NULL;
    put->batch = request->batch;
    put->batch_len = request->batch_len;
    return STEP_START;
}

static enum step read_jobs(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                           uint64_t count)
{
    struct request *request = call->request;
    size_t bytes = count_payloads(request, count) + put_jobs_bytes(request->body, count);
    if (!jobd_charge(&request->body_account, bytes))
        return no_memory(call);
    if (put_jobs_make(call, put, terms, (uint32_t)count) == STEP_REPLY)
        return STEP_REPLY;
    if (!jobd_charge(&request->body_account, jobd_put_weight(call->api->jobd, put)))
        return no_memory(call);
    return STEP_START;
}

enum step put_batch_read(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                         bool has_key)
{
    struct request *request = call->request;
    const char *batch = request_parameter(request, "batch");
    struct jobd_stats stats;
    put->batch_callback = request_parameter(request, "callback");
    bool lines = strcmp(batch, "lines") == 0;
    if (!lines && strcmp(batch, "jobs") != 0)
        return respond_bad_value(call, "batch", "lines or jobs");
    if (has_key)
        return respond_error(call, 400, "a batch has no Idempotency-Key");
    if (terms->unique != JOBD_WHILE_KNOWN)
        return respond_error(call, 400, "unique needs an Idempotency-Key");
    size_t bytes = 0;
    uint64_t count = request->body != NULL ? count_lines(request->body, &bytes) : 0;
    if (count == 0)
        return respond_error(call, 400, "the body has no line that is not empty");
    jobd_stats(call->api->jobd, put->queue, clock_now_us(), &stats);
    if (count > stats.capacity)
        return respond_error(call, 413, "the body has more lines than the queue's capacity");
    return lines ? read_lines(call, put, terms, count) : read_jobs(call, put, terms, count);
}

/* ---- answers */

/* Written in one piece, which was counted: a tree of them takes ten times as much. */
static char *ids_text(uint64_t first, uint32_t count, const uint64_t *ids)
{
    size_t size = ids_size(count);
    char *text = malloc(size), *end = text;
    if (text == NULL)
        return NULL;
    end = stpcpy(end, "{\"ids\":[");
    for (uint32_t i = 0; i < count; i++) {
        size_t room = size - (size_t)(end - text);
        uint64_t id = ids != NULL ? ids[i] : first + i;
        end += snprintf(end, room, i > 0 ? ",%" PRIu64 : "%" PRIu64, id);
    }
    stpcpy(end, "]}\n");
    return text;
}

enum step put_batch_admitted(struct call *call)
{
    struct reply *reply = call->reply;
    const struct jobd_receipt *receipt = &call->request->waiter.receipt;
    const struct put_jobs *jobs = call->request->batch_jobs;
    uint32_t count = call->request->batch_len;
    reply->status = 202;
    if (receipt->batch != 0)
        reply_number(reply, "Location", "/batches/", receipt->batch);
    else /* all of them were there before */
        reply_text(reply, "Jobd-Duplicate", "", "true");
    if (call->request->wants_json)
        reply->owned = ids_text(receipt->id, count, jobs != NULL ? jobs->ids : NULL);
    else if (asprintf(&reply->owned, "queued %" PRIu32 "\n", count) < 0)
        reply->owned = NULL;
    /* They are in: without memory for more a line says so, as a 503 would say that they are not. */
    bool is_json = call->request->wants_json && reply->owned != NULL;
    reply->type = is_json ? TYPE_JSON : TYPE_TEXT;
    reply->text = "queued\n";
    return STEP_REPLY;
}

enum step put_batch_conflict(struct call *call)
{
    const struct put_jobs *jobs = call->request->batch_jobs;
    char detail[96];
    snprintf(detail, sizeof detail,
             "line %" PRIu32 ": the idempotency_key came with another payload",
             jobs->lines[call->request->waiter.receipt.id]);
    return respond_error(call, 422, detail);
}

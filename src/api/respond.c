/* SPDX-License-Identifier: MIT */
#include "api/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store.h"

#define PARKED_ARE_MANY "too many waiting requests"

/* ---- replies */

enum step respond_error(struct call *call, unsigned status, const char *detail)
{
    reply_error(call->reply, call->request->wants_json, status, detail);
    return STEP_REPLY;
}

enum step respond_no_memory(struct call *call)
{
    return respond_error(call, 503, "out of memory");
}

enum step respond_json(struct call *call, unsigned status, cJSON *object, bool whole)
{
    char *text = whole ? json_text(object) : NULL;
    cJSON_Delete(object);
    if (text == NULL)
        return respond_no_memory(call);
    call->reply->status = status;
    call->reply->type = TYPE_JSON;
    call->reply->owned = text;
    return STEP_REPLY;
}

enum step respond_word(struct call *call, unsigned status, const char *word, const char *line)
{
    if (call->request->wants_json) {
        cJSON *object = cJSON_CreateObject();
        return respond_json(call, status, object,
                            cJSON_AddStringToObject(object, "status", word) != NULL);
    }
    call->reply->status = status;
    call->reply->text = line;
    return STEP_REPLY;
}

enum step respond_result(struct call *call, enum jobd_result result)
{
    static const struct {
        enum jobd_result result;
        unsigned status;
        const char *detail;
    } rows[] = {
        {JOBD_NO_JOB, 404, "no such job"},
        {JOBD_FINISHED, 409, "the job has ended"},
        {JOBD_NO_LEASE, 404, "no such lease"},
        {JOBD_LEASE_EXPIRED, 409, "the lease has ended"},
        {JOBD_CONFLICT, 422, "the Idempotency-Key came with another payload"},
        {JOBD_NOT_FINAL, 409, "the job has not ended"},
        {JOBD_CLOSED, 503, "draining"},
        {JOBD_TOO_MANY_WAITERS, 503, PARKED_ARE_MANY},
    };
    if (result == JOBD_STORE_FAILED)
        return respond_store(call);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].result == result)
            return respond_error(call, rows[i].status, rows[i].detail);
    return respond_error(call, 500, jobd_result_text(result));
}

/* ---- verbs that may have to be written down */

enum step act(struct call *call, start_wait *verb,
              enum step (*answer)(struct call *call, enum jobd_result result))
{
    _Static_assert((int)REQUEST_SUBJECT_SIZE == (int)ROUTE_CAPTURE_SIZE, "a subject is a capture");
    memcpy(call->request->subject, call->capture, sizeof call->capture);
    if (call->api->store == NULL)
        return answer(call, verb(call->request, call->api));
    call->request->brief = true;
    *call->start = verb;
    return STEP_PARK;
}

enum step respond_store(struct call *call)
{
    struct problem reason;
    if (call->api->store == NULL || !store_failing(call->api->store, &reason))
        return respond_error(call, 503, "could not be saved");
    return respond_error(call, 503, reason.text);
}

/* ---- paths and parameters */

const char *path_queue(const struct call *call)
{
    return call->capture[0] != '\0' ? call->capture : "default";
}

uint64_t path_id(const struct call *call)
{
    uint64_t id = 0;
    (void)(call->capture[0] != '0' && text_to_number(call->capture, JOB_ID_MAX, &id));
    return id;
}

enum step respond_bad_value(struct call *call, const char *name, const char *allowed)
{
    char detail[160];
    snprintf(detail, sizeof detail, "invalid %s: expected %s", name, allowed);
    return respond_error(call, 400, detail);
}

bool parameter_duration(struct call *call, const char *name, int64_t max_us, int64_t *us)
{
    const char *value = request_parameter(call->request, name);
    return value == NULL || (text_to_duration(value, us) && *us <= max_us);
}

bool parameter_number(struct call *call, const char *name, uint64_t min, uint64_t max,
                      uint64_t *number)
{
    const char *value = request_parameter(call->request, name);
    return value == NULL || (text_to_number(value, max, number) && *number >= min);
}

/* SPDX-License-Identifier: MIT */
#include "api/respond.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store.h"

enum { WORD_BYTES = 64 }; /* an answer of one word, about */

/* ---- replies */

enum step respond_error(struct call *call, unsigned status, const char *detail)
{
    reply_error(call->reply, call->request->wants_json, status, detail);
    return STEP_REPLY;
}

enum step respond_no_memory(struct call *call)
{
    call->reply->fields_used = 0; /* those of the answer that there is no memory for */
    return respond_result(call, JOBD_OUT_OF_MEMORY);
}

enum step respond_written(struct call *call, unsigned status, struct json_out *out)
{
    char *text = json_out_line(out);
    if (text == NULL)
        return respond_no_memory(call);
    call->reply->status = status;
    call->reply->type = TYPE_JSON;
    call->reply->owned = text;
    return STEP_REPLY;
}

enum step respond_printed(struct call *call, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int size = vasprintf(&call->reply->owned, format, values);
    va_end(values);
    if (size < 0) {
        call->reply->owned = NULL;
        return respond_no_memory(call);
    }
    call->reply->status = 200;
    return STEP_REPLY;
}

enum step respond_word(struct call *call, unsigned status, const char *line)
{
    if (call->request->wants_json) {
        struct json_out out;
        json_out_begin(&out, WORD_BYTES);
        json_out_open(&out, NULL, '{');
        json_out_bytes(&out, "status", line, strcspn(line, "\n"));
        json_out_close(&out, '}');
        return respond_written(call, status, &out);
    }
    call->reply->status = status;
    call->reply->text = line;
    return STEP_REPLY;
}

enum step respond_bytes(struct call *call, unsigned status, struct jobd_blob *bytes)
{
    struct reply *reply = call->reply;
    reply->status = status;
    reply->type = bytes != NULL ? NULL : TYPE_BYTES;
    reply->text = "";
    reply->blob = bytes;
    reply->unsafe = true;
    return STEP_REPLY;
}

enum step respond_line(struct call *call, enum jobd_result result)
{
    if (result == JOBD_REPEATED)
        reply_text(call->reply, "Jobd-Repeated", "", "true");
    return result == JOBD_OK || result == JOBD_REPEATED
               ? respond_word(call, 200, call->request->endpoint->line)
               : respond_result(call, result);
}

/* Why nothing can be written down. */
static enum step respond_store(struct call *call)
{
    struct problem reason;
    call->reply->retry_after_s = call->api->turns != NULL; /* 0: it says nothing */
    bool known = call->api->turns != NULL
                     ? turns_failing(call->api->turns, &reason)
                     : call->api->store != NULL && store_failing(call->api->store, &reason);
    if (!known)
        return respond_error(call, 503, jobd_result_text(JOBD_STORE_FAILED));
    return respond_error(call, 503, reason.text);
}

unsigned result_status(enum jobd_result result, const char **detail)
{
    static const struct {
        unsigned status;    /* 0: not one that a client may get */
        const char *detail; /* where HTTP says it in other words than jobd_result_text() */
    } rows[JOBD_RESULTS] = {
        [JOBD_NO_JOB] = {404, NULL},
        [JOBD_FINISHED] = {409, NULL},
        [JOBD_NO_LEASE] = {404, NULL},
        [JOBD_LEASE_EXPIRED] = {409, NULL},
        [JOBD_BEGUN] = {409, NULL},
        [JOBD_CONFLICT] = {422, "the Idempotency-Key came with another payload"},
        [JOBD_NOT_FINAL] = {409, NULL},
        [JOBD_NEEDED] = {409, NULL},
        [JOBD_NO_CALLBACKS] = {400, "callback: this server delivers none at present"},
        [JOBD_RESERVED] = {403, "the queue callbacks is the server's own: jobs come into it by "
                                "callback= alone, and only the server takes them"},
        [JOBD_UNDECLARED] = {409, "the job's queue is not declared: declare it, or put the "
                                  "job into another queue"},
        [JOBD_NO_SCHEDULE] = {404, NULL},
        [JOBD_SCHEDULE_FIXED] = {409, "the schedule is in the configuration file: change it there, "
                                      "and send SIGHUP"},
        [JOBD_TOO_MANY_SCHEDULES] = {409, "there are as many schedules as --schedules allows: "
                                          "delete one first"},
        [JOBD_CLOSED] = {503, NULL},
        [JOBD_TOO_MANY_WAITERS] = {503, "too many waiting requests"},
        [JOBD_TOO_MANY_LEASES] = {503, NULL},
        [JOBD_OUT_OF_MEMORY] = {503, "out of memory"},
        [JOBD_STORE_FAILED] = {503, NULL},
    };
    unsigned status = rows[result].status;
    *detail = rows[result].detail != NULL ? rows[result].detail : jobd_result_text(result);
    return status != 0 ? status : 500;
}

enum step respond_result(struct call *call, enum jobd_result result)
{
    const char *detail;
    if (result == JOBD_STORE_FAILED)
        return respond_store(call);
    unsigned status = result_status(result, &detail);
    return respond_error(call, status, detail);
}

/* ---- paths and parameters */

const char *path_queue(const struct call *call)
{
    const char *subject = call->request->subject;
    return subject[0] != '\0' ? subject : "default";
}

uint32_t path_declared_queue(const struct call *call)
{
    const struct jobd *jobd = call->api->jobd;
    uint32_t queue = jobd_queue_named(jobd, path_queue(call));
    return queue != JOBD_NO_QUEUE && jobd_queue_declared(jobd, queue) ? queue : JOBD_NO_QUEUE;
}

uint32_t path_giving_queue(const struct call *call)
{
    const struct jobd *jobd = call->api->jobd;
    uint32_t queue = jobd_queue_named(jobd, path_queue(call));
    return queue != JOBD_NO_QUEUE && jobd_queue_gives(jobd, queue) ? queue : JOBD_NO_QUEUE;
}

const char *next_word(const char *words, char *word, size_t size)
{
    size_t length = strcspn(words, ",");
    bool fits = length < size;
    snprintf(word, size, "%.*s", fits ? (int)length : 0, words);
    return words[length] == ',' ? words + length + 1 : NULL;
}

uint64_t path_id(const struct call *call)
{
    const char *subject = call->request->subject;
    uint64_t id = 0;
    (void)(subject[0] != '0' && text_to_number(subject, JOBD_ID_MAX, &id));
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

bool parameter_bool(struct call *call, const char *name, bool *value)
{
    const char *text = request_parameter(call->request, name);
    bool yes = text != NULL && strcmp(text, "true") == 0;
    if (text != NULL && !yes && strcmp(text, "false") != 0)
        return false;
    if (text != NULL)
        *value = yes;
    return true;
}

int64_t moment_of_wall(int64_t wall_us)
{
    int64_t us = clock_of_wall_us(wall_us);
    return us > 0 ? us : 1;
}

bool parameter_number(struct call *call, const char *name, uint64_t min, uint64_t max,
                      uint64_t *number)
{
    const char *value = request_parameter(call->request, name);
    return value == NULL || (text_to_number(value, max, number) && *number >= min);
}

void write_next(struct json_out *page, uint64_t next)
{
    if (next != 0)
        json_out_int(page, "next", (int64_t)next);
    else
        json_out_null(page, "next");
}

enum step parameter_limit(struct call *call, uint64_t *limit)
{
    *limit = LIST_DEFAULT;
    return parameter_number(call, "limit", 1, LIST_MAX, limit)
               ? STEP_START
               : respond_bad_value(call, "limit", "1 to 1000");
}

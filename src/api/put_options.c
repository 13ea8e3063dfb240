/* SPDX-License-Identifier: MIT */
#include "api/put_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/respond.h"
#include "jobd/batch.h"
#include "jobd/turns.h"
#include "run/callbacks.h"

/* ---- what it is put after */

static const char AFTER_VALUES[] = "at most 32 paths of jobs or batches, like /jobs/17,/batches/3";

/* The word that JOBD_AFTER has for what the path names, and the id's digits; NULL: no such path. */
static const char *name_of(const char *path, const char **id)
{
    static const char *const paths[] = {"/jobs/", "/batches/"}, *const names[] = {"job ", "batch "};
    uint64_t number;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        *id = path + strlen(paths[i]);
        if (strncmp(path, paths[i], strlen(paths[i])) == 0 && **id != '0' &&
            text_to_number(*id, JOBD_ID_MAX, &number))
            return names[i];
    }
    return NULL;
}

/* The parameters `after` and `if`, in the form of JOBD_AFTER; "" when they are not given. False
 * when they are no such list. */
static bool after_text(const struct request *request, char text[PUT_AFTER_SIZE])
{
    const char *rest = request_parameter(request, "after");
    const char *how = request_parameter(request, "if");
    char path[PUT_PATH_SIZE], *end = text;
    unsigned count = 0;
    *text = '\0';
    if (rest != NULL && how != NULL && strcmp(how, "ended") == 0)
        end = stpcpy(end, JOBD_AFTER_WHATEVER);
    while (rest != NULL) {
        const char *id;
        rest = next_word(rest, path, sizeof path);
        const char *name = name_of(path, &id);
        if (name == NULL || count++ == JOBD_PARENTS_MAX)
            return false;
        end = stpcpy(stpcpy(stpcpy(end, name), id), "\n");
    }
    return true;
}

/* ---- words */

struct tags {
    char *text; /* NULL: they are only checked */
    size_t used;
    unsigned count;
    bool good;
};

static bool add_tag(void *context, const char *name, const char *value)
{
    struct tags *tags = context;
    if (strcmp(name, "tag") != 0)
        return true;
    tags->good = text_is_word(value, JOBD_TAG_SIZE) && tags->count < JOBD_TAGS_MAX;
    if (!tags->good)
        return false;
    tags->count++;
    if (tags->text != NULL) {
        size_t size = strlen(value);
        memcpy(tags->text + tags->used, value, size);
        tags->used += size;
        tags->text[tags->used++] = '\n';
    }
    return true;
}

static bool tags_good(const struct request *request)
{
    struct tags tags = {.good = true};
    request_parameters(request, add_tag, &tags);
    return tags.good;
}

void put_options_words(const struct request *request, struct jobd_put *put,
                       struct jobd_terms *terms, struct put_words *words)
{
    struct tags tags = {.text = words->tags, .good = true};
    (void)request_key(request, words->key);
    put->key = words->key[0] != '\0' ? words->key : NULL;
    if (!request->has_parameters && request->texts == NULL)
        return;
    put->terms = terms;
    terms->texts[JOBD_HEADERS] = request->texts;
    if (!request->has_parameters)
        return;
    terms->texts[JOBD_GROUP] = request_parameter(request, "key");
    request_parameters(request, add_tag, &tags);
    words->tags[tags.used] = '\0';
    terms->texts[JOBD_TAGS] = words->tags;
    (void)after_text(request, words->after);
    terms->texts[JOBD_AFTER] = words->after;
    if (request_parameter(request, "batch") == NULL) /* else the batch's, not its jobs' */
        terms->texts[JOBD_CALLBACK] = request_parameter(request, "callback");
}

/* ---- parameters */

/* Is a well-formed traceparent valid too (W3C Trace Context, section 3.2.2)? Ids of zeros alone
 * name nothing, and only later versions go on behind the flags. */
static bool valid_trace(const char *trace)
{
    enum { TRACE_ID = 3, TRACE_ID_SIZE = 32, PARENT_ID = 36, PARENT_ID_SIZE = 16, END = 55 };
    return strspn(trace + TRACE_ID, "0") < TRACE_ID_SIZE &&
           strspn(trace + PARENT_ID, "0") < PARENT_ID_SIZE &&
           (trace[END] == '\0' || strncmp(trace, "00", 2) != 0);
}

bool put_text_at(const char *text, int64_t *at_us)
{
    int64_t wall_us;
    if (!text_to_time(text, &wall_us))
        return false;
    *at_us = moment_of_wall(wall_us);
    return true;
}

bool put_text_expiry(const char *text, struct jobd_terms *terms)
{
    int64_t us;
    if (text_to_duration(text, &us) && us > 0)
        terms->expires_us = clock_after_us(us);
    else if (text_to_time(text, &us))
        terms->expires_us = moment_of_wall(us);
    else
        return false;
    terms->expires_by_wall = text[strspn(text, "0123456789.")] == '-';
    return true;
}

enum step put_options_start(struct call *call, int64_t *delay_us, int64_t *at_us)
{
    const char *at = request_parameter(call->request, "at");
    if (!parameter_duration(call, "delay", INT64_MAX, delay_us))
        return respond_bad_value(call, "delay", DURATION_VALUES);
    if (at == NULL)
        return STEP_START;
    if (request_parameter(call->request, "delay") != NULL)
        return respond_error(call, 400, "at and delay: only one of them");
    if (!put_text_at(at, at_us))
        return respond_bad_value(call, "at", TIME_VALUES);
    return STEP_START;
}

enum step put_options_expiry(struct call *call, struct jobd_terms *terms)
{
    const char *value = request_parameter(call->request, "expires");
    if (value == NULL || put_text_expiry(value, terms))
        return STEP_START;
    return respond_bad_value(call, "expires", "a duration like 30s, 5m or 2h, or " TIME_VALUES);
}

static enum step read_keep(struct call *call, struct jobd_terms *terms)
{
    bool given = request_parameter(call->request, "keep") != NULL;
    if (parameter_duration(call, "keep", INT64_MAX, &terms->keep_us) &&
        (!given || terms->keep_us >= JOB_TIME_MIN_US))
        return STEP_START;
    return respond_bad_value(call, "keep", JOB_TIME_VALUES);
}

/* `unique` and `again`: how long a key stands for the same job. */
static enum step read_unique(struct call *call, struct jobd_terms *terms)
{
    const char *unique = request_parameter(call->request, "unique");
    const char *again = request_parameter(call->request, "again");
    if (unique == NULL && again != NULL)
        return respond_error(call, 400, "again needs unique");
    if (unique == NULL)
        return STEP_START;
    if (strcmp(unique, "waiting") == 0)
        terms->unique = JOBD_WHILE_WAITING;
    else if (strcmp(unique, "active") == 0)
        terms->unique = JOBD_WHILE_ACTIVE;
    else if (text_to_duration(unique, &terms->unique_us) && terms->unique_us > 0)
        terms->unique = JOBD_FOR_SOME_TIME;
    else
        return respond_bad_value(call, "unique", "waiting, active or a duration like 10m");
    terms->replace = again != NULL && strcmp(again, "replace") == 0;
    if (again != NULL && !terms->replace && strcmp(again, "keep") != 0)
        return respond_bad_value(call, "again", "keep or replace");
    return STEP_START;
}

/* The queue of the job or batch that a path names; NULL when there is none. */
static const char *queue_named(const struct call *call, const char *path)
{
    struct jobd *jobd = call->api->jobd;
    struct jobd_info info;
    struct jobd_batch batch;
    uint64_t id = strtoull(strrchr(path, '/') + 1, NULL, 10);
    if (strncmp(path, "/jobs/", strlen("/jobs/")) == 0)
        return jobd_get(jobd, id, &info) == JOBD_OK ? jobd_queue_name(jobd, info.queue) : NULL;
    return jobd_get_batch(jobd, id, clock_now_us(), &batch) == JOBD_OK
               ? jobd_queue_name(jobd, batch.queue)
               : NULL;
}

/* May the token put jobs into the queue of everything in `paths`? One for another queue may not. */
static bool may_name_all(const struct call *call, const char *paths)
{
    char path[PUT_PATH_SIZE];
    size_t size;
    const char *token = request_token(call->request, &size);
    while (paths != NULL) {
        paths = next_word(paths, path, sizeof path);
        const char *queue = queue_named(call, path);
        if (queue != NULL &&
            authorize_token(call->api->auth, token, size, SCOPE_PUT, queue) != AUTH_GOOD)
            return false;
    }
    return true;
}

/* `callback`: who is told of the end. */
static enum step read_callback(struct call *call)
{
    const char *callback = request_parameter(call->request, "callback");
    if (callback == NULL)
        return STEP_START;
    switch (callbacks_allow(call->api->callbacks, callback)) {
    case CALLBACK_ALLOWED:
        break;
    case CALLBACK_OFF:
        return respond_error(call, 400,
                             "callback: this server allows none: --callback-allow says which");
    case CALLBACK_REFUSED:
        return respond_bad_value(call, "callback",
                                 "a URL of at most 2048 bytes that a --callback-allow of this "
                                 "server allows");
    }
    return STEP_START;
}

static enum step read_after(struct call *call)
{
    const char *after = request_parameter(call->request, "after");
    const char *how = request_parameter(call->request, "if");
    char text[PUT_AFTER_SIZE];
    if (how != NULL && after == NULL)
        return respond_error(call, 400, "if needs after");
    if (how != NULL && strcmp(how, "done") != 0 && strcmp(how, "ended") != 0)
        return respond_bad_value(call, "if", "done or ended");
    if (after == NULL)
        return STEP_START;
    if (!after_text(call->request, text))
        return respond_bad_value(call, "after", AFTER_VALUES);
    if (call->api->auth != NULL && !may_name_all(call, after))
        return respond_error(call, 403, "insufficient scope: put is needed for what after names");
    return STEP_START;
}

static enum step read_parameters(struct call *call, struct jobd_put *put, struct jobd_terms *terms)
{
    const struct request *request = call->request;
    uint64_t priority = JOBD_PRIORITY_DEFAULT, attempts = 0;
    if (put_options_start(call, &put->delay_us, &put->at_us) == STEP_REPLY ||
        put_options_expiry(call, terms) == STEP_REPLY || read_keep(call, terms) == STEP_REPLY ||
        read_unique(call, terms) == STEP_REPLY || read_after(call) == STEP_REPLY ||
        read_callback(call) == STEP_REPLY)
        return STEP_REPLY;
    if (!parameter_number(call, "priority", 0, JOBD_PRIORITIES - 1, &priority))
        return respond_bad_value(call, "priority", PRIORITY_VALUES);
    if (!parameter_number(call, "attempts", 1, JOBD_ATTEMPTS_MAX, &attempts))
        return respond_bad_value(call, "attempts", ATTEMPTS_VALUES);
    bool has_timeout = request_parameter(request, "timeout") != NULL; /* else the queue's */
    if (!parameter_duration(call, "timeout", INT64_MAX, &put->timeout_us) ||
        (has_timeout && put->timeout_us < JOB_TIME_MIN_US))
        return respond_bad_value(call, "timeout", JOB_TIME_VALUES);
    const char *group = request_parameter(request, "key");
    if (group != NULL && !text_is_word(group, JOBD_GROUP_SIZE))
        return respond_bad_value(call, "key", WORD_VALUES);
    if (!tags_good(request))
        return respond_bad_value(call, "tag", WORD_VALUES ", and given " TAGS_VALUES " times");
    put->priority = (uint8_t)priority;
    put->attempts = (uint32_t)attempts;
    return STEP_START;
}

enum step put_options_read(struct call *call, struct jobd_put *put, struct jobd_terms *terms)
{
    const char *trace = call->request->trace;
    put->trace = trace[0] != '\0' && valid_trace(trace) ? trace : NULL;
    put->priority = JOBD_PRIORITY_DEFAULT;
    return call->request->has_parameters ? read_parameters(call, put, terms) : STEP_START;
}

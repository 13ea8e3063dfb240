/* SPDX-License-Identifier: MIT */
#include "api/job_filter.h"

#include "api/respond.h"
#include "base/text.h"

/* A time, or a duration before now. */
static bool read_moment(const struct call *call, const char *name, int64_t now_us, int64_t *us)
{
    const char *value = request_parameter(call->request, name);
    int64_t given_us;
    if (value == NULL)
        return true;
    if (text_to_duration(value, &given_us))
        *us = given_us < now_us ? now_us - given_us : 1;
    else if (text_to_time(value, &given_us))
        *us = moment_of_wall(given_us);
    else
        return false;
    return true;
}

static enum step read_words(struct call *call, struct jobd_filter *filter)
{
    filter->group = request_parameter(call->request, "key");
    filter->tag = request_parameter(call->request, "tag");
    if (filter->group != NULL && !text_is_word(filter->group, JOBD_GROUP_SIZE))
        return respond_bad_value(call, "key", WORD_VALUES);
    if (filter->tag != NULL && !text_is_word(filter->tag, JOBD_TAG_SIZE))
        return respond_bad_value(call, "tag", WORD_VALUES);
    return STEP_START;
}

/* A queue that does not exist has no jobs. */
static enum step read_batch(struct call *call, struct jobd_filter *filter)
{
    struct jobd_batch batch;
    bool given = request_parameter(call->request, "batch") != NULL;
    if (!parameter_number(call, "batch", 1, JOBD_ID_MAX, &filter->batch))
        return respond_bad_value(call, "batch", "a batch's id");
    if (given && jobd_get_batch(call->api->jobd, filter->batch, clock_now_us(), &batch) == JOBD_OK)
        filter->batch_jobs = batch.ids;
    return STEP_START;
}

enum step job_filter_read(struct call *call, struct jobd_filter *filter)
{
    const char *moment = "a time like 2026-12-01T09:00:00Z, or how long ago, like 5m, 2h or 7d";
    const char *queue = request_parameter(call->request, "queue");
    const char *state = request_parameter(call->request, "state");
    int64_t now_us = clock_now_us();
    filter->queue = queue != NULL ? jobd_queue_named(call->api->jobd, queue) : JOBD_NO_QUEUE;
    filter->state = state != NULL ? jobd_state_named(state) : JOBD_STATES;
    filter->wall_ahead_us = clock_wall_us(now_us) - now_us;
    if (queue != NULL && filter->queue == JOBD_NO_QUEUE)
        return respond_bad_value(call, "queue", "the name of a queue");
    if (state != NULL && filter->state == JOBD_STATES)
        return respond_bad_value(call, "state", STATE_VALUES);
    if (!read_moment(call, "since", now_us, &filter->since_us))
        return respond_bad_value(call, "since", moment);
    if (!read_moment(call, "before", now_us, &filter->before_us))
        return respond_bad_value(call, "before", moment);
    return read_batch(call, filter) == STEP_START ? read_words(call, filter) : STEP_REPLY;
}

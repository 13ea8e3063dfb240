/* SPDX-License-Identifier: MIT */
#include "engine/filter.h"

#include <string.h>

#include "engine/queue.h"

static bool has_tag(const char *tags, const char *tag)
{
    size_t size = strlen(tag);
    for (const char *end; (end = strchr(tags, '\n')) != NULL; tags = end + 1)
        if ((size_t)(end - tags) == size && memcmp(tags, tag, size) == 0)
            return true;
    return false;
}

static bool words_match(const struct jobd_filter *filter, const struct job *job)
{
    const struct jobd_blob *words = job->extra != NULL ? job->extra->words : NULL;
    return (filter->group == NULL || strcmp(jobd_text(words, JOBD_GROUP), filter->group) == 0) &&
           (filter->tag == NULL || has_tag(jobd_text(words, JOBD_TAGS), filter->tag));
}

/* What another process has noted is a time of the wall clock. */
static int64_t came_us(const struct jobd_filter *filter, const struct job *job)
{
    return job->created_us < 0 ? -job->created_us - filter->wall_ahead_us : job->created_us;
}

bool filter_spans(const struct jobd_filter *filter, uint64_t id)
{
    return filter->batch == 0 || (id >= filter->batch && id - filter->batch < filter->batch_jobs);
}

bool filter_matches(const struct jobd_filter *filter, const struct job *job)
{
    if ((filter->queue != JOBD_NO_QUEUE && jobd_queue_index(filter->queue) != job->queue) ||
        (filter->state != JOBD_STATES && filter->state != job->state))
        return false;
    if (filter->batch != 0 && (!job->batched || !filter_spans(filter, job->id)))
        return false;
    if ((filter->group != NULL || filter->tag != NULL) && !words_match(filter, job))
        return false;
    return (filter->since_us == 0 || came_us(filter, job) >= filter->since_us) &&
           (filter->before_us == 0 || came_us(filter, job) < filter->before_us);
}

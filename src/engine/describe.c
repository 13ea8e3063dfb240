/* SPDX-License-Identifier: MIT */
#include "engine/describe.h"

static void describe_extra(struct job_record *record, const struct job_extra *extra,
                           bool unexpiring)
{
    bool expires = extra != NULL && !unexpiring;
    record->timeout_us = extra != NULL ? extra->timeout_us : 0;
    record->expiry_us = expires ? extra->expires_us : 0;
    record->expiry_at_us = expires && extra->expires_by_wall ? extra->expires_us : 0;
    record->unique_until_us = extra != NULL ? extra->unique_until_us : 0;
    record->keep_us = extra != NULL ? extra->keep_us : 0;
    record->key = extra != NULL ? extra->key : "";
    record->trace = extra != NULL ? extra->trace : "";
    for (unsigned i = 0; extra != NULL && i < JOBD_TEXTS; i++)
        record->texts[i] = jobd_text(extra->words, (enum jobd_text)i);
}

void describe_content(struct job_record *record, const struct job_content *content)
{
    describe_extra(record, content->extra, content->unexpiring);
    record->payload = content->payload;
    record->priority = content->priority;
    record->attempts = content->attempts;
    record->run_at_us = content->delayed ? content->ready_us : 0;
    record->at_us = content->by_wall ? content->ready_us : 0;
    record->state = content->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
    record->ready_us = content->ready_us;
    record->delayed = content->delayed;
    record->by_wall = content->by_wall;
    record->unexpiring = content->unexpiring;
}

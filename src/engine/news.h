/* SPDX-License-Identifier: MIT */
/* News: what one process has changed, as the others that share its queues are told. A job is told
 * of as it is now, never by what has changed of it: so whoever hears the same twice, or older news
 * followed by the rest, ends up with the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/journal_store.h"
#include "jobd/queue.h"

enum news_kind {
    NEWS_JOB = 1, /* a job as it is now */
    NEWS_GONE,    /* it is forgotten: record.id alone */
    NEWS_LEASE,   /* a lease is over: record.token, and record.id, attempt and started_us of its
                     attempt */
    NEWS_QUEUE,   /* record.queue its name; the rest below */
    NEWS_NODE,    /* the jobs that the workers of `node` run are its own until `until_us` */
    NEWS_BATCH,   /* record.id its own, and how its jobs have ended; fresh: record.batch_jobs,
                     batch_callback, queue and created_us, too */
    NEWS_SCHEDULE /* `schedule`: how far it is; fresh: all of it */
};

enum { NEWS_KINDS = NEWS_SCHEDULE + 1 };

/* How many, since the queue began. */
struct news_totals {
    uint64_t admitted, done, failed, cancelled, retried, moved_in, moved_out, expired;
};

/* All pointers are borrowed. What a kind has no use for is zero, and "" for a text. */
struct news {
    enum news_kind kind;
    struct job_record record;

    /* NEWS_JOB, NEWS_BATCH, NEWS_SCHEDULE */
    bool fresh; /* nobody else knows it yet: what never changes is there too */
    /* NEWS_JOB */
    bool stays;     /* its place, in its lane or elsewhere, is as it was; so is, where it is not
                       fresh, all but what is said of callbacks */
    bool retained;  /* it has ended, and is not forgotten yet, whatever comes; so NEWS_BATCH */
    bool has_extra; /* it has a record of what few jobs have, which counts, even if empty */
    uint32_t node;  /* runs in a worker of this node; 0: it does not */
    /* Its attempts have said something: record.worker and record.progress, and the output so far,
     * which was more when it is truncated. */
    bool has_said, said_truncated;
    const struct jobd_blob *said;

    uint32_t word; /* NEWS_LEASE: enum lease_report, by which it ended */

    /* NEWS_QUEUE */
    bool paused;
    struct news_totals totals;
    struct jobd_histogram waited, ran; /* what is to be added to those of the queue */
    uint32_t waiting, running;         /* then, to compare */

    int64_t until_us; /* NEWS_NODE; 0: it has left */

    /* NEWS_JOB, NEWS_BATCH: callbacks, deliveries.h */
    bool pinned;             /* for them */
    bool promises;           /* its end is one to be told */
    uint32_t deliveries;     /* of its ends, that have not ended themselves */
    bool holds;              /* NEWS_JOB: it is one of these, as its source counts them */
    const char *batch_trace; /* NEWS_BATCH: of the delivery that is promised; or NULL */

    /* NEWS_BATCH, NEWS_SCHEDULE */
    bool gone; /* it is forgotten, or deleted: its id, or its name, alone */
    /* NEWS_BATCH */
    uint32_t ended[JOBD_STATES]; /* so many of its jobs are forgotten, by their final states */

    struct schedule_record schedule; /* NEWS_SCHEDULE */
};

/* Told of one; what it points to is borrowed for the call. */
typedef void share_each_news(void *context, const struct news *news);

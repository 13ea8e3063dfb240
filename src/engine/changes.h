/* SPDX-License-Identifier: MIT */
/* The journal inside: changes in their order, held until they are written. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "engine/effects.h"
#include "engine/job_table.h"
#include "jobd/queue.h"

struct jobd;

/* An attempt's end, as it was decided when it came. */
struct ending {
    struct jobd_outcome outcome;
    bool cut;           /* without an outcome: what the attempts before it left stays */
    enum jobd_state to; /* JOBD_SCHEDULED: it goes again; JOBD_QUEUED: it goes back, not counted */
    int64_t at_us, ready_us;
};

/* One change on its way to disk. */
enum change_kind {
    CHANGE_PUT,       /* new jobs */
    CHANGE_DUPLICATE, /* no change: whoever put a job with the key of a new one */
    CHANGE_MARK,      /* no change: all that stands in front of it */
    CHANGE_CANCEL,    /* waiting jobs, taken out of ring and heap already */
    CHANGE_RETRY,     /* a final job, no longer among the remembered */
    CHANGE_TAKE,      /* a worker has begun: applied already */
    CHANGE_LEASE,     /* so has a lease: applied already */
    CHANGE_EXTEND,    /* its deadline is another: applied already */
    CHANGE_STOP,      /* a running job is to stop */
    CHANGE_END        /* an attempt */
};

struct change {
    TAILQ_ENTRY(change) link;
    enum change_kind kind;
    bool asked; /* when it fails it is undone: whoever asked is told, and may ask again */
    bool idle;  /* TAKEN: nothing to write, the attempt has ended already */
    enum jobd_result result;    /* what the waiter is woken with when it is written */
    struct jobd_waiter *waiter; /* NULL: nobody, or nobody any more */
    struct job_list jobs;       /* ENTER, CANCEL */
    struct job *next;           /* of those, to be written next */
    size_t changes;             /* to write */
    struct job *job;            /* the others */
    uint64_t number;            /* TWIN: the job's id; MARK: failures when it came */
    size_t bytes;               /* about so many to write */
    int64_t at_us;              /* when it was asked for */
    struct ending ending;       /* ENDED */
    struct job_extra *extra;    /* of the same */
};

TAILQ_HEAD(change_list, change);

/* All entries are allocated at start; one not used before costs no memory. */
struct journal {
    struct change *all;
    uint32_t max, used, free, reserved; /* reserved: not for those who could ask again */
    struct change_list spare, waiting, gathered;
    bool refuses;  /* new jobs */
    bool notified; /* the store knows that something waits */
    uint64_t failures;
};

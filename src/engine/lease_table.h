/* SPDX-License-Identifier: MIT */
/* Leases by their token. No lock of its own. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "base/heap.h"
#include "jobd/queue.h"

struct job;

/* The last report of a lease's holder. */
enum lease_report { LEASE_NO_REPORT, LEASE_DONE, LEASE_FAILED, LEASE_RELEASED };

/* No attempt has this number. The number of its own does not tell whether a late report may count:
 * one that goes back, or is retried by hand, leaves it to the next. */
enum { LEASE_OVERTAKEN = UINT16_MAX };

/* A lease is held until a report of its holder, its deadline, or a cancel ends it. One that is over
 * stays known until its record is needed, the first that ended first: so that a late or a repeated
 * report can be told from a stranger's. */
struct lease {
    LIST_ENTRY(lease) alike;  /* those in the same bucket */
    LIST_ENTRY(lease) of_job; /* those in the same bucket by their job */
    TAILQ_ENTRY(lease) link;
    struct due due;
    struct job *job;    /* NULL: over */
    uint64_t job_id;    /* of the same, also when it is over */
    int64_t started_us; /* its attempt, for who asks */
    int64_t began_us;   /* the same, for its timeout: later when the server was away meanwhile */
    uint32_t attempt;   /* LEASE_OVERTAKEN: it is over, and another has had the job since */
    /* Held: being written; over: what ended it, LEASE_NO_REPORT: it expired or was revoked. */
    enum lease_report report;
    char token[JOBD_TOKEN_SIZE]; /* "": never used */
};

LIST_HEAD(lease_bucket, lease);
TAILQ_HEAD(lease_list, lease);

struct leases {
    struct lease *all;
    uint32_t max, room, used; /* max: that may be held; room: records; used: so many of them were
                                 handed out at least once */
    uint32_t held, reserved;  /* reserved: for takers who wait */
    struct lease_bucket *buckets; /* all that are known, by their tokens; a power of two of them */
    struct lease_bucket *by_job;  /* the same by their jobs' ids, as many */
    uint32_t buckets_mask;
    struct lease_list spare; /* those that are over, or never were */
    struct heap due;
    struct jobd_blob *expired, *timed_out; /* errors */
};

__attribute__((warn_unused_result)) int leases_init(struct leases *leases, uint32_t max,
                                                    uint32_t room);
void leases_release(struct leases *leases);
/* Of this attempt. There must be room. */
struct lease *lease_grant(struct leases *leases, struct job *job, const char *token,
                          int64_t until_us);
/* An attempt of this job begins: the next of its leases that is over is overtaken now.
 * NULL: there is none left. Those that are over are not found by their job any more,
 * so that however often one is released few are looked through. */
struct lease *lease_overtake(struct leases *leases, const struct job *job);
/* It is over; its record stays known. */
void lease_revoke(struct leases *leases, struct lease *lease);
/* One that was over before the process began: known too, when there is room. */
void lease_recall(struct leases *leases, const struct job *job, const char *token,
                  enum lease_report report);
/* For this attempt, as another process has granted it. NULL: there is no room, or another job has
 * this token. */
struct lease *lease_adopt(struct leases *leases, struct job *job, const char *token,
                          int64_t until_us);
/* One that is over: known too, as lease_recall() does, though another is forgotten for it. */
void lease_note(struct leases *leases, const struct lease *over);
/* None is known any more. */
void leases_forget(struct leases *leases);
/* Of a job that waits: the lease of its last attempt, when that has expired and is known; or NULL.
 */
const struct lease *lease_expired(const struct leases *leases, const struct job *job);
/* Of a job that has ended: the lease of its last attempt, whether a report or its deadline has
 * ended that, when it is known; or NULL. */
const struct lease *lease_last(const struct leases *leases, const struct job *job);
/* The lease with this token, held or over; NULL when it is not known. */
struct lease *lease_find(const struct leases *leases, const char *token);

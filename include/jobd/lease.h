/* SPDX-License-Identifier: MIT */
/* Leases: how they end, what their holders say while they run a job, and who follows that. More of
 * jobd/queue.h, under the same rules. */
#pragma once

#include "jobd/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- leases: the right to run one attempt until a deadline. A lease that expires is a failed
 * attempt.
 *
 * JOBD_NO_LEASE when nobody was ever given this token, or long ago; JOBD_LEASE_EXPIRED when it has
 * ended, expired or was revoked; JOBD_REPEATED when it was ended by this same call, as when its
 * answer was lost: nothing is changed then, and nothing taken. But JOBD_DONE after the lease has
 * expired counts, with JOBD_OK, while the job still waits for its next attempt. */

/* The attempt has ended like this, as by jobd_finish(), and the lease with it. Output and error are
 * taken with JOBD_OK and JOBD_PENDING alone. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_lease_finish(struct jobd *jobd, const char *token,
                                                           const struct jobd_outcome *outcome,
                                                           struct jobd_waiter *waiter,
                                                           int64_t now_us);

/* The job of the attempt that this token is or was for; 0: the token is not known. */
JOBD_API uint64_t jobd_lease_job(struct jobd *jobd, const char *token);
/* Was this token given to somebody, and is it not forgotten? */
JOBD_API bool jobd_lease_known(struct jobd *jobd, const char *token);

/* A new deadline, lease_us from now. */
JOBD_API enum jobd_result jobd_lease_extend(struct jobd *jobd, const char *token, int64_t lease_us,
                                            struct jobd_waiter *waiter, int64_t now_us);

/* The job goes back in, after delay_us, and this attempt is not counted. */
JOBD_API enum jobd_result jobd_lease_release(struct jobd *jobd, const char *token, int64_t delay_us,
                                             struct jobd_waiter *waiter, int64_t now_us);

/* ---- several queues ------------------------------------------------------------------------- */

#define JOBD_CHOICE_MAX 16

/* Queues that one taker asks, each once, the first first. The caller owns it, fills in the first
 * two, and leaves it alone as long as the waiter. */
struct jobd_choice {
    uint32_t len; /* 1 to JOBD_CHOICE_MAX */
    uint32_t queues[JOBD_CHOICE_MAX];
    struct {
        unsigned char bytes[24] __attribute__((aligned(8)));
    } hidden[JOBD_CHOICE_MAX]; /* private to jobd */
};

/* As jobd_take() with a lease, from the first of these queues that has a job to give. With none it
 * waits for the first that any of them gets: in each it stands among those who ask that one alone,
 * in the order of coming. JOBD_UNDECLARED when one of them is; when one goes while it waits, it
 * waits for the others. waiter->task.queue says which it was. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_take_any(struct jobd *jobd,
                                                       struct jobd_choice *choice,
                                                       struct jobd_waiter *waiter, int64_t now_us);

/* ---- saying something ----------------------------------------------------------------------- */

/* What its holder has to say of the attempt while it goes on. It counts at once and extends
 * nothing; with a journal progress is written down with the job's next change, and output when the
 * attempt ends: so what was said since is lost when the process is killed. JOBD_OK, JOBD_NO_LEASE,
 * JOBD_LEASE_EXPIRED, or JOBD_OUT_OF_MEMORY.
 *
 * More output, all of it borrowed: up to `max` bytes of the attempt are kept, the rest is left out,
 * and *truncated says whether there was more, now or before. Its type is that of the first. When
 * the attempt ends without an output of its own this is the output. Of two at the same time one
 * comes first, but for pieces of 64 KiB. With JOBD_OUT_OF_MEMORY some of it may have been kept. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_lease_append(struct jobd *jobd, const char *token,
                                                           const struct jobd_blob *bytes,
                                                           size_t max, bool *truncated);
/* Its progress in place of what it was, a reference is taken; NULL: none any more. It stays with
 * the job until another attempt begins. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_lease_progress(struct jobd *jobd, const char *token,
                                                             struct jobd_blob *text);

/* ---- many reports --------------------------------------------------------------------------- */

/* How one of many leases ends. */
struct jobd_report {
    const char *token; /* borrowed */
    struct jobd_outcome outcome;
    /* JOBD_PENDING: to be asked for; then as from jobd_lease_finish(), where JOBD_OK counts with
     * that of the verb. */
    enum jobd_result result;
    struct { /* private to jobd */
        void *extra;
        uint32_t queue;
    } hidden;
};

#define JOBD_REPORTS_MAX 1000

/* As many jobd_lease_finish(), for those of the reports whose result is JOBD_PENDING, in their
 * order: one that is refused stops no other. JOBD_OK, and each has a result. With a journal those
 * that count are written in one transaction: JOBD_PENDING, and the waiter is woken with JOBD_OK, or
 * with JOBD_STORE_FAILED, and then those with JOBD_OK have not been done. A report whose result is
 * still JOBD_PENDING was there twice, and is to be asked for once more. Output and error of a
 * report with JOBD_OK are taken. JOBD_TOO_MANY_WAITERS: nothing was done. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_lease_finish_all(struct jobd *jobd, struct jobd_report *reports, uint32_t len,
                      struct jobd_waiter *waiter, int64_t now_us);

/* ---- looking -------------------------------------------------------------------------------- */

struct jobd_lease_info {
    uint64_t id; /* of the job */
    uint32_t queue, attempt;
    int64_t since_us, expires_us;
    char worker[JOBD_WORKER_SIZE]; /* "": it has not said */
};

struct jobd_lease_filter {
    uint32_t queue;     /* JOBD_NO_QUEUE: all */
    const char *worker; /* NULL: all */
    uint64_t after;     /* where to go on */
};

/* Leases that are held and match, in no particular order, at most `len` of them: how many. *next is
 * what to pass as `after` for others, 0 when there are none. One that is held all the while is
 * listed once. It looks at some 10,000 at most: then it says what it has found by then. */
JOBD_API size_t jobd_leases(struct jobd *jobd, const struct jobd_lease_filter *filter,
                            struct jobd_lease_info *infos, size_t len, uint64_t *next);

/* ---- following ------------------------------------------------------------------------------ */

/* What there is to be seen of a job, and of its output so far. Zeroed at first. */
struct jobd_view {
    bool seen; /* it has been looked at, and the rest counts */
    enum jobd_state state;
    bool stopping;
    uint32_t attempt; /* whose output it is: the one that runs, or the last that ran */
    /* A reference, NULL when there is no output: the first output_bytes of its bytes, which never
     * change while that attempt runs, are the output. Its own size counts for nothing. When the
     * attempt has ended they may be others: its end has said so. */
    struct jobd_blob *output;
    size_t output_bytes;
    bool truncated;
    struct jobd_blob *progress; /* a reference; NULL: none */
};

/* JOBD_OK when the job is not, or no longer, as `view` has it, and now it has it so: the references
 * of before are given back. JOBD_FINISHED when nothing has changed and nothing will, unless the job
 * is retried; else JOBD_PENDING: the waiter is woken when something has (JOBD_OK: ask again), or at
 * its deadline (JOBD_TIMEOUT). JOBD_NO_JOB; JOBD_TOO_MANY_WAITERS. What comes faster than it is
 * asked for is seen at once: each state need not be seen, each byte of an attempt is, unless that
 * has ended meanwhile and another runs. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_follow(struct jobd *jobd, uint64_t id, struct jobd_view *view, struct jobd_waiter *waiter);
/* Gives its references back. */
JOBD_API void jobd_view_release(struct jobd_view *view);

#ifdef __cplusplus
}
#endif

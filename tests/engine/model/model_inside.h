/* SPDX-License-Identifier: MIT */
/* What the parts of the engine's model know of each other: the model itself, those who
 * wait, and what each verb must do to it. */
#pragma once

#include "engine/model/model.h"
#include "jobd/declare.h"
#include "jobd/batch.h"
#include "jobd/lease.h"
#include "jobd/queue.h"

enum {
    QUEUES = 3,
    JOBS_MAX = 4096,
    TAKERS = 6,
    PUTTERS = 4,
    WATCHERS = 4,
    BATCHERS = 2,
    KEEP = 5,
    KEEP_FOR_US = 6000,
    MEMORY = 12000,
    WAITERS_MAX = 12,
    BATCH_MAX = 3,
    LEASERS = 4,
    FOLLOWERS = 3,
    NAMES = 3, /* of workers */
    LEASES_MAX = 6,
    TOKENS_MAX = 4096,
    EVENTS_IDS = 2 * JOBS_MAX,
};

/* Whom a job waits for; and what the record of that counts for, bytes. */
enum { PARENTS_MAX = 3, MODEL_AFTER_SIZE = 128 };
struct model_parent {
    uint64_t id;
    bool is_batch;
};

struct model_after {
    struct model_parent parents[PARENTS_MAX];
    unsigned len;
    bool whatever;
    size_t bytes;
};

/* Of one that others wait for, a job or a batch. */
struct model_pin {
    bool pinned;
    unsigned due, cursor; /* they are to be looked at, those linked later than that */
    unsigned fresh;       /* it is pinned for a put that is just being looked at */
};

struct model_job {
    uint64_t id;
    unsigned queue, priority, attempt, attempts;
    enum jobd_state state;
    bool stopping;
    unsigned token; /* above 0: leased */
    int64_t expires_us;
    int64_t started_us, timeout_us; /* 0: none */
    int64_t ready_us, expiry_us, keep_us, ended_us;
    int64_t came_us, unique_until_us;
    bool retained;                        /* it has ended, and is not forgotten before that */
    size_t payload, output, error, extra; /* bytes */
    struct {
        unsigned attempt;
        int64_t at_us;
        size_t bytes; /* of its text */
    } errors[JOBD_ERRORS_MAX];
    unsigned errors_len;
    const char *key;
    const char *texts[JOBD_TEXTS]; /* of those below */
    int64_t created_us;
    /* Bytes: who runs its last attempt and its progress, 0: none; appended, and room for more. */
    size_t said, worker, progress, used, room;
    bool truncated;
    int order;      /* when it entered its lane, or came back */
    unsigned ended; /* when it ended, by the model's clock */
    bool forgotten;
    bool moves;               /* on its way to another queue */
    bool leaves;              /* on its way to its end */
    struct model_after after; /* BLOCKED: those */
    unsigned linked;          /* when it began to wait for them, by the model's clock */
    unsigned again;           /* it is to be looked at, since then; 0: it is not */
    struct model_pin pin;
};

enum { NO_REPORT, DONE_REPORT, FAILED_REPORT, RELEASED_REPORT };

/* A lease that is over, and by which report of its holder. */
struct model_lease {
    unsigned token, report, attempt;
    uint64_t id;
    bool overtaken; /* another has had its job since */
};

struct model_batch {
    uint64_t id;
    unsigned len, queue;
    int64_t created_us;
    struct model_pin pin;
};

/* Somebody who waits, in the engine and in the model. */
struct actor {
    struct jobd_waiter waiter; /* first */
    unsigned kind, queue;
    bool waits;  /* as the model has it */
    bool woken;  /* as the engine says */
    bool holds;  /* a take_waiter: a job */
    bool is_in;  /* a put_waiter: its job, for whose end it waits */
    uint64_t id; /* what it holds or watches */
    unsigned since;
    struct jobd_put put;
    struct jobd_terms terms;
    char after[MODEL_AFTER_SIZE]; /* of its terms */
    struct jobd_batch ended;      /* a batcher: the batch as it was then */
    struct jobd_blob *batch[BATCH_MAX];
    size_t sizes[BATCH_MAX]; /* of its payloads, which the engine may have freed by now */
    /* A leaser that asks several queues: those that are still there. */
    bool is_wide, asks[QUEUES];
    struct jobd_choice choice;
    enum jobd_result expected;
    uint64_t expected_id;
};

/* Of a queue's breaker; who it is and when is in model_queues. */
struct model_breaker {
    unsigned in_a_row, opened;
    bool open;
    bool due;       /* at probe_at_us whoever waits is looked at */
    uint64_t probe; /* 0: none */
    int64_t probe_at_us;
};

/* What jobs are put with, and found by: NULL is none; in the order of their names. */
enum { GROUPS = 4, TAG_LISTS = 4, TAGS = 2 };

/* Of a queue, at present. */
struct model_limits {
    struct jobd_limits limits, group_limits;
    unsigned group_waiting;
    bool by_group;
};

struct model_bucket {
    int64_t parts, at_us;
};

struct model_group {
    bool made, held;
    unsigned number;
    unsigned idle_since;             /* by the model's clock; 0: it has jobs */
    unsigned since[JOBD_PRIORITIES]; /* it stands in the lane, behind those that came before */
    struct model_bucket bucket;
};

enum { TAKER, PUTTER, WATCHER, LEASER, BATCHER };

/* Somebody who follows a job. The model does not know when there is something new, but that it may
 * not be missed. */
struct follower {
    struct jobd_waiter waiter; /* first */
    bool waits, woken;
    uint64_t id;
    struct jobd_view view;
};

struct model {
    struct jobd *jobd;
    struct chance *chance;
    int64_t now_us;
    uint64_t next_id;
    unsigned clock; /* counts everything that has an order */
    unsigned lists; /* that were compared */
    struct model_job jobs[JOBS_MAX];
    unsigned jobs_len;
    struct model_batch batches[JOBS_MAX];
    unsigned batches_len;
    bool paused[QUEUES];
    struct model_breaker breakers[QUEUES];
    struct model_limits limits[QUEUES];
    struct model_bucket buckets[QUEUES];
    int64_t token_at_us[QUEUES]; /* somebody waits for one, until then; JOBD_NEVER */
    struct model_group groups[QUEUES][GROUPS];
    unsigned groups_made[QUEUES];
    enum { OPEN, RETIRED, GONE } phase[QUEUES];
    unsigned capacity[QUEUES], workers[QUEUES]; /* at present */
    struct actor takers[TAKERS], leasers[LEASERS], put_waiters[PUTTERS], watchers[WATCHERS],
        batchers[BATCHERS];
    struct follower followers[FOLLOWERS];
    bool events_kept, event_told;
    uint64_t event_number;
    enum jobd_state event_states[EVENTS_IDS]; /* by id: the last that was read */
    struct jobd_blob *workers_named[NAMES];
    unsigned rejected[QUEUES], retried[QUEUES], expired[QUEUES], forgotten_early[QUEUES];
    unsigned leases_expired[QUEUES], leases_released[QUEUES];
    unsigned ended[QUEUES][JOBD_STATES];
    unsigned tokens;                     /* given out so far, also in vain: 1 to this */
    struct model_lease over[TOKENS_MAX]; /* leases that are over and known, the first first */
    unsigned over_from, over_to;         /* of those */
    unsigned leases_used;
    size_t retained;   /* and what it counts for when its key is not forgotten for some time */
    size_t group;      /* what a group counts for, beside its name */
    size_t extra;      /* what a job with output or error counts for, beside them */
    size_t said;       /* and one whose attempts say something */
    size_t error_room; /* what is counted for the error of one that waits for others */
};

extern const struct jobd_queue_config model_queues[QUEUES];
extern const char *const model_groups[GROUPS], *const model_tag_lists[TAG_LISTS];
extern const char *const model_tags[TAGS];
/* Of a lease that expires. */
extern const struct jobd_outcome model_expired;

static inline unsigned below(struct model *model, unsigned bound)
{
    return chance_below(model->chance, bound);
}

/* ---- model.c: what there is, and what each verb must do to it */

bool model_final(const struct model_job *job);
/* NULL when there is none, or it is forgotten. */
struct model_job *model_find(struct model *model, uint64_t id);
unsigned model_count(const struct model *model, unsigned queue, enum jobd_state state);
/* Those that take a slot of the queue's capacity. */
unsigned model_waiting(const struct model *model, unsigned queue);
/* Jobs that are leased, and leases that are reserved for those who wait for a job. */
unsigned model_leases_held(const struct model *model);
unsigned model_leases_reserved(const struct model *model);
/* All who wait, for whatever it is. */
unsigned model_waiters(const struct model *model);
/* Bytes of the last errors. */
size_t model_errors(const struct model_job *job);
size_t model_job_bytes(const struct model_job *job);
size_t model_bytes(const struct model *model, bool living_only);
unsigned model_jobs_of(const struct jobd_put *put);
bool model_has_room(const struct model *model, const struct jobd_put *put);
/* Forgets what has ended until so many bytes more have room; false when that is not enough. */
bool model_make_room(struct model *model, size_t size);
/* What the put takes for the same job, or NULL. */
struct model_job *model_same(struct model *model, const struct jobd_put *put);
/* Of those who wait for room, the one who came first. */
struct actor *model_first_putter(struct model *model, unsigned queue);
/* It gives no jobs out, but for probes. */
bool model_holds(const struct model *model, unsigned queue);
bool model_can_give(struct model *model, unsigned queue, const struct actor *take_waiter);

/* Its wait is over; the engine must have woken it, with this. */
void model_expect(struct actor *actor, enum jobd_result result, uint64_t id);
/* A new job. */
void model_add(struct model *model, const struct jobd_put *put, size_t size);
/* All of a batch whose jobs say all themselves: also its ids. */
enum jobd_result model_admit_jobs(struct model *model, const struct jobd_put *put, uint64_t *ids);
enum jobd_result model_admit(struct model *model, const struct jobd_put *put,
                             const size_t sizes[BATCH_MAX], uint64_t *id);
/* One may be retained, or pinned, more. */
bool model_may_retain(const struct model *model);
/* Nothing keeps an ended job, but that it is remembered. */
void model_remember_again(struct model *model, struct model_job *job);
/* One that ended too long ago is forgotten; false when there is none. */
bool model_forget_due(struct model *model, bool forget);
/* The time for which a job that has ended was retained is over. */
void model_retention_over(struct model *model, struct model_job *job);
/* A job is in, new or not: what its put_waiter, who may wait for its end too, is told. */
enum jobd_result model_let_in(struct model *model, struct actor *put_waiter, uint64_t id);
void model_give(struct model *model, unsigned queue, struct actor *take_waiter);
void model_end_lease(struct model *model, struct model_job *job, unsigned report);
void model_end(struct model *model, struct model_job *job, enum jobd_state state);
/* An attempt is over, and perhaps its job; its lease by this report. The sizes are those of output
 * and error, which the engine may have freed by now; -1: none. */
void model_attempt_over(struct model *model, struct model_job *job,
                        const struct jobd_outcome *outcome, int output, int error);
/* The same, and who waits is served. */
void model_attempt_ended(struct model *model, struct model_job *job,
                         const struct jobd_outcome *outcome, int output, int error);
/* A job that ran waits again, at once or later. */
void model_go_back(struct model *model, struct model_job *job, int64_t in_us);
/* Of a lease that lasts so long from now, but no longer than the attempt may. */
int64_t model_lease_end(const struct model *model, const struct model_job *job, int64_t us);
/* The report that an outcome is. */
unsigned model_report(const struct jobd_outcome *outcome);
/* Has it expired? Then it is given to nobody. */
bool model_has_expired(const struct model *model, const struct model_job *job);
/* Serves who waits, until nobody is left who can be served. */
void model_settle(struct model *model, unsigned queue);
/* Does anybody wait for a job of the queue? */
bool model_is_asked(const struct model *model, unsigned queue);

/* ---- model_after.c: jobs that wait for others */

const char *model_after_some(struct model *model, char text[MODEL_AFTER_SIZE]);
struct model_after model_after_of(const struct jobd_put *put);
/* JOBD_OK, and nothing is left when it need not wait; JOBD_NO_PARENT; or JOBD_LATER_PARENT, one did
 * not come before this job, which is replaced; 0: none is. */
enum jobd_result model_after_check(struct model *model, struct model_after *after,
                                   uint64_t replaced);
/* They are pinned; those that nobody waits for in the end not any more. */
enum jobd_result model_after_expect(struct model *model, const struct model_after *after);
void model_after_settle(struct model *model);
/* Bytes, of who waits and of who is waited for. */
size_t model_after_bytes(const struct model_job *job);
size_t model_pin_bytes(const struct model_pin *pin);
void model_after_link(struct model *model, struct model_job *job, const struct model_after *after);
/* It waits for nobody any more; it waited for these. */
void model_after_leave(struct model *model, struct model_job *job);
void model_after_left(struct model *model, const struct model_after *before);
/* It begins to wait; it has ended. */
void model_after_look(struct model *model, struct model_job *job);
void model_after_ended(struct model *model, struct model_job *job);
bool model_after_due(struct model *model);
void model_after_tick(struct model *model);

/* ---- model_batches.c */

/* So many jobs that come in there together, the next ones. */
void model_add_batch(struct model *model, unsigned queue, unsigned len);
/* A job has ended: whoever awaits the batch that it was the last of is told. */
void model_note_batch_end(struct model *model);
/* Bytes, of those that are waited for. */
size_t model_batch_bytes(const struct model *model);
/* NULL: there never was one. */
struct model_batch *model_find_batch(struct model *model, uint64_t id);
/* It may be waited for. */
bool model_batch_there(const struct model *model, const struct model_batch *batch);
/* All its jobs have ended; and `well`: all are done. */
bool model_batch_over(const struct model *model, const struct model_batch *batch, bool *well);
/* The one that the job came in with; NULL: none. */
struct model_batch *model_batch_of(struct model *model, const struct model_job *job);
void model_compare_batches(struct model *model);

/* ---- model_turns.c: limits and turns */

struct model_limits model_limits_of(const struct jobd_queue_config *config);
void model_fill(const struct model *model, struct model_bucket *bucket,
                const struct jobd_limits *limits);
/* A job's, as an index of model_groups. */
unsigned model_group_of(const struct model_job *job);
bool model_takes_turns(const struct model *model, unsigned queue);
unsigned model_waiting_of(const struct model *model, unsigned queue, unsigned group);
bool model_group_has_room(const struct model *model, unsigned queue, unsigned group, unsigned jobs);
size_t model_group_bytes(const struct model *model);
/* A job of the group is going to wait in the queue; perhaps none does any more. */
void model_join(struct model *model, unsigned queue, unsigned group);
void model_quit(struct model *model, unsigned queue, unsigned group);
/* A job is queued from now on, behind the others; or it begins; or one of the group runs no more.
 */
void model_enter(struct model *model, struct model_job *job);
void model_started(struct model *model, const struct model_job *job);
void model_left(struct model *model, unsigned queue, unsigned group);
/* The one of the lane whose turn it is, if any may begin. */
struct model_job *model_first_in(struct model *model, unsigned queue, unsigned lane);
bool model_limits_let(const struct model *model, unsigned queue);
/* Whoever waits, with a job there, for a token alone is looked at when it comes. */
void model_await_token(struct model *model, unsigned queue);
/* What is due of buckets by now, by its time. */
void model_limits_due(struct model *model);
void model_change_limits(struct model *model, unsigned queue, const struct model_limits *limits);
void model_compare_turns(const struct model *model, unsigned queue, const struct jobd_stats *stats);

/* ---- steps*.c: one thing asked of both, answered alike */

typedef void model_step(struct model *model);

model_step model_step_put, model_step_put_wait, model_step_take, model_step_finish;
model_step model_step_lease, model_step_lease_finish, model_step_lease_keep;
model_step model_step_retry, model_step_cancel, model_step_pause, model_step_watch;
model_step model_step_purge, model_step_move, model_step_unwait, model_step_time;
model_step model_step_put_jobs, model_step_resize, model_step_come_and_go, model_step_amend;
model_step model_step_forget, model_step_change_all, model_step_await_batch, model_step_limits;
/* An ended job joins its group: JOBD_OK, or why it cannot be retried. */
enum jobd_result model_retry_in_group(struct model *model, struct model_job *job);
model_step model_step_lease_any, model_step_reports, model_step_say, model_step_follow;
model_step model_step_events, model_step_show;

/* An attempt begins, and is over: `worker` is bytes of who runs it, 0: it does not say. */
void model_say_begin(struct model *model, struct model_job *job, size_t worker);
void model_say_end(struct model_job *job);
void model_say_forget(struct model_job *job);
/* A token that may be any: of a lease that is held, over, forgotten, or never was; and what this
 * report of its holder is answered. JOBD_OK: *job is leased, or waits again since its lease has
 * expired. */
enum jobd_result model_pick_lease(struct model *model, unsigned report, char token[JOBD_TOKEN_SIZE],
                                  struct model_job **job);
/* An attempt of the job begins: the leases before it are too late. */
void model_overtake(struct model *model, uint64_t id);
/* The same of a token that is known by its number. */
enum jobd_result model_look_up_lease(struct model *model, unsigned number, unsigned report,
                                     struct model_job **job);
void model_write_token(unsigned number, char token[JOBD_TOKEN_SIZE]);
/* Nobody who follows a job has missed something, and they may begin to wait again. */
void model_check_followers(struct model *model);
/* Makes room for what is said of the job, where there is none; false when there is no memory. */
bool model_make_said(struct model *model, struct model_job *job);
void model_note_event(void *context);
void model_check_events(struct model *model);

/* Does in both what is due now. */
void model_tick(struct model *model);
/* A blob of fewer than so many bytes, all alike. */
struct jobd_blob *model_bytes_below(struct model *model, unsigned most);
/* What becomes of a job that is retried by hand, or told to stop while it runs. */
void model_retried(struct model *model, struct model_job *job);
void model_stop(struct model *model, struct model_job *job);
/* Makes an actor ready to wait, perhaps with a deadline. */
void model_begin(struct model *model, struct actor *actor, unsigned queue);
/* Of a put that was not let in. */
void model_drop_put(const struct jobd_put *put);
/* Of a job that has ended. */
void model_drop_output(struct actor *actor, size_t output_bytes);
struct jobd_outcome model_random_outcome(struct model *model);
/* -1: none */
int model_size_or_none(const struct jobd_blob *blob);

/* ---- compare.c */

/* The turns go through all kinds of filters; of a list nothing is said yet. */
struct jobd_filter model_filter(struct model *model, unsigned turn);
bool model_matches(const struct jobd_filter *filter, const struct model_job *job);
/* Ends the process where the two differ. */
void model_compare(struct model *model);

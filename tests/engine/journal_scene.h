/* SPDX-License-Identifier: MIT */
/* What the tests of the journal share: an engine of two queues, a store that is a table, and people
 * who hold the engine to what they were told. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/journal_store.h"
#include "jobd/batch.h"
#include "store/times.h"

enum {
    QUEUES = 2, /* and one of deliveries behind them */
    CAPACITY = 12,
    KEEP = 6,
    WORKERS = 2,
    LEASES = 4,
    REPORTS = 3,
    IDS = 20000,
    KEEP_FOR_US = 2000000,
    KEPT_AFTER_SIZE = 96,
    MORE = 8 /* deliveries that are promised or wait beyond the capacity */
};

struct kept {
    bool there;
    struct job_record record; /* its texts are these */
    char key[JOBD_KEY_SIZE], trace[JOBD_TRACE_SIZE], token[JOBD_TOKEN_SIZE];
    char after[KEPT_AFTER_SIZE];
    struct jobd_blob *payload, *output, *error, *errors, *worker, *progress;
};

struct disk {
    struct batch_record batches[IDS]; /* id 0: none */
    struct batch_record *batches_undo[IDS];
    struct kept jobs[IDS];
    struct kept *undo[IDS]; /* what the transaction has changed: as it was before */
    unsigned wanted;
    int64_t to_tell[2]; /* an end that was written wants its deliveries as the next rows; 0: none */
    uint64_t highest;   /* id */
    bool in_doubt;      /* what the last group has left; so it is rewritten */
    bool limits;        /* of the queues of the next engine, see there */
    bool two_undeclared;                      /* the second queue, when the next engine is made */
    bool paused[QUEUES], paused_next[QUEUES]; /* in the transaction */
    /* The clocks: how far the wall clock is ahead of the engine's; what was kept, and when the last
     * group was written. */
    int64_t wall_ahead_us, written_us, written_wall_us;
    struct times times;
    struct kept_times kept;
};

extern struct disk disk; /* empty at first */

/* Whose jobs are; NULL: nobody's. */
enum { GROUPS = 4 };
extern const char *const disk_groups[GROUPS];

/* With disk.limits the first queue has limits, and the groups of the second take turns and have
 * limits too. */
struct jobd *disk_open_engine(uint32_t capacity, uint32_t restored, uint64_t first_id);
/* An engine from what the disk has, in a process that begins now. */
struct jobd *disk_restore(uint64_t first_id, int64_t now_us);

/* A reference to a blob that is only lent. */
struct jobd_blob *disk_share(const struct jobd_blob *blob);

/* One group: written whole, or failed after so many changes. How many it had. */
size_t disk_write_group(struct jobd *jobd, size_t max, size_t fails_after, int64_t now_us);
void disk_write_all(struct jobd *jobd, int64_t now_us);
/* One group fails, and whether it was written is not known: what it was about becomes what the
 * engine has. `landed`: it was, perhaps but for schedules. How many it had. */
size_t disk_break_group(struct jobd *jobd, size_t max, bool landed, int64_t now_us);
void disk_clear(void);

/* When nothing is on its way, the last batches count on disk what they count in the engine. */
void disk_compare_batches(struct jobd *jobd, uint64_t next_id, int64_t now_us);
/* Nor does a job lose the token on disk, whatever is rewritten, as long as that is known. */
void disk_compare_token(struct jobd *jobd, uint64_t id);

/* ---- people */

struct person {
    struct jobd_waiter waiter; /* first */
    bool waits, runs;
    uint64_t id; /* of the put */
    /* Reports at once: of jobs that ran by these leases, and were let in. */
    struct {
        uint64_t id;
        char token[JOBD_TOKEN_SIZE];
    } reports[REPORTS];
    unsigned reports_len;
    char verb; /* what it waits for: put, cancel, again, lease, forget, amend; others are not held
                  to account */
};

/* Of its reports, so many are on disk. */
unsigned reports_on_disk(const struct person *who);
/* Woken, it is held to what is on disk at that moment. */
struct person person_new(void);

/* A worker that has a job of the queue by this token; written. It would expire after 100 us. */
struct person disk_lease(struct jobd *jobd, uint32_t queue, const char *token, int64_t now_us);

/* JOBD_STATES: there is no such job. */
static inline enum jobd_state state_of(struct jobd *jobd, uint64_t id)
{
    struct jobd_info info;
    return jobd_get(jobd, id, &info) == JOBD_OK ? info.state : JOBD_STATES;
}

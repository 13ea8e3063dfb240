/* SPDX-License-Identifier: MIT */
#include "ledger/snapshot.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define LEAST_BYTES (UINT64_C(64) << 20) /* of the log, before there is one */
#define RETRY_US    (30 * CLOCK_SECOND_US)

enum { PART_BYTES = 1 << 20, JOBS_AT_A_TIME = 16 };

/* Bytes of the log. */
static uint64_t most_without(const struct snapshot *snapshot)
{
    uint64_t least = snapshot->least_bytes > 0 ? snapshot->least_bytes : LEAST_BYTES;
    return 2 * snapshot->last_bytes > least ? 2 * snapshot->last_bytes : least;
}

bool snapshot_is_due(const struct snapshot *snapshot, const struct follower *follower,
                     int64_t now_us)
{
    return snapshot->state != SNAPSHOT_IDLE ||
           (follower->bytes > most_without(snapshot) && now_us >= snapshot->retry_us &&
            share_is_whole(follower->jobd));
}

/* ---- writing */

static void add_news(void *context, const struct news *news)
{
    entry_add(context, news);
}

static enum ledger_result write_part(struct snapshot *snapshot, const struct ledger_ops *ops,
                                     void *ledger, struct problem *problem)
{
    if (!entry_end(&snapshot->entry)) {
        (void)problem_set(problem, "out of memory");
        return LEDGER_REFUSED;
    }
    snapshot->bytes += snapshot->entry.size;
    return ops->keep_part(ledger,
                          &(struct ledger_part){.from = snapshot->from,
                                                .part = snapshot->part++,
                                                .body = snapshot->entry.bytes,
                                                .size = snapshot->entry.size},
                          problem);
}

static enum ledger_result begin(struct snapshot *snapshot, struct follower *follower,
                                const struct ledger_ops *ops, void *ledger, struct problem *problem)
{
    bool mine = false;
    enum ledger_result result = ops->claim(ledger, &mine, problem);
    snapshot->retry_us = clock_now_us() + RETRY_US;
    if (result != LEDGER_OK || !mine)
        return result;
    snapshot->from = follower->seq;
    snapshot->from_us = follower->at_us;
    snapshot->part = 0;
    snapshot->bytes = 0;
    snapshot->at = 0;
    if (!share_ids(follower->jobd, &snapshot->ids, &snapshot->ids_len)) {
        (void)problem_set(problem, "out of memory");
        return LEDGER_REFUSED;
    }
    snapshot->state = SNAPSHOT_WRITES;
    entry_begin(&snapshot->entry, snapshot->format, 0, share_next_id(follower->jobd));
    share_state(follower->jobd, add_news, &snapshot->entry);
    return write_part(snapshot, ops, ledger, problem);
}

/* Until the next one, which may be another server's. */
static void free_what_was_written(struct snapshot *snapshot)
{
    free(snapshot->ids);
    snapshot->ids = NULL;
    entry_release(&snapshot->entry);
}

/* How many parts there are, and the last entry that any of them may know of. */
struct whole {
    uint64_t parts, to;
};

static enum ledger_result end(struct snapshot *snapshot, const struct follower *follower,
                              const struct ledger_ops *ops, void *ledger, struct problem *problem)
{
    const struct whole whole = {htobe64((uint64_t)snapshot->part), htobe64(follower->seq)};
    enum ledger_result result =
        ops->keep_part(ledger,
                       &(struct ledger_part){.from = snapshot->from,
                                             .part = LEDGER_PART_WHOLE,
                                             .body = (const unsigned char *)&whole,
                                             .size = sizeof whole},
                       problem);
    free_what_was_written(snapshot);
    snapshot->last_bytes = snapshot->bytes;
    snapshot->state = SNAPSHOT_TRIMS;
    return result;
}

static enum ledger_result write_some(struct snapshot *snapshot, struct follower *follower,
                                     const struct ledger_ops *ops, void *ledger,
                                     struct problem *problem)
{
    if (snapshot->at == snapshot->ids_len)
        return end(snapshot, follower, ops, ledger, problem);
    entry_begin(&snapshot->entry, snapshot->format, 0, share_next_id(follower->jobd));
    while (snapshot->at < snapshot->ids_len && snapshot->entry.size < PART_BYTES) {
        size_t left = snapshot->ids_len - snapshot->at;
        size_t len = left < JOBS_AT_A_TIME ? left : JOBS_AT_A_TIME;
        const struct share_ids ids = {
            .ids = snapshot->ids + snapshot->at, .len = len, .at_us = snapshot->from_us};
        share_jobs(follower->jobd, &ids, add_news, &snapshot->entry);
        snapshot->at += len;
    }
    return write_part(snapshot, ops, ledger, problem);
}

static enum ledger_result trim(struct snapshot *snapshot, const struct ledger_ops *ops,
                               void *ledger, struct problem *problem)
{
    bool more = false;
    enum ledger_result result = ops->trim(ledger, snapshot->from, &more, problem);
    if (result == LEDGER_OK && !more)
        snapshot->state = SNAPSHOT_IDLE;
    return result;
}

enum ledger_result snapshot_step(struct snapshot *snapshot, struct follower *follower,
                                 const struct ledger_ops *ops, void *ledger,
                                 struct problem *problem)
{
    enum ledger_result result = LEDGER_OK;
    switch (snapshot->state) {
    case SNAPSHOT_IDLE:
        result = begin(snapshot, follower, ops, ledger, problem);
        follower->bytes = snapshot->state == SNAPSHOT_WRITES ? 0 : follower->bytes;
        break;
    case SNAPSHOT_WRITES:
        result = write_some(snapshot, follower, ops, ledger, problem);
        break;
    case SNAPSHOT_TRIMS:
        result = trim(snapshot, ops, ledger, problem);
        break;
    }
    if (result != LEDGER_OK)
        snapshot_abandon(snapshot);
    return result;
}

void snapshot_abandon(struct snapshot *snapshot)
{
    free_what_was_written(snapshot);
    snapshot->state = SNAPSHOT_IDLE;
    snapshot->retry_us = clock_now_us() + RETRY_US;
}

void snapshot_release(struct snapshot *snapshot)
{
    free_what_was_written(snapshot);
    *snapshot = (struct snapshot){.ids = NULL};
}

/* ---- reading */

static bool read_whole(void *context, const struct ledger_part *part)
{
    struct ledger_part *whole = context;
    struct whole found;
    if (part->size != sizeof found)
        return false;
    memcpy(&found, part->body, sizeof found);
    whole->from = part->from;
    whole->part = (int32_t)be64toh(found.parts);
    whole->to = be64toh(found.to);
    return true;
}

enum ledger_result snapshot_look(struct snapshot *snapshot, struct follower *follower,
                                 const struct ledger_ops *ops, void *ledger, bool *missed,
                                 struct problem *problem)
{
    struct ledger_part newest = {.part = 0};
    int64_t now_us = clock_now_us();
    *missed = false;
    if (follower->bytes <= 4 * most_without(snapshot) || now_us < snapshot->look_us ||
        share_is_whole(follower->jobd))
        return LEDGER_OK;
    snapshot->look_us = now_us + RETRY_US;
    enum ledger_result result = ops->find_part(ledger, read_whole, &newest, problem);
    if (result != LEDGER_OK)
        return result;
    *missed = newest.from == snapshot->others_from;
    snapshot->others_from = newest.from;
    follower->bytes = 0;
    return LEDGER_OK;
}

struct reading {
    struct follower *follower;
    bool came;
};

static bool read_part(void *context, const struct ledger_part *part)
{
    struct reading *reading = context;
    reading->came = true;
    return follower_part(reading->follower, part->body, part->size);
}

/* All of its parts; none is a snapshot as well. They are gone when there is a newer one. */
static enum ledger_result read_parts(struct follower *follower, const struct ledger_part *whole,
                                     const struct ledger_ops *ops, void *ledger,
                                     struct problem *problem)
{
    enum ledger_result result = LEDGER_OK;
    for (int32_t i = 0; i < whole->part && result == LEDGER_OK && follower->result == FOLLOW_OK;
         i++) {
        struct reading reading = {.follower = follower};
        result = ops->read_part(ledger, &(struct ledger_part){.from = whole->from, .part = i},
                                read_part, &reading, problem);
        if (result == LEDGER_OK && !reading.came) {
            follower->result = FOLLOW_LOST;
            (void)problem_set(&follower->problem, "a part of the snapshot is missing");
        }
    }
    if (whole->part > 0 && follower->result == FOLLOW_OK)
        follower_stand_at(follower, whole->from, whole->to);
    return result;
}

/* From that snapshot on; without one from the beginning. */
static enum ledger_result read_from(struct follower *follower, const struct ledger_part *whole,
                                    const struct ledger_ops *ops, void *ledger,
                                    struct problem *problem)
{
    follower_forget(follower);
    enum ledger_result result = read_parts(follower, whole, ops, ledger, problem);
    if (result == LEDGER_OK && follower->result == FOLLOW_OK)
        result = follower_catch_up(follower, ops, ledger, problem);
    return result;
}

enum ledger_result snapshot_anew(struct follower *follower, const struct ledger_ops *ops,
                                 void *ledger, struct problem *problem)
{
    struct ledger_part whole = {.part = 0};
    uint64_t before;
    bool again;
    enum ledger_result result = ops->find_part(ledger, read_whole, &whole, problem);
    do {
        if (result == LEDGER_OK)
            result = read_from(follower, &whole, ops, ledger, problem);
        before = whole.from;
        again = result == LEDGER_OK && follower->result == FOLLOW_LOST;
        if (again) /* what was still to be read is gone, as another has written a newer one? */
            result = ops->find_part(ledger, read_whole, &whole, problem);
    } while (again && result == LEDGER_OK && whole.from > before);
    if (result == LEDGER_OK && follower->result == FOLLOW_OK)
        share_remembered(follower->jobd);
    return result;
}

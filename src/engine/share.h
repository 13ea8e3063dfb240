/* SPDX-License-Identifier: MIT */
/* What whoever takes the turns needs of an engine whose queues several processes share:
 *
 *     share_adopt() ... share_adopted()      what the others have changed
 *     share_begin()                          the turn: verbs, whose waiters are held
 *     share_each()                           what they have changed, to be written
 *     share_end()                            written, or lost: who waits is told
 *
 * One thread calls these; others may look meanwhile. No job changes outside of that. News are
 * repeated in the order in which they were given: then all engines have the same jobs in the same
 * lanes. None blocks but for the engine's one lock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/news.h"
#include "jobd/queue.h"
#include "jobd/turns.h"

/* ---- a turn */

/* Does what is due by now, as jobd_tick(). From here on verbs may be called. */
void share_begin(struct jobd *jobd, int64_t now_us);

/* Has nothing changed in this turn? Is there no room for more of it? */
bool share_is_empty(struct jobd *jobd);
bool share_is_full(struct jobd *jobd);

/* Gives all that has changed, once, and forgets that it has. Borrowed, and under the lock. */
void share_each(struct jobd *jobd, int64_t now_us, share_each_news *each, void *context);

/* Tells whoever waits. `lost`: JOBD_STORE_FAILED, and share_forget() must follow. */
void share_end(struct jobd *jobd, bool lost);

/* ---- all there is, for a process that begins; between turns */

/* The ids of all batches, schedules and jobs in an order in which they can be adopted; from
 * malloc(). False when memory is short. Holds the lock for some 10 ms for a million jobs. */
bool share_ids(struct jobd *jobd, uint64_t **ids, size_t *len);
/* Are they all there are? Not where other processes have queues that are not known here. */
bool share_is_whole(struct jobd *jobd);
/* One of these may have come since then: share_forget(), and all is to be read, before there is
 * another turn. */
bool share_is_outdated(struct jobd *jobd);
struct share_ids {
    const uint64_t *ids;
    size_t len;
    int64_t at_us; /* when the last entry was written before share_ids() */
};

/* Gives those of them that are there, as they are by now, as if they were new. But a delay that has
 * ended since then is not over yet: where its job stands in its lane the entries will say. */
void share_jobs(struct jobd *jobd, const struct share_ids *ids, share_each_news *each,
                void *context);
/* Gives all that has no id there: queues, nodes, leases that are over. */
void share_state(struct jobd *jobd, share_each_news *each, void *context);

/* Queues that are not known here, and have jobs, are known from here on, as undeclared ones with
 * room for those jobs and some more: true when there are any; then share_forget() must follow, and
 * all is to be read again. Before the first turn, or between two. */
bool share_take_in(struct jobd *jobd, int64_t now_us);

/* Ids from here on are new. */
uint64_t share_next_id(struct jobd *jobd);

/* When a turn has something to do: 0, at once; JOBD_NEVER. */
int64_t share_due(struct jobd *jobd);

/* This process takes part no longer: what its workers run is free for others. In a turn. */
void share_leave(struct jobd *jobd);
/* This process does so no longer, as is known for sure: so its jobs are free. In a turn. */
void share_node_gone(struct jobd *jobd, uint32_t node, int64_t now_us);

/* While there can be no turn, or nobody knows whether the last is written: what workers of this
 * process run is free for others when it was its own until now at most. They are told to stop, each
 * once; how many were. What does not end by itself goes back, if nobody else has it by then. */
uint32_t share_overdue(struct jobd *jobd, int64_t now_us);

/* Other processes whose workers run jobs, at most `max`: how many. */
uint32_t share_others(struct jobd *jobd, uint32_t *nodes, uint32_t max);

/* ---- what the others have changed */

enum share_result {
    SHARE_OK,
    SHARE_ROOM,      /* more jobs, or leases, than there is room for here */
    SHARE_NO_MEMORY, /* malloc() has failed */
    SHARE_WRONG      /* this does not follow from what is known */
};

struct share_source {
    int64_t at_us; /* when it was written: delays are over by then */
    bool overlaps; /* the news may be older than what is known, and may name what is gone */
};

/* Before the news of a turn: the delays that were over when it began. */
void share_adopt_time(struct jobd *jobd, int64_t at_us);
enum share_result share_adopt(struct jobd *jobd, const struct news *news,
                              const struct share_source *source);
/* All news of a turn were adopted. */
void share_adopted(struct jobd *jobd, uint64_t next_id, int64_t at_us);

/* Forgets all jobs, to read them again. Who waits for the end of one is told JOBD_STORE_FAILED;
 * what workers of this process run goes on, and is found again by its id and attempt. */
void share_forget(struct jobd *jobd);
/* They have been read: of those that run here, but for nobody else, the workers are told to stop.
 */
void share_remembered(struct jobd *jobd);

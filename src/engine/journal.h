/* SPDX-License-Identifier: MIT */
/* The changes that wait to be written, in order. All are allocated at start; one not used before
 * costs no memory. No lock of its own. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

struct change;

TAILQ_HEAD(change_list, change);

struct journal {
    struct change *all;
    uint32_t max;
    uint32_t used, free, reserved; /* reserved: not for those who could ask again */
    struct change_list spare, waiting, gathered;
    bool refuses;  /* new jobs */
    bool notified; /* the store knows that something waits */
    bool starved;  /* somebody was not served for want of room: when there is some, dispatch all */
    uint64_t failures;
    uint64_t over; /* changes that have been applied or undone */
    uint64_t
        rounds; /* of the store: each writes what is gathered, perhaps not for the first time */
};

/* Room for `max` changes, of which `reserved` are not for those who could ask again; 0: there is no
 * store. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int journal_init(struct journal *journal, uint32_t max,
                                                     uint32_t reserved);
void journal_release(struct journal *journal);

/* Has it room for somebody who could ask again? */
static inline bool journal_has_room(const struct journal *journal)
{
    return journal->free > journal->reserved;
}
/* A copy of this change is the last that waits now. There must be room. */
struct change *journal_add(struct journal *journal, struct change *change);
/* A change of this list needs its entry no longer. */
void journal_remove(struct journal *journal, struct change_list *list, struct change *change);
/* Something waits: true when the store has to be told, as it does not know. */
bool journal_notify(struct journal *journal);

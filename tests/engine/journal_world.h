/* SPDX-License-Identifier: MIT */
/* The engine with a journal, driven at random: what its steps share. */
#pragma once

#include "support/chance.h"
#include "engine/journal_scene.h"

enum {
    ACTORS = 12,
    UNIT_US = 10000,       /* of delays, leases, and what passes */
    KEPT_LATE_US = 100000, /* of what is known of the time before a crash */
    MEASURED_US = 1000     /* a smaller step of the wall clock is none */
};

#define YEAR_US  (INT64_C(365) * 86400 * 1000000)
#define BEGAN_US (INT64_C(60) * YEAR_US)

/* When the last group was written, and what the clocks said. */
struct before {
    int64_t written_us, wall_us;
    struct times times;
};

struct world {
    struct chance chance;
    struct jobd *jobd;
    int64_t now_us;
    int64_t passed_us; /* in truth, since the first start */
    int64_t off_us;    /* what the wall clock is wrong by */
    struct before before;
    uint64_t next_id; /* above all that were given out */
    struct jobd_filter filters[ACTORS];
    struct person people[ACTORS], workers[2 * QUEUES * WORKERS];
    char tokens[64][JOBD_TOKEN_SIZE];
    unsigned tokens_made;
    struct jobd_blob *worker; /* the name of some */
};

static inline unsigned below(struct world *world, unsigned bound)
{
    return chance_below(&world->chance, bound);
}

static inline int64_t some_us(struct world *world, unsigned units)
{
    return (int64_t)below(world, units) * UNIT_US;
}

/* What was asked for has been answered, or is on its way. */
static inline void ask(struct person *who, char verb, enum jobd_result result)
{
    who->verb = result == JOBD_PENDING ? verb : '\0';
    who->waits = result == JOBD_PENDING;
}

struct jobd_outcome any_outcome(struct world *world);

/* ---- journal_leases.c */

/* A lease is asked for; one is ended, or goes on; or several are ended at once. */
void do_lease(struct world *world, struct person *who);
void do_with_lease(struct world *world, struct person *who);

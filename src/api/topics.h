/* SPDX-License-Identifier: MIT */
/* Jobs whose output is followed: the thread asks the engine for what is new of each, once for all
 * who follow it, and gives each a reference to the output so far. The engine tells when there is
 * more.
 *
 *     topic ── jobd_follow() ──> view ── topic_show() ──> each follower: output, bytes, ended
 *       ^────── woken ── engine
 */
#pragma once

#include "api/live_inside.h"
#include "jobd/lease.h"

struct output_follower;

/* What events have been made of. */
struct seen {
    bool any, stopping;
    enum jobd_state state;
    uint32_t attempt;
    struct jobd_blob *progress; /* a reference */
};

/* A job, guarded by live->lock but for the view and what has been seen, which are the
 * thread's. */
struct topic {
    TAILQ_ENTRY(topic) link;
    struct live *live;
    uint64_t id;
    struct jobd_waiter more; /* waits for something new, */
    struct jobd_waiter end;  /* and for the job's end, as it may be forgotten at once */
    struct jobd_view view;
    struct seen seen;
    bool waits, awaits; /* they have begun to, or are just about to */
    bool told;          /* `end` has the end, or there is no such job */
    bool ready;         /* to be looked at */
    bool looked;        /* it has been */
    TAILQ_HEAD(, output_follower) followers;
    /* Events; NULL: there is none. */
    struct jobd_blob *state, *ending; /* the job as it was last seen */
    struct jobd_blob *progress;
};

struct output_follower {
    struct live_reader reader; /* first */
    struct topic *topic;
    TAILQ_ENTRY(output_follower) link;
    uint32_t attempt; /* whose output it is */
    bool begun, ended, news;
    struct jobd_blob *output; /* so far: its first `bytes` */
    size_t bytes;
    size_t offset; /* of what is sent next */
    /* As events: the last ones that it has got, and the one that is under way. */
    struct jobd_blob *state, *progress, *event;
    size_t at;             /* of that has been sent */
    struct jobd_blob *end; /* what it gets last; NULL: not yet */
    bool over;             /* that is under way, or was */
};

/* Puts a reference to `blob` in the place of what is there; NULL: nothing. */
static inline void blob_set(struct jobd_blob **place, struct jobd_blob *blob)
{
    struct jobd_blob *former = *place;
    *place = blob != NULL ? jobd_blob_ref(blob) : NULL;
    jobd_blob_unref(former);
}

/* What the follower gets of what there is. `former`: the output of the attempt before, where
 * another one runs; else NULL. With live->lock held, or nobody else sees the follower. */
void topic_show(struct output_follower *follower, const struct jobd_view *view,
                struct jobd_blob *former);
/* The one there is of that job, or a new one; NULL when memory is short. */
struct topic *topic_locked(struct live *live, uint64_t id) REQUIRES(live->lock);

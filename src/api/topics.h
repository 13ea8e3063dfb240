/* SPDX-License-Identifier: MIT */
/* A topic is a job whose output is followed. The engine tells when there is something new; then the
 * thread asks for it, once for all followers of the job, and gives each of them a reference to the
 * output so far.
 *
 *     topic ── jobd_follow() ──> view ── topic_show() ──> each follower: output, bytes, ended
 *       ^────── woken ── engine
 */
#pragma once

#include "api/live_inside.h"
#include "jobd/lease.h"

struct output_follower;

/* What the last events were made of. */
struct seen {
    bool any, stopping;
    enum jobd_state state;
    uint32_t attempt;
    struct jobd_blob *progress; /* a reference */
};

/* live->lock guards all of it but `view` and `seen`, which only the thread uses. */
struct topic {
    TAILQ_ENTRY(topic) link;
    struct live *live;
    uint64_t id;
    struct jobd_waiter more; /* waits for something new */
    struct jobd_waiter end;  /* waits for the job's end, since it may be forgotten at once then */
    struct jobd_view view;
    struct seen seen;
    bool waits, awaits; /* `more` waits, or is about to; the same of `end` */
    bool told;          /* `end` has been woken, or there is no such job */
    bool ready;         /* the thread has to look at it */
    bool looked;        /* it has done so once */
    TAILQ_HEAD(, output_follower) followers;
    /* Events for all followers; NULL: there is none yet. */
    struct jobd_blob *state, *ending; /* the job as it was last seen, as `state` and as `end` */
    struct jobd_blob *progress;
};

struct output_follower {
    struct live_reader reader; /* first */
    struct topic *topic;
    TAILQ_ENTRY(output_follower) link;
    uint32_t attempt; /* whose output it is */
    bool begun, ended, news;
    struct jobd_blob *output; /* what there is so far: the first `bytes` */
    size_t bytes;
    size_t offset; /* where the next piece begins */
    /* For a stream of events: the last ones that it got, and the one that is being sent. */
    struct jobd_blob *state, *progress, *event;
    size_t at;             /* how much of `event` has been sent */
    struct jobd_blob *end; /* the last event; NULL: not known yet */
    bool over;             /* `end` is being sent, or has been */
};

/* Makes *place a reference to `blob`, which may be NULL, and gives back the former one. */
static inline void blob_set(struct jobd_blob **place, struct jobd_blob *blob)
{
    struct jobd_blob *former = *place;
    *place = blob != NULL ? jobd_blob_ref(blob) : NULL;
    jobd_blob_unref(former);
}

/* Gives the follower what the view has for it. `former`: the output of the attempt before, where
 * another one runs now; else NULL. With live->lock held, or before anybody else sees the
 * follower. */
void topic_show(struct output_follower *follower, const struct jobd_view *view,
                struct jobd_blob *former);
/* The topic of that job, a new one where there is none; NULL when memory is short. */
struct topic *topic_locked(struct live *live, uint64_t id) REQUIRES(live->lock);

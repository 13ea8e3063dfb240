/* SPDX-License-Identifier: MIT */
/* Turns that were entered and wait for the thread that takes them, and looks between two turns.
 *
 *     entered ──> WAITS ──> RUNS ──┬── run() said JOBD_PENDING: its waiter waits in the engine
 *                   │              └── HELD ──> over()
 *                   └── left: it never ran
 *
 * While somebody looks no turn runs, and while one runs nobody looks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "jobd/queue.h"
#include "jobd/turns.h"

struct turn_list {
    struct jobd_turn *first, **end;
    size_t len;
};

struct mailbox {
    struct jobd *jobd;
    int event; /* readable when there is something to do */
    struct mutex lock;
    struct condition changed;
    struct turn_list calls GUARDED_BY(lock), looks GUARDED_BY(lock);
    const struct jobd_turn *running GUARDED_BY(lock); /* its run() is being called */
    uint32_t lookers GUARDED_BY(lock);                /* that have been let in */
    bool poked GUARDED_BY(lock), away GUARDED_BY(lock);
};

/* 0 or -errno. */
__attribute__((warn_unused_result)) int mailbox_init(struct mailbox *mailbox);
void mailbox_release(struct mailbox *mailbox);

/* ---- any thread */

void mailbox_enter(struct mailbox *mailbox, struct jobd_turn *turn);
bool mailbox_leave(struct mailbox *mailbox, struct jobd_turn *turn, struct jobd_waiter *waiter);
void mailbox_looked(struct mailbox *mailbox);
/* There is something to do beside calls. */
void mailbox_poke(struct mailbox *mailbox);

/* ---- the thread that takes the turns */

struct mail {
    bool calls, looks, poked;
};

/* What there is to do. The event is cleared. */
struct mail mailbox_look(struct mailbox *mailbox);
/* Whoever looks has looked. Blocks until then. */
void mailbox_await_lookers(struct mailbox *mailbox);
/* Runs the first call: JOBD_PENDING, or it is added to `held`. False when none waits. */
bool mailbox_run(struct mailbox *mailbox, struct turn_list *held);
/* Those that wait to look, to be let in or refused later. */
struct turn_list mailbox_take_looks(struct mailbox *mailbox);
void mailbox_let_in(struct mailbox *mailbox, struct turn_list *looks);

void turns_init(struct turn_list *turns);
/* All of them are over; `lost`: with JOBD_STORE_FAILED. */
void turns_tell(struct turn_list *turns, bool lost);

/* From here on all that enter are refused with JOBD_STORE_FAILED, and those that wait; or not. */
void mailbox_refuse(struct mailbox *mailbox, bool refuse);

/* SPDX-License-Identifier: MIT */
/* Changes on their way to disk: appended by verbs, in order, each with whoever waits for it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

__attribute__((warn_unused_result)) int journal_init(struct journal *journal, uint32_t max,
                                                     uint32_t reserved);
void journal_release(struct journal *journal);
bool journal_on(const struct journal *journal);
/* Room for an entry of somebody who asks, and for the waiter to wait (NULL: nobody, or it does
 * already). */
bool journal_admits_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
    REQUIRES(jobd->lock);
/* A new last entry; there must be room. The waiter (NULL: nobody) waits for it from now on. */
struct change *journal_append_locked(struct jobd *jobd, enum change_kind kind, struct job *job,
                                     struct jobd_waiter *waiter, int64_t now_us,
                                     struct effects *after) REQUIRES(jobd->lock);
/* One more job for ENTER or CANCEL. */
void journal_add_job(struct change *entry, struct job *job);
/* The store is told when it does not know that something waits. */
void journal_news_locked(struct jobd *jobd, struct effects *after) REQUIRES(jobd->lock);

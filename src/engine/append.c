/* SPDX-License-Identifier: MIT */
#include "engine/append.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/blob.h"
#include "engine/waiters.h"

int journal_init(struct journal *journal, uint32_t max, uint32_t reserved)
{
    *journal = (struct journal){.max = max, .free = max, .reserved = reserved};
    TAILQ_INIT(&journal->spare);
    TAILQ_INIT(&journal->waiting);
    TAILQ_INIT(&journal->gathered);
    if (max > 0)
        journal->all = calloc(max, sizeof *journal->all);
    return max == 0 || journal->all != NULL ? 0 : -ENOMEM;
}

void journal_release(struct journal *journal)
{
    struct change_list *lists[] = {&journal->waiting, &journal->gathered};
    struct change *entry;
    for (size_t i = 0; journal->all != NULL && i < 2; i++) {
        TAILQ_FOREACH (entry, lists[i], link) {
            jobd_blob_unref(entry->ending.outcome.output);
            jobd_blob_unref(entry->ending.outcome.error);
            extra_free(entry->extra);
        }
    }
    free(journal->all);
    journal->all = NULL;
}

bool journal_on(const struct journal *journal)
{
    return journal->max > 0;
}

/* ---- entries */

bool journal_admits_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
{
    if (waiter != NULL && !waiter->uncounted && jobd->waiters == jobd->waiters_max)
        return false;
    return jobd->journal.free > jobd->journal.reserved;
}

static struct change *new_entry(struct journal *journal)
{
    struct change *entry = TAILQ_FIRST(&journal->spare);
    verify(journal->free > 0);
    journal->free--;
    if (entry == NULL)
        return &journal->all[journal->used++];
    TAILQ_REMOVE(&journal->spare, entry, link);
    return entry;
}

void journal_news_locked(struct jobd *jobd, struct effects *after)
{
    after->journal |= !jobd->journal.notified;
    jobd->journal.notified = true;
}

struct change *journal_append_locked(struct jobd *jobd, enum change_kind kind, struct job *job,
                                     struct jobd_waiter *waiter, int64_t now_us,
                                     struct effects *after)
{
    struct change *entry = new_entry(&jobd->journal);
    *entry = (struct change){
        .kind = kind, .asked = true, .result = JOBD_OK, .job = job, .changes = 1, .at_us = now_us};
    TAILQ_INIT(&entry->jobs);
    TAILQ_INSERT_TAIL(&jobd->journal.waiting, entry, link);
    if (waiter != NULL)
        wait_for_disk_locked(jobd, waiter, entry);
    journal_news_locked(jobd, after);
    return entry;
}

void journal_add_job(struct change *entry, struct job *job)
{
    if (TAILQ_EMPTY(&entry->jobs))
        entry->changes = 0;
    TAILQ_INSERT_TAIL(&entry->jobs, job, link);
    entry->changes++;
    entry->bytes += blob_weight(entry->kind == CHANGE_PUT ? job->payload : NULL);
}

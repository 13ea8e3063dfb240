/* SPDX-License-Identifier: MIT */
#include "engine/journal.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/blob.h"
#include "engine/changes.h"
#include "engine/schedule_table.h"

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
    struct change *change;
    for (size_t i = 0; journal->all != NULL && i < 2; i++) {
        TAILQ_FOREACH (change, lists[i], link) {
            jobd_blob_unref(change->ending.outcome.output);
            jobd_blob_unref(change->ending.outcome.error);
            jobd_blob_unref(change->ending.errors);
            content_release(&change->before);
            extra_free(change->extra);
            schedule_step_free(change->step);
        }
    }
    free(journal->all);
    journal->all = NULL;
}

struct change *journal_add(struct journal *journal, struct change *change)
{
    struct change *entry = TAILQ_FIRST(&journal->spare);
    verify(journal->free > 0);
    journal->free--;
    if (entry == NULL)
        entry = &journal->all[journal->used++];
    else
        TAILQ_REMOVE(&journal->spare, entry, link);
    *entry = *change;
    TAILQ_INIT(&entry->jobs); /* a list cannot be copied */
    TAILQ_CONCAT(&entry->jobs, &change->jobs, link);
    TAILQ_INSERT_TAIL(&journal->waiting, entry, link);
    return entry;
}

void journal_remove(struct journal *journal, struct change_list *list, struct change *change)
{
    TAILQ_REMOVE(list, change, link);
    TAILQ_INSERT_HEAD(&journal->spare, change, link);
    journal->free++;
}

bool journal_notify(struct journal *journal)
{
    bool unknown = !journal->notified;
    journal->notified = true;
    return unknown;
}

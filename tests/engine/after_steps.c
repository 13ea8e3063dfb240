/* SPDX-License-Identifier: MIT */
#include "engine/after_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/edges.h"
#include "engine/engine.h"

enum { RECENT = 40, LOOK_BACK = 60 };

/* Of each job, its state when it was last looked at. */
static unsigned char seen[IDS];

void after_some(struct world *world, char text[KEPT_AFTER_SIZE])
{
    char *end = text;
    *text = '\0';
    if (below(world, 3) > 0 || world->next_id <= RECENT)
        return;
    if (below(world, 2) == 0)
        end = stpcpy(end, JOBD_AFTER_WHATEVER);
    for (unsigned len = 1 + below(world, 3); len > 0; len--) {
        const char *what = below(world, 5) == 0 ? "batch" : "job";
        end += sprintf(end, "%s %llu\n", what,
                       (unsigned long long)world->next_id - 1 - below(world, RECENT));
    }
}

/* What is on disk of a parent, as whoever waits for it wants it. */
static void assert_ended(const struct edge *edge, bool whatever)
{
    if (!edge->is_batch) {
        const struct kept *kept = &disk.jobs[edge->id];
        verify(!kept->there || jobd_state_final(kept->record.state));
        verify(!kept->there || whatever || kept->record.state == JOBD_DONE);
        return;
    }
    const struct batch_record *batch = &disk.batches[edge->id];
    for (uint64_t id = edge->id; batch->id != 0 && id < edge->id + batch->jobs; id++) {
        const struct kept *kept = &disk.jobs[id];
        verify(!kept->there || jobd_state_final(kept->record.state));
        verify(!kept->there || whatever || kept->record.state == JOBD_DONE);
    }
}

/* One that goes on as others do. With a key it may be what it was before a replacement came to
 * nothing, and have waited long ago. */
static void check_begun(struct jobd *jobd, uint64_t id)
{
    struct parents *parents;
    if (disk.jobs[id].key[0] != '\0')
        return;
    struct jobd_blob *words = NULL;
    verify(jobd_get_blob(jobd, id, JOBD_WORDS, &words) == JOBD_OK);
    verify(parents_new(jobd_text(words, JOBD_AFTER), &parents));
    for (uint32_t i = 0; parents != NULL && i < parents->len; i++)
        assert_ended(&parents->edges[i], parents->whatever);
    free(parents);
    jobd_blob_unref(words);
}

/* It will not wait for them again, in the next process either. */
static void check_settled(uint64_t id)
{
    const struct kept *kept = &disk.jobs[id];
    verify(kept->after[0] == '\0' || kept->key[0] != '\0' || kept->record.settled ||
           kept->record.unexpiring || kept->record.attempt > 0);
}

void after_compare(struct world *world)
{
    bool all_written = journal_empty(world->jobd);
    uint64_t id = world->next_id > LOOK_BACK ? world->next_id - LOOK_BACK : 1;
    for (; id < world->next_id; id++) {
        enum jobd_state state = state_of(world->jobd, id);
        bool waits = state == JOBD_QUEUED || state == JOBD_SCHEDULED;
        if (seen[id] == JOBD_BLOCKED && (waits || state == JOBD_RUNNING))
            check_begun(world->jobd, id);
        if (all_written && waits)
            check_settled(id);
        seen[id] = (unsigned char)state;
    }
}

void after_restored(struct world *world)
{
    for (uint64_t id = 1; id < world->next_id; id++) {
        const struct job_record *record = &disk.jobs[id].record;
        struct jobd_info info;
        if (jobd_get(world->jobd, id, &info) != JOBD_OK)
            continue;
        bool may_wait = disk.jobs[id].after[0] != '\0' && record->attempt == 0 &&
                        !record->unexpiring && !record->settled && !jobd_state_final(record->state);
        verify(info.state != JOBD_BLOCKED || may_wait);
        if (may_wait && info.state != JOBD_BLOCKED && record->state != JOBD_RUNNING)
            check_begun(world->jobd, id);
        seen[id] = (unsigned char)info.state;
    }
}

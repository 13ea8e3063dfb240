/* SPDX-License-Identifier: MIT */
#include "engine/failures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/said.h"

int failures_init(struct failures *failures, const struct jobd_config *config)
{
    if (config->on_failure.call == NULL)
        return 0;
    failures->attempts = config->failed_attempts;
    failures->all = calloc(FAILURES_MAX, sizeof *failures->all);
    return failures->all != NULL ? 0 : -ENOMEM;
}

void failures_release(struct failures *failures)
{
    free(failures->all);
}

void failures_first_line(const struct jobd_blob *error, char out[JOBD_FAILURE_SIZE])
{
    size_t size = error != NULL ? error->size : 0;
    if (size > JOBD_FAILURE_SIZE - 1)
        size = JOBD_FAILURE_SIZE - 1;
    size_t used = 0;
    while (used < size && error->bytes[used] != '\n' && error->bytes[used] != '\0')
        used++;
    if (used > 0)
        memcpy(out, error->bytes, used);
    out[used] = '\0';
}

static void count(struct failures *failures, bool final)
{
    bool held = failures->in_turn;
    if (final)
        *(held ? &failures->held_missed : &failures->missed) += 1;
    else
        *(held ? &failures->held_missed_attempts : &failures->missed_attempts) += 1;
}

static void add(struct failures *failures, const struct jobd_failure *failure)
{
    if (failures->len == FAILURES_MAX) {
        count(failures, failure->final);
        return;
    }
    failures->all[(failures->first + failures->len++) % FAILURES_MAX] = *failure;
    failures->held += failures->in_turn;
}

/* Whoever wants to know has to be told, once until they look. */
static bool tell(struct failures *failures)
{
    bool told = failures->told;
    failures->told = true;
    return !told;
}

bool failures_note(struct failures *failures, const struct job *job,
                   const struct jobd_outcome *outcome, bool final)
{
    if (failures->all == NULL || (!final && !failures->attempts))
        return false;
    struct jobd_failure failure = {.id = job->id,
                                   .queue = job->queue,
                                   .attempt = job->attempt,
                                   .attempts = job->attempts,
                                   .final = final,
                                   .exited = outcome->exited,
                                   .exit_code = outcome->exit_code};
    failures_first_line(outcome->error, failure.error);
    said_worker(job, failure.worker);
    add(failures, &failure);
    return !failures->in_turn && tell(failures);
}

void failures_hold(struct failures *failures)
{
    failures->in_turn = true;
}

bool failures_settle(struct failures *failures, bool lost)
{
    bool any = failures->held + failures->held_missed + failures->held_missed_attempts > 0;
    if (lost) {
        failures->len -= failures->held;
    } else {
        failures->missed += failures->held_missed;
        failures->missed_attempts += failures->held_missed_attempts;
    }
    failures->in_turn = false;
    failures->held = 0;
    failures->held_missed = failures->held_missed_attempts = 0;
    return any && !lost && tell(failures);
}

size_t jobd_failures(struct jobd *jobd, struct jobd_failure *out, size_t len, uint64_t *missed,
                     uint64_t *missed_attempts)
{
    size_t taken = 0;
    mutex_lock(&jobd->lock);
    struct failures *failures = &jobd->failures;
    for (; taken < len && failures->len > failures->held; failures->len--) {
        out[taken++] = failures->all[failures->first];
        failures->first = (failures->first + 1) % FAILURES_MAX;
    }
    *missed = failures->missed;
    *missed_attempts = failures->missed_attempts;
    failures->missed = failures->missed_attempts = 0;
    failures->told = failures->len > failures->held;
    mutex_unlock(&jobd->lock);
    return taken;
}

/* SPDX-License-Identifier: MIT */
/* The names of states and results, and other words. */
#include <string.h>

#include "jobd/queue.h"
#include "jobd/schedule.h"

static const char *const state_names[JOBD_STATES] = {
    [JOBD_QUEUED] = "queued",   [JOBD_SCHEDULED] = "scheduled", [JOBD_RUNNING] = "running",
    [JOBD_DONE] = "done",       [JOBD_FAILED] = "failed",       [JOBD_CANCELLED] = "cancelled",
    [JOBD_BLOCKED] = "blocked",
};

static const char *const result_texts[JOBD_RESULTS] = {
    [JOBD_OK] = "ok",
    [JOBD_PENDING] = "begun, not yet complete",
    [JOBD_FULL] = "the queue is full",
    [JOBD_OUT_OF_MEMORY] = "the memory limit is reached",
    [JOBD_CLOSED] = "draining",
    [JOBD_NO_JOB] = "no such job",
    [JOBD_FINISHED] = "the job has ended",
    [JOBD_NOT_FINAL] = "the job has not ended",
    [JOBD_CONFLICT] = "the same key came with another payload",
    [JOBD_REPEATED] = "the same report came before",
    [JOBD_NO_LEASE] = "no such lease",
    [JOBD_LEASE_EXPIRED] = "the lease has ended",
    [JOBD_TIMEOUT] = "timed out",
    [JOBD_TOO_MANY_WAITERS] = "too many are waiting",
    [JOBD_TOO_MANY_LEASES] = "too many leases",
    [JOBD_STOPPING] = "told to stop",
    [JOBD_STORE_FAILED] = "could not be saved",
    [JOBD_BEGUN] = "the job is running",
    [JOBD_CHANGING] = "another change of the job is being saved: try again",
    [JOBD_UNDECLARED] = "the queue is not declared",
    [JOBD_NO_SCHEDULE] = "no such schedule",
    [JOBD_SCHEDULE_FIXED] = "the schedule is in the configuration",
    [JOBD_TOO_MANY_SCHEDULES] = "too many schedules",
    [JOBD_CALLBACKS_FULL] = "too many callbacks wait",
    [JOBD_NO_CALLBACKS] = "there is no queue for callbacks",
    [JOBD_RESERVED] = "the queue is for callbacks alone",
    [JOBD_LATER_PARENT] = "a job that is replaced waits only for those that came before it",
    [JOBD_NO_PARENT] = "no such job to wait for",
    [JOBD_NEEDED] = "others still need the job",
    [JOBD_GROUP_FULL] = "too many jobs of the key wait",
};

const char *jobd_state_name(enum jobd_state state)
{
    return (unsigned)state < JOBD_STATES ? state_names[state] : "?";
}

enum jobd_state jobd_state_named(const char *name)
{
    unsigned state = 0;
    while (state < JOBD_STATES && strcmp(name, state_names[state]) != 0)
        state++;
    return (enum jobd_state)state;
}

bool jobd_state_final(enum jobd_state state)
{
    return state == JOBD_DONE || state == JOBD_FAILED || state == JOBD_CANCELLED;
}

const char *jobd_result_text(enum jobd_result result)
{
    return (unsigned)result < JOBD_RESULTS ? result_texts[result] : "?";
}

static const char *const late_names[] = {
    [JOBD_LATE_ONCE] = "once", [JOBD_LATE_SKIP] = "skip", [JOBD_LATE_ALL] = "all"};

const char *jobd_late_name(enum jobd_late late)
{
    return (unsigned)late <= JOBD_LATE_ALL ? late_names[late] : "?";
}

bool jobd_late_named(const char *name, enum jobd_late *late)
{
    for (unsigned i = 0; i <= JOBD_LATE_ALL; i++)
        if (strcmp(name, late_names[i]) == 0) {
            *late = (enum jobd_late)i;
            return true;
        }
    return false;
}

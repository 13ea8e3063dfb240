/* SPDX-License-Identifier: MIT */
#include "engine/lease_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/job_table.h"

static int lease_compare(const struct lease *a, const struct lease *b)
{
    return strcmp(a->token, b->token);
}

RB_GENERATE(lease_tree, lease, by_token, lease_compare)

int leases_init(struct leases *leases, uint32_t max, uint32_t room)
{
    *leases = (struct leases){.max = max, .room = room};
    RB_INIT(&leases->tree);
    TAILQ_INIT(&leases->spare);
    int error = heap_init(&leases->due, room);
    if (error != 0)
        return error;
    leases->all = calloc(room > 0 ? room : 1, sizeof *leases->all);
    leases->expired = jobd_blob_text("the lease expired");
    leases->timed_out = jobd_blob_text("timed out");
    bool good = leases->all != NULL && leases->expired != NULL && leases->timed_out != NULL;
    return good ? 0 : -ENOMEM;
}

void leases_release(struct leases *leases)
{
    heap_release(&leases->due);
    jobd_blob_unref(leases->expired);
    jobd_blob_unref(leases->timed_out);
    free(leases->all);
    *leases = (struct leases){.all = NULL};
}

static struct lease *add(struct leases *leases, const struct job *job, const char *token)
{
    struct lease *lease;
    if (leases->used < leases->room) { /* a fresh one costs no memory before, and forgets nobody */
        lease = &leases->all[leases->used++];
    } else {
        lease = TAILQ_FIRST(&leases->spare);
        TAILQ_REMOVE(&leases->spare, lease, link);
        RB_REMOVE(lease_tree, &leases->tree, lease);
    }
    *lease = (struct lease){.due = {.order = (uint32_t)job->id},
                            .job_id = job->id,
                            .started_us = job->started_us,
                            .began_us = job->started_us,
                            .attempt = job->attempt};
    memcpy(lease->token, token, JOBD_TOKEN_SIZE);
    verify(RB_INSERT(lease_tree, &leases->tree, lease) == NULL);
    return lease;
}

struct lease *lease_grant(struct leases *leases, struct job *job, const char *token,
                          int64_t until_us)
{
    verify(leases->held < leases->room && strlen(token) == JOBD_TOKEN_SIZE - 1);
    struct lease *lease = add(leases, job, token);
    lease->job = job;
    heap_push(&leases->due, &lease->due, until_us);
    leases->held++;
    return lease;
}

void lease_recall(struct leases *leases, const struct job *job, const char *token,
                  enum lease_report report)
{
    if (leases->used == leases->room || strlen(token) != JOBD_TOKEN_SIZE - 1 ||
        lease_find(leases, token) != NULL)
        return;
    struct lease *lease = add(leases, job, token);
    lease->report = report;
    TAILQ_INSERT_TAIL(&leases->spare, lease, link);
}

struct lease *lease_adopt(struct leases *leases, struct job *job, const char *token,
                          int64_t until_us)
{
    struct lease *known = lease_find(leases, token);
    if (strlen(token) != JOBD_TOKEN_SIZE - 1 || leases->held == leases->room)
        return NULL;
    if (known == NULL)
        return lease_grant(leases, job, token, until_us);
    if (known->job != NULL)
        return NULL;
    TAILQ_REMOVE(&leases->spare, known, link);
    known->job = job;
    known->job_id = job->id;
    known->attempt = job->attempt;
    known->report = LEASE_NO_REPORT;
    heap_push(&leases->due, &known->due, until_us);
    leases->held++;
    return known;
}

void lease_note(struct leases *leases, const struct lease *over)
{
    struct lease *lease = lease_find(leases, over->token);
    const struct job job = {
        .id = over->job_id, .started_us = over->started_us, .attempt = (uint16_t)over->attempt};
    if (lease == NULL) {
        if (strlen(over->token) != JOBD_TOKEN_SIZE - 1 || leases->held == leases->room)
            return;
        lease = add(leases, &job, over->token);
        TAILQ_INSERT_TAIL(&leases->spare, lease, link);
    }
    lease->report = over->report;
    lease->began_us = over->began_us;
}

void leases_forget(struct leases *leases)
{
    verify(leases->held == 0);
    RB_INIT(&leases->tree);
    TAILQ_INIT(&leases->spare);
    leases->used = 0;
}

struct lease *lease_find(struct leases *leases, const char *token)
{
    struct lease key = {.job = NULL};
    if (strlen(token) != JOBD_TOKEN_SIZE - 1)
        return NULL;
    memcpy(key.token, token, JOBD_TOKEN_SIZE);
    return RB_FIND(lease_tree, &leases->tree, &key);
}

void lease_revoke(struct leases *leases, struct lease *lease)
{
    heap_remove(&leases->due, &lease->due);
    lease->job = NULL;
    leases->held--;
    TAILQ_INSERT_TAIL(&leases->spare, lease, link);
}

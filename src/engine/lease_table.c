/* SPDX-License-Identifier: MIT */
#include "engine/lease_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/job_table.h"

/* ---- by token: a table of buckets, as tokens are as good as random. A token is compared in a time
 * that does not tell how much of it is right. */

enum { WORDS = (JOBD_TOKEN_SIZE - 1) / sizeof(uint64_t) };
_Static_assert((JOBD_TOKEN_SIZE - 1) % sizeof(uint64_t) == 0, "a token is whole words");

struct words {
    uint64_t of[WORDS];
};

static struct words words_of(const char *token)
{
    struct words words;
    memcpy(words.of, token, sizeof words.of);
    return words;
}

/* Multiplicative: Knuth, The Art of Computer Programming, volume 3, 6.4; 2^64 by the golden ratio.
 */
static struct lease_bucket *bucket_of(const struct leases *leases, const struct words *words)
{
    uint64_t mixed = 0;
    for (unsigned i = 0; i < WORDS; i++)
        mixed = (mixed ^ words->of[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return &leases->buckets[(mixed >> 32) & leases->buckets_mask];
}

static bool is_same(const struct words *one, const struct words *other)
{
    uint64_t differ = 0;
    for (unsigned i = 0; i < WORDS; i++)
        differ |= one->of[i] ^ other->of[i];
    return differ == 0;
}

struct lease *lease_find(const struct leases *leases, const char *token)
{
    struct lease *lease;
    if (strlen(token) != JOBD_TOKEN_SIZE - 1)
        return NULL;
    const struct words words = words_of(token);
    LIST_FOREACH(lease, bucket_of(leases, &words), alike)
    {
        const struct words own = words_of(lease->token);
        if (is_same(&own, &words))
            return lease;
    }
    return NULL;
}

/* Ids follow each other. */
static struct lease_bucket *bucket_of_job(const struct leases *leases, uint64_t id)
{
    return &leases->by_job[id & leases->buckets_mask];
}

static void enter(struct leases *leases, struct lease *lease)
{
    const struct words words = words_of(lease->token);
    verify(lease_find(leases, lease->token) == NULL);
    LIST_INSERT_HEAD(bucket_of(leases, &words), lease, alike);
    LIST_INSERT_HEAD(bucket_of_job(leases, lease->job_id), lease, of_job);
}

const struct lease *lease_expired(const struct leases *leases, const struct job *job)
{
    const struct lease *lease;
    LIST_FOREACH(lease, bucket_of_job(leases, job->id), of_job)
    {
        if (lease->job_id == job->id && lease->attempt == job->attempt && lease->job == NULL &&
            lease->report == LEASE_NO_REPORT)
            return lease;
    }
    return NULL;
}

const struct lease *lease_last(const struct leases *leases, const struct job *job)
{
    const struct lease *lease;
    LIST_FOREACH(lease, bucket_of_job(leases, job->id), of_job)
    {
        if (lease->job_id == job->id && lease->job == NULL && lease->attempt == job->attempt &&
            (lease->started_us == job->started_us || job->started_us == 0))
            return lease;
    }
    return NULL;
}

/* It is not found by its job any more. */
static void unlist(struct lease *lease)
{
    if (lease->of_job.le_prev != NULL)
        LIST_REMOVE(lease, of_job);
    lease->of_job.le_prev = NULL;
}

struct lease *lease_overtake(struct leases *leases, const struct job *job)
{
    struct lease *lease, *next;
    for (lease = LIST_FIRST(bucket_of_job(leases, job->id)); lease != NULL; lease = next) {
        next = LIST_NEXT(lease, of_job);
        if (lease->job_id != job->id || lease->job != NULL)
            continue;
        unlist(lease);
        if (lease->attempt != LEASE_OVERTAKEN) {
            lease->attempt = LEASE_OVERTAKEN;
            return lease;
        }
    }
    return NULL;
}

static int make_buckets(struct leases *leases)
{
    size_t len = 1;
    while (len < leases->room)
        len *= 2;
    leases->buckets = calloc(len, sizeof *leases->buckets);
    leases->by_job = calloc(len, sizeof *leases->by_job);
    leases->buckets_mask = (uint32_t)(len - 1);
    return leases->buckets != NULL && leases->by_job != NULL ? 0 : -ENOMEM;
}

/* ---- the table */

int leases_init(struct leases *leases, uint32_t max, uint32_t room)
{
    *leases = (struct leases){.max = max, .room = room};
    TAILQ_INIT(&leases->spare);
    int error = heap_init(&leases->due, room);
    if (error == 0)
        error = make_buckets(leases);
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
    free(leases->buckets);
    free(leases->by_job);
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
        LIST_REMOVE(lease, alike);
        unlist(lease);
    }
    *lease = (struct lease){.due = {.order = (uint32_t)job->id},
                            .job_id = job->id,
                            .started_us = job->started_us,
                            .began_us = job->started_us,
                            .attempt = job->attempt};
    memcpy(lease->token, token, JOBD_TOKEN_SIZE);
    enter(leases, lease);
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
    unlist(known);
    known->job = job;
    known->job_id = job->id;
    LIST_INSERT_HEAD(bucket_of_job(leases, job->id), known, of_job);
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
    lease->attempt = over->attempt;
    lease->began_us = over->began_us;
}

void leases_forget(struct leases *leases)
{
    verify(leases->held == 0);
    const size_t bytes = (leases->buckets_mask + (size_t)1) * sizeof *leases->buckets;
    memset(leases->buckets, 0, bytes);
    memset(leases->by_job, 0, bytes);
    TAILQ_INIT(&leases->spare);
    leases->used = 0;
}

void lease_revoke(struct leases *leases, struct lease *lease)
{
    heap_remove(&leases->due, &lease->due);
    lease->job = NULL;
    leases->held--;
    TAILQ_INSERT_TAIL(&leases->spare, lease, link);
}

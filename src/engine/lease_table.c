/* SPDX-License-Identifier: MIT */
#include "engine/lease_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"

static int lease_compare(const struct lease *a, const struct lease *b)
{
    return strcmp(a->token, b->token);
}

RB_GENERATE(lease_tree, lease, by_token, lease_compare)

int leases_init(struct leases *leases, uint32_t max)
{
    *leases = (struct leases){.max = max};
    RB_INIT(&leases->tree);
    TAILQ_INIT(&leases->spare);
    int error = heap_init(&leases->due, max);
    if (error != 0)
        return error;
    leases->all = calloc(max > 0 ? max : 1, sizeof *leases->all);
    leases->error = jobd_blob_text("the lease expired");
    return leases->all != NULL && leases->error != NULL ? 0 : -ENOMEM;
}

void leases_release(struct leases *leases)
{
    heap_release(&leases->due);
    jobd_blob_unref(leases->error);
    free(leases->all);
    leases->all = NULL;
    leases->error = NULL;
}

struct lease *lease_grant(struct leases *leases, struct job *job, const char *token,
                          int64_t until_us)
{
    struct lease *lease;
    verify(leases->held < leases->max && strlen(token) == JOBD_TOKEN_SIZE - 1);
    if (leases->used < leases->max) { /* a fresh one costs no memory before, and forgets nobody */
        lease = &leases->all[leases->used++];
    } else {
        lease = TAILQ_FIRST(&leases->spare);
        TAILQ_REMOVE(&leases->spare, lease, link);
        RB_REMOVE(lease_tree, &leases->tree, lease);
    }
    lease->job = job;
    memcpy(lease->token, token, JOBD_TOKEN_SIZE);
    verify(RB_INSERT(lease_tree, &leases->tree, lease) == NULL);
    heap_push(&leases->due, &lease->due, until_us);
    leases->held++;
    return lease;
}

void lease_revoke(struct leases *leases, struct lease *lease)
{
    heap_remove(&leases->due, &lease->due);
    lease->job = NULL;
    leases->held--;
    TAILQ_INSERT_TAIL(&leases->spare, lease, link);
}

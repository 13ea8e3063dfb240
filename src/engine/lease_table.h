/* SPDX-License-Identifier: MIT */
/* Leases by their token. No lock of its own. */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdint.h>

#include "base/heap.h"
#include "jobd/queue.h"

struct job;

/* A lease that is over stays known until its record is needed: the one that ended first.
 */
struct lease {
    RB_ENTRY(lease) by_token;
    TAILQ_ENTRY(lease) link;
    struct due due;
    struct job *job;             /* NULL: over */
    char token[JOBD_TOKEN_SIZE]; /* "": never used */
};

RB_HEAD(lease_tree, lease);
RB_PROTOTYPE(lease_tree, lease, by_token, lease_compare)
TAILQ_HEAD(lease_list, lease);

struct leases {
    struct lease *all;
    uint32_t max, used;      /* used: so many records were handed out at least once */
    uint32_t held, promised; /* promised: to takers who wait */
    struct lease_tree tree;  /* of all that are known */
    struct lease_list spare; /* those that are over, or never were */
    struct heap due;
    struct jobd_blob *error; /* of a lease that ran out */
};

__attribute__((warn_unused_result)) int leases_init(struct leases *leases, uint32_t max);
void leases_release(struct leases *leases);
/* There must be room. */
struct lease *lease_grant(struct leases *leases, struct job *job, const char *token,
                          int64_t until_us);
void lease_revoke(struct leases *leases, struct lease *lease);

/* SPDX-License-Identifier: MIT */
/* Queues by name: looked up by any thread without a lock, while one at a time changes it. Names are
 * kept until the end, so that whoever has one may go on reading it; there is room for some 65,000
 * different ones. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct name;

struct queue_names {
    _Atomic uint32_t version; /* odd while it is being changed */
    _Atomic uint32_t len;
    _Atomic uint32_t *numbers;    /* of queues, in the order of their names */
    _Atomic(const char *) *names; /* of the same */
    uint32_t max;
    struct name *kept; /* by the thread that changes it, as the next */
    uint32_t kept_len;
};

/* For so many at a time. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int queue_names_init(struct queue_names *names, uint32_t max);
void queue_names_release(struct queue_names *names);
/* A copy of this name that stays until the end; NULL when memory is short, or there are too many.
 */
const char *queue_names_keep(struct queue_names *names, const char *name);

/* Many at the start: appended, then sorted once. Nobody looks yet. Names are kept ones. */
void queue_names_append(struct queue_names *names, const char *name, uint32_t number);
/* 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int queue_names_sort(struct queue_names *names);
/* There must be room, and none of this name. */
void queue_names_add(struct queue_names *names, const char *name, uint32_t number);
/* One that is not there is none. */
void queue_names_remove(struct queue_names *names, const char *name);

/* Its number, or JOBD_NO_QUEUE. Any thread. */
uint32_t queue_names_find(const struct queue_names *names, const char *name);

/* SPDX-License-Identifier: MIT */
/* What a verb leaves to be done when the lock is free again. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "jobd/queue.h"

/* The public jobd_waiter spells out what TAILQ_ENTRY would say. */
TAILQ_HEAD(waiter_list, jobd_waiter);

/* What a verb leaves to be done when the lock is free again. */
struct effects {
    struct waiter_list woken;
    bool journal; /* the store is to be told */
    struct jobd_blob *garbage;
    struct jobd_waiter *stop; /* whose `stop_task` shall stop; NULL: nobody */
    struct jobd_task stop_task;
};

#define EFFECTS(name)                                                                              \
    struct effects name = {.garbage = NULL};                                                       \
    TAILQ_INIT(&(name).woken)

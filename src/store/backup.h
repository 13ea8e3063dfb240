/* SPDX-License-Identifier: MIT */
/* Copies of the database while it is used: one at a time, from when it is asked for until whoever
 * asked has freed it.
 *
 *     store_backup_begin() ──> the writer makes it, between two groups ──> over() ──> read, free
 *
 * It is made in a file without a name in the store's directory, so that nothing of it is left
 * whatever happens. A tenth of the writer's time at most goes into it while jobs are written. It
 * holds all that was acknowledged before it was asked for, and perhaps some of what came later.
 *
 * A disk that gets full takes the copy's space back first, made or in the making: new jobs are
 * refused only when that was not enough. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/problem.h"
#include "store/store.h"

struct store_backup;

/* Not begun yet; NULL when memory is short. `over` is called once after store_backup_begin() has
 * said BACKUP_BEGUN, unless store_backup_leave() says that it is not: in the writer's thread, with
 * no lock held; it must not block. */
struct store_backup *store_backup_new(struct store *store, void (*over)(void *context),
                                      void *context);
/* Any thread, whatever has become of it; not while over() may still be called. Takes NULL. */
void store_backup_free(struct store_backup *backup);

enum backup_result {
    BACKUP_BEGUN,
    BACKUP_BUSY,    /* there is another one */
    BACKUP_FAILING, /* as store_failing() says */
    BACKUP_CLOSED   /* the server is about to end */
};

/* Any thread; does not block. */
enum backup_result store_backup_begin(struct store_backup *backup);
/* Ends the wait for over(). True: that will not be called. Any thread; does not block. */
bool store_backup_leave(struct store_backup *backup);

/* After over(). True: it is there, with so many bytes. False, and why not. */
bool store_backup_made(const struct store_backup *backup, uint64_t *bytes, struct problem *problem);
/* Its next bytes, at most so many; -1 when there are none any more. One thread at a time; reads a
 * file that was written a moment ago. */
ssize_t store_backup_read(struct store_backup *backup, char *to, size_t max);

/* No more are made: who waits is told so. For the end of the server; any thread. */
void store_backup_close(struct store *store);

/* ---- for the writer */

/* Makes some more of one that is wanted, when it is time. */
void backup_go_on(struct store *store);
/* When to go on with it; JOBD_NEVER: there is none in the making. */
int64_t backup_next_us(const struct store *store);
/* Gives back the space that one takes; false when none does. */
bool backup_yield(struct store *store);
/* Before the database is closed: what is in the making fails, for store->problem. */
void backup_drop(struct store *store);

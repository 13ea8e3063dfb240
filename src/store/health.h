/* SPDX-License-Identifier: MIT */
/* What the disk lets the store do: one state, how it fails and how it recovers.
 *
 *     HEALTH_...
 *     GOOD    the database is open, the ballast is held, new jobs are let in
 *     FULL    the database is open; new jobs are refused, what ends jobs is written, into the space
 *             that the ballast has given
 *     BROKEN  an error left it unknown what is on disk: the database is closed, nothing is written
 *     GONE    a file of it has been moved or deleted: nothing is written. The database stays as it
 *             was, open or closed: what is open can still be copied out of /proc, and goes on when
 *             the file comes back
 *
 *     from              to      by
 *     GOOD FULL         FULL    health_enter_full(): something does not fit
 *     GOOD FULL         BROKEN  health_close_broken(): any other error
 *     GOOD FULL BROKEN  GONE    health_check_files()
 *     FULL BROKEN GONE  GOOD    health_try_to_recover()
 *     GONE              FULL    the same: the file is back, but there is no space for the ballast
 *
 * Any thread may ask health_now(); all else is for the writer, and before it has begun and after it
 * has ended for the thread that starts and stops it; it may wait for the disk. */
#pragma once

#include <stdbool.h>

#include "store/store_inside.h"

enum health health_now(struct store *store);

/* Whether changes are written: GOOD or FULL. Then the database is open. */
bool health_writes(struct store *store);

/* Opens the database as --sync wants it. NULL, and a problem, as database_open() says. */
struct database *health_open(const struct store *store, struct problem *problem);

/* Remembers which files these are, for health_check_files(). False, and errno: one cannot be found.
 */
bool health_note_files(struct store *store);

/* False, and GONE: one of them is not there any more. */
bool health_check_files(struct store *store);

/* FULL; true when the ballast has given space, so that it may be tried again. */
bool health_enter_full(struct store *store);

/* BROKEN, out of GOOD or FULL, with store->problem for the reason. What is gathered in the journal
 * is in doubt from then on: it may be on disk or not, and is written anew by the recovery. */
void health_close_broken(struct store *store);

/* As database_checkpoint(), of an open database; with the state that follows from the result. */
enum database_result health_checkpoint(struct store *store, enum log_use use);

/* GOOD again, if it can be; else store->again_us says when to try again. */
void health_try_to_recover(struct store *store);

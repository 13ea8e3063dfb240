/* SPDX-License-Identifier: MIT */
/* The one thread that writes: it takes what waits in the journal, in groups, each one transaction.
 * Its start and its end are in store.h. */
#pragma once

#include "store/store_inside.h"

/* Writes what was gathered in one transaction; when it is not DATABASE_OK it is undone, and
 * store->problem says why. The writer, or the thread that starts or stops it. Waits for the
 * disk. */
enum database_result writer_write_group(struct store *store);

/* Ends the thread, if it has begun, as soon as it has written what it has gathered. */
void writer_join(struct store *store);

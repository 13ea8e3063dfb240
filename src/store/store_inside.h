/* SPDX-License-Identifier: MIT */
/* What store.c (the writer) and recall.c (bringing jobs back) share; no other file includes this.
 */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "store/database.h"
#include "base/lock.h"
#include "store/store.h"

enum {
    CHANGES_MAX = 512, /* of one transaction */
    BYTES_MAX = 4 << 20
};

/* What the disk lets us do. */
enum health {
    GOOD,
    FULL,   /* no new jobs; what is left of the ballast is for ends */
    BROKEN, /* no database is open */
    GONE    /* a file of it is not there any more, as store_gone() says */
};

/* Which file it is, whatever its name. */
struct file_id {
    dev_t device;
    ino_t inode;
};

struct waiting {
    char queue[JOBD_QUEUE_NAME_MAX + 1];
    uint32_t jobs;
};

struct store {
    char *path, *log_path, *ballast_path;
    struct file_id file, log; /* what stands at the first two as long as the store is open */
    int folder;               /* locked */
    enum store_sync sync;
    struct waiting *waiting;
    size_t waiting_len;
    struct jobd *jobd;
    pthread_t thread;
    bool started;

    /* the writer's own */
    struct database *database; /* NULL: broken */
    enum health health;
    enum database_result result; /* of the last change */
    struct problem problem;      /* what the database has met */
    int64_t again_us;            /* then it is tried to recover */
    int64_t look_us;             /* then it is looked whether the files are there */
    int64_t sync_us;             /* the log is to be synced then; JOBD_NEVER: it is */
    uint64_t *is_in_doubt;       /* jobs of which nobody knows what is on disk */
    size_t doubtful_len, doubtful_max;
    bool doubt_all; /* they are more than could be remembered */

    struct mutex lock;
    struct condition changed;
    bool woken GUARDED_BY(lock), over GUARDED_BY(lock);
    struct problem reason GUARDED_BY(lock); /* "": new jobs are let in */
    struct store_stats stats GUARDED_BY(lock);
};

/* Writes what was gathered in one transaction; when it is not DATABASE_OK it is undone. */
enum database_result store_write_group(struct store *store);

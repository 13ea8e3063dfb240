/* SPDX-License-Identifier: MIT */
/* What the store's files share: store.c opens and closes it, load.c brings jobs back, writer.c
 * writes, backup.c copies, health.c knows what the disk lets it do. No other file includes this. */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "base/lock.h"
#include "store/database.h"
#include "store/store.h"
#include "store/times.h"

enum {
    CHANGES_MAX = 512, /* of one transaction */
    BYTES_MAX = 4 << 20
};

/* health.h says what each is. */
enum health { HEALTH_GOOD, HEALTH_FULL, HEALTH_BROKEN, HEALTH_GONE };

/* backup.c says what each is. */
enum backup_stage { BACKUP_IDLE, BACKUP_WANTED, BACKUP_MAKING, BACKUP_MADE, BACKUP_LEFT };

/* Which file it is, whatever its name. */
struct file_id {
    dev_t device;
    ino_t inode;
};

/* A queue's jobs on disk. */
struct queue_on_disk {
    char *name;
    uint32_t jobs, waiting; /* waiting: those that have not ended */
};

struct doubt {
    uint64_t id;
    bool new; /* it was put in what may have been written */
};

struct store {
    /* as it was opened */
    char *path, *log_path, *ballast_path, *backup_path;
    struct file_id file, log; /* what stands at the first two as long as the store is open */
    int folder;               /* locked */
    enum store_sync sync;
    struct queue_on_disk *queues;
    uint32_t queues_len, schedules_len, promised;
    struct jobd *jobd;
    pthread_t thread;
    bool started;

    /* the writer's own */
    struct database *database; /* whether it is open: the health says it */
    struct problem problem;    /* what the last call met that did not do what it should */
    int64_t again_us;          /* then it is tried to recover */
    int64_t look_us;           /* then it is looked whether the files are there */
    int64_t sync_us;           /* the log is to be synced then; JOBD_NEVER: it is */
    struct doubt *in_doubt;    /* jobs of which nobody knows what is on disk */
    size_t in_doubt_len, in_doubt_max;
    bool all_in_doubt;                        /* they are more than could be remembered */
    bool schedules_in_doubt, pauses_in_doubt; /* some of them */
    struct times times;
    bool shrinks;      /* there is more space to give back, when nothing else is to be done, */
    int64_t shrink_us; /* but not before then */
    int64_t wrote_us;  /* when a group was written last */
    struct database_copy *copy; /* of a backup in the making, NULL: there is none */
    int64_t copy_us;            /* not before then it goes on */

    struct mutex lock;
    struct condition changed;
    bool woken GUARDED_BY(lock), over GUARDED_BY(lock);
    enum health health GUARDED_BY(lock);    /* only the writer changes it */
    struct problem reason GUARDED_BY(lock); /* of a health that is not GOOD */
    struct store_stats stats GUARDED_BY(lock);
    enum backup_stage stage GUARDED_BY(lock);
    struct store_backup *backup GUARDED_BY(lock); /* WANTED, MAKING or MADE; else NULL */
    bool backups_closed GUARDED_BY(lock);
};

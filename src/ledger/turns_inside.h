/* SPDX-License-Identifier: MIT */
/* What the files of the turns share: turns.c says what is done next, turn.c takes one, away.c knows
 * whether the database is there. All of it is the turns' thread's own, but for what is guarded. No
 * other file includes this. */
#pragma once

#include <pthread.h>

#include "base/lock.h"
#include "ledger/entry.h"
#include "ledger/follower.h"
#include "ledger/mailbox.h"
#include "ledger/snapshot.h"
#include "ledger/turns.h"

#define TRY_US          (CLOCK_SECOND_US / 10) /* until the next try, the first time */
#define NOTIFY_US       INT64_C(2000)          /* between two notifications, when there are many */
#define NOTIFY_EARLY_US (4 * NOTIFY_US)        /* after a pause some may come so much earlier */

enum { ROWS_MAX = 64, OTHERS_MAX = 16 };

/* Another process that was not there so many times in a row. */
struct absent {
    uint32_t node;
    unsigned times;
};

struct turns {
    struct turns_config config;
    struct jobd_turns door;
    struct jobd *jobd;
    struct mailbox mailbox;
    pthread_t thread;
    bool started;

    /* the thread's own */
    struct follower follower;
    struct snapshot snapshot;
    struct absent absent[OTHERS_MAX]; /* whose jobs may be free soon */
    uint32_t absent_len;
    int64_t beat_us; /* the next one */
    int64_t look_us; /* not before then: for others */
    struct entry entries[ROWS_MAX];
    struct ledger_row rows[ROWS_MAX];
    size_t rows_len;
    uint64_t turn; /* number of the one that goes on */
    int64_t turn_at_us;
    bool stands_still;      /* the database's clock is behind the log */
    unsigned format;        /* of entries, as the last turn was told */
    struct turn_list held;  /* that have run in it */
    struct turn_list looks; /* that wait for the next reading */
    bool in_doubt;          /* its rows may be there, or not */
    bool needs_anew;        /* the engine has done what is not in the log */
    bool takes_in;          /* queues that it does not know, as it reads all again */
    bool connected;
    bool lasting;       /* away for so long that nobody waits */
    bool left, gave_up; /* left: the last turn is over */
    int64_t away_since_us, try_at_us, try_after_us;
    int64_t ahead_us;  /* of this process's clock, before that of the database */
    int64_t notify_us; /* when the next is due if they come evenly (generic cell rate algorithm) */
    bool must_notify;
    uint64_t notified; /* others have appended so far */
    uint64_t next_id;

    struct mutex lock;
    bool over GUARDED_BY(lock);
    int64_t over_at_us GUARDED_BY(lock); /* then it ends whatever is left */
    struct problem reason GUARDED_BY(lock);
    bool failing GUARDED_BY(lock);
    struct turns_stats stats GUARDED_BY(lock);
};

/* ---- away.c */

void away_note(struct turns *turns, const struct problem *why);
void away_end(struct turns *turns);
/* There is a connection again. While it is in doubt whether the last turn was written, nobody is
 * let in again for that alone. */
void away_reconnected(struct turns *turns);
/* The database has not answered for LEDGER_SLOW_MS, though it is there: as if it were away, until a
 * turn has begun, or is written. Of `struct turns`, in its thread. */
void away_slow(void *turns);
/* It is away for so long that what runs here may run elsewhere, too: it is stopped. */
void away_stop_runs(struct turns *turns);
/* From here on whoever comes is refused, and those who wait. */
void away_refuse_all(struct turns *turns);
/* What a result of the ledger leads to; true when it is LEDGER_OK. */
bool away_judge(struct turns *turns, enum ledger_result result, const struct problem *problem);

/* ---- turn.c */

/* One turn, whether anybody has something to do in it or not. True when it has begun. */
bool turn_take(struct turns *turns);
/* Whether the rows of the last turn are in the log, if that can be known by now. */
void turn_resolve(struct turns *turns);
/* All that others have appended by now. False when it cannot be had. */
bool turn_catch_up(struct turns *turns);
/* All jobs are read again. */
void turn_anew(struct turns *turns);
/* Says in the log which queues have jobs and are not declared. */
void turn_report_undeclared(const struct turns *turns);
/* Each second: says that this process is there, and looks who is not. */
void turn_beat(struct turns *turns);
/* The next piece of a snapshot, if one is due. */
void turn_snapshot(struct turns *turns);
/* The others are told that there is more, when it is time. */
void turn_notify(struct turns *turns);
bool turns_over(struct turns *turns, int64_t *at_us);

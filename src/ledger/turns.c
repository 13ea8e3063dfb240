/* SPDX-License-Identifier: MIT */
#include "ledger/turns_inside.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#define AWAY_US (2 * CLOCK_SECOND_US) /* then nobody waits for the database any more */
#define BEAT_US CLOCK_SECOND_US       /* a notification that was lost is made up for by then */

/* ---- what others may ask */

static void enter(void *context, struct jobd_turn *turn)
{
    struct turns *turns = context;
    mailbox_enter(&turns->mailbox, turn);
}

static bool leave(void *context, struct jobd_turn *turn, struct jobd_waiter *waiter)
{
    struct turns *turns = context;
    return mailbox_leave(&turns->mailbox, turn, waiter);
}

static void looked(void *context)
{
    struct turns *turns = context;
    mailbox_looked(&turns->mailbox);
}

static void due(void *context)
{
    struct turns *turns = context;
    mailbox_poke(&turns->mailbox);
}

bool turns_failing(struct turns *turns, struct problem *problem)
{
    mutex_lock(&turns->lock);
    bool failing = turns->failing;
    *problem = turns->reason;
    mutex_unlock(&turns->lock);
    return failing;
}

void turns_stats(struct turns *turns, struct turns_stats *stats)
{
    mutex_lock(&turns->lock);
    *stats = turns->stats;
    mutex_unlock(&turns->lock);
}

/* ---- what is to be done next */

static void tell_looks(struct turns *turns, bool lost)
{
    if (lost)
        turns_tell(&turns->looks, true);
    else
        mailbox_let_in(&turns->mailbox, &turns->looks);
}

static bool reconnect(struct turns *turns)
{
    struct problem problem;
    int64_t now_us = clock_now_us();
    if (now_us - turns->away_since_us > AWAY_US && !turns->lasting) {
        away_refuse_all(turns);
        tell_looks(turns, true);
    }
    if (now_us < turns->try_at_us || turns->gave_up)
        return false;
    enum ledger_result result = turns->config.ops->connect(turns->config.ledger, &problem);
    if (result == LEDGER_OK)
        away_reconnected(turns);
    else /* whatever it is: another server may be the one */
        away_note(turns, &problem);
    return result == LEDGER_OK;
}

static void wait_until(struct turns *turns, int64_t at_us)
{
    int64_t left_us = at_us - clock_now_us();
    int timeout_ms = left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
    uint64_t notified =
        turns->config.ops->wait(turns->config.ledger, turns->mailbox.event, timeout_ms);
    if (notified > turns->notified)
        turns->notified = notified;
}

static int64_t later_than(int64_t at_us, int64_t us)
{
    return at_us < JOBD_NEVER - us ? at_us + us : JOBD_NEVER;
}

static int64_t earlier(int64_t one_us, int64_t other_us)
{
    return one_us < other_us ? one_us : other_us;
}

static void wait_away(struct turns *turns)
{
    int64_t now_us = clock_now_us();
    away_stop_runs(turns);
    (void)mailbox_look(&turns->mailbox);
    wait_until(turns, earlier(now_us + TRY_US,
                              turns->try_at_us > now_us ? turns->try_at_us : now_us + TRY_US));
}

/* Whatever others have notified of is known then, also when it was nothing. */
static bool catch_up(struct turns *turns)
{
    bool looked = turn_catch_up(turns);
    if (looked)
        turns->notified = turns->follower.seq;
    return looked;
}

/* All is read again when a queue has come whose jobs were left out so far. */
static bool needs_anew(struct turns *turns)
{
    turns->needs_anew = turns->needs_anew || share_is_outdated(turns->jobd);
    return turns->needs_anew;
}

static void do_next(struct turns *turns)
{
    const struct mail mail = mailbox_look(&turns->mailbox);
    int64_t now_us = clock_now_us(), over_at_us;
    int64_t due_us = later_than(share_due(turns->jobd), turns->ahead_us);
    bool over = turns_over(turns, &over_at_us), looked = false;
    if (mail.looks && turns->looks.len == 0)
        turns->looks = mailbox_take_looks(&turns->mailbox);
    if (mail.calls || due_us <= now_us || over || turns->lasting) /* does it take turns again? */
        looked = turn_take(turns) && !turns->in_doubt;
    else if (turns->looks.len > 0 || turns->notified > turns->follower.seq)
        looked = catch_up(turns);
    else if (!snapshot_is_due(&turns->snapshot, &turns->follower, now_us))
        wait_until(turns,
                   earlier(earlier(due_us, now_us + BEAT_US),
                           turns->must_notify ? turns->notify_us - NOTIFY_EARLY_US : JOBD_NEVER));
    if (looked)
        tell_looks(turns, false);
    if (turns->connected)
        turn_notify(turns);
    if (turns->connected && !turns->in_doubt && !turns->needs_anew)
        turn_snapshot(turns);
    if (turns->connected && !turns->in_doubt && !turns->needs_anew)
        turn_beat(turns);
    if (clock_now_us() - now_us >= BEAT_US) /* nothing was heard: perhaps it was not said */
        turns->notified = turns->follower.seq + 1;
}

/* The database has refused: it is asked again after a while. */
static bool holds_back(struct turns *turns)
{
    if (clock_now_us() >= turns->try_at_us)
        return false;
    (void)mailbox_look(&turns->mailbox); /* else its event would end the wait at once */
    wait_until(turns, turns->try_at_us);
    return true;
}

static void *turns_main(void *context)
{
    struct turns *turns = context;
    int64_t over_at_us;
    while (!turns->left || turns->in_doubt) {
        if (turns_over(turns, &over_at_us) && clock_now_us() > over_at_us)
            break;
        if (!turns->connected && !reconnect(turns))
            wait_away(turns);
        else if (holds_back(turns))
            continue;
        else if (turns->in_doubt)
            turn_resolve(turns);
        else if (needs_anew(turns))
            turn_anew(turns);
        else
            do_next(turns);
    }
    mailbox_refuse(&turns->mailbox, true);
    tell_looks(turns, true);
    turns_tell(&turns->held, true); /* in doubt for good */
    return NULL;
}

/* ---- start and end */

struct turns *turns_new(const struct turns_config *config)
{
    struct turns *turns = calloc(1, sizeof *turns);
    if (turns == NULL)
        return NULL;
    turns->config = *config;
    turns->door = (struct jobd_turns){.enter = enter,
                                      .leave = leave,
                                      .looked = looked,
                                      .due = due,
                                      .context = turns,
                                      .node = config->node};
    turns_init(&turns->held);
    turns_init(&turns->looks);
    config->ops->on_slow(config->ledger, away_slow, turns);
    turns->try_after_us = TRY_US;
    turns->format = ENTRY_FORMAT_FIRST;
    turns->snapshot.least_bytes = config->log_bytes;
    if (mailbox_init(&turns->mailbox) != 0) {
        free(turns);
        return NULL;
    }
    if (mutex_init(&turns->lock) != 0) {
        mailbox_release(&turns->mailbox);
        free(turns);
        return NULL;
    }
    return turns;
}

const struct jobd_turns *turns_of(const struct turns *turns)
{
    return &turns->door;
}

bool turns_load(struct turns *turns, struct jobd *jobd, struct problem *problem)
{
    turns->jobd = turns->mailbox.jobd = turns->follower.jobd = jobd;
    turns->follower.own_node = turns->config.node;
    int64_t begun_us = clock_now_us();
    do {
        enum ledger_result result =
            snapshot_anew(&turns->follower, turns->config.ops, turns->config.ledger, problem);
        if (result != LEDGER_OK)
            return problem_at(problem, turns->config.name);
        if (turns->follower.result != FOLLOW_OK)
            return problem_set(problem, "%s: %s", turns->config.name, turns->follower.problem.text);
    } while (share_take_in(jobd, begun_us));
    turn_report_undeclared(turns);
    away_end(turns);
    log_info("%s: %llu entries in %lld ms", turns->config.name,
             (unsigned long long)turns->follower.seq,
             (long long)(clock_now_us() - begun_us) / 1000);
    return true;
}

int turns_start(struct turns *turns)
{
    int error = thread_start(&turns->thread, turns_main, turns);
    turns->started = error == 0;
    return error;
}

bool turns_stop(struct turns *turns, int64_t wait_us)
{
    if (!turns->started)
        return true;
    mutex_lock(&turns->lock);
    turns->over = true;
    turns->over_at_us = clock_after_us(wait_us);
    mutex_unlock(&turns->lock);
    mailbox_poke(&turns->mailbox);
    verify(pthread_join(turns->thread, NULL) == 0);
    turns->started = false;
    return turns->left && !turns->in_doubt;
}

void turns_free(struct turns *turns)
{
    if (turns == NULL)
        return;
    (void)turns_stop(turns, 0);
    snapshot_release(&turns->snapshot);
    for (size_t i = 0; i < ROWS_MAX; i++)
        entry_release(&turns->entries[i]);
    mutex_release(&turns->lock);
    mailbox_release(&turns->mailbox);
    free(turns);
}

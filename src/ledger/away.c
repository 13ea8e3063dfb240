/* SPDX-License-Identifier: MIT */
/* Is the database there, and what is said when it is not. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "ledger/turns_inside.h"

#define TRY_MOST_US (2 * CLOCK_SECOND_US)
#define GRACE_US    (5 * CLOCK_SECOND_US)

void away_end(struct turns *turns)
{
    bool back = turns->lasting;
    turns->connected = true;
    turns->lasting = false;
    turns->try_after_us = TRY_US;
    turns->try_at_us = 0;
    turns->absent_len = 0;
    turns->beat_us = 0;
    turns->look_us = clock_now_us() + GRACE_US; /* the others come back, too */
    mutex_lock(&turns->lock);
    turns->failing = false;
    turns->stats.connected = true;
    mutex_unlock(&turns->lock);
    if (!back)
        return;
    mailbox_refuse(&turns->mailbox, false);
    log_info("%s: the database is back", turns->config.name); /* now that it is so for all */
}

void away_reconnected(struct turns *turns)
{
    if (!turns->in_doubt || !turns->lasting) {
        away_end(turns);
        return;
    }
    turns->connected = true; /* whether it takes writes will be seen */
    turns->try_at_us = 0;
    mutex_lock(&turns->lock);
    turns->stats.connected = true;
    mutex_unlock(&turns->lock);
}

void away_slow(void *context)
{
    struct turns *turns = context;
    if (turns->lasting || !turns->connected)
        return;
    mutex_lock(&turns->lock);
    problem_set(&turns->reason, "the database does not answer: it waits for a standby, or for "
                                "another server");
    mutex_unlock(&turns->lock);
    away_refuse_all(turns);
    turns_tell(&turns->looks, true);
}

void away_note(struct turns *turns, const struct problem *why)
{
    int64_t now_us = clock_now_us();
    if (turns->connected)
        turns->away_since_us = now_us;
    turns->connected = false;
    turns->try_at_us = now_us + turns->try_after_us;
    turns->try_after_us =
        2 * turns->try_after_us < TRY_MOST_US ? 2 * turns->try_after_us : TRY_MOST_US;
    mutex_lock(&turns->lock);
    turns->stats.connected = false;
    problem_set(&turns->reason, "the database is away: %s", why->text);
    mutex_unlock(&turns->lock);
}

void away_stop_runs(struct turns *turns)
{
    uint32_t told = share_overdue(turns->jobd, clock_now_us() - turns->ahead_us);
    if (told > 0)
        log_warn("%s: the database is away for so long that other servers may run what runs here: "
                 "%u %s stopped",
                 turns->config.name, (unsigned)told, text_plural(told, "job is", "jobs are"));
}

/* Nobody waits for it any longer. */
void away_refuse_all(struct turns *turns)
{
    if (turns->lasting)
        return;
    turns->lasting = true;
    mutex_lock(&turns->lock);
    turns->failing = true;
    const struct problem reason = turns->reason;
    mutex_unlock(&turns->lock);
    mailbox_refuse(&turns->mailbox, true);
    log_error("%s: %s", turns->config.name, reason.text);
}

static void end_process(struct turns *turns, const char *why)
{
    struct problem problem;
    problem_set(&problem, "%s", why);
    away_note(turns, &problem);
    away_refuse_all(turns);
    turns->gave_up = true;
    turns->config.on_end(turns->config.context, why);
}

bool away_judge(struct turns *turns, enum ledger_result result, const struct problem *problem)
{
    switch (result) {
    case LEDGER_OK:
        return true;
    case LEDGER_AWAY:
        away_note(turns, problem);
        break;
    case LEDGER_REFUSED:
        log_warn("%s: %s", turns->config.name, problem->text);
        turns->try_at_us = clock_now_us() + TRY_US;
        break;
    case LEDGER_WRONG:
        end_process(turns, problem->text);
        break;
    }
    return false;
}

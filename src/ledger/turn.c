/* SPDX-License-Identifier: MIT */
/* A turn: its transaction, what is run in it, what becomes of it. */
#include "base/clock.h"
#include "base/log.h"
#include "ledger/turns_inside.h"

enum {
    CALLS_MAX = 2048,      /* of one turn */
    ABSENT_TIMES = 3,      /* in a row: who loses his connection has time for another */
    ENTRY_BYTES = 1 << 20, /* about; what is more goes into another row */
    KEPT_BYTES = 1 << 18   /* of an entry's buffer; a larger one is needed for few turns */
};

/* ---- anew */

/* LEDGER_OK: the engine knows all there was. */
static enum ledger_result read_anew(struct turns *turns, struct problem *problem)
{
    mailbox_await_lookers(&turns->mailbox);
    mutex_lock(&turns->lock);
    turns->stats.anew++;
    mutex_unlock(&turns->lock);
    enum ledger_result result =
        snapshot_anew(&turns->follower, turns->config.ops, turns->config.ledger, problem);
    if (result == LEDGER_OK && turns->follower.result != FOLLOW_OK) {
        *problem = turns->follower.problem;
        return LEDGER_WRONG;
    }
    return result;
}

static void say_why(const struct turns *turns)
{
    log_error("%s: %s: all jobs are read again", turns->config.name, turns->follower.problem.text);
}

/* The rows that came were not what they should be: all is read again, in place of a turn. */
static enum ledger_result give_up_lost(struct turns *turns, struct problem *problem)
{
    turns->config.ops->give_up(turns->config.ledger);
    turns->needs_anew = true;
    if (turns->follower.result == FOLLOW_WRONG) {
        *problem = turns->follower.problem;
        return LEDGER_WRONG;
    }
    say_why(turns);
    return LEDGER_OK;
}

/* ---- the end of a turn */

static void count(struct turns *turns, bool lost)
{
    mutex_lock(&turns->lock);
    turns->stats.turns += !lost;
    turns->stats.lost += lost;
    for (size_t i = 0; i < turns->rows_len && !lost; i++) {
        turns->stats.entries++;
        turns->stats.bytes += turns->rows[i].size;
    }
    turns->stats.adopted = turns->follower.adopted;
    mutex_unlock(&turns->lock);
}

/* The others are told that there is more, but not so often that they do nothing else. */
void turn_notify(struct turns *turns)
{
    int64_t now_us = clock_now_us();
    if (!turns->must_notify || now_us < turns->notify_us - NOTIFY_EARLY_US)
        return;
    turns->must_notify = false;
    turns->notify_us = (turns->notify_us > now_us ? turns->notify_us : now_us) + NOTIFY_US;
    turns->config.ops->notify(turns->config.ledger, turns->follower.seq);
}

static void conclude(struct turns *turns, bool lost)
{
    turns->in_doubt = false;
    count(turns, lost);
    for (size_t i = 0; i < turns->rows_len && !lost; i++)
        follower_own(&turns->follower, &turns->rows[i]);
    share_end(turns->jobd, lost);
    turns_tell(&turns->held, lost);
    for (size_t i = 0; i < turns->rows_len; i++)
        if (turns->entries[i].room > KEPT_BYTES)
            entry_release(&turns->entries[i]);
    turns->rows_len = 0;
}

/* Nothing of it is in the log: what the engine has done in it must go. */
static void lose(struct turns *turns)
{
    turns->needs_anew = true;
    conclude(turns, true);
}

/* ---- what is written */

static void begin_row(struct turns *turns)
{
    struct entry *entry = &turns->entries[turns->rows_len++];
    entry_begin(entry, turns->format, turns->turn_at_us, turns->next_id);
}

static void end_row(struct turns *turns)
{
    struct entry *entry = &turns->entries[turns->rows_len - 1];
    (void)entry_end(entry); /* failed: as entry->failed says */
    turns->rows[turns->rows_len - 1] =
        (struct ledger_row){.seq = turns->follower.seq + turns->rows_len,
                            .node = turns->config.node,
                            .turn = turns->turn,
                            .at_us = turns->turn_at_us,
                            .body = entry->bytes,
                            .size = entry->size};
}

static void add_news(void *context, const struct news *news)
{
    struct turns *turns = context;
    if (turns->entries[turns->rows_len - 1].size > ENTRY_BYTES && turns->rows_len < ROWS_MAX) {
        end_row(turns);
        begin_row(turns);
    }
    entry_add(&turns->entries[turns->rows_len - 1], news);
}

/* False when memory is short. */
static bool write_rows(struct turns *turns)
{
    bool good = true;
    turns->rows_len = 0;
    turns->next_id = share_next_id(turns->jobd);
    begin_row(turns);
    share_each(turns->jobd, turns->turn_at_us, add_news, turns);
    end_row(turns);
    for (size_t i = 0; i < turns->rows_len; i++)
        good = good && !turns->entries[i].failed;
    return good;
}

/* ---- a turn */

/* Its clock may go back, as by a failover to a machine whose clock is behind: time is that of the
 * log then, and stands still. */
static void note_clock(struct turns *turns, int64_t database_us)
{
    int64_t behind_us = turns->turn_at_us - database_us;
    if (!turns->stands_still && behind_us >= CLOCK_SECOND_US) {
        log_warn("%s: the database's clock has gone back by %lld s: delays, leases and schedules "
                 "stand still until it has caught up",
                 turns->config.name, (long long)(behind_us / CLOCK_SECOND_US));
        turns->stands_still = true;
    } else if (turns->stands_still && behind_us == 0) {
        log_info("%s: the database's clock has caught up", turns->config.name);
        turns->stands_still = false;
    }
}

/* LEDGER_OK, and the engine knows all there is, or needs to be read anew; but for the first the
 * turn has not begun. */
static enum ledger_result begin(struct turns *turns, struct problem *problem)
{
    const struct ledger_ops *ops = turns->config.ops;
    struct follower *follower = &turns->follower;
    struct ledger_fetch fetch = {.each = follower_row, .context = follower};
    struct ledger_turn turn = {.now_us = 0};
    follower_begin(follower);
    fetch.from = follower_from(follower);
    enum ledger_result result = ops->begin(turns->config.ledger, &fetch, &turn, problem);
    while (result == LEDGER_OK && follower_end(follower) == FOLLOW_OK && fetch.more) {
        follower_begin(follower);
        fetch.from = follower_from(follower);
        result = ops->fetch(turns->config.ledger, &fetch, problem);
    }
    turns->turn_at_us = turn.now_us > follower->at_us ? turn.now_us : follower->at_us;
    if (result != LEDGER_OK)
        return result;
    turns->format = turn.format;
    note_clock(turns, turn.now_us);
    clock_follow(turns->turn_at_us, false);
    turns->ahead_us = clock_now_us() - turns->turn_at_us;
    if (turns->lasting)
        away_end(turns);
    return follower->result == FOLLOW_OK ? LEDGER_OK : give_up_lost(turns, problem);
}

bool turns_over(struct turns *turns, int64_t *at_us)
{
    mutex_lock(&turns->lock);
    bool over = turns->over;
    *at_us = turns->over_at_us;
    mutex_unlock(&turns->lock);
    return over;
}

/* Who was not there for long enough does not run its jobs any more. */
static void end_runs_of_absent(struct turns *turns)
{
    for (uint32_t i = 0; i < turns->absent_len; i++)
        if (turns->absent[i].times >= ABSENT_TIMES)
            share_node_gone(turns->jobd, turns->absent[i].node, turns->turn_at_us);
}

static void run_calls(struct turns *turns)
{
    int64_t at_us;
    unsigned left = CALLS_MAX;
    mailbox_await_lookers(&turns->mailbox);
    turns->turn++;
    share_begin(turns->jobd, turns->turn_at_us);
    end_runs_of_absent(turns);
    while (left > 0 && !share_is_full(turns->jobd) && mailbox_run(&turns->mailbox, &turns->held))
        left--;
    if (turns_over(turns, &at_us) && left == CALLS_MAX) {
        share_leave(turns->jobd);
        turns->left = true;
    }
}

static void append(struct turns *turns)
{
    struct problem problem;
    bool good = write_rows(turns);
    enum ledger_result result = LEDGER_REFUSED;
    if (good)
        result =
            turns->config.ops->append(turns->config.ledger, turns->rows, turns->rows_len, &problem);
    else
        turns->config.ops->give_up(turns->config.ledger);
    if (!good)
        (void)problem_set(&problem, "out of memory");
    if (result == LEDGER_AWAY) {
        turns->in_doubt = true;
        away_note(turns, &problem);
    } else if (result == LEDGER_OK) {
        if (turns->lasting)
            away_end(turns);
        conclude(turns, false);
        turns->must_notify = true;
        turn_notify(turns);
    } else {
        lose(turns);
        (void)away_judge(turns, result, &problem);
    }
}

bool turn_take(struct turns *turns)
{
    struct problem problem;
    if (!away_judge(turns, begin(turns, &problem), &problem) || turns->needs_anew)
        return false;
    run_calls(turns);
    if (!share_is_empty(turns->jobd)) {
        append(turns);
    } else {
        turns->config.ops->give_up(turns->config.ledger);
        conclude(turns, false);
    }
    return true;
}

/* ---- a turn of which nobody knows whether it is in the log */

struct named {
    const struct ledger_row *ours;
    bool mine;
};

static bool name_row(void *context, const struct ledger_row *row)
{
    struct named *named = context;
    named->mine = row->seq == named->ours->seq && row->node == named->ours->node &&
                  row->turn == named->ours->turn;
    return false;
}

/* With the lock, so that it cannot be on its way still. Rows that can be read may not be at the
 * standby, as the wait for it ended with the connection: a commit behind them waits for them. */
void turn_resolve(struct turns *turns)
{
    struct problem problem;
    struct named named = {.ours = &turns->rows[0]};
    struct ledger_fetch fetch = {.from = named.ours->seq, .each = name_row, .context = &named};
    struct ledger_turn turn;
    enum ledger_result result =
        turns->config.ops->begin(turns->config.ledger, &fetch, &turn, &problem);
    if (!away_judge(turns, result, &problem))
        return;
    if (!named.mine) {
        turns->config.ops->give_up(turns->config.ledger);
        lose(turns);
        return;
    }
    result = turns->config.ops->append(turns->config.ledger, NULL, 0, &problem);
    if (!away_judge(turns, result, &problem))
        return;
    if (turns->lasting)
        away_end(turns);
    conclude(turns, false);
    turns->must_notify = true;
}

/* ---- without a turn */

/* All that others have appended by now. */
bool turn_catch_up(struct turns *turns)
{
    struct problem problem;
    enum ledger_result result =
        follower_catch_up(&turns->follower, turns->config.ops, turns->config.ledger, &problem);
    if (!away_judge(turns, result, &problem))
        return false;
    if (turns->follower.result == FOLLOW_OK) {
        mutex_lock(&turns->lock);
        turns->stats.adopted = turns->follower.adopted;
        mutex_unlock(&turns->lock);
        return true;
    }
    say_why(turns);
    turns->needs_anew = true;
    return false;
}

/* As for jobs in a directory. */
void turn_report_undeclared(const struct turns *turns)
{
    struct jobd *jobd = turns->jobd;
    for (uint32_t i = 0; i < jobd_queues_len(jobd); i++) {
        struct jobd_stats stats;
        jobd_stats(jobd, i, clock_now_us(), &stats);
        if (!stats.declared && !stats.gone)
            log_warn("%s: queue %s has jobs, and is not declared: %u wait, %u run; POST "
                     "/queues/OLD/move?to=NEW moves what waits to another",
                     turns->config.name, jobd_queue_name(jobd, i), (unsigned)stats.waiting,
                     (unsigned)stats.running);
    }
    if (!share_is_whole(jobd))
        log_warn("%s: jobs of queues that are not declared are left out, as there is no room for "
                 "them: the log is trimmed by a server that knows those queues",
                 turns->config.name);
}

/* The queues that are not known here, as nobody who is there knows them. All is read again for each
 * that comes, until no more do. */
static void take_in(struct turns *turns)
{
    turns->takes_in = turns->needs_anew = share_take_in(turns->jobd, clock_now_us());
    if (!turns->takes_in)
        turn_report_undeclared(turns);
}

void turn_anew(struct turns *turns)
{
    struct problem problem;
    turns->needs_anew = !away_judge(turns, read_anew(turns, &problem), &problem);
    if (turns->needs_anew || !turns->takes_in)
        return;
    take_in(turns);
}

void turn_snapshot(struct turns *turns)
{
    struct problem problem;
    bool missed = false;
    enum ledger_result result;
    if (snapshot_is_due(&turns->snapshot, &turns->follower, clock_now_us())) {
        turns->snapshot.format = turns->format;
        result = snapshot_step(&turns->snapshot, &turns->follower, turns->config.ops,
                               turns->config.ledger, &problem);
    } else {
        result = snapshot_look(&turns->snapshot, &turns->follower, turns->config.ops,
                               turns->config.ledger, &missed, &problem);
    }
    if (missed)
        take_in(turns);
    if (result == LEDGER_AWAY)
        (void)away_judge(turns, result, &problem);
    else if (result != LEDGER_OK)
        log_warn("%s: no snapshot: %s", turns->config.name, problem.text);
}

static unsigned times_absent(const struct turns *turns, uint32_t node)
{
    for (uint32_t i = 0; i < turns->absent_len; i++)
        if (turns->absent[i].node == node)
            return turns->absent[i].times;
    return 0;
}

/* After the database was away all are absent at first. */
static void look_for_others(struct turns *turns)
{
    uint32_t nodes[OTHERS_MAX], len = share_others(turns->jobd, nodes, OTHERS_MAX), found = 0;
    struct absent now[OTHERS_MAX];
    struct problem problem;
    enum ledger_result result = LEDGER_OK;
    for (uint32_t i = 0; i < len && result == LEDGER_OK; i++) {
        bool absent = false;
        result = turns->config.ops->look_for(turns->config.ledger, nodes[i], &absent, &problem);
        if (absent)
            now[found++] = (struct absent){nodes[i], times_absent(turns, nodes[i]) + 1};
    }
    turns->absent_len = found;
    for (uint32_t i = 0; i < found; i++)
        turns->absent[i] = now[i];
    if (result == LEDGER_AWAY)
        (void)away_judge(turns, result, &problem);
}

void turn_beat(struct turns *turns)
{
    int64_t now_us = clock_now_us();
    if (now_us < turns->beat_us)
        return;
    turns->beat_us = now_us + CLOCK_SECOND_US;
    turns->config.ops->beat(turns->config.ledger);
    if (now_us >= turns->look_us)
        look_for_others(turns);
    bool gone = false;
    for (uint32_t i = 0; i < turns->absent_len; i++)
        gone |= turns->absent[i].times >= ABSENT_TIMES;
    if (gone && turns->connected) /* again in a second when it comes to nothing */
        (void)turn_take(turns);
}

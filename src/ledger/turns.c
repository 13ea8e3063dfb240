/* SPDX-License-Identifier: MIT */
#include "ledger/turns.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "ledger/entry.h"
#include "ledger/follower.h"
#include "ledger/mailbox.h"

#define BELL_US     2000                  /* between two, at least */
#define AWAY_US     (2 * CLOCK_SECOND_US) /* then nobody waits for the database any more */
#define TRY_US      (CLOCK_SECOND_US / 10)
#define TRY_MOST_US (2 * CLOCK_SECOND_US)
#define BEAT_US     CLOCK_SECOND_US /* a bell that was not heard is made up for by then */

enum {
    CALLS_MAX = 2048,       /* of one turn */
    ENTRY_BYTES = 1 << 20,  /* about; what is more goes into another row */
    ROWS_MAX = 64
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
    struct entry entries[ROWS_MAX];
    struct ledger_row rows[ROWS_MAX];
    size_t rows_len;
    uint64_t turn;          /* number of the one that goes on */
    int64_t turn_at_us;
    struct turn_list held;  /* that have run in it */
    struct turn_list looks; /* that wait for the next reading */
    bool in_doubt;          /* its rows may be there, or not */
    bool needs_anew;        /* the engine has done what is not in the log */
    bool connected;
    bool lasting;           /* away for so long that nobody waits */
    bool left, gave_up;     /* left: the last turn is over */
    int64_t away_since_us, try_at_us, try_after_us;
    int64_t ahead_us; /* of this process's clock, before that of the database */
    int64_t bell_us;  /* the last one */
    bool wants_bell;
    uint64_t rung;          /* others have appended so far */
    uint64_t next_id;

    struct mutex lock;
    bool over GUARDED_BY(lock);
    int64_t over_at_us GUARDED_BY(lock); /* then it ends whatever is left */
    struct problem reason GUARDED_BY(lock);
    bool failing GUARDED_BY(lock);
    struct turns_stats stats GUARDED_BY(lock);
};

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

/* ---- the connection */

static void note_connected(struct turns *turns)
{
    bool back = turns->lasting;
    if (back)
        log_info("%s: the database is back", turns->config.name);
    turns->connected = true;
    turns->lasting = false;
    turns->try_after_us = TRY_US;
    turns->try_at_us = 0;
    mutex_lock(&turns->lock);
    turns->failing = false;
    turns->stats.connected = true;
    mutex_unlock(&turns->lock);
    if (back)
        mailbox_refuse(&turns->mailbox, false);
}

static void note_away(struct turns *turns, const struct problem *why)
{
    int64_t now_us = clock_now_us();
    if (turns->connected)
        turns->away_since_us = now_us;
    turns->connected = false;
    turns->try_at_us = now_us + turns->try_after_us;
    turns->try_after_us = 2 * turns->try_after_us < TRY_MOST_US ? 2 * turns->try_after_us
                                                                 : TRY_MOST_US;
    mutex_lock(&turns->lock);
    turns->stats.connected = false;
    problem_set(&turns->reason, "the database is away: %s", why->text);
    mutex_unlock(&turns->lock);
}

/* Nobody waits for it any longer. */
static void refuse_all(struct turns *turns)
{
    if (turns->lasting)
        return;
    turns->lasting = true;
    mutex_lock(&turns->lock);
    turns->failing = true;
    const struct problem reason = turns->reason;
    mutex_unlock(&turns->lock);
    log_error("%s: %s", turns->config.name, reason.text);
    mailbox_refuse(&turns->mailbox, true);
}

static void end_process(struct turns *turns, const char *why)
{
    struct problem problem;
    problem_set(&problem, "%s", why);
    note_away(turns, &problem);
    refuse_all(turns);
    turns->gave_up = true;
    turns->config.on_end(turns->config.context, why);
}

/* ---- anew */

/* LEDGER_OK: the engine knows all there was. */
static enum ledger_result read_anew(struct turns *turns, struct problem *problem)
{
    mailbox_await_lookers(&turns->mailbox);
    mutex_lock(&turns->lock);
    turns->stats.anew++;
    mutex_unlock(&turns->lock);
    enum ledger_result result =
        follower_anew(&turns->follower, turns->config.ops, turns->config.ledger, problem);
    if (result == LEDGER_OK && turns->follower.result != FOLLOW_OK) {
        *problem = turns->follower.problem;
        return LEDGER_WRONG;
    }
    return result;
}

/* The rows that came were not what they should be: all is read again, once. */
static enum ledger_result mend(struct turns *turns, struct problem *problem)
{
    const struct follower *follower = &turns->follower;
    if (follower->result == FOLLOW_OK)
        return LEDGER_OK;
    if (follower->result == FOLLOW_WRONG) {
        *problem = follower->problem;
        return LEDGER_WRONG;
    }
    log_error("%s: %s: all jobs are read again", turns->config.name, follower->problem.text);
    return read_anew(turns, problem);
}

/* What a result of the ledger leads to; true when it is LEDGER_OK. */
static bool goes_well(struct turns *turns, enum ledger_result result, const struct problem *problem)
{
    switch (result) {
    case LEDGER_OK:
        return true;
    case LEDGER_AWAY:
        note_away(turns, problem);
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
static void ring_in_time(struct turns *turns)
{
    int64_t now_us = clock_now_us();
    if (!turns->wants_bell || now_us < turns->bell_us + BELL_US)
        return;
    turns->wants_bell = false;
    turns->bell_us = now_us;
    turns->config.ops->ring(turns->config.ledger, turns->follower.seq);
}

static void conclude(struct turns *turns, bool lost)
{
    turns->in_doubt = false;
    count(turns, lost);
    if (!lost && turns->rows_len > 0)
        follower_own(&turns->follower, &turns->rows[turns->rows_len - 1]);
    share_end(turns->jobd, lost);
    turns_tell(&turns->held, lost);
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
    entry_begin(entry, ENTRY_FORMAT, turns->turn_at_us, turns->next_id);
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

/* LEDGER_OK, and the engine knows all there is; else the turn has not begun. */
static enum ledger_result begin(struct turns *turns, struct problem *problem)
{
    const struct ledger_ops *ops = turns->config.ops;
    struct follower *follower = &turns->follower;
    struct ledger_fetch fetch = {.each = follower_row, .context = follower};
    int64_t now_us = 0;
    follower_begin(follower);
    fetch.from = follower_from(follower);
    enum ledger_result result = ops->begin(turns->config.ledger, &fetch, &now_us, problem);
    while (result == LEDGER_OK && follower_end(follower) == FOLLOW_OK && fetch.more) {
        follower_begin(follower);
        fetch.from = follower_from(follower);
        result = ops->fetch(turns->config.ledger, &fetch, problem);
    }
    turns->turn_at_us = now_us > follower->at_us ? now_us : follower->at_us;
    if (result != LEDGER_OK)
        return result;
    clock_follow(turns->turn_at_us, false);
    turns->ahead_us = clock_now_us() - turns->turn_at_us;
    if (follower->result == FOLLOW_OK)
        return LEDGER_OK;
    ops->give_up(turns->config.ledger);
    turns->needs_anew = true;
    return mend(turns, problem);
}

static bool is_over(struct turns *turns, int64_t *at_us)
{
    mutex_lock(&turns->lock);
    bool over = turns->over;
    *at_us = turns->over_at_us;
    mutex_unlock(&turns->lock);
    return over;
}

static void run_calls(struct turns *turns)
{
    int64_t at_us;
    unsigned left = CALLS_MAX;
    mailbox_await_lookers(&turns->mailbox);
    turns->turn++;
    share_begin(turns->jobd, turns->turn_at_us);
    while (left > 0 && !share_is_full(turns->jobd) && mailbox_run(&turns->mailbox, &turns->held))
        left--;
    if (is_over(turns, &at_us) && left == CALLS_MAX) {
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
        result = turns->config.ops->append(turns->config.ledger, turns->rows, turns->rows_len,
                                           &problem);
    else
        turns->config.ops->give_up(turns->config.ledger);
    if (!good)
        (void)problem_set(&problem, "out of memory");
    if (result == LEDGER_AWAY) {
        turns->in_doubt = true;
        note_away(turns, &problem);
    } else if (result == LEDGER_OK) {
        conclude(turns, false);
        turns->wants_bell = true;
        ring_in_time(turns);
    } else {
        lose(turns);
        (void)goes_well(turns, result, &problem);
    }
}

static bool take_turn(struct turns *turns)
{
    struct problem problem;
    if (!goes_well(turns, begin(turns, &problem), &problem) || turns->needs_anew)
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

/* With the lock, so that it cannot be on its way still. */
static void resolve(struct turns *turns)
{
    struct problem problem;
    struct named named = {.ours = &turns->rows[0]};
    struct ledger_fetch fetch = {
        .from = named.ours->seq, .each = name_row, .context = &named};
    int64_t now_us;
    enum ledger_result result =
        turns->config.ops->begin(turns->config.ledger, &fetch, &now_us, &problem);
    if (!goes_well(turns, result, &problem))
        return;
    turns->config.ops->give_up(turns->config.ledger);
    if (named.mine)
        conclude(turns, false);
    else
        lose(turns);
    turns->wants_bell |= named.mine;
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
        refuse_all(turns);
        tell_looks(turns, true);
    }
    if (now_us < turns->try_at_us || turns->gave_up)
        return false;
    enum ledger_result result = turns->config.ops->connect(turns->config.ledger, &problem);
    if (result == LEDGER_OK)
        note_connected(turns);
    else /* whatever it is: another server may be the one */
        note_away(turns, &problem);
    return result == LEDGER_OK;
}

static void wait_until(struct turns *turns, int64_t at_us)
{
    int64_t left_us = at_us - clock_now_us();
    int timeout_ms = left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
    uint64_t rung =
        turns->config.ops->wait(turns->config.ledger, turns->mailbox.event, timeout_ms);
    if (rung > turns->rung)
        turns->rung = rung;
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
    (void)mailbox_look(&turns->mailbox);
    wait_until(turns, earlier(now_us + TRY_US,
                              turns->try_at_us > now_us ? turns->try_at_us : now_us + TRY_US));
}

/* All that others have appended by now. */
static bool catch_up(struct turns *turns)
{
    struct problem problem;
    enum ledger_result result = follower_catch_up(&turns->follower, turns->config.ops,
                                                  turns->config.ledger, &problem);
    if (!goes_well(turns, result, &problem))
        return false;
    if (turns->follower.result == FOLLOW_OK)
        return true;
    turns->needs_anew = true;
    return false;
}

static void anew(struct turns *turns)
{
    struct problem problem;
    turns->needs_anew = !goes_well(turns, read_anew(turns, &problem), &problem);
}

static void do_next(struct turns *turns)
{
    const struct mail mail = mailbox_look(&turns->mailbox);
    int64_t now_us = clock_now_us(), over_at_us;
    int64_t due_us = later_than(share_due(turns->jobd), turns->ahead_us);
    bool over = is_over(turns, &over_at_us), looked = false;
    if (now_us < turns->try_at_us) {
        wait_until(turns, turns->try_at_us);
        return;
    }
    if (mail.looks && turns->looks.len == 0)
        turns->looks = mailbox_take_looks(&turns->mailbox);
    if (mail.calls || due_us <= now_us || over)
        looked = take_turn(turns) && !turns->in_doubt;
    else if (turns->looks.len > 0 || turns->rung > turns->follower.seq)
        looked = catch_up(turns);
    else
        wait_until(turns, earlier(earlier(due_us, now_us + BEAT_US),
                                  turns->wants_bell ? turns->bell_us + BELL_US : JOBD_NEVER));
    if (looked)
        tell_looks(turns, false);
    if (turns->connected)
        ring_in_time(turns);
    if (clock_now_us() - now_us >= BEAT_US) /* nothing was heard: perhaps it was not said */
        turns->rung = turns->follower.seq + 1;
}

static void *turns_main(void *context)
{
    struct turns *turns = context;
    int64_t over_at_us;
    while (!turns->left || turns->in_doubt) {
        if (is_over(turns, &over_at_us) && clock_now_us() > over_at_us)
            break;
        if (!turns->connected && !reconnect(turns))
            wait_away(turns);
        else if (turns->in_doubt)
            resolve(turns);
        else if (turns->needs_anew)
            anew(turns);
        else
            do_next(turns);
    }
    mailbox_refuse(&turns->mailbox, true);
    tell_looks(turns, true);
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
    turns->try_after_us = TRY_US;
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
    enum ledger_result result =
        follower_anew(&turns->follower, turns->config.ops, turns->config.ledger, problem);
    if (result != LEDGER_OK)
        return problem_at(problem, turns->config.name);
    if (turns->follower.result != FOLLOW_OK)
        return problem_set(problem, "%s: %s", turns->config.name, turns->follower.problem.text);
    note_connected(turns);
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
    for (size_t i = 0; i < ROWS_MAX; i++)
        entry_release(&turns->entries[i]);
    mutex_release(&turns->lock);
    mailbox_release(&turns->mailbox);
    free(turns);
}

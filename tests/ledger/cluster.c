/* SPDX-License-Identifier: MIT */
#include "ledger/cluster_inside.h"

#include <string.h>

#include "base/verify.h"
#include "engine/model/check_engine.h"

static const struct jobd_queue_config queues[QUEUES + 1] = {
    {.name = "one",
     .capacity = 2,
     .workers = 1,
     .attempts = 2,
     .backoff_min_us = 20,
     .backoff_max_us = 900,
     .breaker_failures = 3,
     .breaker_us = 700},
    {.name = "few",
     .capacity = 5,
     .workers = 2,
     .backoff_min_us = 50,
     .backoff_max_us = 900,
     .limits = {.running = 3, .starts = 6, .per_us = 9000},
     .by_group = true,
     .group_limits = {.running = 1, .starts = 4, .per_us = 7000},
     .group_waiting = 3},
    {.name = "many",
     .capacity = 30,
     .workers = 2,
     .attempts = 3,
     .timeout_us = 900000,
     .backoff_min_us = 1,
     .backoff_max_us = 5000,
     .by_group = true},
    {.name = "callbacks",
     .capacity = 8,
     .workers = 2,
     .attempts = 2,
     .backoff_min_us = 20,
     .backoff_max_us = 900,
     .deliveries = true},
};

static void unused_due(void *context)
{
    (void)context;
}

/* ---- members */

static void open_engine(struct cluster *cluster, struct member *member)
{
    member->cluster = cluster;
    member->turns = (struct jobd_turns){.due = unused_due, .node = ++cluster->nodes};
    static const struct jobd_schedule_config schedules = {.max = SCHEDULES};
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = QUEUES + 1,
                                       .keep = 4,
                                       .memory_bytes = 9000,
                                       .waiters_max = 20,
                                       .leases_max = 12,
                                       .first_id = 1,
                                       .schedules = &schedules,
                                       .on_failure = {cluster_on_failure, member},
                                       .failed_attempts = true,
                                       .turns = &member->turns};
    verify(jobd_new(&member->jobd, &config) == 0);
    member->follower = (struct follower){.jobd = member->jobd, .own_node = cluster->nodes};
    member->snapshot.format = ENTRY_FORMAT;
    cluster_open_actors(member);
}

static void close_engine(struct member *member)
{
    cluster_close_actors(member);
    snapshot_release(&member->snapshot);
    jobd_free(member->jobd);
    *member = (struct member){.jobd = NULL};
}

/* ---- the log */

/* Who reads all again, so that another may write a snapshot meanwhile; NULL: nobody, or that has
 * happened. */
static struct member *reads;

static void write_snapshot(struct member *member)
{
    struct problem problem;
    member->snapshot.format = ENTRY_FORMAT;
    do
        (void)snapshot_step(&member->snapshot, &member->follower, &memory_ops,
                            &member->cluster->ledger, &problem);
    while (member->snapshot.state != SNAPSHOT_IDLE); /* refused: there is one from there */
}

/* What the reader is about to read goes, as there is a newer snapshot: where one is being written,
 * it becomes whole. */
static void race(void)
{
    if (reads == NULL || below(reads->cluster, 3) != 0)
        return;
    struct cluster *cluster = reads->cluster;
    struct member *writer = &cluster->members[below(cluster, MEMBERS)];
    for (unsigned i = 0; i < MEMBERS; i++)
        if (cluster->members[i].snapshot.state != SNAPSHOT_IDLE)
            writer = &cluster->members[i];
    if (writer != reads && writer->jobd != NULL && writer->follower.seq > 0)
        write_snapshot(writer);
    reads = NULL;
}

static enum ledger_result find_and_race(void *ledger, ledger_each_part *each, void *context,
                                        struct problem *problem)
{
    enum ledger_result result = memory_ops.find_part(ledger, each, context, problem);
    race();
    return result;
}

static enum ledger_result race_and_read(void *ledger, const struct ledger_part *part,
                                        ledger_each_part *each, void *context,
                                        struct problem *problem)
{
    race();
    return memory_ops.read_part(ledger, part, each, context, problem);
}

/* All is read again, from the last snapshot on. */
static void read_anew(struct member *member)
{
    struct problem problem;
    struct follower *follower = &member->follower;
    struct ledger_ops ops = memory_ops;
    ops.find_part = find_and_race;
    ops.read_part = race_and_read;
    reads = member;
    verify(snapshot_anew(follower, &ops, &member->cluster->ledger, &problem) == LEDGER_OK);
    reads = NULL;
    verify(follower->result == FOLLOW_OK);
    snapshot_abandon(&member->snapshot);
}

static void catch_up(struct member *member)
{
    struct problem problem;
    struct follower *follower = &member->follower;
    verify(follower_catch_up(follower, &memory_ops, &member->cluster->ledger, &problem) ==
           LEDGER_OK);
    if (follower->result == FOLLOW_LOST) /* what it has not seen is trimmed */
        read_anew(member);
    verify(follower->result == FOLLOW_OK);
}

struct writing {
    struct entry entry;
    struct cluster *cluster;
};

static void add_news(void *context, const struct news *news)
{
    struct writing *writing = context;
    entry_add(&writing->entry, news);
    cluster_note_news(writing->cluster, news);
}

static void append(struct member *member)
{
    struct cluster *cluster = member->cluster;
    struct writing writing = {.cluster = cluster};
    struct problem problem;
    entry_begin(&writing.entry, ENTRY_FORMAT, cluster->now_us, share_next_id(member->jobd));
    share_each(member->jobd, cluster->now_us, add_news, &writing);
    verify(entry_end(&writing.entry) && share_is_empty(member->jobd));
    if (!member->lost && writing.entry.items > 0) {
        const struct ledger_row row = {.seq = member->follower.seq + 1,
                                       .node = member->turns.node,
                                       .turn = ++member->turn,
                                       .at_us = cluster->now_us,
                                       .body = writing.entry.bytes,
                                       .size = writing.entry.size};
        verify(memory_ops.append(&cluster->ledger, &row, 1, &problem) == LEDGER_OK);
        follower_own(&member->follower, &row);
        cluster_check_order(member);
    }
    cluster->order.news_len = 0;
    cluster->order.some_gone = false;
    entry_release(&writing.entry);
}

/* The next piece of one. While one goes on no other is begun. */
static void step_snapshot(struct member *member)
{
    struct problem problem;
    for (unsigned i = 0; i < MEMBERS && member->snapshot.state == SNAPSHOT_IDLE; i++)
        if (member->cluster->members[i].snapshot.state != SNAPSHOT_IDLE)
            return;
    member->snapshot.format = ENTRY_FORMAT;
    if (member->follower.seq > 0) /* refused: there is one from there */
        (void)snapshot_step(&member->snapshot, &member->follower, &memory_ops,
                            &member->cluster->ledger, &problem);
}

/* ---- turns */

static void take_turn(struct member *member)
{
    struct cluster *cluster = member->cluster;
    unsigned calls = below(cluster, CALLS_MAX);
    catch_up(member);
    member->lost = below(cluster, 100) == 0;
    member->in_turn = true;
    cluster_note_counts(member);
    member->first_id = share_next_id(member->jobd);
    share_begin(member->jobd, cluster->now_us);
    for (unsigned i = 0; i < calls && !share_is_full(member->jobd); i++)
        cluster_call(member);
    if (below(cluster, 4) == 0)
        (void)jobd_tick_waiters(member->jobd, cluster->now_us + below(cluster, 5000));
    bool changed = !share_is_empty(member->jobd), written_first = below(cluster, 2) == 0;
    /* It may be known before or after the news were taken. */
    if (changed && (!member->lost || written_first))
        append(member);
    member->lost &= changed;
    cluster_check_failures(member);
    member->in_turn = false;
    share_end(member->jobd, member->lost);
    cluster_check_failures(member);
    if (member->lost)
        cluster_check_counts(member);
    cluster_tell(member);
    if (member->lost)
        read_anew(member);
    member->lost = false;
    check_engine(member->jobd);
}

/* Each is told once, and only where others may think that nobody runs it. */
static void stop_overdue(struct member *member)
{
    int64_t now_us = member->cluster->now_us, until_us = member->jobd->share->own_until_us;
    unsigned before = member->stops;
    uint32_t told = share_overdue(member->jobd, now_us);
    verify(member->stops == before + told && (told == 0 || until_us <= now_us));
    verify(share_overdue(member->jobd, now_us) == 0);
}

static void pass_time(struct cluster *cluster)
{
    static const unsigned steps[] = {10, 300, 2000, 50000};
    cluster->now_us += 1 + below(cluster, steps[below(cluster, 4)]);
    if (below(cluster, 300) == 0)
        cluster->now_us += INT64_C(70000000); /* longer than workers are believed to go on */
}

static void compare_all(struct cluster *cluster)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        catch_up(&cluster->members[i]);
        share_adopt_time(cluster->members[i].jobd, cluster->now_us);
        share_adopted(cluster->members[i].jobd, 0, cluster->now_us);
    }
    for (unsigned i = 1; i < MEMBERS; i++)
        cluster_compare(cluster->members[0].jobd, cluster->members[i].jobd);
}

void cluster_drive(struct chance *chance, unsigned turns)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    verify(cluster != NULL);
    cluster->chance = chance;
    cluster->now_us = 1000000;
    cluster->worker = jobd_blob_text("somebody");
    verify(turns <= ROWS_MAX);
    memory_ledger_init(&cluster->ledger, turns);
    for (unsigned i = 0; i < MEMBERS; i++)
        open_engine(cluster, &cluster->members[i]);
    for (unsigned i = 0; i < turns && !chance_over(chance); i++) {
        struct member *member = &cluster->members[below(cluster, MEMBERS)];
        if (below(cluster, 200) == 0) { /* it ends, and another begins */
            close_engine(member);
            open_engine(cluster, member);
            read_anew(member);
        }
        take_turn(member);
        if (below(cluster, 10) == 0)
            step_snapshot(member);
        cluster_look(&cluster->members[below(cluster, MEMBERS)]);
        stop_overdue(&cluster->members[below(cluster, MEMBERS)]);
        cluster_look_at_schedules(&cluster->members[below(cluster, MEMBERS)]);
        pass_time(cluster);
        if (i % 20 == 0)
            compare_all(cluster);
    }
    compare_all(cluster);
    for (unsigned i = 0; i < MEMBERS; i++)
        close_engine(&cluster->members[i]);
    memory_ledger_release(&cluster->ledger);
    jobd_blob_unref(cluster->worker);
    free(cluster);
}

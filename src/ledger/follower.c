/* SPDX-License-Identifier: MIT */
#include "ledger/follower.h"

#include "ledger/entry.h"

static bool stop(struct follower *follower, enum follow_result result, const char *why,
                 uint64_t seq)
{
    follower->result = result;
    return problem_set(&follower->problem, "entry %llu %s", (unsigned long long)seq, why);
}

/* ---- one row */

static bool adopt_news(struct follower *follower, const struct ledger_row *row,
                       const struct news *news)
{
    const struct share_source source = {.at_us = row->at_us,
                                        .overlaps = row->seq <= follower->overlaps_to};
    switch (share_adopt(follower->jobd, news, &source)) {
    case SHARE_OK:
        return true;
    case SHARE_ROOM:
        return stop(
            follower, FOLLOW_WRONG,
            "has more jobs, batches or leases than there is room for here: --capacity, --keep, "
            "--workers or --leases are larger elsewhere",
            row->seq);
    case SHARE_NO_MEMORY:
        return stop(follower, FOLLOW_DIFFERS, "cannot be read: out of memory", row->seq);
    case SHARE_WRONG:
        break;
    }
    return stop(follower, FOLLOW_DIFFERS, "does not follow from those before", row->seq);
}

static bool adopt(struct follower *follower, const struct ledger_row *row)
{
    struct entry_reader reader;
    struct news news;
    uint64_t next_id;
    enum entry_result result = entry_open(&reader, row->body, row->size, row->at_us, &next_id);
    if (result == ENTRY_NEWER)
        return stop(follower, FOLLOW_WRONG, "was written by a newer jobd: start that", row->seq);
    if (result != ENTRY_OK)
        return stop(follower, FOLLOW_DIFFERS, "is damaged", row->seq);
    if (row->seq > 0)
        share_adopt_time(follower->jobd, row->at_us);
    while ((result = entry_next(&reader, &news)) == ENTRY_OK) {
        bool good = adopt_news(follower, row, &news);
        entry_release_news(&news);
        if (!good)
            return false;
    }
    if (result != ENTRY_END)
        return stop(follower, FOLLOW_DIFFERS,
                    result == ENTRY_DAMAGED ? "is damaged" : "cannot be read: out of memory",
                    row->seq);
    share_adopted(follower->jobd, next_id, row->at_us);
    return true;
}

bool follower_part(struct follower *follower, const unsigned char *body, size_t size)
{
    const struct ledger_row row = {.body = body, .size = size};
    return adopt(follower, &row);
}

void follower_stand_at(struct follower *follower, uint64_t from, uint64_t to)
{
    follower->seq = from;
    follower->overlaps_to = to;
    follower->nameless = true;
}

static void stand_at(struct follower *follower, const struct ledger_row *row)
{
    follower->seq = row->seq;
    follower->node = row->node;
    follower->turn = row->turn;
    follower->at_us = row->at_us > follower->at_us ? row->at_us : follower->at_us;
}

bool follower_row(void *context, const struct ledger_row *row)
{
    struct follower *follower = context;
    if (row->seq == follower->seq && follower->nameless) {
        follower->nameless = false;
        stand_at(follower, row);
    }
    if (row->seq == follower->seq) {
        follower->seen = row->node == follower->node && row->turn == follower->turn;
        return follower->seen || stop(follower, FOLLOW_LOST, "is another than it was", row->seq);
    }
    if (row->seq != follower->seq + 1 || !follower->seen)
        return stop(follower, FOLLOW_LOST, "comes after others that are gone", row->seq);
    if (!adopt(follower, row))
        return false;
    stand_at(follower, row);
    follower->adopted++;
    follower->bytes += row->size;
    return true;
}

/* ---- several */

void follower_begin(struct follower *follower)
{
    follower->result = FOLLOW_OK;
    follower->seen = follower->seq == 0;
}

uint64_t follower_from(const struct follower *follower)
{
    return follower->seq > 0 ? follower->seq : 1;
}

enum follow_result follower_end(struct follower *follower)
{
    if (follower->result == FOLLOW_OK && !follower->seen)
        (void)stop(follower, FOLLOW_LOST, "is gone, which was there", follower->seq);
    return follower->result;
}

void follower_own(struct follower *follower, const struct ledger_row *row)
{
    stand_at(follower, row);
    follower->bytes += row->size;
}

enum ledger_result follower_catch_up(struct follower *follower, const struct ledger_ops *ops,
                                     void *ledger, struct problem *problem)
{
    struct ledger_fetch fetch = {.each = follower_row, .context = follower, .more = true};
    enum ledger_result result = LEDGER_OK;
    while (result == LEDGER_OK && fetch.more) {
        follower_begin(follower);
        fetch.from = follower_from(follower);
        result = ops->fetch(ledger, &fetch, problem);
        if (result == LEDGER_OK && follower_end(follower) != FOLLOW_OK)
            return LEDGER_OK;
    }
    return result;
}

void follower_forget(struct follower *follower)
{
    share_forget(follower->jobd);
    follower->seq = follower->overlaps_to = follower->bytes = 0;
    follower->nameless = false;
    follower_begin(follower);
}

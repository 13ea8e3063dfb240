/* SPDX-License-Identifier: MIT */
#include "store/crash_clients.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "base/verify.h"

struct hand {
    struct client *client;
    struct chance chance;
    pthread_t thread;
    bool dead; /* the server has not answered */
};

struct ledger ledger;

static struct hand hands[CLIENTS];

/* ---- the ledger */

void ledger_begin(void)
{
    ledger = (struct ledger){.lock = PTHREAD_MUTEX_INITIALIZER,
                             .lines = calloc(JOBS_MAX, sizeof *ledger.lines)};
    assert_non_null(ledger.lines);
}

void ledger_end(const char *what)
{
    fprintf(stderr,
            "%s: %u kills, %u puts and %u ends acknowledged, 0 lost, 0 forgotten, 0 doubled; "
            "%u deliveries, %u of them again\n",
            what, ledger.kills, ledger.acknowledged, ledger.ends, ledger.deliveries,
            ledger.repeats);
    free(ledger.lines);
}

struct line *ledger_line(uint32_t number)
{
    verify(number < ledger.len);
    return &ledger.lines[number];
}

/* ---- what clients do */

static const struct answer *ask(struct hand *hand, const char *method, const char *path,
                                const char *body)
{
    const struct answer *answer = client_send(hand->client, method, path, NULL, body);
    hand->dead = answer->status == 0;
    return answer;
}

/* The client's job of this kind to go on with; NULL when it finds none. It is held. */
static struct line *pick(struct hand *hand, enum last last)
{
    struct line *found = NULL;
    pthread_mutex_lock(&ledger.lock);
    for (int tries = 0; tries < 20 && found == NULL && ledger.len > 0; tries++) {
        uint32_t back = chance_below(&hand->chance, ledger.len < 200 ? ledger.len : 200);
        struct line *line = ledger_line(ledger.len - 1 - back);
        if (line->last == last && !line->held && !line->unsure && !line->local)
            found = line;
    }
    if (found != NULL)
        found->held = true;
    pthread_mutex_unlock(&ledger.lock);
    return found;
}

/* Before something is asked for: until it is answered, nobody knows. The line as it is: when its
 * job goes to another client meanwhile, that one writes into it. */
static struct line intend(struct line *line)
{
    pthread_mutex_lock(&ledger.lock);
    line->unsure = true;
    struct line now = *line;
    pthread_mutex_unlock(&ledger.lock);
    return now;
}

static void settle_locked(struct line *line, bool answered, bool good, enum last last)
{
    line->unsure = !answered || line->moved;
    if (good && !line->moved)
        line->last = last;
    line->held = line->moved = false;
}

static void settle(struct line *line, bool answered, bool good, enum last last)
{
    pthread_mutex_lock(&ledger.lock);
    settle_locked(line, answered, good, last);
    ledger.ends += good && (last == DONE || last == CANCELLED);
    if (good && last == CANCELLED)
        line->cancelled = ledger.ends;
    pthread_mutex_unlock(&ledger.lock);
}

/* Perhaps it is put after another one that is known to be in; `after` is what says so. */
static void put_after_locked(struct hand *hand, struct line *line, char after[AFTER_SIZE])
{
    uint32_t back = 1 + chance_below(&hand->chance, 20), mine = (uint32_t)(line - ledger.lines);
    const struct line *other = back <= mine ? ledger_line(mine - back) : NULL;
    after[0] = '\0';
    if (other == NULL || other->id == 0 || chance_below(&hand->chance, 4) != 0)
        return;
    line->after = mine - back;
    line->waits_for_one = true;
    snprintf(after, AFTER_SIZE, "&if=ended&after=/jobs/%" PRIu64, other->id);
}

static void put(struct hand *hand)
{
    char path[TEXT_SIZE], number[16], after[AFTER_SIZE];
    pthread_mutex_lock(&ledger.lock);
    verify(ledger.len < JOBS_MAX);
    uint32_t mine = ledger.len++;
    struct line *line = ledger_line(mine);
    *line =
        (struct line){.local = chance_below(&hand->chance, 4) == 0, .unsure = true, .held = true};
    put_after_locked(hand, line, after);
    pthread_mutex_unlock(&ledger.lock);
    snprintf(number, sizeof number, "%" PRIu32, mine);
    snprintf(path, sizeof path, "/do/%s?attempts=9&priority=%u%s%s",
             line->local ? "local" : "remote", chance_below(&hand->chance, 8),
             chance_below(&hand->chance, 8) == 0 ? "&delay=10ms" : "", after);
    const struct answer *answer = ask(hand, "POST", path, number);
    pthread_mutex_lock(&ledger.lock);
    settle_locked(line, answer->status != 0, answer->status != 0,
                  answer->status == 202 ? WAITS : REFUSED);
    if (answer->status == 202) {
        line->id = answer_job(answer);
        ledger.acknowledged++;
        if (line->id > ledger.highest_id)
            ledger.highest_id = line->id;
        verify(line->id > ledger.highest_before); /* also after a restart */
    }
    pthread_mutex_unlock(&ledger.lock);
}

/* Several jobs in one request, all or none. */
static void put_batch(struct hand *hand)
{
    char body[64];
    pthread_mutex_lock(&ledger.lock);
    uint32_t first = ledger.len;
    ledger.len += BATCH;
    for (uint32_t i = 0; i < BATCH; i++)
        *ledger_line(first + i) = (struct line){.unsure = true, .held = true};
    pthread_mutex_unlock(&ledger.lock);
    snprintf(body, sizeof body, "%" PRIu32 "\n%" PRIu32 "\n%" PRIu32 "\n", first, first + 1,
             first + 2);
    const struct answer *answer =
        client_send(hand->client, "POST", "/do/remote?attempts=9&batch=lines",
                    FIELDS("Accept: application/json"), body);
    hand->dead = answer->status == 0;
    cJSON *json = answer->status == 202 ? cJSON_Parse(answer->body) : NULL;
    pthread_mutex_lock(&ledger.lock);
    for (int i = 0; i < BATCH; i++) {
        struct line *line = ledger_line(first + (uint32_t)i);
        settle_locked(line, answer->status != 0, answer->status != 0,
                      json != NULL ? WAITS : REFUSED);
        if (json != NULL)
            line->id = (uint64_t)cJSON_GetNumberValue(
                cJSON_GetArrayItem(cJSON_GetObjectItem(json, "ids"), i));
        ledger.acknowledged += json != NULL;
    }
    pthread_mutex_unlock(&ledger.lock);
    cJSON_Delete(json);
}

/* What a lease's holder says of it. */
static void end_lease(struct hand *hand, struct line *line, uint32_t number)
{
    char path[TEXT_SIZE], body[32];
    unsigned which = chance_below(&hand->chance, 10);
    if (which >= 8) { /* keeps it */
        settle(line, true, false, LEASED);
        return;
    }
    const struct line now = intend(line);
    snprintf(body, sizeof body, "output %" PRIu32, number);
    snprintf(path, sizeof path, "%s/%s", now.token,
             which < 4   ? "done"
             : which < 5 ? "fail?delay=0ms"
             : which < 7 ? "release"
                         : "extend?lease=1h");
    const struct answer *answer = ask(hand, "POST", path, which < 4 ? body : NULL);
    settle(line, answer->status != 0, answer->status == 200,
           which < 4   ? DONE
           : which < 7 ? WAITS
                       : LEASED);
}

static void take(struct hand *hand)
{
    char room[256];
    pthread_mutex_lock(&ledger.lock);
    unsigned before = ledger.ends;
    pthread_mutex_unlock(&ledger.lock);
    const struct answer *answer = ask(hand, "POST", "/take/remote?lease=1h", NULL);
    if (answer->status != 200)
        return;
    uint32_t number = (uint32_t)strtoul(answer->body, NULL, 10);
    pthread_mutex_lock(&ledger.lock);
    struct line *line = ledger_line(number);
    if (line->cancelled > before) { /* before it was taken, or after: nobody knows */
        line->unsure = true;
        line->moved = line->held;
        pthread_mutex_unlock(&ledger.lock);
        return;
    }
    /* Nobody else has it, unless the ledger does not know. */
    verify(line->last != LEASED || line->unsure);
    verify((line->last != DONE && line->last != CANCELLED && line->last != REFUSED) ||
           line->unsure);
    unsigned attempt = (unsigned)strtoul(answer_field(answer, "Jobd-Attempt", room), NULL, 10);
    ledger.deliveries++;
    ledger.repeats += attempt > 1;
    line->attempt = attempt;
    line->id = strtoull(answer_field(answer, "Jobd-Id", room), NULL, 10);
    snprintf(line->token, sizeof line->token, "/leases/%.32s",
             answer_field(answer, "Location", room) + strlen("/leases/"));
    line->last = LEASED;
    bool held = line->held; /* its put_waiter, or who cancels it, is not answered yet */
    line->unsure = line->moved = held;
    line->held = true;
    pthread_mutex_unlock(&ledger.lock);
    if (!held)
        end_lease(hand, line, number);
}

static void go_on_with_lease(struct hand *hand)
{
    struct line *line = pick(hand, LEASED);
    if (line != NULL)
        end_lease(hand, line, (uint32_t)(line - ledger.lines));
}

/* A worker that was too slow: its job has ended or goes again, and nothing it says changes that. */
static void be_late(struct hand *hand)
{
    char path[TEXT_SIZE];
    struct line *line = pick(hand, chance_below(&hand->chance, 2) == 0 ? WAITS : CANCELLED);
    if (line == NULL)
        return;
    pthread_mutex_lock(&ledger.lock);
    bool known = line->token[0] != '\0' && line->last != LEASED;
    snprintf(path, sizeof path, "%s/done", line->token);
    pthread_mutex_unlock(&ledger.lock);
    long status = known ? ask(hand, "POST", path, "late")->status : 409;
    verify(status == 0 || status == 404 || status == 409);
    pthread_mutex_lock(&ledger.lock);
    settle_locked(line, true, false, line->last);
    pthread_mutex_unlock(&ledger.lock);
}

static void cancel(struct hand *hand)
{
    char path[TEXT_SIZE];
    struct line *line = pick(hand, chance_below(&hand->chance, 2) == 0 ? WAITS : LEASED);
    if (line == NULL)
        return;
    snprintf(path, sizeof path, "/jobs/%" PRIu64, intend(line).id);
    const struct answer *answer = ask(hand, "DELETE", path, NULL);
    settle(line, answer->status != 0, answer->status == 200 || answer->status == 202, CANCELLED);
}

static void retry(struct hand *hand)
{
    char path[TEXT_SIZE];
    struct line *line = pick(hand, CANCELLED);
    if (line == NULL)
        return;
    pthread_mutex_lock(&ledger.lock);
    line->again = true;
    pthread_mutex_unlock(&ledger.lock);
    snprintf(path, sizeof path, "/jobs/%" PRIu64 "/retry", intend(line).id);
    const struct answer *answer = ask(hand, "POST", path, NULL);
    settle(line, answer->status != 0, answer->status == 202, WAITS);
}

static void *work(void *context)
{
    struct hand *hand = context;
    while (!hand->dead) {
        unsigned which = chance_below(&hand->chance, 20);
        if (which < 7)
            put(hand);
        else if (which < 8)
            put_batch(hand);
        else if (which < 13)
            take(hand);
        else if (which < 16)
            go_on_with_lease(hand);
        else if (which < 18)
            cancel(hand);
        else if (which < 19)
            be_late(hand);
        else
            retry(hand);
    }
    return NULL;
}

void clients_start(struct server *server, struct chance *chance)
{
    ledger.highest_before = ledger.highest_id;
    for (unsigned i = 0; i < CLIENTS; i++) {
        hands[i] = (struct hand){.client = client_new(server),
                                 .chance = chance_seeded(chance_below(chance, 1U << 30))};
        assert_int_equal(pthread_create(&hands[i].thread, NULL, work, &hands[i]), 0);
    }
}

void clients_join(void)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(hands[i].thread, NULL), 0);
        client_free(hands[i].client);
    }
}

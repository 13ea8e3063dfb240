/* SPDX-License-Identifier: MIT */
#include "ledger/memory_ledger.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "ledger/entry.h"

void memory_ledger_init(struct memory_ledger *ledger, uint64_t rows_max)
{
    *ledger = (struct memory_ledger){.rows_max = rows_max, .first = 1, .connected = true};
    ledger->rows = calloc(rows_max + 1, sizeof *ledger->rows);
    verify(ledger->rows != NULL);
}

static void free_body(const unsigned char *body)
{
    union {
        const unsigned char *read;
        unsigned char *own;
    } as = {.read = body};
    free(as.own);
}

static const unsigned char *copy_body(const unsigned char *body, size_t size)
{
    unsigned char *copy = malloc(size > 0 ? size : 1);
    verify(copy != NULL);
    if (size > 0)
        memcpy(copy, body, size);
    return copy;
}

static void drop_parts(struct memory_ledger *ledger, uint64_t below)
{
    struct memory_part **at = &ledger->parts;
    while (*at != NULL) {
        struct memory_part *part = *at;
        if (part->part.from >= below) {
            at = &part->next;
            continue;
        }
        *at = part->next;
        free_body(part->part.body);
        free(part);
    }
}

void memory_ledger_release(struct memory_ledger *ledger)
{
    for (uint64_t seq = 1; seq <= ledger->rows_len; seq++)
        free_body(ledger->rows[seq].body);
    free(ledger->rows);
    drop_parts(ledger, UINT64_MAX);
}

/* ---- the log */

static enum ledger_result connect_again(void *context, struct problem *problem)
{
    struct memory_ledger *ledger = context;
    if (ledger->away > 0) {
        ledger->away--;
        (void)problem_set(problem, "nobody is there");
        return LEDGER_AWAY;
    }
    ledger->connected = true;
    return LEDGER_OK;
}

static enum ledger_result fetch(void *context, struct ledger_fetch *fetch, struct problem *problem)
{
    struct memory_ledger *ledger = context;
    uint64_t seq = fetch->from > ledger->first ? fetch->from : ledger->first, left = 10;
    bool wanted = true;
    (void)problem;
    atomic_fetch_add(&ledger->fetches, 1);
    for (; seq <= ledger->rows_len && wanted && left > 0; seq++, left--)
        wanted = fetch->each(fetch->context, &ledger->rows[seq]);
    fetch->more = wanted && seq <= ledger->rows_len;
    return LEDGER_OK;
}

static enum ledger_result begin(void *context, struct ledger_fetch *rows, struct ledger_turn *turn,
                                struct problem *problem)
{
    struct memory_ledger *ledger = context;
    void (*on_begin)(void) = atomic_exchange(&ledger->on_begin, NULL);
    if (on_begin != NULL)
        on_begin();
    *turn = (struct ledger_turn){.now_us = ledger->now_us, .format = ENTRY_FORMAT};
    return fetch(context, rows, problem);
}

static enum ledger_result append(void *context, const struct ledger_row *rows, size_t len,
                                 struct problem *problem)
{
    struct memory_ledger *ledger = context;
    unsigned fault = atomic_exchange(&ledger->fault, FAULT_NONE);
    (void)problem_set(problem, "as the test wants it");
    if (fault == FAULT_SLOW) {
        ledger->slow(ledger->slow_context);
        fault = FAULT_NONE;
    }
    for (size_t i = 0; i < len && fault != FAULT_LOST && fault != FAULT_REFUSED; i++) {
        verify(rows[i].seq == ledger->rows_len + 1 && ledger->rows_len < ledger->rows_max);
        ledger->rows[rows[i].seq] = rows[i];
        ledger->rows[rows[i].seq].body = copy_body(rows[i].body, rows[i].size);
        ledger->rows_len++;
    }
    ledger->connected = fault == FAULT_NONE || fault == FAULT_REFUSED;
    if (fault == FAULT_REFUSED)
        return LEDGER_REFUSED;
    return fault == FAULT_NONE ? LEDGER_OK : LEDGER_AWAY;
}

static void on_slow(void *context, void (*slow)(void *context), void *slow_context)
{
    struct memory_ledger *ledger = context;
    ledger->slow = slow;
    ledger->slow_context = slow_context;
}

static void give_up(void *context)
{
    (void)context;
}

static void notify(void *context, uint64_t seq)
{
    (void)context, (void)seq;
}

static uint64_t wait_for(void *context, int event, int timeout_ms)
{
    struct pollfd poll_for = {.fd = event, .events = POLLIN};
    struct memory_ledger *ledger = context;
    atomic_fetch_add(&ledger->waits, 1);
    (void)poll(&poll_for, 1, timeout_ms);
    return 0;
}

static void beat(void *context)
{
    (void)context;
}

static enum ledger_result look_for(void *context, uint32_t node, bool *absent,
                                   struct problem *problem)
{
    (void)context, (void)node, (void)problem;
    *absent = false;
    return LEDGER_OK;
}

/* ---- snapshots */

static enum ledger_result claim(void *context, bool *mine, struct problem *problem)
{
    (void)context, (void)problem;
    *mine = true;
    return LEDGER_OK;
}

static enum ledger_result keep_part(void *context, const struct ledger_part *part,
                                    struct problem *problem)
{
    struct memory_ledger *ledger = context;
    for (const struct memory_part *other = ledger->parts; other != NULL; other = other->next)
        if (other->part.from == part->from && other->part.part == part->part)
            return problem_set(problem, "there is such a part") ? LEDGER_OK : LEDGER_REFUSED;
    struct memory_part *own = malloc(sizeof *own);
    verify(own != NULL);
    own->part = *part;
    own->part.body = copy_body(part->body, part->size);
    own->next = ledger->parts;
    ledger->parts = own;
    return LEDGER_OK;
}

static enum ledger_result trim(void *context, uint64_t from, bool *more, struct problem *problem)
{
    struct memory_ledger *ledger = context;
    (void)problem;
    drop_parts(ledger, from);
    for (; ledger->first < from; ledger->first++) {
        free_body(ledger->rows[ledger->first].body);
        ledger->rows[ledger->first].body = NULL;
    }
    *more = false;
    return LEDGER_OK;
}

static enum ledger_result find_part(void *context, ledger_each_part *each, void *each_context,
                                    struct problem *problem)
{
    struct memory_ledger *ledger = context;
    const struct memory_part *newest = NULL, *part;
    if (ledger->refuses > 0) {
        ledger->refuses--;
        ledger->hasty += atomic_exchange(&ledger->waits, 0) == 0;
        (void)problem_set(problem, "not now");
        return LEDGER_REFUSED;
    }
    for (part = ledger->parts; part != NULL; part = part->next)
        if (part->part.part == LEDGER_PART_WHOLE &&
            (newest == NULL || part->part.from > newest->part.from))
            newest = part;
    if (newest != NULL)
        verify(each(each_context, &newest->part));
    return LEDGER_OK;
}

static enum ledger_result read_part(void *context, const struct ledger_part *wanted,
                                    ledger_each_part *each, void *each_context,
                                    struct problem *problem)
{
    const struct memory_ledger *ledger = context;
    const struct memory_part *part = ledger->parts;
    (void)problem;
    while (part != NULL && (part->part.from != wanted->from || part->part.part != wanted->part))
        part = part->next;
    if (part != NULL)
        (void)each(each_context, &part->part);
    return LEDGER_OK;
}

const struct ledger_ops memory_ops = {
    .on_slow = on_slow,
    .connect = connect_again,
    .fetch = fetch,
    .begin = begin,
    .append = append,
    .give_up = give_up,
    .notify = notify,
    .wait = wait_for,
    .beat = beat,
    .look_for = look_for,
    .claim = claim,
    .keep_part = keep_part,
    .trim = trim,
    .find_part = find_part,
    .read_part = read_part,
};

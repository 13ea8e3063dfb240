/* SPDX-License-Identifier: MIT */
/* Statements go out in flights, several at once and a sync behind them, and their answers come back
 * in order: a turn is two flights. The socket does not block; poll() waits for it. */
#include "ledger/ledger_inside.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/event.h"

enum { APPEND_MAX = 64 /* rows of one turn */, TRIM_MAX = 1000 /* at a time */ };

/* ---- waiting for the socket */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sends what there is to send. -1: the connection is lost; 1: not all of it, yet. */
static int flush(struct ledger *ledger)
{
    return PQflush(ledger->connection);
}

/* Until something can be read or written; false when that is not so in time, or it is lost. */
static bool wait_for_socket(struct ledger *ledger, int64_t until_ms)
{
    int unsent = flush(ledger);
    int64_t left_ms = until_ms - now_ms();
    struct pollfd poll_for = {.fd = PQsocket(ledger->connection),
                              .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};
    if (unsent < 0 || left_ms <= 0)
        return false;
    if (event_poll(&poll_for, 1, (int)left_ms) <= 0)
        return left_ms > 1; /* a signal, perhaps: look at the time again */
    return (poll_for.revents & ~POLLOUT) == 0 || PQconsumeInput(ledger->connection) == 1;
}

/* The next result of the flight, the caller's; NULL behind the last one of each statement. False
 * when there is no connection any more. */
static bool next_result(struct ledger *ledger, PGresult **result)
{
    const int64_t slow_ms = now_ms() + LEDGER_SLOW_MS;
    int64_t until_ms = slow_ms;
    while (PQisBusy(ledger->connection)) {
        if (wait_for_socket(ledger, until_ms))
            continue;
        /* In its last millisecond a signal ends a wait, too: that is no lost connection. */
        if (until_ms > slow_ms || now_ms() + 1 < slow_ms)
            return false;
        until_ms += LEDGER_PATIENCE_MS - LEDGER_SLOW_MS;
        if (ledger->slow != NULL)
            ledger->slow(ledger->slow_context);
    }
    *result = PQgetResult(ledger->connection);
    return PQstatus(ledger->connection) == CONNECTION_OK || *result != NULL;
}

/* Everything up to the sync of a flight that nobody waits for. */
static bool skip_flight(struct ledger *ledger)
{
    PGresult *result;
    bool synced = false;
    unsigned empty = 0;
    while (!synced && next_result(ledger, &result)) {
        synced = result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        empty = result == NULL ? empty + 1 : 0;
        PQclear(result);
        if (empty > 1) /* there is nothing that could come */
            return false;
    }
    return synced;
}

/* ---- flights */

static enum ledger_result away(struct ledger *ledger, struct problem *problem)
{
    ledger_problem(ledger, NULL, problem);
    ledger_disconnect(ledger);
    return LEDGER_AWAY;
}

struct parameters {
    int len;
    const char *values[5];
    int lengths[5];
    int formats[5];
};

static bool send_statement(struct ledger *ledger, const char *name,
                           const struct parameters *parameters)
{
    static const struct parameters none;
    if (parameters == NULL)
        parameters = &none;
    return PQsendQueryPrepared(ledger->connection, name, parameters->len, parameters->values,
                               parameters->lengths, parameters->formats, 1) == 1;
}

static bool end_flight(struct ledger *ledger)
{
    return PQpipelineSync(ledger->connection) == 1 && flush(ledger) >= 0;
}

/* Nobody waits for its answers. */
static void send_alone(struct ledger *ledger, const char *name, const struct parameters *parameters)
{
    if (ledger->connection != NULL && send_statement(ledger, name, parameters) &&
        end_flight(ledger))
        ledger->unread++;
    else
        ledger_disconnect(ledger); /* the next flight will say so */
}

static bool skip_unread(struct ledger *ledger)
{
    while (ledger->unread > 0 && skip_flight(ledger))
        ledger->unread--;
    return ledger->unread == 0;
}

/* The one result of a statement: LEDGER_OK and *result, or what its error means. */
static enum ledger_result answer(struct ledger *ledger, PGresult **result, struct problem *problem)
{
    PGresult *end = NULL;
    if (!next_result(ledger, result) || *result == NULL)
        return LEDGER_AWAY;
    ExecStatusType status = PQresultStatus(*result);
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    enum ledger_result judged = good ? LEDGER_OK : ledger_judge(ledger, *result);
    if (!good && status != PGRES_PIPELINE_ABORTED)
        ledger_problem(ledger, *result, problem);
    if (!good) {
        PQclear(*result);
        *result = NULL;
    }
    if (!next_result(ledger, &end) || end != NULL) {
        PQclear(end);
        PQclear(*result);
        *result = NULL;
        return LEDGER_AWAY;
    }
    return judged;
}

/* All answers of a flight of `len` statements, given in results[] where they are good: the caller
 * clears them. The first error counts. */
static enum ledger_result answers(struct ledger *ledger, PGresult **results, int len,
                                  struct problem *problem)
{
    enum ledger_result result = LEDGER_OK;
    if (!skip_unread(ledger))
        return LEDGER_AWAY;
    for (int i = 0; i < len; i++) {
        enum ledger_result one = answer(ledger, &results[i], problem);
        if (one == LEDGER_AWAY)
            return LEDGER_AWAY;
        if (result == LEDGER_OK)
            result = one;
    }
    PGresult *sync = NULL;
    if (!next_result(ledger, &sync) || PQresultStatus(sync) != PGRES_PIPELINE_SYNC) {
        PQclear(sync);
        return LEDGER_AWAY;
    }
    PQclear(sync);
    return result;
}

static void clear(PGresult **results, int len)
{
    for (int i = 0; i < len; i++)
        PQclear(results[i]);
}

/* ---- values, in the order of the network */

static int64_t number_at(const PGresult *result, int row, int column)
{
    uint64_t eight;
    uint32_t four;
    const char *bytes = PQgetvalue(result, row, column);
    if (PQgetlength(result, row, column) == 8) {
        memcpy(&eight, bytes, sizeof eight);
        return (int64_t)be64toh(eight);
    }
    memcpy(&four, bytes, sizeof four);
    return (int32_t)be32toh(four);
}

static void add_parameter(struct parameters *parameters, const void *bytes, size_t size)
{
    parameters->values[parameters->len] = bytes;
    parameters->lengths[parameters->len] = (int)size;
    parameters->formats[parameters->len] = 1;
    parameters->len++;
}

static void give_rows(const PGresult *result, struct ledger_fetch *fetch)
{
    bool wanted = true;
    for (int i = 0; i < PQntuples(result) && wanted; i++) {
        const struct ledger_row row = {.seq = (uint64_t)number_at(result, i, 0),
                                       .node = (uint32_t)number_at(result, i, 1),
                                       .turn = (uint64_t)number_at(result, i, 2),
                                       .at_us = number_at(result, i, 3),
                                       .body = (const unsigned char *)PQgetvalue(result, i, 4),
                                       .size = (size_t)PQgetlength(result, i, 4)};
        wanted = fetch->each(fetch->context, &row);
    }
}

/* ---- what may be asked for */

static enum ledger_result ledger_fetch_rows(void *context, struct ledger_fetch *fetch,
                                            struct problem *problem)
{
    struct ledger *ledger = context;
    struct parameters from = {.len = 0};
    PGresult *result = NULL;
    uint64_t seq = htobe64(fetch->from);
    add_parameter(&from, &seq, sizeof seq);
    const char *name = ledger->in_turn ? "next" : "fetch";
    if (ledger->connection == NULL || !send_statement(ledger, name, &from) || !end_flight(ledger))
        return away(ledger, problem);
    enum ledger_result judged = answers(ledger, &result, 1, problem);
    if (judged == LEDGER_OK) {
        fetch->more = PQntuples(result) > 1;
        give_rows(result, fetch);
    }
    PQclear(result);
    return judged == LEDGER_AWAY ? away(ledger, problem) : judged;
}

static void end_turn(struct ledger *ledger)
{
    if (ledger->in_turn)
        send_alone(ledger, "rollback", NULL);
    ledger->in_turn = false;
}

/* What the row of jobd_head says. */
static enum ledger_result read_head(const PGresult *result, struct ledger_turn *turn,
                                    struct problem *problem)
{
    if (PQntuples(result) != 1) {
        problem_set(problem, "jobd_head is empty");
        return LEDGER_WRONG;
    }
    *turn = (struct ledger_turn){.now_us = number_at(result, 0, 1),
                                 .format = (unsigned)number_at(result, 0, 0)};
    if (turn->format >= ENTRY_FORMAT_FIRST && turn->format <= ENTRY_FORMAT)
        return LEDGER_OK;
    problem_set(problem, "a newer jobd has written there: start that");
    return LEDGER_WRONG;
}

static enum ledger_result ledger_begin(void *context, struct ledger_fetch *fetch,
                                       struct ledger_turn *turn, struct problem *problem)
{
    enum { BEGIN, LOCK, NEXT, LEN };
    struct ledger *ledger = context;
    struct parameters from = {.len = 0};
    PGresult *results[LEN] = {NULL};
    uint64_t seq = htobe64(fetch->from);
    add_parameter(&from, &seq, sizeof seq);
    if (ledger->connection == NULL || !send_statement(ledger, "begin", NULL) ||
        !send_statement(ledger, "lock", NULL) || !send_statement(ledger, "next", &from) ||
        !end_flight(ledger))
        return away(ledger, problem);
    enum ledger_result judged = answers(ledger, results, LEN, problem);
    ledger->in_turn = true;
    if (judged == LEDGER_OK)
        judged = read_head(results[LOCK], turn, problem);
    if (judged == LEDGER_OK) {
        fetch->more = PQntuples(results[NEXT]) > 1;
        give_rows(results[NEXT], fetch);
    }
    clear(results, LEN);
    if (judged == LEDGER_AWAY)
        return away(ledger, problem);
    if (judged != LEDGER_OK)
        end_turn(ledger);
    return judged;
}

static bool send_row(struct ledger *ledger, const struct ledger_row *row)
{
    struct parameters values = {.len = 0};
    uint64_t seq = htobe64(row->seq), turn = htobe64(row->turn);
    uint64_t at = htobe64((uint64_t)row->at_us);
    uint32_t node = htobe32(row->node);
    add_parameter(&values, &seq, sizeof seq);
    add_parameter(&values, &node, sizeof node);
    add_parameter(&values, &turn, sizeof turn);
    add_parameter(&values, &at, sizeof at);
    add_parameter(&values, row->body, row->size);
    return send_statement(ledger, "add", &values);
}

static enum ledger_result ledger_append(void *context, const struct ledger_row *rows, size_t len,
                                        struct problem *problem)
{
    struct ledger *ledger = context;
    PGresult *results[APPEND_MAX + 1] = {NULL};
    ledger->warned = false;
    bool sent = ledger->connection != NULL && ledger->in_turn && len <= APPEND_MAX;
    for (size_t i = 0; i < len && sent; i++)
        sent = send_row(ledger, &rows[i]);
    if (!sent || !send_statement(ledger, "commit", NULL) || !end_flight(ledger))
        return away(ledger, problem);
    enum ledger_result judged = answers(ledger, results, (int)len + 1, problem);
    bool committed = judged == LEDGER_OK && strcmp(PQcmdStatus(results[len]), "COMMIT") == 0;
    clear(results, (int)len + 1);
    if (judged == LEDGER_AWAY || (committed && ledger->warned)) /* it may not be at the standby */
        return away(ledger, problem);
    if (judged == LEDGER_OK && !committed) { /* ROLLBACK: a statement before it has failed */
        problem_set(problem, "the transaction was rolled back");
        judged = LEDGER_REFUSED;
    }
    if (committed)
        ledger->in_turn = false;
    else
        end_turn(ledger);
    return judged;
}

static void ledger_give_up(void *context)
{
    end_turn(context);
}

static void ledger_notify(void *context, uint64_t seq)
{
    struct ledger *ledger = context;
    struct parameters values = {.len = 0};
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seq);
    add_parameter(&values, ledger->channel, strlen(ledger->channel));
    add_parameter(&values, text, strlen(text));
    send_alone(ledger, "notify", &values);
}

/* What has come in already; the highest number that others have notified of. */
static uint64_t heard(struct ledger *ledger)
{
    uint64_t highest = 0;
    PGnotify *notify;
    while (ledger->connection != NULL && (notify = PQnotifies(ledger->connection)) != NULL) {
        uint64_t seq = strtoull(notify->extra, NULL, 10);
        if (notify->be_pid != PQbackendPID(ledger->connection) && seq > highest)
            highest = seq;
        PQfreemem(notify);
    }
    return highest;
}

static void read_what_came(struct ledger *ledger)
{
    if (PQconsumeInput(ledger->connection) != 1) {
        ledger_disconnect(ledger);
        return;
    }
    while (ledger->unread > 0 && !PQisBusy(ledger->connection)) {
        PGresult *result = PQgetResult(ledger->connection);
        ledger->unread -= PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
    }
}

static uint64_t ledger_wait(void *context, int event, int timeout_ms)
{
    struct ledger *ledger = context;
    uint64_t seq = heard(ledger);
    if (seq > 0)
        return seq;
    if (ledger->connection != NULL && flush(ledger) < 0)
        ledger_disconnect(ledger);
    int socket = ledger->connection != NULL ? PQsocket(ledger->connection) : -1;
    struct pollfd polls[] = {{.fd = event, .events = POLLIN}, {.fd = socket, .events = POLLIN}};
    if (event_poll(polls, 2, timeout_ms) > 0 && polls[1].revents != 0)
        read_what_came(ledger);
    return heard(ledger);
}

/* ---- snapshots */

/* One statement outside of a turn, and its result where that is good, for the caller to clear. */
static enum ledger_result ask(struct ledger *ledger, const char *name,
                              const struct parameters *parameters, PGresult **result,
                              struct problem *problem)
{
    *result = NULL;
    if (ledger->connection == NULL || !send_statement(ledger, name, parameters) ||
        !end_flight(ledger))
        return away(ledger, problem);
    enum ledger_result judged = answers(ledger, result, 1, problem);
    return judged == LEDGER_AWAY ? away(ledger, problem) : judged;
}

static void ledger_beat(void *context)
{
    presence_keep(context);
}

static enum ledger_result ledger_look_for(void *context, uint32_t node, bool *absent,
                                          struct problem *problem)
{
    struct parameters values = {.len = 0};
    uint32_t number = htobe32(node);
    PGresult *result;
    add_parameter(&values, &number, sizeof number);
    enum ledger_result judged = ask(context, "absent", &values, &result, problem);
    *absent = judged == LEDGER_OK && PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] != 0;
    PQclear(result);
    return judged;
}

static enum ledger_result ledger_claim(void *context, bool *mine, struct problem *problem)
{
    struct ledger *ledger = context;
    struct parameters values = {.len = 0};
    uint32_t node = htobe32(ledger->node);
    PGresult *result;
    add_parameter(&values, &node, sizeof node);
    enum ledger_result judged = ask(ledger, "claim", &values, &result, problem);
    *mine = judged == LEDGER_OK && PQntuples(result) == 1;
    PQclear(result);
    return judged;
}

static enum ledger_result ledger_keep_part(void *context, const struct ledger_part *part,
                                           struct problem *problem)
{
    struct parameters values = {.len = 0};
    uint64_t from = htobe64(part->from);
    uint32_t number = htobe32((uint32_t)part->part);
    PGresult *result;
    add_parameter(&values, &from, sizeof from);
    add_parameter(&values, &number, sizeof number);
    add_parameter(&values, part->body, part->size);
    enum ledger_result judged = ask(context, "keep", &values, &result, problem);
    PQclear(result);
    return judged;
}

/* One of the statements that take rows' numbers, and say nothing. */
static enum ledger_result tell_rows(struct ledger *ledger, const char *name, const uint64_t *rows,
                                    int len, struct problem *problem)
{
    struct parameters values = {.len = 0};
    uint64_t numbers[2];
    PGresult *result;
    for (int i = 0; i < len; i++) {
        numbers[i] = htobe64(rows[i]);
        add_parameter(&values, &numbers[i], sizeof numbers[i]);
    }
    enum ledger_result judged = ask(ledger, name, &values, &result, problem);
    PQclear(result);
    return judged;
}

static enum ledger_result begin_trimming(struct ledger *ledger, uint64_t from,
                                         struct problem *problem)
{
    PGresult *result;
    enum ledger_result judged = tell_rows(ledger, "drop", &from, 1, problem);
    if (judged != LEDGER_OK)
        return judged;
    judged = ask(ledger, "first", NULL, &result, problem);
    if (judged == LEDGER_OK) {
        ledger->trims_at = (uint64_t)number_at(result, 0, 0);
        ledger->trims_to = from;
    }
    PQclear(result);
    return judged;
}

static enum ledger_result ledger_trim(void *context, uint64_t from, bool *more,
                                      struct problem *problem)
{
    struct ledger *ledger = context;
    *more = true;
    if (ledger->trims_to != from)
        return begin_trimming(ledger, from, problem);
    *more = ledger->trims_at < from;
    if (!*more) {
        ledger->trims_to = 0;
        return tell_rows(ledger, "trimmed", &from, 1, problem);
    }
    uint64_t end = from - ledger->trims_at > TRIM_MAX ? ledger->trims_at + TRIM_MAX : from;
    const uint64_t rows[] = {ledger->trims_at, end};
    enum ledger_result judged = tell_rows(ledger, "trim", rows, 2, problem);
    if (judged == LEDGER_OK)
        ledger->trims_at = end;
    return judged;
}

static void give_part(const PGresult *result, ledger_each_part *each, void *context)
{
    if (PQntuples(result) != 1)
        return;
    const struct ledger_part part = {.from = (uint64_t)number_at(result, 0, 0),
                                     .part = (int32_t)number_at(result, 0, 1),
                                     .body = (const unsigned char *)PQgetvalue(result, 0, 2),
                                     .size = (size_t)PQgetlength(result, 0, 2)};
    (void)each(context, &part);
}

static enum ledger_result ledger_find_part(void *context, ledger_each_part *each,
                                           void *each_context, struct problem *problem)
{
    PGresult *result;
    enum ledger_result judged = ask(context, "find", NULL, &result, problem);
    if (judged == LEDGER_OK)
        give_part(result, each, each_context);
    PQclear(result);
    return judged;
}

static enum ledger_result ledger_read_part(void *context, const struct ledger_part *part,
                                           ledger_each_part *each, void *each_context,
                                           struct problem *problem)
{
    struct parameters values = {.len = 0};
    uint64_t from = htobe64(part->from);
    uint32_t number = htobe32((uint32_t)part->part);
    PGresult *result;
    add_parameter(&values, &from, sizeof from);
    add_parameter(&values, &number, sizeof number);
    enum ledger_result judged = ask(context, "part", &values, &result, problem);
    if (judged == LEDGER_OK)
        give_part(result, each, each_context);
    PQclear(result);
    return judged;
}

static void ledger_on_slow(void *context, void (*slow)(void *context), void *slow_context)
{
    struct ledger *ledger = context;
    ledger->slow = slow;
    ledger->slow_context = slow_context;
}

static enum ledger_result ledger_connect_again(void *context, struct problem *problem)
{
    return ledger_connect(context, problem);
}

const struct ledger_ops ledger_ops = {
    .on_slow = ledger_on_slow,
    .connect = ledger_connect_again,
    .fetch = ledger_fetch_rows,
    .begin = ledger_begin,
    .append = ledger_append,
    .give_up = ledger_give_up,
    .notify = ledger_notify,
    .wait = ledger_wait,
    .beat = ledger_beat,
    .look_for = ledger_look_for,
    .claim = ledger_claim,
    .keep_part = ledger_keep_part,
    .trim = ledger_trim,
    .find_part = ledger_find_part,
    .read_part = ledger_read_part,
};

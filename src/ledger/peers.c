/* SPDX-License-Identifier: MIT */
/* The rows of servers in the table jobd_node: this one's is kept, those of servers long gone are
 * removed, and those of others that are there are compared with it, as whoever has the turn goes by
 * its own limits. They also say which format all of them can read. On the connection of presence.c;
 * the turns' thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "jobd/queue.h"
#include "ledger/ledger_inside.h"

#define EVERY_MS 20000

/* Who holds the lock that presence.c says is there. */
#define IS_THERE                                                                                   \
    "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"        \
    " AND classid = 'jobd_log'::regclass::oid AND objid = jobd_node.id::oid"                       \
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- one server beside another */

enum { LIST_SIZE = 400 };

/* The line of that queue: `NAME word word ...`; NULL: there is none. */
static const char *line_of(const char *text, const char *name, size_t size)
{
    for (; *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n')
        if (strncmp(text, name, size) == 0 && text[size] == ' ')
            return text;
    return NULL;
}

static void add_word(char list[LIST_SIZE], const char *word, size_t size)
{
    size_t used = strlen(list);
    snprintf(list + used, LIST_SIZE - used, "%s%.*s", used > 0 ? " " : "", (int)size, word);
}

/* The words that differ; in both lines they stand in the same order. */
static void differing(const char *own, const char *other, char mine[LIST_SIZE], char its[LIST_SIZE])
{
    mine[0] = its[0] = '\0';
    for (;;) {
        size_t own_size = strcspn(own, " \n"), other_size = strcspn(other, " \n");
        if (own_size != other_size || strncmp(own, other, own_size) != 0) {
            add_word(mine, own, own_size);
            add_word(its, other, other_size);
        }
        own += own_size;
        other += other_size;
        if (*own != ' ' || *other != ' ')
            return;
        own++;
        other++;
    }
}

static void compare(const struct ledger *ledger, const char *own, const char *name,
                    const char *other)
{
    char mine[LIST_SIZE], its[LIST_SIZE];
    for (; *own != '\0'; own += strcspn(own, "\n"), own += *own == '\n') {
        size_t size = strcspn(own, " \n");
        const char *line = line_of(other, own, size);
        if (line == NULL)
            continue;
        differing(own, line, mine, its);
        if (mine[0] != '\0')
            log_warn("%s: queue %.*s: %s here, %s at %s: who has the turn goes by his own",
                     ledger->name, (int)size, own, mine, its, name);
    }
}

/* FNV-1a, of Fowler, Noll and Vo. */
static uint32_t sum_of(uint32_t sum, const char *text)
{
    for (; *text != '\0'; text++)
        sum = (sum ^ (unsigned char)*text) * 16777619;
    return sum;
}

/* False when these two have been compared before. */
static bool is_news(struct ledger *ledger, uint32_t node, uint32_t sum)
{
    struct compared *place = &ledger->compared[node % COMPARED_MAX];
    if (place->node == node && place->sum == sum)
        return false;
    *place = (struct compared){node, sum};
    return true;
}

/* ---- rows */

static PGresult *ask(struct ledger *ledger, const char *text, int len, const char *const *values)
{
    PGresult *result = PQexecParams(ledger->presence, text, len, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    PQclear(result);
    return NULL;
}

static void compare_all(struct ledger *ledger, const char *own, const char *number)
{
    const char *const values[] = {number};
    PGresult *result = ask(ledger,
                           "SELECT id, name, queues FROM jobd_node WHERE id <> $1 AND queues <> ''"
                           " AND " IS_THERE,
                           1, values);
    for (int i = 0; result != NULL && i < PQntuples(result); i++) {
        const char *other = PQgetvalue(result, i, 2);
        uint32_t node = (uint32_t)strtoul(PQgetvalue(result, i, 0), NULL, 10);
        if (is_news(ledger, node, sum_of(sum_of(2166136261, own), other)))
            compare(ledger, own, PQgetvalue(result, i, 1), other);
    }
    PQclear(result);
}

/* Servers of an older version that are there, or were within the hour, must be able to read what is
 * written; when there is none, entries are written in the newest format. */
static void raise_format(struct ledger *ledger)
{
    PGresult *result = ask(ledger,
                           "UPDATE jobd_head SET format = " NEWEST " WHERE format < " NEWEST
                           " AND NOT EXISTS (SELECT FROM jobd_node WHERE format < " NEWEST ")"
                           " RETURNING format",
                           0, NULL);
    if (PQntuples(result) == 1)
        log_info("%s: entries are written in format " NEWEST
                 " from now on: an older jobd cannot read them",
                 ledger->name);
    PQclear(result);
}

void peers_tell(struct ledger *ledger)
{
    char number[16];
    if (now_ms() < ledger->peers_at_ms || ledger->presence == NULL || ledger->name == NULL)
        return;
    ledger->peers_at_ms = now_ms() + EVERY_MS;
    mutex_lock(&ledger->lock);
    char *own = strdup(ledger->queues != NULL ? ledger->queues : "");
    mutex_unlock(&ledger->lock);
    if (own == NULL)
        return;
    snprintf(number, sizeof number, "%d", (int)ledger->node);
    const char *const values[] = {number, ledger->node_name, JOBD_VERSION, own};
    PQclear(ask(
        ledger,
        "INSERT INTO jobd_node (id, name, version, format, queues) VALUES ($1, $2, $3, " NEWEST ","
        " $4) ON CONFLICT (id) DO UPDATE SET seen = now(), queues = excluded.queues",
        4, values));
    PQclear(ask(ledger,
                "DELETE FROM jobd_node WHERE id <> $1 AND seen < now() - interval '1 hour'"
                " AND NOT " IS_THERE,
                1, values));
    raise_format(ledger);
    compare_all(ledger, own, number);
    free(own);
}

void peers_end(struct ledger *ledger)
{
    char number[16];
    const char *const values[] = {number};
    if (PQstatus(ledger->presence) != CONNECTION_OK)
        return;
    snprintf(number, sizeof number, "%d", (int)ledger->node);
    PQclear(ask(ledger, "DELETE FROM jobd_node WHERE id = $1", 1, values));
}

bool ledger_describe(struct ledger *ledger, const char *queues)
{
    char *own = strdup(queues);
    if (own == NULL)
        return false;
    mutex_lock(&ledger->lock);
    char *before = ledger->queues;
    ledger->queues = own;
    mutex_unlock(&ledger->lock);
    free(before);
    return true;
}

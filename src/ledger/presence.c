/* SPDX-License-Identifier: MIT */
/* Who is there: each process holds an advisory lock on a connection of its own, which ends with the
 * process, not with a turn that takes too long. What is written on it waits for no standby and for
 * nobody else, as all turns would wait with it: a later turn's commit keeps it with its own. */
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ledger/ledger_inside.h"

static bool is_good(struct ledger *ledger)
{
    PGconn *presence = ledger->presence;
    if (PQstatus(presence) != CONNECTION_OK)
        return false;
    struct pollfd socket = {.fd = PQsocket(presence), .events = POLLIN};
    return poll(&socket, 1, 0) == 0 ||
           (PQconsumeInput(presence) == 1 && PQstatus(presence) == CONNECTION_OK);
}

void presence_end(struct ledger *ledger)
{
    PQfinish(ledger->presence);
    ledger->presence = NULL;
}

void presence_keep(struct ledger *ledger)
{
    char text[240];
    if (is_good(ledger)) {
        peers_tell(ledger);
        return;
    }
    presence_end(ledger);
    ledger->presence = ledger_new_connection(ledger);
    snprintf(text, sizeof text,
             "SELECT pg_try_advisory_lock(" LOCK_CLASS ", %d),"
             " set_config('synchronous_commit', 'off', false),"
             " set_config('statement_timeout', '5s', false)",
             (int)ledger->node);
    PGresult *result = PQexec(ledger->presence, text);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || *PQgetvalue(result, 0, 0) != 't')
        presence_end(ledger); /* then others wait for longer until they believe that it is gone */
    PQclear(result);
    peers_tell(ledger);
}

/* SPDX-License-Identifier: MIT */
/* What the ledger's files share: ledger_open.c connects, ledger.c appends and reads. No other file
 * includes this; no other knows libpq. */
#pragma once

#include <libpq-fe.h>

#include "base/lock.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

/* SQL for the first half of an advisory lock's key: those who share this log, and no others that
 * are in the same database. */
#define LOCK_CLASS "'jobd_log'::regclass::oid::integer"

/* The newest format that is known here, in SQL. */
#define NEWEST           AS_TEXT(ENTRY_FORMAT_NEWEST)
#define AS_TEXT(macro)   AS_TEXT_OF(macro)
#define AS_TEXT_OF(text) #text

enum { COMPARED_MAX = 16 };

/* Another server, and what its queues and our own were when they were compared. */
struct compared {
    uint32_t node, sum;
};

struct ledger {
    char *url, *node_name, *name;
    bool sync;
    uint32_t node;
    int64_t now_us;
    PGconn *connection; /* NULL: none. In pipeline mode, every statement prepared */
    PGconn *presence;   /* likewise; not in pipeline mode: see presence.c */
    char channel[32];   /* of NOTIFY */
    unsigned unread;    /* flights whose answers nobody waits for, and that must be read first */
    bool in_turn;       /* a transaction is open */
    bool warned;        /* the database has warned of what was sent last */
    void (*slow)(void *context); /* NULL: nobody wants to know */
    void *slow_context;
    uint64_t trims_to;     /* the row up to which it trims, 0: it does not, */
    uint64_t trims_at;     /* and the next one to go */
    int64_t round_trip_us; /* as it was at the start */
    bool replicated;       /* to a synchronous standby */

    /* peers.c */
    int64_t peers_at_ms; /* not before then again */
    struct compared compared[COMPARED_MAX];
    struct mutex lock;
    char *queues GUARDED_BY(lock); /* NULL: none */
};

/* ---- ledger_open.c */

/* Connects, looks at the server and prepares; LEDGER_OK at once when there is a connection. */
enum ledger_result ledger_connect(struct ledger *ledger, struct problem *problem);
void ledger_disconnect(struct ledger *ledger);

/* ---- connection.c */

/* A connection to its address; PQstatus() says how it went. NULL when memory is short. */
PGconn *ledger_new_connection(const struct ledger *ledger);

/* ---- presence.c */

/* Lets others see that this process is there, anew if they cannot any more. */
void presence_keep(struct ledger *ledger);
void presence_end(struct ledger *ledger);

/* ---- peers.c */

/* Now and then: this server's row, and those of the others. Where it is present. */
void peers_tell(struct ledger *ledger);
/* It has no row any more. */
void peers_end(struct ledger *ledger);

/* What libpq says went wrong, on one line: `result` NULL: of the connection. */
void ledger_problem(struct ledger *ledger, const PGresult *result, struct problem *problem);
/* What follows from an error of the database. */
enum ledger_result ledger_judge(const struct ledger *ledger, const PGresult *result);

/* SPDX-License-Identifier: MIT */
/* Clients of a durable server that is killed while they work with it, and the ledger they keep of
 * what they were told. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/chance.h"
#include "support/server.h"

enum {
    BATCH = 3, /* jobs of each */
    CLIENTS = 4,
    JOBS_MAX = 400000,
    TEXT_SIZE = 160,
    AFTER_SIZE = 48
};

/* What a job should be, by what its clients were told. */
enum last { UNKNOWN, WAITS, LEASED, DONE, CANCELLED, REFUSED };

struct line {
    uint64_t id;      /* 0: not known */
    uint64_t batch;   /* of those of a batch, in the last comparison; 0: none */
    bool local;       /* workers of the server run it */
    enum last last;   /* acknowledged */
    bool unsure;      /* something was asked for after that, and not answered */
    bool held;        /* one client is at it */
    bool moved;       /* and meanwhile it was given to another */
    unsigned attempt; /* the last that somebody was given */
    char token[48];
    unsigned cancelled;  /* the number of the last end that was its cancelling; 0: none */
    unsigned seen;       /* in the last comparison */
    uint32_t after;      /* it waits for the end of that one, whatever becomes of it; by number */
    bool waits_for_one;  /* so it was put */
    bool again;          /* somebody may have put it in again: then it waits for none */
    bool blocked, final; /* in the last comparison */
};

struct ledger {
    pthread_mutex_t lock;
    struct line *lines; /* a job is known by its payload, which is its number here */
    uint32_t len;
    uint64_t highest_id, highest_before; /* of all; of those before the last start */
    unsigned surprises;                  /* takes of this round that were not answered */
    unsigned kills, acknowledged, ends, deliveries, repeats;
};

/* Its clients' while they run, else the test's. */
extern struct ledger ledger;

void ledger_begin(void);
/* Says what it has come to, and frees it. */
void ledger_end(const char *what);
struct line *ledger_line(uint32_t number);

/* They work until the server answers no more. */
void clients_start(struct server *server, struct chance *chance);
void clients_join(void);

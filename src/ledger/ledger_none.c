/* SPDX-License-Identifier: MIT */
/* In place of ledger.c, ledger_open.c, connection.c, presence.c and peers.c, where there is no
 * libpq. */
#include "ledger/ledger.h"

const struct ledger_ops ledger_ops;

bool ledger_check(const char *url, struct problem *problem)
{
    (void)url;
    return problem_set(problem, "postgres: not built in");
}

const char *ledger_library(void)
{
    return "no PostgreSQL";
}

struct ledger *ledger_open(const struct ledger_options *options, int wait_ms,
                           struct problem *problem)
{
    (void)wait_ms;
    (void)ledger_check(options->url, problem);
    return NULL;
}

const char *ledger_name(const struct ledger *ledger)
{
    (void)ledger;
    return "";
}

bool ledger_describe(struct ledger *ledger, const char *queues)
{
    (void)ledger;
    (void)queues;
    return true;
}

uint32_t ledger_node(const struct ledger *ledger)
{
    (void)ledger;
    return 0;
}

int64_t ledger_now_us(const struct ledger *ledger)
{
    (void)ledger;
    return 0;
}

void ledger_free(struct ledger *ledger)
{
    (void)ledger;
}

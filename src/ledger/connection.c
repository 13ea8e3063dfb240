/* SPDX-License-Identifier: MIT */
/* A connection to what an address says. */
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger_inside.h"

bool ledger_check(const char *url, struct problem *problem)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    bool good = options != NULL;
    PQconninfoFree(options);
    PQfreemem(why); /* it may show a password */
    return good || problem_set(problem, "this is no address of a database: "
                                        "postgres://USER@HOST:PORT/DATABASE?NAME=VALUE, as "
                                        "libpq has it, is one");
}

const char *ledger_library(void)
{
    static char name[32];
    const int version = PQlibVersion(); /* 150008 */
    snprintf(name, sizeof name, "libpq %d.%d", version / 10000, version % 10000);
    return name;
}

/* What the URL does not say. */
static const struct {
    const char *keyword, *value;
} usual[] = {
    {"target_session_attrs", "read-write"},
    {"connect_timeout", "2"},
    {"fallback_application_name", "jobd"},
    {"client_encoding", "UTF8"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "2"},
    {"tcp_user_timeout", "5000"},
};

enum { USUAL = sizeof usual / sizeof usual[0] };

static const char *usual_value(const char *keyword)
{
    for (size_t i = 0; i < USUAL; i++)
        if (strcmp(usual[i].keyword, keyword) == 0)
            return usual[i].value;
    return NULL;
}

/* NULL when memory is short; else PQstatus() says how it went. */
static PGconn *connect_with(const PQconninfoOption *options)
{
    size_t len = 0, used = 0;
    while (options[len].keyword != NULL)
        len++;
    const char **words = calloc(2 * (len + 1), sizeof *words);
    if (words == NULL)
        return NULL;
    const char **values = words + len + 1;
    for (size_t i = 0; i < len; i++) {
        const char *value =
            options[i].val != NULL ? options[i].val : usual_value(options[i].keyword);
        if (value == NULL)
            continue;
        words[used] = options[i].keyword;
        values[used++] = value;
    }
    PGconn *connection = PQconnectdbParams(words, values, 0);
    free(words);
    return connection;
}

static void no_notice(void *context, const char *text)
{
    (void)context;
    (void)text;
}

PGconn *ledger_new_connection(const struct ledger *ledger)
{
    PQconninfoOption *options = PQconninfoParse(ledger->url, NULL);
    PGconn *connection = options != NULL ? connect_with(options) : NULL;
    PQconninfoFree(options);
    if (connection != NULL)
        PQsetNoticeProcessor(connection, no_notice, NULL);
    return connection;
}

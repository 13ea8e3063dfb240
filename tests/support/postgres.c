/* SPDX-License-Identifier: MIT */
#include "support/postgres.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/server.h"

bool postgres_is_there(void)
{
    return getenv("TEST_POSTGRES") != NULL;
}

void postgres_ask(const char *url, const char *statement, char *value, size_t size)
{
    char all[POSTGRES_URL_SIZE];
    snprintf(all, sizeof all, "postgres://jobd@/postgres?host=%s", getenv("TEST_POSTGRES"));
    PGconn *connection = PQconnectdb(url != NULL ? url : all);
    if (PQstatus(connection) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(connection));
    PGresult *result = PQexec(connection, statement);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", statement, PQresultErrorMessage(result));
    if (value != NULL)
        snprintf(value, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(connection);
}

void postgres_fresh(char url[POSTGRES_URL_SIZE])
{
    static unsigned made;
    char statement[200];
    int process = (int)getpid();
    assert_true(postgres_is_there());
    /* One that is there is of a test that has ended, whose number the system has given away again.
     */
    snprintf(statement, sizeof statement,
             "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS test_%d_%u CASCADE; "
             "CREATE SCHEMA test_%d_%u",
             process, made + 1, process, made + 1);
    made++;
    postgres_ask(NULL, statement, NULL, 0);
    snprintf(url, POSTGRES_URL_SIZE,
             "postgres://jobd@/postgres?host=%s&options=-csearch_path%%3Dtest_%d_%u",
             getenv("TEST_POSTGRES"), process, made);
}

struct server *postgres_server(const char *url, const char *const *arguments)
{
    enum { WORDS = 24 };
    const char *all[WORDS] = {"-l", "127.0.0.1:0"};
    char data[POSTGRES_URL_SIZE + 16];
    size_t used = 2;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(used + 1 < WORDS);
        all[used++] = arguments[i];
    }
    snprintf(data, sizeof data, "JOBD_DATA=%s", url);
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = all, .environment = (const char *const[]){data, NULL}});
    server_await_listening(server);
    return server;
}

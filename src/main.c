/* SPDX-License-Identifier: MIT */
/* jobd: a job queue that anyone can use with curl. What the command line asks for.
 *
 * The floors, each a folder; a file includes files of its own floor and of those below:
 *
 *     client   jobd as the client of another one: `jobd work`, `jobd top`
 *     server   the process: options, start, signals, shutdown, sandbox
 *     api      endpoints, a row each; api/api.c has their tables and drives them all
 *     http     requests and replies; libmicrohttpd behind an acceptor of our own
 *     run      workers: the pool of threads, and what they do with a job
 *     ledger   a log in PostgreSQL, which several servers have in common
 *     store    the disk: one writer, SQLite
 *     engine   jobs and queues; no I/O, no clock, no thread; include/jobd/queue.h declares them
 *     base     ring, heap, clock, locks, text
 *
 * src/README.md is the map. */
#include <stdio.h>

#include "base/json.h"
#include "client/client.h"
#include "http/http.h"
#include "http/tls.h"
#include "ledger/ledger.h"
#include "run/http_client.h"
#include "run/inherited.h"
#include "server/healthcheck.h"
#include "server/option_help.h"
#include "server/option_sources.h"
#include "server/server.h"
#include "store/database.h"

static int wrong(const struct problem *problem, int code)
{
    fprintf(stderr, "jobd: %s\n", problem->text);
    return code;
}

static int check_health(const struct options *options)
{
    struct problem problem = {""};
    bool lives = healthcheck(options->listen, options->tls_certificate != NULL, &problem);
    return lives ? 0 : wrong(&problem, EXIT_LOST);
}

int main(int argc, char **argv)
{
    static struct server server;
    struct problem problem = {""};
    int code = 0;
    if (inherited_take() != 0)
        return EXIT_LOST; /* there may be no place to say it */
    const int client = client_main(argc, argv);
    if (client >= 0)
        return client;
    server.argc = argc;
    server.argv = argv;
    if (!options_read(&server.options, argc, argv, &problem))
        return wrong(&problem, EXIT_WRONG);
    switch (server.options.action) {
    case ACTION_RUN:
        code = server_main(&server);
        break;
    case ACTION_CHECK:
        code = server_check(&server.options);
        break;
    case ACTION_HEALTH:
        code = check_health(&server.options);
        break;
    case ACTION_VERSION:
        printf("jobd " JOBD_VERSION
               " (libmicrohttpd %s, cJSON %s, libcurl %s, SQLite %s, %s, %s)\n",
               http_library(), cJSON_Version(), http_client_library(), database_library(),
               ledger_library(), tls_library());
        break;
    case ACTION_HELP:
        options_help(stdout);
        break;
    }
    options_release(&server.options);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        code = code != 0 ? code : EXIT_LOST; /* what was asked for could not be said */
    return code;
}

/* SPDX-License-Identifier: MIT */
/* A connection to PostgreSQL, and what must be so before jobs are kept there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "ledger/ledger_inside.h"

enum { TRY_AGAIN_MS = 200, VERSION_LEAST = 130000, ROUND_TRIPS = 5, ROUND_TRIP_MOST_US = 5000 };

/* ---- what went wrong */

/* Several lines become one. */
static void one_line(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = '\0';
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\n' || *at == '\t')
            *at = ' ';
}

void ledger_problem(struct ledger *ledger, const PGresult *result, struct problem *problem)
{
    const char *text = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (text == NULL && result != NULL)
        text = PQresultErrorMessage(result);
    if (text == NULL || text[0] == '\0')
        text = PQerrorMessage(ledger->connection); /* takes NULL */
    problem_set(problem, "%s", text != NULL && text[0] != '\0' ? text : "the connection is lost");
    one_line(problem->text);
}

enum ledger_result ledger_judge(const struct ledger *ledger, const PGresult *result)
{
    /* Of classes of errors, and some errors: those after which another server may do better, and
     * those that will not change by themselves. */
    static const char *const away[] = {"08", "57P", "25006", "25P03"};
    static const char *const wrong[] = {"42", "3D", "3F", "28", "0A"};
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQstatus(ledger->connection) != CONNECTION_OK)
        return LEDGER_AWAY;
    for (size_t i = 0; code != NULL && i < sizeof away / sizeof away[0]; i++)
        if (strncmp(code, away[i], strlen(away[i])) == 0)
            return LEDGER_AWAY;
    for (size_t i = 0; code != NULL && i < sizeof wrong / sizeof wrong[0]; i++)
        if (strncmp(code, wrong[i], strlen(wrong[i])) == 0)
            return LEDGER_WRONG;
    return LEDGER_REFUSED;
}

/* ---- one statement after the other, before the pipeline begins */

/* A result with rows, the caller's; NULL, and a problem. */
static PGresult *ask(struct ledger *ledger, const char *text, struct problem *problem)
{
    PGresult *result = PQexec(ledger->connection, text);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    ledger_problem(ledger, result, problem);
    PQclear(result);
    return NULL;
}

static bool tell(struct ledger *ledger, const char *text, struct problem *problem)
{
    PGresult *result = ask(ledger, text, problem);
    PQclear(result);
    return result != NULL;
}

/* A node that stands still in its turn holds up the others for no longer than this says. Statements
 * have no limit: one that ended the wait for a synchronous standby would make of a commit that is
 * not there yet one that looks as if it were. */
static bool set_up_session(struct ledger *ledger, struct problem *problem)
{
    return tell(ledger,
                "SELECT set_config('idle_in_transaction_session_timeout', '1s', false),"
                " set_config('lock_timeout', '5s', false),"
                " set_config('statement_timeout', '0', false)",
                problem) &&
           tell(ledger,
                ledger->sync ? "SELECT set_config('synchronous_commit', 'on', false) WHERE"
                               " current_setting('synchronous_commit') IN ('off', 'local')"
                             : "SELECT set_config('synchronous_commit', 'off', false)",
                problem);
}

/* ---- may jobs be kept there? */

enum { CHECK_RECOVERY, CHECK_FSYNC, CHECK_PAGES, CHECK_STANDBYS, CHECK_SCHEMA, CHECK_NOW };

static bool is_on(const PGresult *result, int column)
{
    const char *value = PQgetvalue(result, 0, column);
    return strcmp(value, "on") == 0 || strcmp(value, "t") == 0;
}

static bool look_at_settings(struct ledger *ledger, const PGresult *result, struct problem *problem)
{
    if (is_on(result, CHECK_RECOVERY))
        return problem_set(problem, "the server is a standby, and takes no writes");
    if (!is_on(result, CHECK_FSYNC))
        return problem_set(problem, "fsync is off there: a crash would lose jobs");
    if (!is_on(result, CHECK_PAGES))
        return problem_set(problem, "full_page_writes is off there: a crash would lose jobs");
    if (PQgetisnull(result, 0, CHECK_SCHEMA))
        return problem_set(problem, "the search_path names no schema that is there");
    ledger->now_us = strtoll(PQgetvalue(result, 0, CHECK_NOW), NULL, 10);
    ledger->replicated = PQgetvalue(result, 0, CHECK_STANDBYS)[0] != '\0';
    return true;
}

static bool look_at_server(struct ledger *ledger, struct problem *problem)
{
    int version = PQserverVersion(ledger->connection);
    if (version < VERSION_LEAST)
        return problem_set(problem, "the server is PostgreSQL %d: it must be 13 or newer",
                           version / 10000);
    PGresult *result = ask(ledger,
                           "SELECT pg_is_in_recovery(), current_setting('fsync'),"
                           " current_setting('full_page_writes'),"
                           " current_setting('synchronous_standby_names'), current_schema(),"
                           " (extract(epoch FROM clock_timestamp()) * 1000000)::int8",
                           problem);
    bool good = result != NULL && look_at_settings(ledger, result, problem);
    PQclear(result);
    return good;
}

/* ---- tables */

static const char *const tables[] = {
    "CREATE TABLE jobd_head (one boolean PRIMARY KEY DEFAULT true CHECK (one),"
    " magic text NOT NULL DEFAULT 'jobd ledger', format int NOT NULL,"
    " cluster uuid NOT NULL DEFAULT gen_random_uuid(), next_node int NOT NULL DEFAULT 1,"
    " writer int NOT NULL DEFAULT 0, writer_until int8 NOT NULL DEFAULT 0) WITH (fillfactor = 50)",
    "CREATE TABLE jobd_log (seq int8 PRIMARY KEY, node int NOT NULL, turn int8 NOT NULL,"
    " at int8 NOT NULL, body bytea NOT NULL)"
    " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,"
    " autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_scale_factor = 0,"
    " toast.autovacuum_vacuum_threshold = 20000, toast.autovacuum_vacuum_cost_delay = 0)",
    "ALTER TABLE jobd_log ALTER COLUMN body SET STORAGE EXTERNAL",
    "CREATE TABLE jobd_snapshot (from_seq int8, part int, body bytea NOT NULL,"
    " PRIMARY KEY (from_seq, part))",
    "ALTER TABLE jobd_snapshot ALTER COLUMN body SET STORAGE EXTERNAL",
    "CREATE TABLE jobd_node (id int PRIMARY KEY, name text NOT NULL, version text NOT NULL,"
    " format int NOT NULL, since timestamptz NOT NULL DEFAULT now(),"
    " seen timestamptz NOT NULL DEFAULT now(), queues text NOT NULL DEFAULT '')"
    " WITH (fillfactor = 50)",
    "INSERT INTO jobd_head (format) VALUES (" NEWEST ")",
};

/* In the schema where what has no schema is made. */
static bool have_tables(struct ledger *ledger, bool *have, struct problem *problem)
{
    PGresult *result = ask(ledger,
                           "SELECT count(*) FROM pg_class WHERE relname = 'jobd_head'"
                           " AND relnamespace = current_schema()::regnamespace",
                           problem);
    *have = result != NULL && strcmp(PQgetvalue(result, 0, 0), "0") != 0;
    PQclear(result);
    return result != NULL;
}

/* Two that start at once take turns. */
static bool make_tables(struct ledger *ledger, struct problem *problem)
{
    bool have, good = tell(ledger, "BEGIN", problem) &&
                      tell(ledger, "SELECT pg_advisory_xact_lock(1785684580)", problem) &&
                      have_tables(ledger, &have, problem);
    for (size_t i = 0; good && !have && i < sizeof tables / sizeof tables[0]; i++)
        good = tell(ledger, tables[i], problem);
    if (good)
        return tell(ledger, "COMMIT", problem);
    struct problem again;
    (void)tell(ledger, "ROLLBACK", &again);
    return false;
}

static bool look_at_head(struct ledger *ledger, struct problem *problem)
{
    PGresult *result =
        ask(ledger, "SELECT format, magic, 'jobd_log'::regclass::oid FROM jobd_head", problem);
    if (result == NULL)
        return problem_at(problem, "the table jobd_head there is not jobd's");
    bool good = true;
    if (PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 1), "jobd ledger") != 0)
        good = problem_set(problem, "the table jobd_head there is not jobd's");
    else if (strtol(PQgetvalue(result, 0, 0), NULL, 10) > ENTRY_FORMAT)
        good = problem_set(problem, "a newer jobd has written there: start that");
    else
        snprintf(ledger->channel, sizeof ledger->channel, "jobd_%s", PQgetvalue(result, 0, 2));
    PQclear(result);
    return good;
}

static bool look_at_tables(struct ledger *ledger, struct problem *problem)
{
    bool have;
    return have_tables(ledger, &have, problem) && (have || make_tables(ledger, problem)) &&
           look_at_head(ledger, problem);
}

static bool take_number(struct ledger *ledger, struct problem *problem)
{
    const char *const values[] = {ledger->node_name, JOBD_VERSION};
    PGresult *result = PQexecParams(
        ledger->connection,
        "WITH numbered AS"
        " (UPDATE jobd_head SET next_node = next_node + 1 RETURNING next_node - 1 AS id)"
        " INSERT INTO jobd_node (id, name, version, format) SELECT id, $1, $2, " NEWEST
        " FROM numbered"
        " RETURNING id",
        2, NULL, values, NULL, NULL, 0);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (good)
        ledger->node = (uint32_t)strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    else
        ledger_problem(ledger, result, problem);
    PQclear(result);
    return good;
}

/* ---- the pipeline */

/* In microseconds since 1970. */
#define NOW "(extract(epoch FROM clock_timestamp()) * 1000000)::int8"

static const struct statement {
    const char *name, *text;
} statements[] = {
    {"begin", "BEGIN ISOLATION LEVEL READ COMMITTED"},
    /* The clock as it is once the lock is had: beside FOR UPDATE it would be that of before. */
    {"lock", "SELECT format, " NOW " FROM (SELECT format FROM jobd_head FOR UPDATE) AS locked"},
    {"next",
     "SELECT seq, node, turn, at, body FROM jobd_log WHERE seq >= $1 ORDER BY seq LIMIT 64"},
    /* As many as are about 4 MiB, so that nobody needs memory for more. */
    {"fetch",
     "SELECT seq, node, turn, at, body FROM"
     " (SELECT *, sum(octet_length(body)) OVER (ORDER BY seq) - octet_length(body) AS before FROM"
     " (SELECT * FROM jobd_log WHERE seq >= $1 ORDER BY seq LIMIT 256) AS few) AS sized"
     " WHERE before < 4194304 ORDER BY seq"},
    {"add", "INSERT INTO jobd_log VALUES ($1, $2, $3, $4, $5)"},
    /* Nobody can take what another holds. */
    {"absent", "SELECT pg_try_advisory_xact_lock(" LOCK_CLASS ", $1)"},
    {"claim", "UPDATE jobd_head SET writer = $1, writer_until = " NOW " + 60000000"
              " WHERE writer_until < " NOW " RETURNING writer"},
    {"keep", "INSERT INTO jobd_snapshot VALUES ($1, $2, $3)"},
    /* By numbers, from where the last trimming has ended: whoever searches for the first row goes
     * over all that were deleted, as long as somebody holds a snapshot of the database. A part -2
     * says where that is. */
    {"trim", "DELETE FROM jobd_log WHERE seq >= $1 AND seq < $2"},
    {"first", "SELECT coalesce((SELECT max(from_seq) FROM jobd_snapshot WHERE part = -2),"
              " (SELECT min(seq) FROM jobd_log), 1)"},
    {"trimmed", "WITH before AS (DELETE FROM jobd_snapshot WHERE part = -2 AND from_seq < $1)"
                " INSERT INTO jobd_snapshot VALUES ($1, -2, '') ON CONFLICT DO NOTHING"},
    {"drop", "DELETE FROM jobd_snapshot WHERE from_seq < $1 AND part >= -1"},
    {"find", "SELECT from_seq, part, body FROM jobd_snapshot WHERE part = -1"
             " ORDER BY from_seq DESC LIMIT 1"},
    {"part", "SELECT from_seq, part, body FROM jobd_snapshot WHERE from_seq = $1 AND part = $2"},
    {"commit", "COMMIT"},
    {"rollback", "ROLLBACK"},
    /* Without waiting for the disk: NOTIFY holds a lock of the whole server meanwhile. */
    {"notify", "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"},
    {NULL, NULL},
};

static bool listen_and_prepare(struct ledger *ledger, struct problem *problem)
{
    char text[64];
    snprintf(text, sizeof text, "LISTEN %s", ledger->channel);
    bool good = tell(ledger, text, problem);
    for (const struct statement *one = statements; good && one->name != NULL; one++) {
        PGresult *result = PQprepare(ledger->connection, one->name, one->text, 0, NULL);
        good = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!good)
            ledger_problem(ledger, result, problem);
        PQclear(result);
    }
    return good && PQsetnonblocking(ledger->connection, 1) == 0 &&
           PQenterPipelineMode(ledger->connection) == 1;
}

/* ---- the way there */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The shortest of some. */
static bool measure_way(struct ledger *ledger, struct problem *problem)
{
    ledger->round_trip_us = INT64_MAX;
    for (unsigned i = 0; i < ROUND_TRIPS; i++) {
        int64_t begun_us = now_us();
        if (!tell(ledger, "SELECT 1", problem))
            return false;
        int64_t took_us = now_us() - begun_us;
        ledger->round_trip_us = took_us < ledger->round_trip_us ? took_us : ledger->round_trip_us;
    }
    return true;
}

static bool is_near(const char *host)
{
    return host[0] == '/' || host[0] == '@' || strcmp(host, "localhost") == 0 ||
           strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* Does whoever is at the other end have to show that it is who it should be? */
static bool is_verified(const struct ledger *ledger)
{
    PQconninfoOption *options = PQconninfo(ledger->connection);
    bool verified = false;
    for (const PQconninfoOption *one = options; one != NULL && one->keyword != NULL; one++)
        if (strcmp(one->keyword, "sslmode") == 0 && one->val != NULL)
            verified = strncmp(one->val, "verify-", 7) == 0;
    PQconninfoFree(options);
    return verified;
}

static void warn_of_way(const struct ledger *ledger)
{
    if (ledger->round_trip_us > ROUND_TRIP_MOST_US)
        log_warn("%s: a round trip takes %lld ms: all servers wait for each turn of this one",
                 ledger->name, (long long)(ledger->round_trip_us + 500) / 1000);
    if (!ledger->replicated)
        log_warn(
            "%s: no synchronous standby: who loses this database loses the newest jobs with it, "
            "unless its storage is replicated",
            ledger->name);
    if (!is_near(PQhost(ledger->connection)) && !is_verified(ledger))
        log_warn("%s: sslmode does not verify the server: who is in between can read and change "
                 "all jobs; say sslmode=verify-full",
                 ledger->name);
}

/* ---- connecting */

void ledger_disconnect(struct ledger *ledger)
{
    PQfinish(ledger->connection);
    ledger->connection = NULL;
    ledger->unread = 0;
    ledger->in_turn = false;
}

/* That a commit did not wait for the standby comes as nothing but a warning beside its success. */
static void note_warning(void *context, const PGresult *notice)
{
    struct ledger *ledger = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    ledger->warned |= severity != NULL && strcmp(severity, "WARNING") == 0;
}

static bool connect_server(struct ledger *ledger, struct problem *problem)
{
    ledger->connection = ledger_new_connection(ledger);
    (void)PQsetNoticeReceiver(ledger->connection, note_warning, ledger); /* takes NULL */
    if (PQstatus(ledger->connection) == CONNECTION_OK)
        return true;
    ledger_problem(ledger, NULL, problem);
    return false;
}

enum ledger_result ledger_connect(struct ledger *ledger, struct problem *problem)
{
    if (ledger->connection != NULL && PQstatus(ledger->connection) == CONNECTION_OK)
        return LEDGER_OK;
    ledger_disconnect(ledger);
    enum ledger_result result = LEDGER_AWAY;
    if (connect_server(ledger, problem)) {
        result = LEDGER_WRONG;
        if (look_at_server(ledger, problem) && set_up_session(ledger, problem) &&
            look_at_tables(ledger, problem) &&
            (ledger->node > 0 || (take_number(ledger, problem) && measure_way(ledger, problem))) &&
            listen_and_prepare(ledger, problem))
            return LEDGER_OK;
        if (PQstatus(ledger->connection) != CONNECTION_OK)
            result = LEDGER_AWAY;
    }
    ledger_disconnect(ledger);
    return result;
}

static bool name_it(struct ledger *ledger, struct problem *problem)
{
    const PGconn *connection = ledger->connection;
    const char *host = PQhost(connection);
    bool is_file = host[0] == '/';
    if (asprintf(&ledger->name, "%s%s%s/%s", is_file ? "" : host, is_file ? host : ":",
                 is_file ? "" : PQport(connection), PQdb(connection)) >= 0)
        return true;
    ledger->name = NULL;
    return problem_set(problem, "out of memory");
}

/* Until it is there; at once when trying again would not help. */
static bool connect_in_time(struct ledger *ledger, const struct ledger_options *options,
                            int wait_ms, struct problem *problem)
{
    const int64_t until_us = now_us() + (int64_t)wait_ms * 1000;
    bool said = false;
    enum ledger_result result;
    while ((result = ledger_connect(ledger, problem)) == LEDGER_AWAY && now_us() < until_us) {
        if (!said)
            log_warn("%s; trying for %d s", problem->text, wait_ms / 1000);
        said = true;
        if (!options->rest(options->context, (int64_t)TRY_AGAIN_MS * 1000))
            break;
    }
    return result == LEDGER_OK;
}

struct ledger *ledger_open(const struct ledger_options *options, int wait_ms,
                           struct problem *problem)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) {
        (void)problem_set(problem, "out of memory");
        return NULL;
    }
    if (mutex_init(&ledger->lock) != 0) {
        free(ledger);
        (void)problem_set(problem, "out of memory");
        return NULL;
    }
    ledger->url = strdup(options->url);
    ledger->node_name = strdup(options->node);
    ledger->sync = options->sync;
    bool good = ledger->url != NULL && ledger->node_name != NULL
                    ? connect_in_time(ledger, options, wait_ms, problem)
                    : problem_set(problem, "out of memory");
    if (!good || !name_it(ledger, problem)) {
        ledger_free(ledger);
        return NULL;
    }
    warn_of_way(ledger);
    return ledger;
}

const char *ledger_name(const struct ledger *ledger)
{
    return ledger->name;
}

uint32_t ledger_node(const struct ledger *ledger)
{
    return ledger->node;
}

int64_t ledger_now_us(const struct ledger *ledger)
{
    return ledger->now_us;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    ledger_disconnect(ledger);
    peers_end(ledger);
    presence_end(ledger);
    mutex_lock(&ledger->lock); /* nobody else sees it any more: for the analysis */
    free(ledger->queues);
    mutex_unlock(&ledger->lock);
    mutex_release(&ledger->lock);
    free(ledger->url);
    free(ledger->node_name);
    free(ledger->name);
    free(ledger);
}

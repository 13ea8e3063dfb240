/* SPDX-License-Identifier: MIT */
#include "support/described.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/openapi.h"

const struct endpoint *const described_tables[] = {
    put_endpoints,
    take_endpoints,
    lease_endpoints,
    report_endpoints,
    job_endpoints,
    lease_list_endpoints,
    queue_endpoints,
    change_endpoints,
    schedule_endpoints,
    health_endpoints,
    page_endpoints,
    status_endpoints,
    openapi_endpoints,
    event_endpoints,
    batch_endpoints,
    backup_endpoints,
    NULL,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cJSON *whole;
static char wrong[DESCRIBED_WHY_SIZE]; /* the first that was not as described; under the lock */

static void make(void)
{
    whole = openapi_json(described_tables, NULL);
}

const cJSON *described(void)
{
    pthread_once(&once, make);
    return whole;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const cJSON *described_thing(const cJSON *object)
{
    char reference[256], *rest = reference, *name;
    const char *to = cJSON_GetStringValue(member(object, "$ref"));
    if (to == NULL)
        return object;
    snprintf(reference, sizeof reference, "%s", to + strlen("#/"));
    const cJSON *found = described();
    while ((name = strsep(&rest, "/")) != NULL)
        found = member(found, name);
    return found;
}

/* ---- which operation it is */

/* A piece in braces is any piece. */
static bool fits(const char *pattern, const char *path)
{
    size_t length = strcspn(path, "?");
    const char *end = path + length;
    for (; *pattern != '\0' && path < end; pattern++) {
        if (*pattern != '{') {
            if (*pattern != *path++)
                return false;
            continue;
        }
        const char *from = path;
        path += strcspn(path, "/?");
        pattern += strcspn(pattern, "}");
        if (path == from)
            return false;
    }
    return *pattern == '\0' && path == end;
}

const cJSON *described_operation(const char *method, const char *path)
{
    char name[16] = "";
    const cJSON *one, *found = NULL;
    for (size_t i = 0; method[i] != '\0' && i < sizeof name - 1; i++)
        name[i] = (char)tolower((unsigned char)method[i]);
    cJSON_ArrayForEach(one, member(described(), "paths"))
    {
        const cJSON *operation = member(one, name);
        if (operation == NULL || !fits(one->string, path))
            continue;
        if (strchr(one->string, '{') == NULL) /* what is written out goes first */
            return operation;
        found = operation;
    }
    return found;
}

const cJSON *described_answer(const cJSON *operation, long status)
{
    char name[16];
    const cJSON *answers = operation != NULL
                               ? member(operation, "responses")
                               : member(member(described(), "components"), "responses");
    snprintf(name, sizeof name, "%ld", status);
    const cJSON *answer = member(answers, name);
    return described_thing(answer != NULL ? answer : member(answers, "default"));
}

/* ---- is it as described? */

const char *described_next_field(const char *at, char name[64])
{
    at = strchr(at, '\n');
    size_t length = at != NULL ? strcspn(at + 1, ":\r\n") : 0;
    if (length == 0 || at[1 + length] != ':')
        return NULL;
    snprintf(name, 64, "%.*s", (int)length, at + 1);
    return at + 1;
}

static bool has_field(const char *at, const char *wanted)
{
    char name[64];
    while ((at = described_next_field(at, name)) != NULL)
        if (strcasecmp(name, wanted) == 0)
            return true;
    return false;
}

/* Of HTTP itself; of CORS, which openapi.json says of all answers; of 405, the answer to methods
 * that are not described. */
static bool is_general(const char *name, const char *at, long status)
{
    static const char *const names[] = {"Date", "Content-Type", "Content-Length", "Connection",
                                        "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "Access-Control-", strlen("Access-Control-")) == 0 ||
           strncmp(at, "Vary: Origin\r", strlen("Vary: Origin\r")) == 0 ||
           (strcmp(name, "Allow") == 0 && (status == 405 || status == 204));
}

static void complain(const char *method, const char *path, long status, const char *what,
                     const char *name)
{
    pthread_mutex_lock(&lock);
    if (wrong[0] == '\0')
        snprintf(wrong, sizeof wrong, "/openapi.json: %s %.300s, status %ld, %s %s", method, path,
                 status, what, name);
    pthread_mutex_unlock(&lock);
}

void described_check(const char *method, const char *path, long status, const char *head)
{
    char name[64];
    const cJSON *answer = described_answer(described_operation(method, path), status), *one;
    const cJSON *fields = member(answer, "headers");
    for (const char *at = head; (at = described_next_field(at, name)) != NULL;)
        if (!is_general(name, at, status) && member(fields, name) == NULL)
            complain(method, path, status, "is not described to have", name);
    cJSON_ArrayForEach(one, fields)
    {
        if (cJSON_IsTrue(member(described_thing(one), "required")) && !has_field(head, one->string))
            complain(method, path, status, "is described to have", one->string);
    }
}

bool described_well(char why[DESCRIBED_WHY_SIZE])
{
    pthread_mutex_lock(&lock);
    bool well = wrong[0] == '\0';
    memcpy(why, wrong, sizeof wrong);
    wrong[0] = '\0';
    pthread_mutex_unlock(&lock);
    return well;
}

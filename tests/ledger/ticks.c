/* SPDX-License-Identifier: MIT */
#include "ledger/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { DAY_S = 86400 };

static int seconds_of(const char *time)
{
    int hour, minute, second;
    assert_int_equal(sscanf(time, "%*d-%*d-%*dT%2d:%2d:%2d", &hour, &minute, &second), 3);
    return (hour * 60 + minute) * 60 + second;
}

static double waiting(struct client *client, const char *queue)
{
    char path[64];
    snprintf(path, sizeof path, "/queues/%s", queue);
    return json_number(client_json(client, path), "queued");
}

/* The answer says what comes next; when it took long something may have come before. */
static bool put(struct client *client, const char *path, int *first)
{
    int earliest = (int)((time(NULL) + 1) % DAY_S);
    const struct answer *answer =
        client_send(client, "PUT", path, FIELDS("Accept: application/json"), NULL);
    assert_int_equal(answer->status, 201);
    const char *next = strstr(answer->body, "\"next\":[\"");
    assert_non_null(next);
    *first = seconds_of(next + strlen("\"next\":[\""));
    return *first == earliest;
}

struct ticks ticks_begin(struct client *client, const char *query, const char *queue)
{
    struct ticks ticks = {.queue = queue, .before = waiting(client, queue)};
    char path[128];
    snprintf(path, sizeof path, "/schedules/tick?%s", query);
    while (!put(client, path, &ticks.first)) {
        assert_int_equal(client_send(client, "DELETE", "/schedules/tick", NULL, NULL)->status, 200);
        ticks.before = waiting(client, queue);
    }
    return ticks;
}

int ticks_end(struct client *client, const struct ticks *ticks)
{
    assert_answer(client_post(client, "/schedules/tick/pause"), 200, "paused\n");
    const cJSON *schedule = client_json(client, "/schedules/tick");
    int last = seconds_of(json_string(cJSON_GetObjectItem(schedule, "last"), "at"));
    int seconds = (last - ticks->first + DAY_S) % DAY_S + 1;
    assert_int_equal(json_number(schedule, "missed"), 0);
    assert_int_equal(waiting(client, ticks->queue) - ticks->before, seconds);
    return seconds;
}

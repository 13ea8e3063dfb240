/* SPDX-License-Identifier: MIT */
#include "server/fault_requests.h"

#include <stdbool.h>
#include <stdio.h>

#include "support/client.h"

/* Each kind of request, on a connection of its own; what is answered does not matter. */
static void ask_all(const struct server *server, bool takes)
{
    static const char *const paths[] = {"/queues",  "/metrics",         "/jobs?limit=2",
                                        "/healthz", "/jobs/1?wait=1ms", "/nothing"};
    struct client *client = client_new(server);
    char path[256];
    (void)client_send(client, "POST", "/do?batch=lines", FIELDS("Accept: application/json"),
                      "a\nb\n");
    (void)client_send(client, "POST", "/do?block=1ms", FIELDS("Idempotency-Key: k"), "keyed");
    const struct answer *answer = client_send(client, "POST", "/do", NULL, "payload");
    snprintf(path, sizeof path, "/jobs/%llu?wait=20ms", (unsigned long long)answer_job(answer));
    (void)client_get(client, path);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        (void)client_get_json(client, paths[i]);
    if (takes) {
        char room[256];
        answer = client_post(client, "/take?lease=100ms&wait=5ms");
        snprintf(path, sizeof path, "%s/done", answer_field(answer, "Location", room));
        if (answer->status == 200)
            (void)client_send(client, "POST", path, NULL, "output");
        (void)client_send(client, "POST", "/take?lease=100ms&max=2",
                          FIELDS("Accept: application/json"), "");
    }
    (void)client_post(client, "/queues/default/purge");
    client_free(client);
}

void ask_plans(const struct server *server)
{
    static const char *const requests[][2] = {
        {"POST", "/do?batch=lines&callback=http://127.0.0.1:1/told"},
        {"PUT", "/schedules/s?every=1h&callback=http://127.0.0.1:1/told"},
        {"POST", "/schedules/s/run"},
        {"GET", "/schedules"},
        {"DELETE", "/schedules/s"},
        {"POST", "/jobs/retry?queue=default"},
        {"DELETE", "/jobs?queue=callbacks&running=true"},
        {"GET", "/jobs?queue=callbacks"},
    };
    struct client *client = client_new(server);
    char path[256];
    const struct answer *answer =
        client_post(client, "/do?delay=1h&key=k&callback=http://127.0.0.1:1/told");
    const unsigned long long id = answer_job(answer);
    snprintf(path, sizeof path, "/do?after=/jobs/%llu&callback=http://127.0.0.1:1/told", id);
    (void)client_post(client, path);
    snprintf(path, sizeof path, "/jobs/%llu?delay=0s&expires=1h", id);
    (void)client_send(client, "PATCH", path, NULL, NULL);
    (void)client_send(client, "POST", "/do?unique=waiting&again=replace&delay=1h",
                      FIELDS("Idempotency-Key: u"), "replaced");
    snprintf(path, sizeof path, "/jobs/%llu?wait=20ms", id);
    (void)client_get(client, path);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        (void)client_send(client, requests[i][0], requests[i][1], NULL,
                          requests[i][0][0] == 'P' ? "a\nb\n" : NULL);
    (void)client_post(client, "/queues/default/purge");
    (void)client_post(client, "/queues/callbacks/purge");
    client_free(client);
}

void ask_local(const struct server *server)
{
    ask_all(server, false);
}

void ask_remote(const struct server *server)
{
    ask_all(server, true);
}

/* SPDX-License-Identifier: MIT */
#include "client/worker_scene.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 32, URL_SIZE = SERVER_ADDRESS_SIZE + 8, URLS = 4 };

const char *worker_url(const struct server *server)
{
    static char urls[URLS][URL_SIZE];
    static unsigned next;
    char *url = urls[next++ % URLS];
    const char *address = server_address(server);
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    snprintf(url, URL_SIZE, "%s%s", is_unix ? "" : "http://", address);
    return url;
}

struct server *worker_spawn(const char *url, const char *const *more, const char *script)
{
    const char *words[WORDS_MAX] = {"work", "--url", url};
    size_t len = 3;
    for (; more != NULL && *more != NULL; more++)
        words[len++] = *more;
    const char *const command[] = {"--", "sh", "-c", script, NULL};
    for (size_t i = 0; command[i] != NULL; i++)
        words[len++] = command[i];
    assert_in_range(len, 0, WORDS_MAX - 1);
    return server_spawn(&(struct server_plan){.arguments = words});
}

struct server *worker_start(const struct server *server, const char *script)
{
    return worker_spawn(worker_url(server), FIELDS("--lease", "1s"), script);
}

int worker_end(struct server *worker)
{
    server_signal(worker, SIGTERM);
    return server_wait(worker);
}

uint64_t put_job(struct client *client, const char *path, const char *payload)
{
    const struct answer *answer = client_send(client, "POST", path, NULL, payload);
    assert_answer(answer, 202, NULL);
    return answer_job(answer);
}

void assert_output(struct client *client, uint64_t id, const char *output)
{
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/output", (unsigned long long)id);
    assert_answer(client_get(client, path), 200, output);
}

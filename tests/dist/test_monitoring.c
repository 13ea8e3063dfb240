/* SPDX-License-Identifier: MIT */
/* What is packaged to watch a server: the alerts are called by what they are about, and a
 * Prometheus that watches a server has every figure that the dashboard shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/needs.h"
#include "support/server.h"

static void run(const char *what, const char *address)
{
    char command[512];
    snprintf(command, sizeof command, "exec python3 tests/dist/monitoring.py %s %s %s >&2", what,
             temporary_directory(), address);
    int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void each_alert_has_its_cause(void **state)
{
    (void)state;
    need_command("promtool");
    run("alerts", "");
}

static void every_figure_is_there(void **state)
{
    char path[256];
    (void)state;
    need_command("prometheus");
    snprintf(path, sizeof path, "%s/data", temporary_directory());
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = FIELDS("-l", "127.0.0.1:0", "-d", path, "--sleep", "1ms")});
    server_await_listening(server);
    struct client *client = client_new(server);
    client_await_state(client, client_put(client, "/do"), "done");
    run("scrape", server_address(server));
    client_free(client);
}

#define EACH(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(each_alert_has_its_cause),
        EACH(every_figure_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

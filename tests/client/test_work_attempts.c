/* SPDX-License-Identifier: MIT */
/* `jobd work` runs one attempt of a job at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/worker_scene.h"
#include "support/temporary.h"

/* Its time is over, but it ignores SIGTERM, and another worker is free. */
static void the_next_attempt_waits_for_the_last(void **state)
{
    struct server *server = start_queue("--attempts", "2", "--timeout", "3s");
    struct client *client = client_new(server);
    char script[512];
    (void)state;
    snprintf(
        script, sizeof script,
        "exec flock -n %s/lock sh -c 'test $JOBD_ATTEMPT = 2 || { trap \"\" TERM; sleep 600; }'",
        temporary_directory());
    struct server *worker =
        worker_spawn(worker_url(server),
                     FIELDS("-n", "3", "--kill-after", "1s", "--log-level", "debug"), script);
    uint64_t id = put_job(client, "/do", "x");
    server_await_lines(worker, ERR, "is still being stopped: given back for a second", 1);
    client_await_state(client, id, "done");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 2);
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_next_attempt_waits_for_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

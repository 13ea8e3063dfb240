/* SPDX-License-Identifier: MIT */
/* The recipes in this folder, as somebody would use them: copied to a folder of his own, and asked
 * with curl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/needs.h"
#include "support/server.h"

enum { SAID_SIZE = 4096 };

/* In the folder, $JOBD is where the server is; NULL: there is none. */
static void assert_says(const struct server *server, const char *script, const char *expected)
{
    char command[SAID_SIZE], said[SAID_SIZE];
    snprintf(command, sizeof command, "cd %s && JOBD=%s && { %s\n}", temporary_directory(),
             server != NULL ? server_address(server) : "", script);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    said[fread(said, 1, sizeof said - 1, pipe)] = '\0';
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(said, expected);
}

/* Its files into the folder. */
static void copy(const char *files)
{
    char command[512];
    snprintf(command, sizeof command, "cd tests/examples && cp %s %s", files,
             temporary_directory());
    assert_int_equal(system(command), 0);
}

/* Runs in the folder, and listens where there is room. */
static struct server *start(const char *const *arguments, const char *const *environment)
{
    const char *const wrapper[] = {
        "sh", "-c", "program=$PWD/$0 && cd \"$FOLDER\" && exec \"$program\" -l 127.0.0.1:0 \"$@\"",
        NULL};
    char folder[256];
    snprintf(folder, sizeof folder, "FOLDER=%s", temporary_directory());
    const char *all[8] = {folder};
    for (unsigned i = 0; environment != NULL && environment[i] != NULL; i++)
        all[i + 1] = environment[i];
    struct server *server = server_spawn(
        &(struct server_plan){.wrapper = wrapper, .arguments = arguments, .environment = all});
    server_await_listening(server);
    return server;
}

/* A program in Python, and the port that it says. */
static struct server *start_python(const char *script, const char *const *environment,
                                   unsigned *port, const char *argument)
{
    char line[SERVER_LINE_SIZE];
    const char *const wrapper[] = {"python3", script, argument, NULL};
    struct server *program =
        server_spawn(&(struct server_plan){.wrapper = wrapper, .environment = environment});
    server_await_line(program, OUT, "port ", line);
    assert_int_equal(sscanf(strstr(line, "port "), "port %u", port), 1);
    return program;
}

static void end(struct server *program)
{
    server_signal(program, SIGTERM);
    (void)server_wait(program);
}

/* ---- recipes */

static void thumbnails(void **state)
{
    (void)state;
    need_command("identify"); /* which comes with ImageMagick's convert, and with no other */
    copy("thumbnail.sh");
    const struct server *server = start((const char *const[]){"--max-body", "1MiB", "--timeout",
                                                              "30s", "--", "./thumbnail.sh", NULL},
                                        NULL);
    assert_says(server,
                "convert -size 400x300 gradient:red-blue cat.png\n"
                "curl -s -H 'Prefer: wait=30' --data-binary @cat.png $JOBD/do >cat.jpg\n"
                "identify -format '%m %w %h' cat.jpg",
                "JPEG 200 150");
    assert_says(
        server,
        "curl -s -o not.jpg -w '%{http_code}' -H 'Prefer: wait=30' -d 'no picture' $JOBD/do",
        "500");
}

static void a_mail_queue_with_a_breaker(void **state)
{
    unsigned smtp_port, port;
    char smtp[64], number[16], edit[256];
    (void)state;
    copy("mail.json");
    end(start_python("tests/support/smtp.py", NULL, &smtp_port, "0"));
    snprintf(smtp, sizeof smtp, "SMTP=127.0.0.1:%u", smtp_port);
    struct server *service = start_python("tests/examples/mail.py",
                                          (const char *const[]){smtp, "PORT=0", NULL}, &port, "");
    snprintf(edit, sizeof edit, "sed -i 's/:3000/:%u/; s,3/30s,3/20ms,' mail.json", port);
    assert_says(NULL, edit, "");

    struct server *server = start((const char *const[]){"--config", "mail.json", NULL}, NULL);
    struct client *client = client_new(server);
    assert_says(server,
                "for i in 1 2 3 4 5; do curl -s \"$JOBD/do/mail?key=user$i\" \\\n"
                "  -d '{\"to\": \"ann@example.org\", \"subject\": \"Hello '$i'\", \"text\": \"!\"}'"
                "; done",
                "queued\nqueued\nqueued\nqueued\nqueued\n");
    client_await_metric(client, "jobd_queue_held{queue=\"mail\"}", 1);
    snprintf(number, sizeof number, "%u", smtp_port);
    struct server *mails = start_python("tests/support/smtp.py", NULL, &smtp_port, number);
    server_await_lines(mails, OUT, "Subject: Hello", 5);
    client_await_metric(client, "jobd_queue_held{queue=\"mail\"}", 0);
    assert_says(server,
                "curl -s -o not -w '%{http_code}' -H 'Prefer: wait=30' -d '{}' $JOBD/do/mail",
                "500");
    client_free(client);
    end(mails);
    end(service);
}

static void nightly_reports(void **state)
{
    (void)state;
    if (getenv("TEST_LEDGER") != NULL)
        return; /* there are no schedules */
    copy("nightly.json report.sh");
    const struct server *server =
        start((const char *const[]){"--config", "nightly.json", NULL}, NULL);
    assert_says(server,
                "curl -s -X POST $JOBD/schedules/sales/run\n"
                "curl -s \"$JOBD$(curl -s -D- -o body -X POST $JOBD/schedules/stock/run |"
                "  sed -n 's/^Location: \\(.*\\)\\r/\\1/p')?wait=20s\" >body\n"
                "ls reports",
                "queued\nsales.txt\nstock.txt\n");
}

static void a_webhook(void **state)
{
    (void)state;
    copy("github.json github.py");
    assert_says(NULL,
                "printf 'It is a secret\\n' >github.secret\n"
                "printf '#!/bin/sh\\necho deployed\\n' >deploy.sh && chmod +x deploy.sh",
                "");
    const struct server *server =
        start((const char *const[]){"--config", "github.json", "--attempts", "1", NULL},
              (const char *const[]){"SECRET=github.secret", "DEPLOY=./deploy.sh", NULL});
    static const char post[] =
        "body='{\"ref\": \"refs/heads/main\"}'\n"
        "send() { curl -s -H 'Prefer: wait=20' -H 'Content-Type: application/json' \\\n"
        "  -H \"X-GitHub-Event: $1\" -H \"X-Hub-Signature-256: sha256=$2\" \\\n"
        "  -d \"$body\" $JOBD/do/github; }\n"
        "good=$(printf %s \"$body\" | openssl dgst -sha256 -hmac 'It is a secret' | sed 's/.* "
        "//')\n";
    char script[1024];
    snprintf(script, sizeof script, "%ssend push $good; send ping $good", post);
    assert_says(server, script, "deployed\nnothing to do for ping\n");
    /* It is tried again a second later, and again. */
    snprintf(script, sizeof script,
             "%ssend push 0123 | grep -o 'the signature is wrong' | head -n 1", post);
    assert_says(server, script, "the signature is wrong\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(thumbnails, server_stop_all),
        cmocka_unit_test_teardown(a_mail_queue_with_a_breaker, server_stop_all),
        cmocka_unit_test_teardown(nightly_reports, server_stop_all),
        cmocka_unit_test_teardown(a_webhook, server_stop_all),
    };
    return cmocka_run_group_tests_name("recipes", tests, NULL, NULL);
}

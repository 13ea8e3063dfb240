/* SPDX-License-Identifier: MIT */
#include "client/top.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/client_options.h"
#include "client/remote.h"
#include "client/terminal.h"
#include "client/top_view.h"

#define ANSWER_US (5 * CLOCK_SECOND_US)

enum { STATUS_MAX = 64 * 1024 * 1024, PLAIN_COLUMNS = 200 }; /* bytes; where there is no width */

struct top {
    const struct client_options *options;
    struct remote *remote;
    struct remote_client *client;
    cJSON *status; /* the last one; NULL: none yet */
    char notice[REMOTE_SAID_SIZE];
    struct top_view view;
    int signals;
    bool over;
};

/* False: there is no new picture, and the notice says why. It asks for no type: the answer is JSON
 * all the same, and an error is text. */
static bool ask(struct top *top)
{
    const struct remote_request request = {
        .path = "/status", .timeout_us = ANSWER_US, .stop_fd = top->signals};
    struct http_answer answer;
    enum remote_end end = remote_ask(top->client, &request, &answer);
    if (end == REMOTE_STOPPED)
        return false;
    cJSON *status = answer.status == 200 ? cJSON_ParseWithLength(answer.bytes, answer.size) : NULL;
    top->notice[0] = '\0';
    if (cJSON_IsObject(status)) {
        cJSON_Delete(top->status);
        top->status = status;
        return true;
    }
    cJSON_Delete(status);
    if (answer.status == 200)
        snprintf(top->notice, sizeof top->notice, "this is no jobd's answer");
    else
        remote_said(&answer, top->notice);
    return false;
}

/* ---- once */

static int print_once(struct top *top)
{
    if (!ask(top)) {
        fprintf(stderr, "jobd top: %s: %s\n", remote_name(top->remote), top->notice);
        return EXIT_FAILED;
    }
    top->view.columns = PLAIN_COLUMNS;
    top->view.line_end = "\n";
    top_view_draw(stdout, &top->view, top->status);
    return 0;
}

/* ---- again and again */

static void draw(struct top *top)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return;
    terminal_size(&top->view.columns, &top->view.rows);
    top_view_draw(out, &top->view, top->status);
    if (fclose(out) == 0)
        terminal_draw(text, size);
    free(text);
}

static void hear_key(struct top *top)
{
    char key;
    struct top_view *view = &top->view;
    if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')
        top->over = true;
    else if (key == 'p')
        view->frozen = !view->frozen;
    else if (key == 'j' && view->first + 1 < top_view_queues(top->status))
        view->first++;
    else if (key == 'k' && view->first > 0)
        view->first--;
}

/* SIGTSTP: the shell has the terminal until this process is continued. */
static void suspend(struct top *top)
{
    terminal_close();
    (void)kill(getpid(), SIGSTOP);
    top->over = !terminal_open();
}

static void hear_signal(struct top *top)
{
    struct signalfd_siginfo info;
    if (read(top->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGTSTP)
        suspend(top);
    else if (info.ssi_signo != SIGWINCH) /* which is only a reason to draw again */
        top->over = true;
}

static void live(struct top *top)
{
    int64_t next_us = 0;
    while (!top->over) {
        if (!top->view.frozen && clock_now_us() >= next_us) {
            (void)ask(top);
            next_us = clock_after_us(top->options->every_us);
        }
        draw(top);
        struct pollfd polls[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = top->signals, .events = POLLIN}};
        if (poll(polls, 2, top->view.frozen ? -1 : clock_ms_until(next_us)) <= 0)
            continue;
        if (polls[1].revents != 0)
            hear_signal(top);
        if (polls[0].revents != 0)
            hear_key(top);
    }
}

static bool has_colors(void)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return (no == NULL || *no == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static int open_signals(void)
{
    static const int heard[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof heard / sizeof heard[0]; i++)
        sigaddset(&set, heard[i]);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
                                                   : -1;
}

static int run(struct top *top)
{
    int code = 0;
    if (!isatty(STDOUT_FILENO))
        return print_once(top);
    top->signals = open_signals();
    if (top->signals < 0 || !terminal_open())
        return print_once(top);
    top->view.colors = has_colors();
    top->view.line_end = TERMINAL_LINE_END;
    live(top);
    terminal_close();
    if (top->status == NULL && top->notice[0] != '\0') {
        fprintf(stderr, "jobd top: %s: %s\n", remote_name(top->remote), top->notice);
        code = EXIT_FAILED;
    }
    if (top->signals >= 0)
        close(top->signals);
    return code;
}

int top_main(const struct client_options *options)
{
    struct top top = {.options = options, .signals = -1};
    struct problem problem = {""};
    const struct remote_config config = {
        .urls = options->urls, .ca = options->ca, .token_file = options->token_file};
    int code = EXIT_FAILED;
    log_setup(LOG_TEXT, LOG_ERROR); /* that the server is away is shown in the picture */
    if (!remote_open(&top.remote, &config, &problem)) {
        fprintf(stderr, "jobd top: %s\n", problem.text);
        return EXIT_WRONG;
    }
    top.view.name = remote_name(top.remote);
    top.view.notice = top.notice;
    top.client = remote_client_new(top.remote, STATUS_MAX);
    if (top.client != NULL) {
        remote_client_use_get(top.client);
        code = run(&top);
    } else {
        fprintf(stderr, "jobd top: out of memory\n");
    }
    cJSON_Delete(top.status);
    remote_client_free(top.client);
    remote_free(top.remote);
    return code;
}

/* SPDX-License-Identifier: MIT */
/* The floor: what the kernel alone costs. An epoll loop that gives one fixed answer.
 *
 *     floor PORT
 *
 * It does not look at what it reads: one read counts as one request. That holds for a client that
 * sends a whole request at once and the next one only after the answer, as wrk does, and the count,
 * written at SIGUSR1 and at the end, is compared with the client's. The answer is jobd's 429 byte
 * for byte, only its date stands still. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BACKLOG = 4096 };

static const char answer[] = "HTTP/1.1 429 Too Many Requests\r\n"
                             "Date: Mon, 23 Nov 2026 19:35:11 GMT\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "Retry-After: 1\r\n"
                             "Content-Length: 5\r\n"
                             "\r\n"
                             "busy\n";

static int poller;
static uint64_t answered;

static bool watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return fd >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void welcome(int listener)
{
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 || !watch(fd))
            close(fd);
}

static void serve(int fd)
{
    char request[4096];
    ssize_t got = recv(fd, request, sizeof request, 0);
    if (got > 0 && send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) == (ssize_t)sizeof answer - 1)
        answered++;
    else
        close(fd);
}

/* Which signal came; the count is written for each. */
static uint32_t told(int signals)
{
    struct signalfd_siginfo info = {0};
    if (read(signals, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    printf("answered %" PRIu64 "\n", answered);
    fflush(stdout);
    return info.ssi_signo;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    at.sin_port = htons((uint16_t)(argc == 2 ? strtoul(argv[1], NULL, 10) : 0));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, BACKLOG) != 0 ||
        !watch(listener) || !watch(signals)) {
        perror("floor");
        return 1;
    }
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            if (events[i].data.fd == listener)
                welcome(listener);
            else if (events[i].data.fd != signals)
                serve(events[i].data.fd);
            else if (told(signals) == SIGTERM)
                return 0;
    }
}

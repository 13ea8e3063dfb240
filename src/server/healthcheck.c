/* SPDX-License-Identifier: MIT */
/* A fixed request of one line needs no HTTP client. */
#include "server/healthcheck.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "http/listen.h"
#include "http/tls.h"

static bool say(const char *address, const char *why)
{
    fprintf(stderr, "jobd: %s: %s\n", address, why);
    return false;
}

bool healthcheck(const char *address, bool tls)
{
    static const char request[] =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 ";
    char answer[sizeof good] = "";
    int fd = listen_connect(address);
    if (fd < 0)
        return say(address, strerror(-fd));
    const struct timeval patience = {.tv_sec = 5};
    const char *why = NULL;
    ssize_t got = -1;
    bool heard = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
    if (heard && tls)
        got = tls_ask(fd, request, answer, sizeof good - 1, &why);
    else if (heard &&
             send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1)
        got = recv(fd, answer, sizeof good - 1, MSG_WAITALL);
    int error = errno;
    close(fd);
    if (got < 0)
        return say(address, why != NULL ? why : strerror(error));
    return strcmp(answer, good) == 0 || say(address, "the answer is not 200");
}

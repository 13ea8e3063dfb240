/* SPDX-License-Identifier: MIT */
#include "server/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum { MESSAGE_SIZE = 1024 };

/* False: there is none. */
static bool manager(struct sockaddr_un *address, socklen_t *size)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = name != NULL ? strlen(name) : 0;
    if (length < 2 || length >= sizeof address->sun_path || (name[0] != '/' && name[0] != '@'))
        return false;
    memcpy(address->sun_path, name, length);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    else
        ++*size; /* its NUL */
    return true;
}

static void tell(const char *message)
{
    struct sockaddr_un address;
    socklen_t size;
    if (!manager(&address, &size))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
                         (const struct sockaddr *)&address, size) < 0)
        log_warn("NOTIFY_SOCKET: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
}

void notify_ready(const char *status)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "READY=1\nSTATUS=%s\n", status);
    tell(message);
}

void notify_reloading(void)
{
    char message[MESSAGE_SIZE];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    snprintf(message, sizeof message,
             "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the settings again\n", us);
    tell(message);
}

void notify_stopping(const char *format, ...)
{
    char status[MESSAGE_SIZE / 2], message[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status, sizeof status, format, arguments);
    va_end(arguments);
    snprintf(message, sizeof message, "STOPPING=1\nSTATUS=%s\n", status);
    tell(message);
}

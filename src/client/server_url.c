/* SPDX-License-Identifier: MIT */
#include "client/server_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "run/http_client.h"

#define UNIX_PREFIX "unix:"

static const char *socket_of(const char *server)
{
    size_t length = strlen(UNIX_PREFIX);
    return strncmp(server, UNIX_PREFIX, length) == 0 ? server + length : NULL;
}

bool server_url_ok(const char *server)
{
    const char *socket = socket_of(server);
    if (socket != NULL)
        return socket[0] != '\0' && strlen(socket) <= HTTP_SOCKET_MAX;
    return url_ok(server) && strchr(server, '?') == NULL;
}

char *server_url_make(const char *server, const char *path, const char **socket)
{
    char *url;
    *socket = socket_of(server);
    const char *base = *socket != NULL ? "http://localhost" : server;
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    return asprintf(&url, "%.*s%s", (int)length, base, path) < 0 ? NULL : url;
}

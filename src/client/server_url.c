/* SPDX-License-Identifier: MIT */
#include "client/server_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "run/http_client.h"

bool server_url_ok(const char *server)
{
    const char *socket = url_unix_path(server);
    if (socket != NULL)
        return socket[0] != '\0' && strlen(socket) <= HTTP_SOCKET_MAX;
    return url_ok(server) && strchr(server, '?') == NULL;
}

char *server_url_make(const char *server, const char *path, const char **socket)
{
    char *url;
    *socket = url_unix_path(server);
    const char *base = *socket != NULL ? "http://localhost" : server;
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    return asprintf(&url, "%.*s%s", (int)length, base, path) < 0 ? NULL : url;
}

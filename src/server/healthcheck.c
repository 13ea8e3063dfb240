/* SPDX-License-Identifier: MIT */
#include "server/healthcheck.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/url.h"

#define PATIENCE_MS 5000L /* connecting included */

enum { URL_SIZE = 320 };

/* A server that listens on all interfaces is asked through the loopback interface. */
static void make_url(const char *address, bool tls, char url[URL_SIZE])
{
    const char *scheme = tls ? "https" : "http", *port = strrchr(address, ':');
    int length = (int)(port - address);
    if (length == 0 || strncmp(address, "0.0.0.0:", 8) == 0)
        snprintf(url, URL_SIZE, "%s://127.0.0.1%s/healthz", scheme, port);
    else if (strncmp(address, "[::]:", 5) == 0)
        snprintf(url, URL_SIZE, "%s://[::1]%s/healthz", scheme, port);
    else
        snprintf(url, URL_SIZE, "%s://%.*s%s/healthz", scheme, length, address, port);
}

static size_t drop(char *bytes, size_t one, size_t size, void *context)
{
    (void)bytes, (void)one, (void)context;
    return size;
}

/* `why`: CURL_ERROR_SIZE bytes, as long as the handle is used. False when memory is short. */
static bool set_up(CURL *curl, const char *address, bool tls, char *why)
{
    const char *path = url_unix_path(address);
    char url[URL_SIZE];
    make_url(path != NULL ? "localhost:80" : address, tls, url);
    unsigned wrong = curl_easy_setopt(curl, CURLOPT_URL, url);
    wrong |= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
    wrong |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, PATIENCE_MS);
    wrong |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* older ones wait for a slow lookup */
    wrong |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
    wrong |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    wrong |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    /* Without TLS built in libcurl does not know these two. */
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    return wrong == 0;
}

bool healthcheck(const char *address, bool tls, struct problem *problem)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (curl != NULL && set_up(curl, address, tls, why)) {
        code = curl_easy_perform(curl);
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_easy_cleanup(curl);
    /* Over TLS jobd turns away by closing; one that stands still runs into the time limit. */
    if (status != 0 || code == CURLE_SSL_CONNECT_ERROR)
        return true;
    return problem_set(problem, "%s: %s", address, why[0] != '\0' ? why : curl_easy_strerror(code));
}

/* SPDX-License-Identifier: MIT */
#include "base/url.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

const char *url_unix_path(const char *address)
{
    static const char prefix[] = "unix:";
    const size_t length = sizeof prefix - 1;
    return strncmp(address, prefix, length) == 0 ? address + length : NULL;
}

static size_t scheme_length(const char *url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            return strlen(schemes[i]);
    return 0;
}

static bool is_plain_url(const char *url)
{
    size_t scheme = scheme_length(url), authority = strcspn(url + scheme, "/?");
    if (scheme == 0 || authority == 0 || memchr(url + scheme, '@', authority) != NULL)
        return false;
    for (const char *at = url; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || *at == '#')
            return false;
    return true;
}

bool url_ok(const char *url)
{
    CURLU *parsed = curl_url();
    bool ok = is_plain_url(url) && parsed != NULL &&
              curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;
    curl_url_cleanup(parsed);
    return ok;
}

/* False when there is none, or it is too long. */
static bool copy_part(CURLU *parsed, CURLUPart part, char *out, size_t size)
{
    char *text = NULL;
    bool good =
        curl_url_get(parsed, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && strlen(text) < size;
    if (good)
        memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    return good;
}

bool url_authority(const char *url, char *host, size_t host_size, char *port, size_t port_size)
{
    const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER | CURLU_PATH_AS_IS;
    CURLU *parsed = curl_url();
    bool good = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, flags) == CURLUE_OK &&
                copy_part(parsed, CURLUPART_HOST, host, host_size) &&
                copy_part(parsed, CURLUPART_PORT, port, port_size);
    curl_url_cleanup(parsed);
    return good;
}

/* A browser leaves its scheme's own port out. */
static bool ends_with_own_port(const char *origin)
{
    const char *own = strncasecmp(origin, "https:", 6) == 0 ? ":443" : ":80";
    size_t size = strlen(origin), length = strlen(own);
    return size > length && strcmp(origin + size - length, own) == 0;
}

/* A scheme that curl was built without is taken as well: nothing is fetched from there. */
bool origin_ok(const char *origin)
{
    CURLU *parsed = curl_url();
    char *normal = NULL;
    size_t size = strlen(origin);
    bool ok = is_plain_url(origin) && !ends_with_own_port(origin) && parsed != NULL &&
              curl_url_set(parsed, CURLUPART_URL, origin, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
              curl_url_get(parsed, CURLUPART_URL, &normal, 0) == CURLUE_OK &&
              strncmp(normal, origin, size) == 0 && strcmp(normal + size, "/") == 0;
    curl_free(normal);
    curl_url_cleanup(parsed);
    return ok;
}

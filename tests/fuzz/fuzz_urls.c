/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/url_prefix.h"
#include "base/verify.h"

/* Where libcurl would go: it resolves dots, and decodes. To be freed by curl_free(). */
static char *part_of(const char *url, CURLUPart part, unsigned flags)
{
    CURLU *parsed = curl_url();
    char *text = NULL;
    verify(parsed != NULL);
    verify(curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK);
    verify(curl_url_get(parsed, part, &text, flags) == CURLUE_OK);
    curl_url_cleanup(parsed);
    return text;
}

static bool same_host(const char *one, const char *other)
{
    struct in_addr a, b;
    struct in6_addr c, d;
    char left[64] = "", right[64] = "";
    if (inet_aton(one, &a) != 0 && inet_aton(other, &b) != 0)
        return a.s_addr == b.s_addr;
    size_t size = strlen(one), length = strlen(other);
    if (one[0] == '[' && other[0] == '[' && size < sizeof left && length < sizeof right) {
        memcpy(left, one + 1, size - 2);
        memcpy(right, other + 1, length - 2);
        return inet_pton(AF_INET6, left, &c) == 1 && inet_pton(AF_INET6, right, &d) == 1 &&
               memcmp(&c, &d, sizeof c) == 0;
    }
    size -= size > 0 && one[size - 1] == '.';
    length -= length > 0 && other[length - 1] == '.';
    return size == length && strncasecmp(one, other, size) == 0;
}

static void compare(const char *prefix, const char *url)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_PORT, CURLUPART_HOST};
    for (size_t i = 0; i < 3; i++) {
        char *one = part_of(prefix, parts[i], CURLU_DEFAULT_PORT);
        char *other = part_of(url, parts[i], CURLU_DEFAULT_PORT);
        verify(parts[i] == CURLUPART_HOST ? same_host(one, other) : strcmp(one, other) == 0);
        curl_free(one);
        curl_free(other);
    }
    char *path = part_of(prefix, CURLUPART_PATH, CURLU_URLDECODE);
    char *below = part_of(url, CURLUPART_PATH, CURLU_URLDECODE);
    verify(strncmp(below, path, strlen(path)) == 0);
    curl_free(path);
    curl_free(below);
}

/* A prefix, a line feed, and a URL. */
void fuzz_url(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    verify(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    char *url = strchr(text, '\n');
    if (url != NULL) {
        *url++ = '\0';
        if (url_prefix_allows(text, url)) {
            verify(url_prefix_ok(text) && url_prefix_url_ok(url));
            compare(text, url);
        }
        if (url_prefix_ok(text))
            verify(url_prefix_allows(text, text));
    }
    free(text);
}

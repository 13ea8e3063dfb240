/* SPDX-License-Identifier: MIT */
#include "http/content.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a of 64 bits. It only has to tell versions of our own content apart, so nobody can attack
 * it. */
void content_init(struct content *content)
{
    const unsigned char *bytes = content->bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < content->size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    snprintf(content->etag, sizeof content->etag, "\"%016" PRIx64 "\"", hash);
}

bool etag_listed(const char *list, const char *etag)
{
    static const char between[] = " \t,";
    size_t length = strlen(etag);
    list += strspn(list, between);
    if (*list == '*')
        return true;
    while (*list != '\0') {
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        const char *end = *list == '"' ? strchr(list + 1, '"') : NULL;
        if (end == NULL) /* not an entity tag: what comes behind it means nothing */
            return false;
        size_t size = (size_t)(end + 1 - list);
        if (size == length && memcmp(list, etag, length) == 0)
            return true;
        list = end + 1;
        list += strspn(list, between);
    }
    return false;
}

void reply_content(struct reply *reply, const struct request *request,
                   const struct content *content)
{
    char has[1024];
    bool known = etag_listed(request_none_match(request, has, sizeof has), content->etag);
    reply_text(reply, "ETag", "", content->etag);
    reply->status = known ? 304 : 200;
    reply->type = content->type;
    reply->bytes = content->bytes; /* a 304 has the length of these, and no body */
    reply->size = content->size;
}

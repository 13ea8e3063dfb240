/* SPDX-License-Identifier: MIT */
#include "http/cors.h"

#include <string.h>

#include "base/url.h"

/* Browsers send it in this form, and it will be compared byte by byte. */
bool cors_origin_valid(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]/";
    return strspn(text, allowed) == strlen(text) && strlen(text) <= CORS_ORIGIN_MAX &&
           origin_ok(text);
}

bool cors_allows(const struct headers *headers, const char *origin)
{
    return origin != NULL && headers->origin.size == strlen(origin) &&
           memcmp(headers->origin.text, origin, headers->origin.size) == 0;
}

bool cors_fields(const char *origin, const char *allow, cors_add *add, void *context)
{
    const struct {
        const char *name, *value;
    } always[] =
        {{"Access-Control-Allow-Origin", origin},
         {"Access-Control-Expose-Headers",
          "Location, Retry-After, Jobd-Id, Jobd-Queue, Jobd-Attempt, Jobd-Attempts, "
          "Jobd-Timeout, Jobd-Expires, Jobd-State, Jobd-Duplicate, Jobd-Replaced, Jobd-Repeated, "
          "Jobd-Output-Truncated, Content-Disposition, Content-Range, Cache-Control, "
          "X-Accel-Buffering, "
          "Preference-Applied, ETag, traceparent, "
          "WWW-Authenticate"}},
      asked[] = {{"Access-Control-Allow-Methods", allow},
                 {"Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, "
                                                  "Last-Event-ID, Prefer, Range, traceparent"},
                 {"Access-Control-Max-Age", "600"}};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (!add(context, always[i].name, always[i].value))
            return false;
    for (size_t i = 0; *allow != '\0' && i < sizeof asked / sizeof asked[0]; i++)
        if (!add(context, asked[i].name, asked[i].value))
            return false;
    return true;
}

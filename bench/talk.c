/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The plan, and what follows from it once for all connections. */
static struct talk_plan plan;
static char first[TALK_OUT];
static size_t first_len;
static enum talk_step (*hear)(struct talk *talk);

static void say(struct talk *talk, const char *text, size_t length)
{
    memcpy(talk->out, text, length);
    talk->out_len = length;
    talk->out_sent = 0;
}

static void take_out(struct talk *talk, size_t length)
{
    talk->in_len -= length;
    memmove(talk->in, talk->in + length, talk->in_len);
}

/* A header's value within a reply's head, or NULL; the name is given with its line's start. */
static const char *value_of(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at != NULL ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

/* The second request goes to the Location of the first one's reply. */
static bool follow(struct talk *talk, const char *location)
{
    int length = snprintf(
        talk->out, sizeof talk->out, "%s %.*s%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n",
        plan.follow, (int)strcspn(location, "\r"), location, plan.suffix, plan.host);
    talk->out_len = (size_t)length;
    talk->out_sent = 0;
    talk->second = true;
    return length > 0 && (size_t)length < sizeof talk->out;
}

/* The leases of a reply's body, each a line of the second request. A reply without any is the end.
 */
static enum talk_step end_leases(struct talk *talk)
{
    static const char name[] = "\"lease\":\"";
    char lines[TALK_OUT];
    size_t lines_len = 0;
    const char *at = talk->in, *end = talk->in + talk->body_left;
    while ((at = memmem(at, (size_t)(end - at), name, sizeof name - 1)) != NULL) {
        const char *close = memchr(at + sizeof name - 1, '"', (size_t)(end - at) - sizeof name + 1);
        if (close == NULL || lines_len + (size_t)(close - at) + 4 > sizeof lines)
            return TALK_BROKEN;
        lines_len += (size_t)snprintf(lines + lines_len, sizeof lines - lines_len, "{%.*s\"}\n",
                                      (int)(close - at), at);
        at = close;
    }
    take_out(talk, talk->body_left);
    talk->in_body = false;
    if (lines_len == 0)
        return TALK_ENDED;
    int length = snprintf(talk->out, sizeof talk->out,
                          "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n%.*s",
                          plan.ends, plan.host, lines_len, (int)lines_len, lines);
    talk->out_len = (size_t)length;
    talk->out_sent = 0;
    talk->second = true;
    return talk->out_len < sizeof talk->out ? TALK_AGAIN : TALK_BROKEN;
}

/* Bodies are not looked at, and may be longer than the buffer; but for leases that are to be ended.
 */
static enum talk_step hear_body(struct talk *talk)
{
    if (plan.ends != NULL && !talk->second && talk->body_left <= TALK_IN)
        return talk->in_len < talk->body_left ? TALK_MORE : end_leases(talk);
    size_t got = talk->in_len < talk->body_left ? talk->in_len : talk->body_left;
    take_out(talk, got);
    talk->body_left -= got;
    talk->in_body = talk->body_left > 0;
    return talk->in_body ? TALK_MORE : talk->step;
}

static enum talk_step hear_http(struct talk *talk)
{
    if (talk->in_body)
        return hear_body(talk);
    char *end = memmem(talk->in, talk->in_len, "\r\n\r\n", 4);
    if (end == NULL)
        return talk->in_len < TALK_IN ? TALK_MORE : TALK_BROKEN;
    if (strncmp(talk->in, "HTTP/1.1 ", 9) != 0)
        return TALK_BROKEN;
    end[3] = '\0';
    const char *length = value_of(talk->in, "\r\nContent-Length:");
    talk->body_left = length != NULL ? strtoul(length, NULL, 10) : 0;
    talk->in_body = true;
    talk->status = (unsigned)strtoul(talk->in + 9, NULL, 10);
    talk->step = TALK_ENDED;
    const char *location = talk->second ? NULL : value_of(talk->in, "\r\nLocation:");
    if (location != NULL && strncmp(location, "/jobs/", 6) == 0)
        talk->job = strtoull(location + 6, NULL, 10);
    if (location != NULL && plan.follow != NULL)
        talk->step = follow(talk, location) ? TALK_AGAIN : TALK_BROKEN;
    take_out(talk, (size_t)(end + 4 - talk->in));
    return hear_body(talk);
}

/* beanstalkd's replies in the numbers of HTTP, so that one table of statuses holds both. */
static unsigned status_of(const char *line)
{
    static const struct {
        const char *word;
        unsigned status;
    } words[] = {
        {"INSERTED", 202}, {"DELETED", 200}, {"TIMED_OUT", 204}, {"BURIED", 507}, {"DRAINING", 503},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(line, words[i].word, strlen(words[i].word)) == 0)
            return words[i].status;
    return 500;
}

static enum talk_step hear_beanstalk(struct talk *talk)
{
    char *end = memmem(talk->in, talk->in_len, "\r\n", 2);
    if (end == NULL)
        return talk->in_len < TALK_IN ? TALK_MORE : TALK_BROKEN;
    size_t whole = (size_t)(end + 2 - talk->in);
    unsigned long long id, bytes;
    if (sscanf(talk->in, "RESERVED %llu %llu", &id, &bytes) == 2) {
        whole += bytes + 2;
        if (whole > TALK_IN)
            return TALK_BROKEN;
        if (talk->in_len < whole)
            return TALK_MORE;
        int length = snprintf(talk->out, sizeof talk->out, "delete %llu\r\n", id);
        talk->out_len = (size_t)length;
        talk->out_sent = 0;
        take_out(talk, whole);
        return TALK_AGAIN;
    }
    talk->status = status_of(talk->in);
    take_out(talk, whole);
    return TALK_ENDED;
}

bool talk_init(const struct talk_plan *given)
{
    plan = *given;
    int length = -1;
    size_t payload = plan.lines > 0 ? plan.lines * (plan.payload + 1) : plan.payload;
    if (strcmp(plan.protocol, "http") == 0) {
        hear = hear_http;
        length = snprintf(first, sizeof first, "%s %s HTTP/1.1\r\nHost: %s\r\n", plan.method,
                          plan.path, plan.host);
        if (length > 0 && (size_t)length < sizeof first && plan.json)
            length += snprintf(first + length, sizeof first - (size_t)length,
                               "Accept: application/json\r\n");
        if (length > 0 && (size_t)length < sizeof first && strcmp(plan.method, "POST") == 0)
            length += snprintf(first + length, sizeof first - (size_t)length,
                               "Content-Length: %zu\r\n", payload);
        if (length > 0 && (size_t)length < sizeof first)
            length += snprintf(first + length, sizeof first - (size_t)length, "\r\n");
    } else if (strcmp(plan.protocol, "put") == 0) {
        hear = hear_beanstalk;
        length = snprintf(first, sizeof first, "put 0 0 60 %zu\r\n", payload);
        payload += 2;
    } else if (strcmp(plan.protocol, "take") == 0) {
        hear = hear_beanstalk;
        length = snprintf(first, sizeof first, "reserve-with-timeout 0\r\n");
        payload = 0;
    }
    if (length < 0 || (size_t)length + payload > sizeof first)
        return false;
    memset(first + length, 'x', payload);
    first_len = (size_t)length + payload;
    for (size_t line = 1; line <= plan.lines; line++)
        first[(size_t)length + line * (plan.payload + 1) - 1] = '\n';
    if (strcmp(plan.protocol, "put") == 0)
        memcpy(first + first_len - 2, "\r\n", 2);
    return true;
}

void talk_ask(struct talk *talk)
{
    talk->second = false;
    talk->job = 0;
    say(talk, first, first_len);
}

enum talk_step talk_hear(struct talk *talk)
{
    return hear(talk);
}

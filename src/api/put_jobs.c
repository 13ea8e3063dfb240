/* SPDX-License-Identifier: MIT */
#include "api/put_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/lines.h"
#include "api/put_options.h"
#include "api/respond.h"
#include "base/base64.h"
#include "base/json_walk.h"
#include "base/text.h"
#include "base/utf8.h"

/* One job while its line is read. */
struct draft {
    struct jobd_put *put;
    struct jobd_terms *terms;
    struct jobd_blob **payload;
    char **texts; /* where the next text goes: there is room for all of the line's */
    bool has_delay, has_at, has_payload;
};

/* ---- values */

/* What a string says, as a text behind the others; NULL when it is no string, or has a NUL. */
static char *take_text(struct draft *draft, const struct json_token *value)
{
    size_t size;
    char *text = *draft->texts;
    if (value->text[0] != '"' || !json_decode(value, text, &size) ||
        memchr(text, '\0', size) != NULL)
        return NULL;
    text[size] = '\0';
    *draft->texts += size + 1;
    return text;
}

/* The same for a text that is not kept. */
static char *peek_text(struct draft *draft, const struct json_token *value)
{
    char *text = take_text(draft, value);
    if (text != NULL)
        *draft->texts = text;
    return text;
}

static bool read_duration(struct draft *draft, const struct json_token *value, int64_t min_us,
                          int64_t *us)
{
    const char *text = peek_text(draft, value);
    return text != NULL && text_to_duration(text, us) && *us >= min_us;
}

static bool read_delay(struct draft *draft, const struct json_token *value)
{
    draft->has_delay = true;
    draft->put->at_us = 0;
    return read_duration(draft, value, 0, &draft->put->delay_us);
}

static bool read_at(struct draft *draft, const struct json_token *value)
{
    const char *text = peek_text(draft, value);
    draft->has_at = true;
    draft->put->delay_us = 0;
    return text != NULL && put_text_at(text, &draft->put->at_us);
}

static bool read_priority(struct draft *draft, const struct json_token *value)
{
    uint64_t number;
    bool good = json_read_number(value, JOBD_PRIORITIES - 1, &number);
    draft->put->priority = good ? (uint8_t)number : 0;
    return good;
}

static bool read_attempts(struct draft *draft, const struct json_token *value)
{
    uint64_t number;
    bool good = json_read_number(value, JOBD_ATTEMPTS_MAX, &number) && number > 0;
    draft->put->attempts = good ? (uint32_t)number : 0;
    return good;
}

static bool read_timeout(struct draft *draft, const struct json_token *value)
{
    return read_duration(draft, value, JOB_TIME_MIN_US, &draft->put->timeout_us);
}

static bool read_keep(struct draft *draft, const struct json_token *value)
{
    return read_duration(draft, value, JOB_TIME_MIN_US, &draft->terms->keep_us);
}

static bool read_expires(struct draft *draft, const struct json_token *value)
{
    const char *text = peek_text(draft, value);
    return text != NULL && put_text_expiry(text, draft->terms);
}

static bool read_group(struct draft *draft, const struct json_token *value)
{
    const char *text = take_text(draft, value);
    draft->terms->texts[JOBD_GROUP] = text;
    return text != NULL && text_is_word(text, JOBD_GROUP_SIZE);
}

static bool read_key(struct draft *draft, const struct json_token *value)
{
    const char *text = take_text(draft, value);
    size_t length = text != NULL ? strlen(text) : 0;
    draft->put->key = text;
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length > 0 && length < JOBD_KEY_SIZE;
}

/* One more, with its line feed in place of the NUL. */
static bool read_one_tag(struct draft *draft, const struct json_token *value)
{
    char *text = take_text(draft, value);
    if (text == NULL || !text_is_word(text, JOBD_TAG_SIZE))
        return false;
    text[strlen(text)] = '\n';
    return true;
}

static bool read_tags(struct draft *draft, const struct json_token *value)
{
    char *tags = *draft->texts;
    struct json_token item;
    unsigned count = 1;
    size_t at = 0;
    bool good = true;
    if (value->text[0] != '[')
        good = read_one_tag(draft, value);
    else
        for (count = 0; good && json_next_item(value, &at, &item); count++)
            good = count < JOBD_TAGS_MAX && read_one_tag(draft, &item);
    *(*draft->texts)++ = '\0';
    draft->terms->texts[JOBD_TAGS] = count > 0 ? tags : NULL;
    return good;
}

/* ---- the payload */

static bool set_payload(struct draft *draft, struct jobd_blob *blob)
{
    draft->has_payload = true;
    *draft->payload = blob;
    draft->put->payload = blob;
    return blob != NULL;
}

static bool keep_bytes(struct draft *draft, const void *bytes, size_t size, const char *type)
{
    struct jobd_blob *blob = jobd_blob_new(size, type);
    if (blob != NULL && size > 0)
        memcpy(blob->bytes, bytes, size);
    return set_payload(draft, blob);
}

/* A string, or any other value as it stands: so numbers keep all their digits. */
static bool read_payload(struct draft *draft, const struct json_token *value)
{
    size_t size;
    if (draft->has_payload)
        return false;
    if (value->text[0] != '"')
        return keep_bytes(draft, value->text, value->size, TYPE_JSON);
    return json_decode(value, *draft->texts, &size) &&
           keep_bytes(draft, *draft->texts, size, TYPE_TEXT);
}

static bool read_base64(struct draft *draft, const struct json_token *value)
{
    size_t size;
    const char *text = peek_text(draft, value);
    return !draft->has_payload && text != NULL && base64_read(text, *draft->texts, &size) &&
           keep_bytes(draft, *draft->texts, size, TYPE_BYTES);
}

/* ---- a line */

#define STRING "a string of " WORD_VALUES
#define TAGS   STRING ", or an array of " TAGS_VALUES

static const struct member {
    const char *name, *allowed;
    bool (*read)(struct draft *draft, const struct json_token *value);
} members[] = {
    {"payload", "a string or another JSON value, or payload_base64, once", read_payload},
    {"payload_base64", "a string in Base64, or payload, once", read_base64},
    {"delay", DURATION_VALUES, read_delay},
    {"at", TIME_VALUES, read_at},
    {"priority", PRIORITY_VALUES, read_priority},
    {"attempts", ATTEMPTS_VALUES, read_attempts},
    {"timeout", DURATION_VALUES ", from 1ms", read_timeout},
    {"expires", DURATION_VALUES ", or an RFC 3339 time", read_expires},
    {"keep", DURATION_VALUES ", from 1ms", read_keep},
    {"key", STRING, read_group},
    {"tag", TAGS, read_tags},
    {"tags", TAGS, read_tags},
    {"idempotency_key", "a string of 1 to 255 visible ASCII characters", read_key},
};

enum { MEMBERS = sizeof members / sizeof members[0], NAME_MAX_SIZE = 40 };

static bool is_named(const struct json_token *name, const char *text)
{
    return name->size == strlen(text) + 2 && memcmp(name->text + 1, text, name->size - 2) == 0;
}

static const struct member *member_named(const struct json_token *name)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (is_named(name, members[i].name))
            return &members[i];
    return NULL;
}

/* Why this member is refused: its value, or, with `member` NULL, its name. */
static void refuse_member(const struct json_token *name, const struct member *member, char *why,
                          size_t room)
{
    char text[NAME_MAX_SIZE], shown[NAME_MAX_SIZE];
    if (member != NULL) {
        snprintf(why, room, "%s must be %s", member->name, member->allowed);
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)(name->size - 2), name->text + 1);
    snprintf(why, room, "unknown member \"%s\"", text_printable(text, shown, sizeof shown));
}

/* True when the line is no job; `why` says why not. */
static bool is_wrong(struct draft *draft, const char *line, size_t size, char *why, size_t room)
{
    struct json_token name, value;
    unsigned seen = 0;
    size_t at = 0;
    if (!utf8_valid((const unsigned char *)line, size) || !json_is_object(line, size)) {
        snprintf(why, room, "it is no JSON object");
        return true;
    }
    while (json_next_member(line, size, &at, &name, &value)) {
        const struct member *member = member_named(&name);
        unsigned bit = member != NULL ? 1U << (member - members) : 0;
        if (member == NULL || !member->read(draft, &value)) {
            refuse_member(&name, member, why, room);
            return true;
        }
        if ((seen & bit) != 0) {
            snprintf(why, room, "%s is given twice", member->name);
            return true;
        }
        seen |= bit;
    }
    if (draft->has_at && draft->has_delay)
        snprintf(why, room, "at and delay: only one of them");
    return draft->has_at && draft->has_delay;
}

/* ---- all of them */

size_t put_jobs_bytes(const struct jobd_blob *body, uint64_t count)
{
    const struct put_jobs *jobs = NULL;
    size_t each = sizeof *jobs->puts + sizeof *jobs->terms + sizeof *jobs->ids +
                  sizeof *jobs->lines + sizeof *jobs->order;
    /* Their texts, and their payloads. */
    return sizeof *jobs + (size_t)count * (each + 1) + 2 * (size_t)body->size + 1 +
           sizeof(struct put_words);
}

/* All in one piece, so that it is freed as one. */
static struct put_jobs *new_jobs(const struct jobd_blob *body, uint32_t count)
{
    struct put_jobs *jobs = calloc(1, put_jobs_bytes(body, count));
    if (jobs == NULL)
        return NULL;
    jobs->puts = (struct jobd_put *)(void *)(jobs + 1);
    jobs->terms = (struct jobd_terms *)(void *)(jobs->puts + count);
    jobs->ids = (uint64_t *)(void *)(jobs->terms + count);
    jobs->lines = (uint32_t *)(void *)(jobs->ids + count);
    jobs->order = jobs->lines + count;
    jobs->texts = (char *)(jobs->order + count);
    return jobs;
}

static enum step bad_line(struct call *call, uint32_t line, const char *why)
{
    char detail[256];
    snprintf(detail, sizeof detail, "line %u: %s", (unsigned)line, why);
    return respond_error(call, 400, detail);
}

static enum step make_all(struct call *call, const struct jobd_put *put,
                          const struct jobd_terms *terms, struct put_jobs *jobs)
{
    struct request *request = call->request;
    char *texts = jobs->texts, why[200];
    const char *line;
    size_t at = 0, size;
    uint32_t number = 0;
    while (lines_next(request->body, &at, &number, &line, &size)) {
        uint32_t i = jobs->len++;
        struct draft draft = {.put = &jobs->puts[i],
                              .terms = &jobs->terms[i],
                              .payload = &request->batch[i],
                              .texts = &texts};
        request->batch_len = jobs->len;
        jobs->lines[i] = number;
        *draft.put = *put;
        *draft.terms = *terms;
        draft.put->payload = NULL;
        draft.put->terms = draft.terms;
        if (is_wrong(&draft, line, size, why, sizeof why))
            return bad_line(call, number, why);
    }
    return STEP_START;
}

/* ---- keys that come more than once */

static int by_key(const void *left, const void *right, void *context)
{
    const struct jobd_put *puts = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    int order = strcmp(puts[a].key, puts[b].key);
    return order != 0 ? order : (a > b) - (a < b);
}

static bool same_payload(const struct jobd_blob *a, const struct jobd_blob *b)
{
    size_t size = a != NULL ? a->size : 0;
    return size == (b != NULL ? b->size : 0) &&
           (size == 0 || memcmp(a->bytes, b->bytes, size) == 0);
}

static enum step check_keys(struct call *call, const struct put_jobs *jobs)
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < jobs->len; i++)
        if (jobs->puts[i].key != NULL)
            jobs->order[len++] = i;
    qsort_r(jobs->order, len, sizeof *jobs->order, by_key, jobs->puts);
    for (uint32_t i = 1; i < len; i++) {
        const struct jobd_put *a = &jobs->puts[jobs->order[i - 1]];
        const struct jobd_put *b = &jobs->puts[jobs->order[i]];
        if (strcmp(a->key, b->key) == 0 && !same_payload(a->payload, b->payload))
            return bad_line(call, jobs->lines[jobs->order[i]],
                            "a line before it has its idempotency_key with another payload");
    }
    return STEP_START;
}

enum step put_jobs_make(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                        uint32_t count)
{
    struct request *request = call->request;
    struct jobd_terms all = *terms;
    struct jobd_put each = *put;
    struct put_jobs *jobs = new_jobs(request->body, count);
    request->batch_jobs = jobs;
    request->batch = jobs != NULL ? calloc(count, sizeof *request->batch) : NULL;
    if (request->batch == NULL)
        return respond_no_memory(call);
    struct put_words *words = (struct put_words *)(void *)jobs->texts;
    jobs->texts += sizeof *words;
    put_options_words(request, &each, &all, words);
    if (make_all(call, &each, &all, jobs) == STEP_REPLY || check_keys(call, jobs) == STEP_REPLY)
        return STEP_REPLY;
    jobd_blob_unref(request->body);
    request->body = NULL;
    put->payload = NULL;
    put->puts = jobs->puts;
    put->ids = jobs->ids;
    put->batch_len = jobs->len;
    return STEP_START;
}

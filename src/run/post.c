/* SPDX-License-Identifier: MIT */
/* The `post` runner: what a request says, what an answer means, and the connections, which an
 * attempt borrows. */
#include "run/post.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/text.h"
#include "base/url.h"
#include "base/utf8.h"
#include "run/http_client.h"
#include "run/passed_fields.h"

enum { ERROR_SIZE = 800 }; /* of the text in an outcome */

/* A connection to the service, and what it belongs to while no attempt has it. */
struct connection {
    struct connection *next;
    struct http_client *web;
};

struct post {
    char *url, *queue, *socket, *ca;
    char **fields; /* or NULL */
    bool signs;
    struct webhook_key key;
    size_t output_max_bytes;
    struct mutex lock;
    /* The last used comes first, so that connections which are not needed stay unused, and are
     * closed. */
    struct connection *ready GUARDED_BY(lock);
    struct connection *hanging GUARDED_BY(lock); /* in a lookup that nobody waits for any more */
};

/* ---- connections */

static void connection_free(struct connection *connection)
{
    http_client_free(connection->web);
    free(connection);
}

static struct connection *connection_new(const struct post *post)
{
    struct connection *connection = malloc(sizeof *connection);
    const struct http_target target = {.url = post->url, .socket = post->socket, .ca = post->ca};
    struct http_client *web = http_client_new(&target, post->output_max_bytes);
    if (connection == NULL || web == NULL) {
        if (web != NULL)
            http_client_free(web);
        free(connection);
        return NULL;
    }
    connection->web = web;
    return connection;
}

static void put_back(struct post *post, struct connection *connection)
{
    bool ready = http_client_reset(connection->web);
    mutex_lock(&post->lock);
    struct connection **list = ready ? &post->ready : &post->hanging;
    connection->next = *list;
    *list = connection;
    mutex_unlock(&post->lock);
}

/* The connections whose lookup has ended can be used again. */
static void look_at_hanging(struct post *post)
{
    mutex_lock(&post->lock);
    struct connection *connection = post->hanging, *next;
    post->hanging = NULL;
    mutex_unlock(&post->lock);
    for (; connection != NULL; connection = next) {
        next = connection->next;
        put_back(post, connection);
    }
}

static struct connection *borrow(struct post *post)
{
    look_at_hanging(post);
    mutex_lock(&post->lock);
    struct connection *connection = post->ready;
    if (connection != NULL)
        post->ready = connection->next;
    mutex_unlock(&post->lock);
    return connection != NULL ? connection : connection_new(post);
}

/* ---- the request */

/* Is it a String of structured fields (RFC 9651, section 3.3.3) already? */
static bool is_string(const char *text)
{
    if (*text++ != '"')
        return false;
    for (; *text != '"'; text++) {
        if (*text == '\\' && *++text != '"' && *text != '\\')
            return false;
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return text[1] == '\0';
}

/* Can it be written as one? */
static bool fits_string(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* The key as draft-ietf-httpapi-idempotency-key-header wants it, a String; for the caller to free.
 * NULL when memory is short. */
static char *key_string(const struct jobd_task *task)
{
    const char *key = task->key;
    char own[40];
    snprintf(own, sizeof own, "jobd-%" PRIu64, task->id);
    if (is_string(key))
        return strdup(key);
    if (*key == '\0' || !fits_string(key))
        key = own;
    char *quoted = malloc(2 * strlen(key) + sizeof "\"\""), *to = quoted;
    if (quoted == NULL)
        return NULL;
    *to++ = '"';
    for (; *key != '\0'; key++) {
        if (*key == '"' || *key == '\\')
            *to++ = '\\';
        *to++ = *key;
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

static bool add_number(struct http_client *web, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    return http_client_field(web, name, text);
}

static bool add_key(struct http_client *web, const struct jobd_task *task)
{
    char *key = key_string(task);
    bool added = key != NULL && http_client_field(web, "Idempotency-Key", key);
    free(key);
    return added;
}

static bool add_type(struct http_client *web, const struct jobd_blob *payload)
{
    if (payload == NULL)
        return true;
    bool known = http_client_value_ok(payload->type);
    return http_client_field(web, "Content-Type",
                             known ? payload->type : "application/octet-stream");
}

/* The time is that of this attempt, by the wall clock: receivers refuse one that is not recent. */
static bool add_signature(struct http_client *web, const struct post_message *letter,
                          const struct jobd_task *task)
{
    const struct jobd_blob *payload = letter->body;
    char id[40], signature[WEBHOOK_SIGNATURE_SIZE];
    if (letter->key == NULL)
        return true;
    snprintf(id, sizeof id, "jobd-%" PRIu64, task->id);
    const struct webhook_message message = {
        .id = id,
        .at_s = clock_wall_us(clock_now_us()) / CLOCK_SECOND_US,
        .body = payload != NULL ? payload->bytes : NULL,
        .size = payload != NULL ? payload->size : 0,
    };
    webhook_sign(letter->key, &message, signature);
    return http_client_field(web, "webhook-id", id) &&
           add_number(web, "webhook-timestamp", (uint64_t)message.at_s) &&
           http_client_field(web, "webhook-signature", signature);
}

static bool add_own(struct http_client *web, const struct post *post)
{
    bool added = true;
    for (char **field = post->fields; field != NULL && *field != NULL && added; field++)
        added = http_client_field_line(web, *field);
    return added;
}

/* As they came. */
static bool add_passed(struct http_client *web, const struct jobd_task *task)
{
    const char *text = jobd_text(task->words, JOBD_HEADERS);
    struct passed_field field;
    bool added = true;
    while (added && passed_fields_next(&text, &field)) {
        char *line = strndup(field.line, field.line_size);
        added = line != NULL && http_client_field_line(web, line);
        free(line);
    }
    return added;
}

static bool add_fields(struct http_client *web, const struct post *post,
                       const struct post_message *message, const struct jobd_task *task)
{
    return add_type(web, message->body) && add_number(web, "Jobd-Id", task->id) &&
           add_number(web, "Jobd-Attempt", task->attempt) &&
           http_client_field(web, "Jobd-Queue", post->queue) && add_key(web, task) &&
           http_client_field(web, "traceparent", task->trace) && add_own(web, post) &&
           add_passed(web, task) && add_signature(web, message, task);
}

/* ---- the outcome */

/* Bytes of a UTF-8 character by its first one. */
static size_t character_length(unsigned char first)
{
    return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Without a character at the end of which only the beginning is there. */
static size_t whole_characters(const char *bytes, size_t size)
{
    size_t at = size;
    while (at > 0 && size - at < 3 && ((unsigned char)bytes[at - 1] & 0xc0) == 0x80)
        at--;
    bool cut = at > 0 && character_length((unsigned char)bytes[at - 1]) > size - at + 1;
    return cut ? at - 1 : size;
}

static bool is_blank(const char *at)
{
    unsigned char c = (unsigned char)at[0];
    return c <= ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)at[1] < 0xa0); /* C1 controls */
}

/* Appends UTF-8 to a text in ERROR_SIZE bytes, each run of blanks and control characters as one
 * space, so that it stays one line. */
static void append_text(char *text, const char *from)
{
    size_t used = strlen(text);
    while (*from != '\0') {
        size_t length = character_length((unsigned char)*from);
        bool blank = is_blank(from);
        if (used + length >= ERROR_SIZE)
            break;
        if (!blank) {
            memcpy(text + used, from, length);
            used += length;
        } else if (used > 0 && text[used - 1] != ' ') {
            text[used++] = ' ';
        }
        from += length;
    }
    while (used > 0 && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}

/* The same with bytes of any kind; none when memory is short. */
static void append(char *text, const char *bytes, size_t size)
{
    char *from = utf8_repaired((const unsigned char *)bytes, whole_characters(bytes, size));
    if (from != NULL)
        append_text(text, from);
    free(from);
}

static struct jobd_blob *blob_of(const char *bytes, size_t size, const char *type)
{
    struct jobd_blob *blob = jobd_blob_new(size, type);
    if (blob != NULL)
        memcpy(blob->bytes, bytes, size);
    return blob;
}

/* `why: more`, where the second may be empty. */
static void fail(struct jobd_outcome *outcome, const char *why, const char *more, size_t more_size)
{
    char text[ERROR_SIZE] = "";
    append(text, why, strlen(why));
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, ": ");
    append(text, more, more_size);
    if (strlen(text) == used + 1) /* nothing followed */
        text[used] = '\0';
    outcome->state = JOBD_FAILED;
    outcome->error = blob_of(text, strlen(text), TYPE_TEXT);
}

static void fail_late(struct jobd_outcome *outcome, int64_t timeout_us, bool asked)
{
    char text[80];
    int64_t ms = timeout_us / 1000;
    if (!asked && (timeout_us == 0 || ms > HTTP_CONNECT_MS))
        ms = HTTP_CONNECT_MS;
    snprintf(text, sizeof text, "no %s within %" PRId64 " ms",
             asked ? "complete response" : "connection", ms);
    fail(outcome, text, "", 0);
    outcome->down = true;
}

static void take_output(struct jobd_outcome *outcome, const struct http_answer *answer)
{
    outcome->state = JOBD_DONE;
    outcome->output_truncated = answer->cut;
    if (answer->size > 0) {
        outcome->output = blob_of(answer->bytes, answer->size, answer->type);
        if (outcome->output == NULL) /* the work was done all the same */
            outcome->output_truncated = true;
    }
}

/* Is the failure temporary? Other answers would be the same next time. A 403 that says when to come
 * again is a rate limit: some services answer so in place of 429. */
static bool may_pass(const struct http_answer *answer)
{
    long status = answer->status;
    return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500 ||
           (status == 403 && answer->says_when);
}

/* No answer at all; or 502 to 504, which a proxy in front of the service gives. */
static bool is_down(const struct http_answer *answer)
{
    long status = answer->status;
    return status == 0 ? answer->silent : status >= 502 && status <= 504;
}

static void fail_with(struct jobd_outcome *outcome, const struct http_answer *answer, bool insists)
{
    char text[160];
    snprintf(text, sizeof text, "%ld %s", answer->status, answer->reason);
    fail(outcome, text, answer->bytes, answer->size);
    outcome->for_good = insists ? answer->status == 410 : !may_pass(answer);
    if (!outcome->for_good)
        outcome->retry_in_us = answer->wait_for_s * CLOCK_SECOND_US;
}

static void judge(struct jobd_outcome *outcome, const struct http_answer *answer, bool insists)
{
    if (answer->status == 0)
        fail(outcome, answer->reason, "", 0);
    else if (answer->status / 100 == 2)
        take_output(outcome, answer);
    else
        fail_with(outcome, answer, insists);
    outcome->down = outcome->state == JOBD_FAILED && is_down(answer);
}

/* The connection's last message may have gone to another URL. */
static bool aim(const struct post *post, struct connection *connection,
                const struct post_message *message)
{
    const struct http_target target = {.url = message->url, .socket = post->socket, .ca = post->ca};
    return message->url == post->url || http_client_aim(connection->web, &target);
}

void post_message(const struct jobd_task *task, const struct post_message *message,
                  struct jobd_outcome *outcome, struct post *post, int stop_fd)
{
    enum http_end end = HTTP_BROKEN;
    struct http_answer answer;
    struct connection *connection = borrow(post);
    *outcome = (struct jobd_outcome){.state = JOBD_CANCELLED};
    if (connection != NULL && aim(post, connection, message) &&
        add_fields(connection->web, post, message, task))
        end = http_client_post(connection->web, message->body, task->timeout_us, stop_fd, &answer);
    if (end == HTTP_BROKEN)
        fail(outcome, "out of memory", "", 0);
    else if (end == HTTP_LATE)
        fail_late(outcome, task->timeout_us, answer.asked);
    else if (end == HTTP_ENDED)
        judge(outcome, &answer, message->insists);
    if (end != HTTP_BROKEN)
        put_back(post, connection);
    else if (connection != NULL)
        connection_free(connection);
}

void post_attempt(const struct jobd_task *task, struct jobd_outcome *outcome, struct post *post,
                  int stop_fd)
{
    const struct post_message message = {
        .url = post->url, .body = task->payload, .key = post->signs ? &post->key : NULL};
    post_message(task, &message, outcome, post, stop_fd);
}

void post_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    post_attempt(task, outcome, context, jobd_stop_descriptor());
}

/* ---- start and end */

bool post_field_ok(const char *name)
{
    static const char *const made[] = {"connection",       "content-length",   "content-type",
                                       "expect",           "http2-settings",   "idempotency-key",
                                       "keep-alive",       "proxy-connection", "te",
                                       "traceparent",      "trailer",          "transfer-encoding",
                                       "upgrade",          "webhook-id",       "webhook-signature",
                                       "webhook-timestamp"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        if (strcasecmp(name, made[i]) == 0)
            return false;
    return http_client_name_ok(name) && strncasecmp(name, "jobd-", strlen("jobd-")) != 0;
}

bool post_url_ok(const char *url)
{
    return url_ok(url) && (http_client_has_tls() || strncasecmp(url, "https:", 6) != 0);
}

static bool keep_text(char **copy, const char *text)
{
    return text == NULL || (*copy = strdup(text)) != NULL;
}

static bool keep_config(struct post *post, const struct post_config *config)
{
    const struct post_extras *extras = &config->extras;
    post->signs = extras->key != NULL;
    if (post->signs)
        post->key = *extras->key;
    if (extras->fields != NULL && (post->fields = text_words_copy(extras->fields)) == NULL)
        return false;
    return keep_text(&post->url, config->url) && keep_text(&post->queue, config->queue) &&
           keep_text(&post->socket, extras->socket) && keep_text(&post->ca, extras->ca);
}

int post_new(struct post **post, const struct post_config *config)
{
    if (config->url != NULL && !post_url_ok(config->url))
        return -EINVAL;
    struct post *new = calloc(1, sizeof *new);
    int error = new == NULL || !http_client_set_up() ? -ENOMEM : mutex_init(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    new->output_max_bytes = config->output_max_bytes;
    if (!keep_config(new, config)) {
        post_free(new);
        return -ENOMEM;
    }
    *post = new;
    return 0;
}

static void free_connections(struct connection *connection)
{
    while (connection != NULL) {
        struct connection *next = connection->next;
        connection_free(connection);
        connection = next;
    }
}

void post_free(struct post *post)
{
    if (post == NULL)
        return;
    look_at_hanging(post);
    mutex_lock(&post->lock);
    free_connections(post->ready);
    free_connections(post->hanging);
    mutex_unlock(&post->lock);
    mutex_release(&post->lock);
    explicit_bzero(&post->key, sizeof post->key);
    free(post->fields);
    free(post->ca);
    free(post->socket);
    free(post->queue);
    free(post->url);
    free(post);
}

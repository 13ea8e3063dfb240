/* SPDX-License-Identifier: MIT */
/* A client waits for the answer, the time limit and the stop all at once.
 *
 * Time limits are kept here and not by libcurl: one that is reached while a name is being looked up
 * makes libcurl join the thread that looks (getaddrinfo() cannot be cancelled), and it hears no
 * stop meanwhile. Its way out, CURLOPT_QUICK_EXIT, may touch freed memory when that thread ends at
 * that very moment (before libcurl 8.14). So such a client is given up, and can be used again when
 * the thread has ended. */
#include "run/http_client.h"

#include <curl/curl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/verify.h"

enum {
    DROP_MAX_BYTES = 16 * 1024 * 1024, /* read beyond what is kept, to keep the connection too */
    FIELDS_MAX_BYTES = 256 * 1024,     /* of all headers and of trailers: libcurl keeps them all */
    FIELD_BYTES = 64,                  /* that each takes besides */
    REASON_SIZE = 128,
    TYPE_MAX = 255,
    FIRST_BYTES = 4096, /* room for an answer's body, doubled when it is full */
    POLL_MAX_MS = 60000
};

enum fetch_phase { BEGUN, RESOLVING, CONNECTING, ASKED };

/* What has come of an answer. */
struct coming {
    long status;
    bool whole_header; /* an end in the midst of it is none for libcurl */
    char reason[REASON_SIZE];
    char *bytes;
    size_t size, room;
    size_t keep_bytes; /* at most */
    uint64_t dropped_bytes;
    bool enough; /* the rest was cut off */
    size_t fields_bytes;
    int64_t wait_for_s; /* Retry-After in seconds; -1: none, or a date */
};

struct http_client {
    CURL *easy;
    CURLM *multi; /* the client's own: it holds the connection */
    size_t keep_bytes;
    enum fetch_phase phase;
    int64_t connect_until_us;
    bool under_way;  /* the easy handle is in the multi handle */
    bool given_up;   /* nothing may be sent any more */
    bool gets;       /* GET in place of POST */
    int64_t hear_us; /* after a stop, what has been said already; 0: nothing */
    struct coming coming;
    struct curl_slist *fields;
    struct jobd_blob *payload;
    char error[CURL_ERROR_SIZE + 64];
};

/* ---- what libcurl calls */

static void begin_connecting(struct http_client *client, enum fetch_phase phase)
{
    if (client->phase == BEGUN || client->phase == ASKED) /* again: the kept connection was stale */
        client->connect_until_us = clock_after_us(HTTP_CONNECT_MS * INT64_C(1000));
    client->phase = phase;
}

static int on_resolve(void *resolver, void *reserved, void *context)
{
    (void)resolver, (void)reserved;
    begin_connecting(context, RESOLVING);
    return 0;
}

static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_client *client = context;
    (void)purpose;
    if (client->given_up)
        return CURL_SOCKET_BAD;
    begin_connecting(client, CONNECTING);
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_connection(void *context, char *to, char *from, int to_port, int from_port)
{
    struct http_client *client = context;
    (void)to, (void)from, (void)to_port, (void)from_port;
    client->phase = ASKED;
    return CURL_PREREQFUNC_OK;
}

/* libcurl ignores numbers that are too large for it. */
static void read_retry_after(struct coming *coming, const char *field, size_t size)
{
    static const char name[] = "Retry-After:";
    const char *at = field + sizeof name - 1, *end = field + size;
    int64_t seconds = 0;
    if (size < sizeof name || strncasecmp(field, name, sizeof name - 1) != 0)
        return;
    while (at < end && char_is_blank(*at))
        at++;
    const char *digits = at;
    for (; at < end && char_is_digit(*at); at++)
        if (seconds <= HTTP_RETRY_AFTER_MAX_S)
            seconds = seconds * 10 + (*at - '0');
    while (at < end && strchr(" \t\r\n", *at) != NULL)
        at++;
    if (at == end && digits < end && char_is_digit(*digits))
        coming->wait_for_s = seconds < HTTP_RETRY_AFTER_MAX_S ? seconds : HTTP_RETRY_AFTER_MAX_S;
}

/* A line of the header. The last status line counts: there may have been a 103. */
static size_t on_header(char *from, size_t one, size_t size, void *context)
{
    struct http_client *client = context;
    struct coming *coming = &client->coming;
    (void)one;
    coming->fields_bytes += size + FIELD_BYTES;
    if (coming->fields_bytes > FIELDS_MAX_BYTES)
        return 0;
    if (from[0] == '\r' || from[0] == '\n')
        coming->whole_header = true;
    if (coming->size + coming->dropped_bytes == 0)
        read_retry_after(coming, from, size);
    if (size < 5 || strncasecmp(from, "HTTP/", 5) != 0 || coming->size + coming->dropped_bytes > 0)
        return size; /* a field, perhaps one behind the body */
    coming->whole_header = false;
    coming->wait_for_s = -1;
    const char *end = from + size, *at = memchr(from, ' ', size);
    at = at != NULL ? memchr(at + 1, ' ', (size_t)(end - at - 1)) : NULL;
    if (at == NULL)
        at = end - 1;
    snprintf(coming->reason, sizeof coming->reason, "%.*s", (int)(end - at - 1), at + 1);
    if (curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &coming->status) != CURLE_OK)
        return 0;
    coming->keep_bytes = coming->status / 100 == 2 ? client->keep_bytes : HTTP_ERROR_BYTES;
    coming->enough = coming->status == 101; /* what follows is not HTTP */
    return coming->enough ? 0 : size;
}

/* Makes room for so many bytes; for how many there is some. */
static size_t make_room(struct coming *coming, size_t size)
{
    size_t left = coming->keep_bytes - coming->size, room = coming->room;
    if (size > left)
        size = left;
    if (size <= room - coming->size)
        return size;
    if (room < FIRST_BYTES)
        room = FIRST_BYTES;
    while (room < coming->size + size)
        room = room <= SIZE_MAX / 2 ? room * 2 : SIZE_MAX;
    char *grown = realloc(coming->bytes, room);
    if (grown == NULL)
        return 0;
    coming->bytes = grown;
    coming->room = room;
    return size;
}

static size_t on_body(char *from, size_t one, size_t size, void *context)
{
    struct coming *coming = &((struct http_client *)context)->coming;
    (void)one;
    size_t kept = coming->dropped_bytes == 0 ? make_room(coming, size) : 0;
    if (kept > 0)
        memcpy(coming->bytes + coming->size, from, kept);
    coming->size += kept;
    coming->dropped_bytes += size - kept;
    coming->enough = coming->dropped_bytes > DROP_MAX_BYTES;
    return coming->enough ? 0 : size;
}

/* ---- clients */

static bool set_target(CURL *easy, const struct http_target *target)
{
    unsigned wrong = curl_easy_setopt(easy, CURLOPT_URL, target->url);
    wrong |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->socket);
    if (target->ca != NULL) {
        wrong |= curl_easy_setopt(easy, CURLOPT_CAINFO, target->ca);
        wrong |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    return wrong == 0;
}

static bool set_options(struct http_client *client, const struct http_target *target)
{
    CURL *easy = client->easy;
    unsigned wrong = !set_target(easy, target);
    wrong |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    wrong |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                              http_client_has_tls() ? "http,https" : "http");
    /* A client has one request at a time: HTTP/2 would bring nothing. */
    wrong |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    wrong |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    wrong |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    wrong |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
    wrong |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    wrong |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "jobd/" JOBD_VERSION);
    wrong |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    wrong |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* finds a dead machine */
    wrong |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)INT_MAX);
    wrong |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->error);
    wrong |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    wrong |= curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, client);
    wrong |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    wrong |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    wrong |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connection);
    wrong |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, client);
    wrong |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    wrong |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, client);
    wrong |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    wrong |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, client);
    return wrong == 0 && curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK;
}

struct http_client *http_client_new(const struct http_target *target, size_t keep_bytes)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->keep_bytes = keep_bytes;
    client->easy = curl_easy_init();
    client->multi = curl_multi_init();
    if (client->easy == NULL || client->multi == NULL || !set_options(client, target)) {
        http_client_free(client);
        return NULL;
    }
    return client;
}

bool http_client_aim(struct http_client *client, const struct http_target *target)
{
    return set_target(client->easy, target);
}

bool http_client_use_get(struct http_client *client)
{
    client->gets = true;
    return curl_easy_setopt(client->easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
}

void http_client_hear_out(struct http_client *client, int64_t us)
{
    client->hear_us = us;
}

static void forget(struct http_client *client)
{
    curl_slist_free_all(client->fields);
    jobd_blob_unref(client->payload);
    free(client->coming.bytes);
    client->fields = NULL;
    client->payload = NULL;
    client->coming = (struct coming){0};
    client->phase = BEGUN;
    client->given_up = false;
    client->error[0] = '\0';
}

void http_client_free(struct http_client *client)
{
    /* Else this would wait for a lookup that nobody needs any more. The risk that the head of this
     * file describes is taken at the end only. */
    if (client->given_up)
        (void)curl_easy_setopt(client->easy, CURLOPT_QUICK_EXIT, 1L);
    if (client->under_way)
        (void)curl_multi_remove_handle(client->multi, client->easy);
    curl_easy_cleanup(client->easy);
    (void)curl_multi_cleanup(client->multi);
    forget(client);
    free(client);
}

/* Goes on as far as it can without waiting; false when the client is broken. */
static bool go_on(struct http_client *client, bool *ended, CURLcode *code)
{
    int running, left;
    if (curl_multi_perform(client->multi, &running) != CURLM_OK)
        return false;
    const CURLMsg *message = curl_multi_info_read(client->multi, &left);
    *ended = message != NULL && message->msg == CURLMSG_DONE;
    if (*ended)
        *code = message->data.result;
    return running > 0 || *ended;
}

bool http_client_reset(struct http_client *client)
{
    if (client->under_way && client->phase == RESOLVING) {
        bool ended;
        CURLcode code;
        client->given_up = true;
        if (go_on(client, &ended, &code) && !ended)
            return false;
    }
    if (client->under_way)
        verify(curl_multi_remove_handle(client->multi, client->easy) == CURLM_OK);
    client->under_way = false;
    forget(client);
    return true;
}

/* ---- the request */

bool http_client_name_ok(const char *name)
{
    return *name != '\0' && name[chars_count(name, CHARS_TOKEN)] == '\0';
}

bool http_client_value_ok(const char *value)
{
    bool blank = true;
    for (; char_is(*value, CHARS_TEXT); value++)
        blank = blank && char_is_blank(*value);
    return *value == '\0' && !blank;
}

bool http_client_field_line(struct http_client *client, const char *text)
{
    struct curl_slist *fields = curl_slist_append(client->fields, text);
    if (fields != NULL)
        client->fields = fields;
    return fields != NULL;
}

bool http_client_field(struct http_client *client, const char *name, const char *value)
{
    char *text;
    if (!http_client_value_ok(value))
        return true;
    if (asprintf(&text, "%s: %s", name, value) < 0)
        return false;
    bool added = http_client_field_line(client, text);
    free(text);
    return added;
}

static bool begin(struct http_client *client, struct jobd_blob *payload)
{
    const char *bytes = "";
    size_t size = 0;
    unsigned wrong = 0;
    if (payload != NULL) {
        client->payload = jobd_blob_ref(payload); /* a client given up outlives the request */
        bytes = (const char *)payload->bytes;
        size = payload->size;
    }
    /* What libcurl would add: a field without a value takes it away. */
    if (!http_client_field_line(client, "Expect:") ||
        (payload == NULL && !http_client_field_line(client, "Content-Type:")))
        return false;
    wrong |= curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, client->fields);
    if (!client->gets) {
        wrong |= curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, bytes);
        wrong |= curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    }
    wrong |= curl_easy_setopt(client->easy, CURLOPT_FRESH_CONNECT, 0L);
    client->under_way =
        wrong == 0 && curl_multi_add_handle(client->multi, client->easy) == CURLM_OK;
    return client->under_way;
}

static bool readable(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) > 0;
}

/* Says that nothing more will be sent: a service that has not answered yet need not, and what is
 * under way still comes. False when that cannot be said. */
static bool half_close(struct http_client *client)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    return client->hear_us > 0 && client->phase == ASKED &&
           curl_easy_getinfo(client->easy, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK &&
           socket != CURL_SOCKET_BAD && shutdown(socket, SHUT_WR) == 0;
}

static enum http_end converse(struct http_client *client, int64_t until_us, int stop_fd,
                              CURLcode *code)
{
    struct curl_waitfd stop = {.fd = stop_fd, .events = CURL_WAIT_POLLIN};
    for (;;) {
        bool ended;
        if (!go_on(client, &ended, code))
            return HTTP_BROKEN;
        if (ended)
            return HTTP_ENDED;
        if (stop.revents != 0 && !half_close(client))
            return HTTP_STOPPED;
        if (stop.revents != 0) {
            stop = (struct curl_waitfd){.fd = stop_fd = -1};
            int64_t heard_us = clock_after_us(client->hear_us);
            until_us = heard_us < until_us ? heard_us : until_us;
        }
        bool connects = client->phase == RESOLVING || client->phase == CONNECTING;
        bool sooner = connects && client->connect_until_us < until_us;
        int ms = clock_ms_until(sooner ? client->connect_until_us : until_us);
        if (ms == 0)
            return HTTP_LATE;
        if (ms < 0 || ms > POLL_MAX_MS)
            ms = POLL_MAX_MS;
        if (curl_multi_poll(client->multi, &stop, stop_fd >= 0 ? 1 : 0, ms, NULL) != CURLM_OK)
            return HTTP_BROKEN;
        /* Told to stop: nothing is sent any more, but an answer that has come already counts. */
        if (stop.revents != 0 && client->phase != ASKED)
            return HTTP_STOPPED;
    }
}

/* ---- the answer */

static void explain(struct http_client *client, CURLcode code)
{
    size_t used = strlen(client->error), left = sizeof client->error - used;
    long number = 0;
    if (client->coming.fields_bytes > FIELDS_MAX_BYTES)
        snprintf(client->error, sizeof client->error, "the answer's fields take more than %d KiB",
                 FIELDS_MAX_BYTES / 1024);
    else if (used == 0)
        snprintf(client->error, left, "%s", curl_easy_strerror(code));
    else if (code == CURLE_COULDNT_CONNECT && /* alone it does not help much */
             curl_easy_getinfo(client->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0)
        snprintf(client->error + used, left, ": %s", strerror((int)number));
}

static void take_answer(struct http_client *client, CURLcode code, struct http_answer *answer)
{
    struct coming *coming = &client->coming;
    const char *type = NULL;
    curl_off_t seconds = 0;
    if (code == CURLE_OK && !coming->whole_header)
        code = CURLE_GOT_NOTHING;
    if (code != CURLE_OK && !coming->enough) {
        explain(client, code);
        answer->reason = client->error;
        return;
    }
    if (curl_easy_getinfo(client->easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != NULL &&
        strlen(type) <= TYPE_MAX && http_client_value_ok(type))
        answer->type = type;
    if (curl_easy_getinfo(client->easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
        answer->wait_for_s = seconds; /* below 0: a date that is over */
    answer->says_when = seconds != 0 || coming->wait_for_s >= 0;
    if (coming->wait_for_s >= 0)
        answer->wait_for_s = coming->wait_for_s;
    if (answer->wait_for_s > HTTP_RETRY_AFTER_MAX_S)
        answer->wait_for_s = HTTP_RETRY_AFTER_MAX_S;
    answer->status = coming->status;
    answer->reason = coming->reason;
    answer->bytes = coming->bytes;
    answer->size = coming->size;
    answer->cut = coming->dropped_bytes > 0;
}

bool http_client_answer_field(struct http_client *client, const char *name, char *out, size_t size)
{
    struct curl_header *field;
    if (curl_easy_header(client->easy, name, 0, CURLH_HEADER, -1, &field) != CURLHE_OK ||
        strlen(field->value) >= size)
        return false;
    snprintf(out, size, "%s", field->value);
    return true;
}

/* Was it a kept connection that the service had closed meanwhile? Nothing of an answer has come, so
 * the request may be sent again. libcurl does so itself, but not when the connection ends while a
 * large body is being sent. */
static bool was_stale(const struct http_client *client, CURLcode code)
{
    long connects = 1;
    return (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING) &&
           client->coming.fields_bytes == 0 &&
           curl_easy_getinfo(client->easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK &&
           connects == 0;
}

static bool begin_again(struct http_client *client)
{
    unsigned wrong = 0;
    verify(curl_multi_remove_handle(client->multi, client->easy) == CURLM_OK);
    client->under_way = false;
    client->phase = BEGUN;
    client->error[0] = '\0';
    wrong |= curl_easy_setopt(client->easy, CURLOPT_FRESH_CONNECT, 1L);
    client->under_way =
        wrong == 0 && curl_multi_add_handle(client->multi, client->easy) == CURLM_OK;
    return client->under_way;
}

enum http_end http_client_post(struct http_client *client, struct jobd_blob *payload,
                               int64_t timeout_us, int stop_fd, struct http_answer *answer)
{
    int64_t until_us = timeout_us > 0 ? clock_after_us(timeout_us) : INT64_MAX;
    CURLcode code = CURLE_OK;
    *answer = (struct http_answer){.reason = "", .type = ""};
    if (readable(stop_fd))
        return HTTP_STOPPED;
    if (!begin(client, payload))
        return HTTP_BROKEN;
    enum http_end end = converse(client, until_us, stop_fd, &code);
    if (end == HTTP_ENDED && was_stale(client, code)) {
        if (readable(stop_fd))
            return HTTP_STOPPED;
        if (!begin_again(client))
            return HTTP_BROKEN;
        end = converse(client, until_us, stop_fd, &code);
    }
    answer->asked = client->phase == ASKED;
    answer->silent = client->coming.fields_bytes == 0;
    if (end == HTTP_ENDED)
        take_answer(client, code, answer);
    return end;
}

/* ---- once */

static CURLcode global_code;

static void set_up(void)
{
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool http_client_set_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    verify(pthread_once(&once, set_up) == 0);
    return global_code == CURLE_OK;
}

bool http_client_has_tls(void)
{
    return (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_SSL) != 0;
}

const char *http_client_library(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}

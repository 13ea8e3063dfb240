/* SPDX-License-Identifier: MIT */
#include "support/client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "support/described.h"

enum { URL_SIZE = 4096 };

static const char unix_prefix[] = "unix:";

struct bytes {
    char *at;
    size_t size;
};

struct client {
    CURL *curl;
    char base[SERVER_ADDRESS_SIZE + 16];
    struct bytes head, body;
    struct answer answer;
    cJSON *json;
};

/* ---- polite */

static size_t append(char *from, size_t size, size_t count, void *context)
{
    struct bytes *bytes = context;
    size *= count;
    char *grown = realloc(bytes->at, bytes->size + size + 1);
    if (grown == NULL)
        return 0;
    memcpy(grown + bytes->size, from, size);
    bytes->at = grown;
    bytes->size += size;
    grown[bytes->size] = '\0';
    return size;
}

static void empty(struct bytes *bytes)
{
    bytes->size = 0;
    if (bytes->at != NULL)
        bytes->at[0] = '\0';
}

struct client *client_new(const struct server *server)
{
    const char *address = server_address(server);
    bool is_unix = strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0;
    struct client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    assert_int_equal(curl_global_init(CURL_GLOBAL_DEFAULT), 0);
    client->curl = curl_easy_init();
    assert_non_null(client->curl);
    snprintf(client->base, sizeof client->base, "http://%s", is_unix ? "localhost" : address);
    if (is_unix)
        curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, address + sizeof unix_prefix - 1);
    curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, append);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, &client->head);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &client->body);
    return client;
}

struct client *client_new_tls(const struct server *server, const char *certificate)
{
    struct client *client = client_new(server);
    snprintf(client->base, sizeof client->base, "https://%s", server_address(server));
    curl_easy_setopt(client->curl, CURLOPT_CAINFO, certificate);
    return client;
}

void client_free(struct client *client)
{
    curl_easy_cleanup(client->curl);
    cJSON_Delete(client->json);
    free(client->head.at);
    free(client->body.at);
    free(client);
}

static void prepare(struct client *client, const char *method, const char *path, const char *body)
{
    char url[URL_SIZE];
    bool head = strcmp(method, "HEAD") == 0;
    snprintf(url, sizeof url, "%s%s", client->base, path);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(client->curl, CURLOPT_NOBODY, head ? 1L : 0L);
    bool posts = body != NULL || strcmp(method, "POST") == 0;
    if (posts) {
        curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body != NULL ? body : "");
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE,
                         body != NULL ? (long)strlen(body) : 0L);
    }
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, head ? NULL : method);
}

/* Behind those of 1xx, which come first. */
static const char *last_head(const char *head)
{
    const char *end;
    while ((end = strstr(head, "\r\n\r\n")) != NULL && end[4] != '\0')
        head = end + 4;
    return head;
}

const struct answer *client_send(struct client *client, const char *method, const char *path,
                                 const char *const *fields, const char *body)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; fields != NULL && fields[i] != NULL; i++)
        list = curl_slist_append(list, fields[i]);
    prepare(client, method, path, body);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, list);
    empty(&client->head);
    empty(&client->body);
    client->answer = (struct answer){.head = "", .body = ""};
    CURLcode code = curl_easy_perform(client->curl);
    curl_slist_free_all(list);
    if (code != CURLE_OK) {
        client->answer.body = curl_easy_strerror(code);
        return &client->answer;
    }
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &client->answer.status);
    curl_easy_getinfo(client->curl, CURLINFO_NUM_CONNECTS, &client->answer.connects);
    if (client->head.at != NULL)
        client->answer.head = client->head.at;
    if (client->body.at != NULL)
        client->answer.body = client->body.at;
    client->answer.size = client->body.size;
    described_check(method, path, client->answer.status, last_head(client->answer.head));
    return &client->answer;
}

const struct answer *client_get(struct client *client, const char *path)
{
    return client_send(client, "GET", path, NULL, NULL);
}

const struct answer *client_get_json(struct client *client, const char *path)
{
    return client_send(client, "GET", path, FIELDS("Accept: application/json"), NULL);
}

const struct answer *client_post(struct client *client, const char *path)
{
    return client_send(client, "POST", path, NULL, NULL);
}

const char *answer_field(const struct answer *answer, const char *name, char room[256])
{
    size_t length = strlen(name);
    for (const char *at = answer->head; (at = strchr(at, '\n')) != NULL;) {
        at++;
        if (strncasecmp(at, name, length) != 0 || at[length] != ':')
            continue;
        at += length + 1;
        at += strspn(at, " \t");
        snprintf(room, 256, "%.*s", (int)strcspn(at, "\r\n"), at);
        return room;
    }
    return "";
}

uint64_t answer_job(const struct answer *answer)
{
    char room[256];
    const char *location = answer_field(answer, "Location", room);
    return strncmp(location, "/jobs/", 6) == 0 ? strtoull(location + 6, NULL, 10) : 0;
}

/* ---- polite, with assertions */

void assert_answer(const struct answer *answer, long status, const char *body)
{
    if (answer->status != status)
        fail_msg("status %ld, not %ld: %s", answer->status, status, answer->body);
    if (body != NULL)
        assert_string_equal(answer->body, body);
}

void assert_field(const struct answer *answer, const char *name, const char *value)
{
    char room[256];
    assert_string_equal(answer_field(answer, name, room), value);
}

const cJSON *client_json(struct client *client, const char *path)
{
    const struct answer *answer = client_get_json(client, path);
    assert_answer(answer, 200, NULL);
    assert_field(answer, "Content-Type", "application/json");
    cJSON_Delete(client->json);
    client->json = cJSON_Parse(answer->body);
    if (client->json == NULL)
        fail_msg("not JSON: %s", answer->body);
    return client->json;
}

double json_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item))
        fail_msg("%s is not a number", name);
    return item->valuedouble;
}

const char *json_string(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(item))
        fail_msg("%s is not a string", name);
    return item->valuestring;
}

const cJSON *client_job(struct client *client, uint64_t id)
{
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    return client_json(client, path);
}

uint64_t client_put(struct client *client, const char *path)
{
    const struct answer *answer = client_post(client, path);
    assert_answer(answer, 202, "queued\n");
    uint64_t id = answer_job(answer);
    assert_true(id > 0);
    return id;
}

void client_await_state(struct client *client, uint64_t id, const char *state)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (strcmp(json_string(client_job(client, id), "state"), state) != 0)
        look_again(deadline_ms, state);
}

void client_await_forgotten(struct client *client, uint64_t id)
{
    char path[64];
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    while (client_get(client, path)->status != 404)
        look_again(deadline_ms, "a job to be forgotten");
}

double client_metric(struct client *client, const char *words)
{
    const struct answer *answer = client_get(client, "/metrics");
    assert_answer(answer, 200, NULL);
    const char *at = answer->body;
    for (; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, words, strlen(words)) == 0 && at[strlen(words)] == ' ')
            return strtod(at + strlen(words), NULL);
    }
    fail_msg("no metric %s", words);
    return 0;
}

void client_await_metric(struct client *client, const char *words, double value)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    double now;
    while ((now = client_metric(client, words)) < value || now > value)
        look_again(deadline_ms, words);
}

void client_await_at_least(struct client *client, const char *words, double value)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, words) < value)
        look_again(deadline_ms, words);
}

/* ---- rude */

int raw_connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int connect_tcp(const char *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const char *colon = strrchr(address, ':');
    assert_non_null(colon);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = v6.sin6_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    bool is_v6 = address[0] == '[';
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int result = is_v6 ? connect(fd, (struct sockaddr *)&v6, sizeof v6)
                       : connect(fd, (struct sockaddr *)&v4, sizeof v4);
    assert_int_equal(result, 0);
    return fd;
}

int raw_connect(const struct server *server)
{
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    const char *address = server_address(server);
    int fd = strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0
                 ? raw_connect_unix(address + sizeof unix_prefix - 1)
                 : connect_tcp(address);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    return fd;
}

bool raw_send_bytes(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool raw_send(int fd, const char *text)
{
    return raw_send_bytes(fd, text, strlen(text));
}

static void begin_reading(struct raw *raw)
{
    raw->size = 0;
    raw->text[0] = '\0';
    raw->closed = raw->reset = false;
}

/* False at the end of the connection, or when nothing comes any more. */
static bool read_more(int fd, struct raw *raw)
{
    size_t room = sizeof raw->text - 1 - raw->size;
    ssize_t got;
    assert_true(room > 0);
    do
        got = recv(fd, raw->text + raw->size, room, 0);
    while (got < 0 && errno == EINTR);
    raw->closed = got == 0;
    raw->reset = got < 0 && (errno == ECONNRESET || errno == EPIPE);
    if (got <= 0)
        return false;
    raw->size += (size_t)got;
    raw->text[raw->size] = '\0';
    return true;
}

void raw_read_until_close(int fd, struct raw *raw)
{
    begin_reading(raw);
    while (read_more(fd, raw))
        ;
    if (!raw->closed && !raw->reset)
        fail_msg("the server does not close the connection; it said: %s", raw->text);
}

void raw_read_until(int fd, struct raw *raw, const char *text)
{
    begin_reading(raw);
    while (strstr(raw->text, text) == NULL && read_more(fd, raw))
        ;
}

void raw_read_answer(int fd, struct raw *raw)
{
    static const char length[] = "\r\nContent-Length: ";
    size_t whole = SIZE_MAX;
    begin_reading(raw);
    while (raw->size < whole) {
        if (!read_more(fd, raw))
            return;
        const char *end = strstr(raw->text, "\r\n\r\n");
        const char *field = strcasestr(raw->text, length);
        if (end != NULL)
            whole = (size_t)(end + 4 - raw->text) +
                    (field != NULL ? strtoul(field + sizeof length - 1, NULL, 10) : 0);
    }
}

int raw_status(const char *text)
{
    static const char version[] = "HTTP/1.";
    if (strncmp(text, version, sizeof version - 1) != 0 || !isdigit((unsigned char)text[7]))
        return 0;
    return atoi(text + sizeof version + 1);
}

int raw_ask_bytes(const struct server *server, const char *bytes, size_t size, struct raw *raw)
{
    int fd = raw_connect(server);
    (void)raw_send_bytes(fd, bytes, size); /* it may have heard enough before the end */
    raw_read_until_close(fd, raw);
    close(fd);
    return raw_status(raw->text);
}

int raw_ask(const struct server *server, const char *text, struct raw *raw)
{
    return raw_ask_bytes(server, text, strlen(text), raw);
}

char *raw_filled(const char *before, char filler, size_t count, const char *after)
{
    size_t head = strlen(before), size = head + count + strlen(after);
    char *text = malloc(size + 1);
    assert_non_null(text);
    memcpy(text, before, head);
    memset(text + head, filler, count);
    memcpy(text + head + count, after, strlen(after) + 1);
    return text;
}

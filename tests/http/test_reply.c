/* SPDX-License-Identifier: MIT */
/* Replies, said by a handler of the test's own: bytes, fields, content that is known already, what
 * is shared. The HTTP layer is started in this process, without the endpoints. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/problem.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/verify.h"
#include "http/content.h"
#include "http/cors.h"
#include "http/http.h"
#include "support/client.h"
#include "support/temporary.h"

#define GET   "GET %s HTTP/1.1\r\nHost: localhost\r\n"
#define BYTES "a\0b\r\n\0c"

/* As a page might have: longer than 300 characters. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "    \
    "require-trusted-types-for 'script'; report-to a-name-that-makes-this-longer; "                \
    "upgrade-insecure-requests; trusted-types one two three four five six seven eight"
_Static_assert(sizeof POLICY > 300, "a policy as pages have them");

enum { CONNECTIONS = 16, BODY_MAX = 4096, SHARED = 76 };

static struct raw raw;

static struct {
    char address[SERVER_ADDRESS_SIZE];
    struct listeners listeners;
    struct jobd *jobd;
    struct http *http;
    struct content content;
    const struct shared_reply *shared[SHARED];
} server;

/* ---- the handler */

static void fill_fields(struct reply *reply)
{
    char filler[REPLY_FIELDS_BYTES];
    reply_text(reply, "Content-Security-Policy", "", POLICY);
    size_t left = REPLY_FIELDS_BYTES - reply->fields_used - sizeof "Filler";
    memset(filler, 'f', left);
    filler[left - 1] = '\0';
    reply_field(reply, "Filler", "%s", filler);
    verify(reply->fields_used == REPLY_FIELDS_BYTES);
}

static bool serve(struct request *request, struct reply *reply, void *context)
{
    (void)context;
    reply->status = 200;
    if (strcmp(request->path, "/bytes") == 0) {
        reply->type = TYPE_BYTES;
        reply->bytes = BYTES;
        reply->size = sizeof BYTES - 1;
    } else if (strcmp(request->path, "/no-bytes") == 0) {
        reply->type = TYPE_BYTES;
        reply->bytes = BYTES;
    } else if (strcmp(request->path, "/fields") == 0) {
        reply->text = "text\n";
        fill_fields(reply);
    } else if (strcmp(request->path, "/content") == 0) {
        reply_text(reply, "Cache-Control", "no-", "cache");
        reply_content(reply, request, &server.content);
    } else {
        reply->shared = server.shared[strtoul(request->path + 1, NULL, 10)];
    }
    return true;
}

static bool admit(struct request *request, struct reply *reply, void *context)
{
    (void)request, (void)reply, (void)context;
    return true;
}

/* ---- start and end */

static void share_all(void)
{
    for (size_t i = 0; i < SHARED; i++) {
        char fields[REPLY_FIELDS_BYTES];
        struct reply reply = {
            .status = 200, .type = TYPE_TEXT, .text = "shared\n", .fields = fields};
        reply_number(&reply, "Number", "", i);
        server.shared[i] = http_share(server.http, &reply);
        assert_non_null(server.shared[i]);
    }
}

static int start(const char *cors_origin)
{
    struct problem problem = {""};
    const struct jobd_queue_config queue = {.name = "default", .capacity = 1, .workers = 1};
    const struct jobd_config jobs = {
        .queues = &queue, .queues_len = 1, .waiters_max = CONNECTIONS, .first_id = 1};
    log_setup(LOG_TEXT, LOG_ERROR);
    snprintf(server.address, sizeof server.address, "unix:%s/socket", temporary_directory());
    assert_int_equal(listen_open(&server.listeners, server.address, false, &problem), LISTEN_OK);
    assert_int_equal(jobd_new(&server.jobd, &jobs), 0);
    const struct http_config config = {.jobd = server.jobd,
                                       .listeners = &server.listeners,
                                       .connections_max = CONNECTIONS,
                                       .per_address_max = CONNECTIONS,
                                       .header_us = 10 * CLOCK_SECOND_US,
                                       .idle_us = 10 * CLOCK_SECOND_US,
                                       .body_max_bytes = BODY_MAX,
                                       .memory_bytes = 1 << 20,
                                       .cors_origin = cors_origin};
    assert_int_equal(http_new(&server.http, &config), 0);
    server.content = (struct content){.type = "text/html", .bytes = "<!DOCTYPE html>\0<p>", 19};
    content_init(&server.content);
    share_all();
    return http_start(server.http, serve, admit, NULL);
}

static int start_usual(void **state)
{
    (void)state;
    return start(NULL);
}

static int stop_usual(void **state)
{
    if (!http_stop(server.http, 1000))
        return -1;
    http_free(server.http);
    jobd_free(server.jobd);
    listen_close(&server.listeners);
    return server_stop_all(state);
}

/* The reply to a GET with these fields, on a connection of its own. */
static int ask(const char *path, const char *fields)
{
    char *request;
    int fd = raw_connect_unix(server.address + strlen("unix:"));
    assert_true(fd >= 0);
    assert_true(asprintf(&request, GET "%sConnection: close\r\n\r\n", path, fields) > 0);
    assert_true(raw_send(fd, request));
    free(request);
    raw_read_until_close(fd, &raw);
    close(fd);
    return raw_status(raw.text);
}

static void assert_has(const char *line)
{
    char whole[REPLY_FIELDS_BYTES + 16];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    assert_non_null(strstr(raw.text, whole));
}

static const char *body_of(size_t *size)
{
    const char *body = strstr(raw.text, "\r\n\r\n");
    assert_non_null(body);
    *size = raw.size - (size_t)(body + 4 - raw.text);
    return body + 4;
}

/* ---- tests */

static void bytes_have_a_length(void **state)
{
    size_t size;
    (void)state;
    assert_int_equal(ask("/bytes", ""), 200);
    assert_has("Content-Type: application/octet-stream");
    const char *body = body_of(&size);
    assert_int_equal(size, sizeof BYTES - 1);
    assert_memory_equal(body, BYTES, size);
    assert_int_equal(ask("/no-bytes", ""), 200);
    assert_has("Content-Length: 0");
    assert_has("Content-Type: application/octet-stream");
    (void)body_of(&size);
    assert_int_equal(size, 0);
}

static void fields_are_of_any_length(void **state)
{
    (void)state;
    assert_int_equal(ask("/fields", ""), 200);
    assert_has("Content-Security-Policy: " POLICY);
    assert_non_null(strstr(raw.text, "\r\nFiller: fff"));
}

/* All fields a reply may have, and those for another site's page, find room behind the longest
 * header that is let in. */
static void fields_fit_behind_the_longest_header(void **state)
{
    enum { LONGEST = 4096, ENOUGH = 3000 };
    char origin[CORS_ORIGIN_MAX + 1] = "https://";
    size_t used = strlen(origin), filler = LONGEST;
    memset(origin + used, 'o', sizeof origin - used);
    origin[CORS_ORIGIN_MAX] = '\0';
    assert_int_equal(stop_usual(state), 0);
    assert_int_equal(start(origin), 0);
    int status = 431;
    for (; status == 431 && filler > 0; filler--) {
        char *fields;
        assert_true(asprintf(&fields, "Origin: %s\r\nFiller: %0*d\r\n", origin, (int)filler, 0) >
                    0);
        status = ask("/fields", fields);
        free(fields);
    }
    assert_int_equal(status, 200);
    assert_true(filler > ENOUGH);
    assert_has("Content-Security-Policy: " POLICY);
    assert_non_null(strstr(raw.text, "\r\nFiller: fff"));
    assert_non_null(strstr(raw.text, "\r\nAccess-Control-Allow-Origin: https://ooo"));
    assert_non_null(strstr(raw.text, "\r\n\r\ntext\n"));
}

/* Ends with SIGABRT, and says which bound it was. */
static void one_field_too_many_ends_the_process(void **state)
{
    int pipes[2], status;
    char said[512] = "";
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char fields[REPLY_FIELDS_BYTES];
        struct reply reply = {.fields = fields};
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(pipes[1], STDERR_FILENO);
        fill_fields(&reply);
        reply_text(&reply, "One", "", "more");
        _exit(0);
    }
    close(pipes[1]);
    assert_true(read(pipes[0], said, sizeof said - 1) > 0);
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "REPLY_FIELDS_BYTES"));
}

static void content_is_sent_once(void **state)
{
    char etag[64], length[64], fields[256];
    size_t size;
    (void)state;
    snprintf(etag, sizeof etag, "ETag: %s", server.content.etag);
    snprintf(length, sizeof length, "Content-Length: %zu", server.content.size);
    assert_int_equal(ask("/content", ""), 200);
    assert_has(etag);
    assert_has("Cache-Control: no-cache");
    assert_has("Content-Type: text/html");
    const char *body = body_of(&size);
    assert_int_equal(size, server.content.size);
    assert_memory_equal(body, server.content.bytes, size);
    snprintf(fields, sizeof fields, "If-None-Match: \"other\", W/%s\r\n", server.content.etag);
    assert_int_equal(ask("/content", fields), 304);
    assert_has(etag);
    assert_has("Cache-Control: no-cache");
    assert_has(length); /* of the 200, or none (RFC 9110, section 8.6) */
    (void)body_of(&size);
    assert_int_equal(size, 0);
    assert_int_equal(ask("/content", "If-None-Match: \"other\"\r\n"), 200);
}

/* The length that a 304 has is not that of what follows it. */
static void the_next_reply_follows_a_304(void **state)
{
    char request[512];
    (void)state;
    snprintf(request, sizeof request,
             "GET /content HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\r\n" GET
             "Connection: close\r\n\r\n",
             "/fields");
    int fd = raw_connect_unix(server.address + strlen("unix:"));
    assert_true(fd >= 0);
    assert_true(raw_send(fd, request));
    raw_read_until_close(fd, &raw);
    close(fd);
    assert_int_equal(raw_status(raw.text), 304);
    assert_non_null(strstr(raw.text, "\r\n\r\nHTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(raw.text, "\r\n\r\ntext\n"));
}

/* RFC 9110, section 8.8.3: what is not in quotes is no entity tag. */
static void etags_are_read_as_a_list(void **state)
{
    static const struct {
        const char *list;
        bool listed;
    } rows[] = {
        {"\"e\"", true},
        {"W/\"e\"", true},
        {"*", true},
        {" , \"a\",\"e\" ", true},
        {"\"a, \"e\"", false}, /* the tag `a, `, and then no comma */
        {"\"a,b\"\t,\"e\"", true},
        {"", false},
        {" ,", false},
        {"e", false},
        {"\"e", false},
        {"\"ee\"", false},
        {"\"E\"", false},
        {"w/\"e\"", false},
        {"W/", false},
        {"\"a\", e, \"e\"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (etag_listed(rows[i].list, "\"e\"") != rows[i].listed)
            fail_msg("%s", rows[i].list);
}

static void another_byte_is_another_etag(void **state)
{
    struct content one = {.bytes = "one", .size = 3}, two = {.bytes = "onE", .size = 3};
    struct content less = {.bytes = "one", .size = 2}, empty = {.bytes = "", .size = 0};
    (void)state;
    content_init(&one);
    content_init(&two);
    content_init(&less);
    content_init(&empty);
    assert_string_equal(empty.etag, "\"cbf29ce484222325\"");
    assert_string_not_equal(one.etag, two.etag);
    assert_string_not_equal(one.etag, less.etag);
}

static void shared_replies_have_fields_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHARED; i += SHARED - 1) {
        char path[24], line[32];
        snprintf(path, sizeof path, "/%zu", i);
        snprintf(line, sizeof line, "Number: %zu", i);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(ask(path, ""), 200);
            assert_has(line);
            assert_non_null(strstr(raw.text, "\r\n\r\nshared\n"));
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_usual, stop_usual)
    const struct CMUnitTest tests[] = {
        TEST(bytes_have_a_length),
        TEST(fields_are_of_any_length),
        TEST(fields_fit_behind_the_longest_header),
        TEST(content_is_sent_once),
        TEST(the_next_reply_follows_a_304),
        TEST(shared_replies_have_fields_too),
        cmocka_unit_test(one_field_too_many_ends_the_process),
        cmocka_unit_test(etags_are_read_as_a_list),
        cmocka_unit_test(another_byte_is_another_etag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Replies that are streams, of a server in this process whose endpoints are sources of bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/problem.h"
#include "http/http.h"
#include "http/tls.h"
#include "support/client.h"
#include "support/temporary.h"

enum { SOURCES = 4, PENDING_SIZE = 64, STORM_BYTES = 5000, SHORT_MS = 300 };

/* ---- what is streamed */

struct source {
    struct mutex lock;
    struct condition changed;
    struct http_stream *stream; /* to be woken; NULL: nobody reads */
    char pending[PENDING_SIZE];
    size_t size;
    bool ended;
    bool floods;       /* without end, and without being pushed */
    bool wakes_itself; /* before it says "later" */
    size_t storm;      /* bytes left of a storm, in which every second answer is "later" */
    bool storm_pauses;
    unsigned reads, laters, frees;
};

static struct source sources[SOURCES];

static ssize_t storm(struct source *source, char *to)
{
    source->storm_pauses = !source->storm_pauses;
    if (source->storm_pauses) {
        source->laters++;
        if (source->wakes_itself)
            http_stream_wake(source->stream);
        condition_signal(&source->changed);
        return STREAM_LATER;
    }
    *to = 'x';
    source->ended = --source->storm == 0;
    return 1;
}

static ssize_t source_read(void *context, struct http_stream *stream, char *to, size_t max)
{
    struct source *source = context;
    ssize_t size;
    mutex_lock(&source->lock);
    source->stream = stream;
    source->reads++;
    if (source->floods) {
        memset(to, 'f', max);
        size = (ssize_t)max;
    } else if (source->storm > 0) {
        size = storm(source, to);
    } else if (source->size > 0) {
        size = (ssize_t)(source->size < max ? source->size : max);
        memcpy(to, source->pending, (size_t)size);
        source->size -= (size_t)size;
        memmove(source->pending, source->pending + size, source->size);
    } else {
        size = source->ended ? STREAM_END : STREAM_LATER;
        source->laters += !source->ended;
    }
    condition_signal(&source->changed);
    mutex_unlock(&source->lock);
    return size;
}

static void source_free(void *context)
{
    struct source *source = context;
    mutex_lock(&source->lock);
    source->stream = NULL;
    source->frees++;
    condition_signal(&source->changed);
    mutex_unlock(&source->lock);
}

static void source_push(struct source *source, const char *text, bool ended)
{
    mutex_lock(&source->lock);
    size_t size = strlen(text);
    verify(source->size + size <= sizeof source->pending);
    memcpy(source->pending + source->size, text, size);
    source->size += size;
    source->ended = ended;
    if (source->stream != NULL)
        http_stream_wake(source->stream);
    mutex_unlock(&source->lock);
}

/* Waits until one of its counters is that high. */
static void source_await(struct source *source, const unsigned *counter, unsigned wanted)
{
    const struct timespec until = clock_monotonic(clock_now_us() + PATIENCE_MS * INT64_C(1000));
    bool in_time = true;
    mutex_lock(&source->lock);
    while (*counter < wanted && in_time)
        in_time = condition_wait_until(&source->changed, &source->lock, &until);
    mutex_unlock(&source->lock);
    assert_true(in_time);
}

static unsigned source_count(struct source *source, const unsigned *counter)
{
    mutex_lock(&source->lock);
    unsigned count = *counter;
    mutex_unlock(&source->lock);
    return count;
}

/* ---- the server */

static struct {
    struct listeners listeners;
    struct tls *tls;
    struct http *http;
    struct sockaddr_in address;
} server;

/* GET /0 streams the first source, /1 the second; what is not a digit is answered at once. */
static bool serve(struct request *request, struct reply *reply, void *context)
{
    (void)context;
    unsigned index = (unsigned)(request->path[1] - '0');
    reply->status = 200;
    if (index < SOURCES)
        reply->stream = (struct reply_stream){
            .read = source_read, .free = source_free, .context = &sources[index]};
    else
        reply->text = "at once\n";
    return true;
}

static bool admit(struct request *request, struct reply *reply, void *context)
{
    (void)request, (void)reply, (void)context;
    return true;
}

static void start(const char *certificate, const char *key)
{
    struct problem problem = {""};
    const int64_t short_us = SHORT_MS * INT64_C(1000);
    log_setup(LOG_TEXT, LOG_ERROR);
    if (listen_open(&server.listeners, "127.0.0.1:0", false, &problem) != LISTEN_OK)
        fail_msg("%s", problem.text);
    if (certificate != NULL && !tls_open(&server.tls, certificate, key, 10 * short_us, &problem))
        fail_msg("%s", problem.text);
    socklen_t size = sizeof server.address;
    assert_int_equal(
        getsockname(server.listeners.of[0].fd, (struct sockaddr *)&server.address, &size), 0);
    const struct http_config config = {.listeners = &server.listeners,
                                       .connections_max = 16,
                                       .per_address_max = 16,
                                       .header_us = certificate != NULL ? 30 * short_us : short_us,
                                       .idle_us = short_us,
                                       .body_max_bytes = 1024,
                                       .memory_bytes = 1 << 20,
                                       .tls = certificate != NULL};
    assert_int_equal(http_new(&server.http, &config), 0);
    assert_int_equal(http_start(server.http, serve, admit, NULL), 0);
}

static void stop_http(int64_t wait_ms)
{
    assert_true(http_stop(server.http, wait_ms));
    http_free(server.http);
    tls_free(server.tls);
    memset(&server, 0, sizeof server);
}

static int prepare_sources(void **state)
{
    (void)state;
    memset(sources, 0, sizeof sources);
    for (unsigned i = 0; i < SOURCES; i++)
        if (mutex_init(&sources[i].lock) != 0 || condition_init(&sources[i].changed) != 0)
            return -1;
    return 0;
}

static int set_up(void **state)
{
    int error = prepare_sources(state);
    start(NULL, NULL);
    return error;
}

static int tear_down(void **state)
{
    (void)state;
    if (server.http != NULL)
        stop_http(1000);
    for (unsigned i = 0; i < SOURCES; i++) {
        condition_release(&sources[i].changed);
        mutex_release(&sources[i].lock);
    }
    return 0;
}

static struct http_stats stats(void)
{
    struct http_stats now;
    http_stats(server.http, &now);
    return now;
}

/* ---- its clients */

/* Sends a request; `room` bounds what the client's system takes for it, 0 says nothing. */
static int ask_with_room(const char *text, int room)
{
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    if (room > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&server.address, sizeof server.address), 0);
    assert_true(raw_send(fd, text));
    return fd;
}

static int ask(const char *text)
{
    return ask_with_room(text, 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* ---- the tests */

static struct raw raw;

static void test_three_pieces(void **state)
{
    struct source *source = &sources[0];
    (void)state;
    int fd = ask(GET("/0"));
    raw_read_until(fd, &raw, "\r\n\r\n"); /* the header goes out before there is a piece */
    assert_int_equal(raw_status(raw.text), 200);
    assert_non_null(strstr(raw.text, "Transfer-Encoding: chunked\r\n"));
    source_await(source, &source->laters, 1);
    source_push(source, "one", false);
    raw_read_until(fd, &raw, "3\r\none\r\n");
    source_await(source, &source->laters, 2);
    source_push(source, "two", false);
    raw_read_until(fd, &raw, "3\r\ntwo\r\n");
    source_await(source, &source->laters, 3);
    source_push(source, "three", true);
    raw_read_until(fd, &raw, "0\r\n\r\n");
    assert_string_equal(raw.text, "5\r\nthree\r\n0\r\n\r\n");
    source_await(source, &source->frees, 1);
    assert_true(raw_send(fd, GET("/x"))); /* the connection goes on */
    raw_read_until(fd, &raw, "at once\n");
    assert_int_equal(raw_status(raw.text), 200);
    assert_false(raw.closed);
    assert_int_equal(stats().parked, 0);
    close(fd);
}

static void test_two_requests_at_once(void **state)
{
    (void)state;
    source_push(&sources[0], "first", true);
    source_push(&sources[1], "second", true);
    int fd = ask(GET("/0") GET("/1") GET("/x"));
    raw_read_until(fd, &raw, "at once\n");
    assert_non_null(strstr(raw.text, "5\r\nfirst\r\n0\r\n\r\nHTTP/1.1 200"));
    assert_non_null(strstr(raw.text, "6\r\nsecond\r\n0\r\n\r\nHTTP/1.1 200"));
    close(fd);
}

static void test_old_client(void **state)
{
    struct source *source = &sources[0];
    (void)state;
    int fd = ask("GET /0 HTTP/1.0\r\nHost: localhost\r\n\r\n");
    raw_read_until(fd, &raw, "\r\n\r\n");
    assert_null(strcasestr(raw.text, "chunked"));
    assert_null(strcasestr(raw.text, "Content-Length"));
    source_await(source, &source->laters, 1);
    source_push(source, "one", false);
    raw_read_until(fd, &raw, "one");
    assert_string_equal(raw.text, "one");
    source_await(source, &source->laters, 2);
    source_push(source, "two", true);
    raw_read_until_close(fd, &raw);
    assert_string_equal(raw.text, "two");
    assert_false(raw.reset);
    source_await(source, &source->frees, 1);
    close(fd);
}

static void test_head(void **state)
{
    struct source *source = &sources[0];
    (void)state;
    int fd = ask("HEAD /0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    assert_string_equal(strstr(raw.text, "\r\n\r\n"), "\r\n\r\n");
    assert_null(strcasestr(raw.text, "Content-Length"));
    assert_int_equal(source_count(source, &source->frees), 1);
    assert_int_equal(source_count(source, &source->reads), 0);
    close(fd);
}

static void leave(int fd, bool rudely)
{
    const struct linger rude = {.l_onoff = 1};
    if (rudely)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude), 0);
    close(fd);
}

static void test_client_vanishes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) { /* while nothing is to be sent */
        struct source *source = &sources[i];
        int fd = ask(i == 0 ? GET("/0") : GET("/1"));
        raw_read_until(fd, &raw, "\r\n\r\n");
        source_await(source, &source->laters, 1);
        leave(fd, i == 1);
        source_await(source, &source->frees, 1);
    }
    sources[2].floods = true; /* while something is */
    int fd = ask_with_room(GET("/2"), 4096);
    raw_read_until(fd, &raw, "fff");
    leave(fd, true);
    source_await(&sources[2], &sources[2].frees, 1);
    stop_http(1000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(source_count(&sources[i], &sources[i].frees), 1);
}

static void test_client_stops_reading(void **state)
{
    struct source *flood = &sources[0], *calm = &sources[1];
    (void)state;
    flood->floods = true;
    int stopped = ask_with_room(GET("/0"), 4096), follower = ask(GET("/1"));
    raw_read_until(follower, &raw, "\r\n\r\n");
    for (unsigned i = 1; source_count(flood, &flood->frees) == 0; i++) {
        source_await(calm, &calm->laters, i);
        source_push(calm, "on", false);
        raw_read_until(follower, &raw, "on");
        let_pass(20);
    }
    assert_int_equal(stats().conns.cut, 1);
    source_await(calm, &calm->laters, 2 * SHORT_MS / 100); /* it took its time */
    source_push(calm, "the end", true);
    raw_read_until(follower, &raw, "0\r\n\r\n");
    close(stopped);
    close(follower);
}

/* Longer than a reply may last, but it goes on reading. */
static void test_slow_client_is_served(void **state)
{
    const int64_t until_us = clock_now_us() + 5 * SHORT_MS * INT64_C(1000);
    struct source *flood = &sources[0];
    static char bytes[65536];
    (void)state;
    flood->floods = true;
    int fd = ask_with_room(GET("/0"), 4096);
    while (clock_now_us() < until_us) {
        let_pass(20);
        assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    }
    assert_int_equal(source_count(flood, &flood->frees), 0);
    assert_int_equal(stats().conns.cut, 0);
    close(fd);
}

static void test_stop(void **state)
{
    (void)state;
    sources[2].floods = true;
    int waits = ask(GET("/0")), old = ask("GET /1 HTTP/1.0\r\nHost: localhost\r\n\r\n");
    int stopped = ask_with_room(GET("/2"), 4096);
    raw_read_until(waits, &raw, "\r\n\r\n");
    raw_read_until(old, &raw, "\r\n\r\n");
    source_await(&sources[0], &sources[0].laters, 1);
    source_await(&sources[1], &sources[1].laters, 1);
    source_await(&sources[2], &sources[2].reads, 2);
    stop_http(100);
    raw_read_until_close(waits, &raw);
    assert_string_equal(raw.text, "0\r\n\r\n"); /* a complete body */
    raw_read_until_close(old, &raw);
    assert_string_equal(raw.text, "");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(source_count(&sources[i], &sources[i].frees), 1);
    close(waits);
    close(old);
    close(stopped);
}

/* Without a moment's patience; whatever is suspended then, it must not abort. */
static void test_stop_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        if (server.http == NULL)
            start(NULL, NULL);
        int fd = ask(GET("/0"));
        source_await(&sources[0], &sources[0].reads, (unsigned)i + 1);
        stop_http(0);
        assert_int_equal(source_count(&sources[0], &sources[0].frees), i + 1);
        close(fd);
    }
}

static void read_storm(int fd)
{
    size_t bytes = 0;
    do {
        raw_read_until(fd, &raw, "x");
        for (const char *c = raw.text; *c != '\0'; c++)
            bytes += *c == 'x';
        assert_false(raw.closed);
    } while (bytes < STORM_BYTES);
}

/* Every wake comes before its suspend. */
static void test_wake_before_suspend(void **state)
{
    (void)state;
    sources[0].storm = STORM_BYTES;
    sources[0].wakes_itself = true;
    int fd = ask(GET("/0"));
    read_storm(fd);
    source_await(&sources[0], &sources[0].frees, 1);
    close(fd);
}

/* One wake for each "later", while it is being said. */
static void *wake_each(void *context)
{
    struct source *source = context;
    mutex_lock(&source->lock);
    for (unsigned woken = 0; source->frees == 0;) {
        if (woken == source->laters) {
            condition_wait(&source->changed, &source->lock);
        } else if (source->stream != NULL) {
            woken = source->laters;
            http_stream_wake(source->stream);
        }
    }
    mutex_unlock(&source->lock);
    return NULL;
}

static void test_wake_beside_suspend(void **state)
{
    pthread_t thread;
    (void)state;
    sources[0].storm = STORM_BYTES;
    assert_int_equal(pthread_create(&thread, NULL, wake_each, &sources[0]), 0);
    int fd = ask(GET("/0"));
    read_storm(fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fd);
}

/* Far more wakes than are asked for, also when it ends. */
static void *wake_always(void *context)
{
    struct source *source = context;
    bool over = false;
    while (!over) {
        mutex_lock(&source->lock);
        if (source->stream != NULL)
            http_stream_wake(source->stream);
        over = source->frees > 0;
        mutex_unlock(&source->lock);
    }
    return NULL;
}

static void test_wakes_without_end(void **state)
{
    pthread_t thread;
    (void)state;
    sources[0].storm = STORM_BYTES;
    assert_int_equal(pthread_create(&thread, NULL, wake_always, &sources[0]), 0);
    int fd = ask(GET("/0"));
    read_storm(fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fd);
}

/* ---- over TLS: each piece asks for the next */

struct heard {
    char text[64];
    size_t size;
};

static size_t hear(char *bytes, size_t one, size_t size, void *context)
{
    struct heard *heard = context;
    (void)one;
    if (heard->size + size >= sizeof heard->text)
        return 0;
    memcpy(heard->text + heard->size, bytes, size);
    heard->size += size;
    if (strcmp(heard->text, "one") == 0)
        source_push(&sources[0], "two", false);
    else if (strcmp(heard->text, "onetwo") == 0)
        source_push(&sources[0], "three", true);
    return size;
}

static void test_tls(void **state)
{
    struct heard heard = {.size = 0};
    char command[1024], url[64];
    (void)state;
    if (!http_has_tls())
        skip();
    snprintf(command, sizeof command,
             "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
             "-nodes -days 2 -subj /CN=localhost -keyout key.pem -out crt.pem 2>/dev/null",
             temporary_directory());
    assert_int_equal(system(command), 0);
    char certificate[256], key[256];
    snprintf(certificate, sizeof certificate, "%s/crt.pem", temporary_directory());
    snprintf(key, sizeof key, "%s/key.pem", temporary_directory());
    start(certificate, key);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/0", ntohs(server.address.sin_port));
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, hear);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &heard);
    source_push(&sources[0], "one", false);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    assert_string_equal(heard.text, "onetwothree");
    curl_easy_cleanup(curl);
    source_await(&sources[0], &sources[0].frees, 1);
    temporary_remove_all();
}

int main(void)
{
#define PLAIN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PLAIN(test_three_pieces),
        PLAIN(test_two_requests_at_once),
        PLAIN(test_old_client),
        PLAIN(test_head),
        PLAIN(test_client_vanishes),
        PLAIN(test_client_stops_reading),
        PLAIN(test_slow_client_is_served),
        PLAIN(test_stop),
        PLAIN(test_stop_at_once),
        PLAIN(test_wake_before_suspend),
        PLAIN(test_wake_beside_suspend),
        PLAIN(test_wakes_without_end),
        cmocka_unit_test_setup_teardown(test_tls, prepare_sources, tear_down),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The post runner: no answers, bad ones, stops, connections, URLs. */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/post_scene.h"
#include "base/verify.h"

/* ---- no answer */

static void test_refused(void **state)
{
    struct scene *scene = *state;
    char url[SERVICE_URL_SIZE];
    int fd = service_socket(url); /* nobody listens there, and nobody else can */
    post_elsewhere(scene, url);
    assert_failed(attempt(scene), scene, false);
    assert_error_has(scene, "127.0.0.1");
    assert_error_has(scene, "Connection refused");
    assert_true(scene->outcome.down);
    close(fd);
}

static void test_no_such_name(void **state)
{
    struct scene *scene = *state;
    post_elsewhere(scene, "http://unknown.invalid/");
    assert_failed(attempt(scene), scene, false);
    assert_error_has(scene, "unknown.invalid");
}

static void test_timeout(void **state)
{
    static const char *const answers[] = {NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"};
    struct scene *scene = *state;
    for (unsigned i = 0; i < 2; i++) {
        scene->task.timeout_us = 100000;
        assert_failed(attempt_answered(scene, answers[i]), scene, false);
        assert_true(scene->outcome.down);
        assert_blob(scene->outcome.error, "no complete response within 100 ms");
        scene->task.timeout_us = PATIENCE_US;
        assert_int_equal(attempt_answered(scene, OK_EMPTY), JOBD_DONE);
    }
}

/* A listener whose backlog is full answers no one: there is no connection in time. */
static void test_no_connection_in_time(void **state)
{
    struct scene *scene = *state;
    char url[SERVICE_URL_SIZE];
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fillers[4], fd = service_socket(url);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    for (size_t i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&address, size);
    }
    post_elsewhere(scene, url);
    scene->task.timeout_us = 20000;
    assert_failed(attempt(scene), scene, false);
    assert_blob(scene->outcome.error, "no connection within 20 ms");
    for (size_t i = 0; i < 4; i++)
        close(fillers[i]);
    close(fd);
}

static void test_slow_but_in_time(void **state)
{
    struct scene *scene = *state;
    service_script(scene->service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                             "Content-Length: 11\r\n\r\nbit by bit.",
                                   .slowly = true}));
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_blob(scene->outcome.output, "bit by bit.");
}

static void test_rubbish(void **state)
{
    static const char *const rubbish[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x16\x03\x01",
        "<html>hello</html>",
        "HTTP/1.1 20",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-",
        "",
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        service_script(scene->service, SERVICE_SCRIPT({.answer = rubbish[i], .closes = true}));
        if (attempt(scene) != JOBD_FAILED)
            fail_msg("%s", rubbish[i]);
        assert_failed(scene->outcome.state, scene, false);
        assert_true(scene->outcome.error->size > 0);
    }
}

static void test_endless_header(void **state)
{
    struct scene *scene = *state;
    service_script(
        scene->service,
        SERVICE_SCRIPT(
            {.answer = "HTTP/1.1 200 OK\r\nX: ", .filler = (size_t)4 * MIB, .closes = true}));
    assert_failed(attempt(scene), scene, false);
    assert_false(scene->outcome.down); /* it does answer */
    char *many = malloc(MIB + 64);
    assert_non_null(many);
    size_t used = (size_t)sprintf(many, "HTTP/1.1 200 OK\r\n");
    while (used < MIB)
        used += (size_t)sprintf(many + used, "X-Field: some value of it\r\n");
    service_script(scene->service, SERVICE_SCRIPT({.answer = many, .closes = true}));
    assert_failed(attempt(scene), scene, false);
    free(many);
}

/* `begin`, then `again` until it is so long, then `end`; for the caller to free. */
static char *long_answer(const char *begin, const char *again, size_t size, const char *end)
{
    char *answer = malloc(size + 256), *at = answer;
    assert_non_null(answer);
    at = stpcpy(at, begin);
    while (at < answer + size)
        at = stpcpy(at, again);
    strcpy(at, end);
    return answer;
}

/* Behind the body, and in answers in front of the answer. */
static void test_endless_fields(void **state)
{
    static const struct {
        const char *begin, *again, *end;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
         "X-Trailer: some value of it\r\n", "\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "a:b\r\n", "\r\n"},
        {"", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK_EMPTY},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *few = long_answer(rows[i].begin, rows[i].again, 1000, rows[i].end);
        char *many = long_answer(rows[i].begin, rows[i].again, (size_t)300 * 1024, rows[i].end);
        assert_int_equal(attempt_answered(scene, few), JOBD_DONE);
        assert_failed(attempt_answered(scene, many), scene, false);
        assert_blob(scene->outcome.error, "the answer's fields take more than 256 KiB");
        free(few);
        free(many);
    }
}

/* TLS where there is none: its hello is no request, so the service says nothing. */
static void test_https(void **state)
{
    struct scene *scene = *state;
    char url[SERVICE_URL_SIZE + 1];
    snprintf(url, sizeof url, "https%s", service_url(scene->service) + strlen("http"));
    post_elsewhere(scene, url);
    scene->task.timeout_us = 20000;
    assert_failed(attempt(scene), scene, false);
    assert_blob(scene->outcome.error, "no connection within 20 ms");
    assert_int_equal(service_count(scene->service, SERVICE_REQUESTS), 0);
}

/* ---- connections */

static void test_connection_is_kept(void **state)
{
    struct scene *scene = *state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(attempt(scene), JOBD_DONE);
    struct service *service = scene->service;
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 20);
    assert_int_equal(service_count(service, SERVICE_ACCEPTED), 1);
}

static void *post_fifty(void *context)
{
    struct scene *scene = context;
    for (unsigned i = 0; i < 50; i++) {
        struct jobd_outcome outcome = {.state = JOBD_DONE};
        post_attempt(&scene->task, &outcome, scene->post, -1);
        verify(outcome.state == JOBD_DONE && outcome.output != NULL);
        jobd_blob_unref(outcome.output);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct scene *scene = *state;
    pthread_t threads[4];
    service_script(scene->service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}));
    give_payload(scene, "shared", 6, "text/plain");
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_fifty, scene), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct service *service = scene->service;
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 200);
    assert_in_range(service_count(service, SERVICE_ACCEPTED), 1, 4);
}

static void test_stale_connection(void **state)
{
    struct scene *scene = *state;
    struct service *service = scene->service;
    /* Closed while idle; then closed in place of an answer, which is the same to the client. */
    service_script(service,
                   SERVICE_SCRIPT({.answer = OK_EMPTY, .closes = true}, {.answer = OK_EMPTY},
                                  {.answer = "", .closes = true}, {.answer = OK_EMPTY}));
    assert_int_equal(attempt(scene), JOBD_DONE);
    service_await(service, SERVICE_CLOSED, 1);
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_int_equal(service_count(service, SERVICE_ACCEPTED), 2);
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_int_equal(service_count(service, SERVICE_ACCEPTED), 3);
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 4);
    assert_sent(scene, "Idempotency-Key", "\"jobd-7\"");
}

/* Dropped while a large body goes out, whether that has gone into the system's buffers or not. */
static void test_stale_connection_in_the_midst(void **state)
{
    struct scene *scene = *state;
    struct service *service = scene->service;
    static const size_t sizes[] = {200000, 1000000, 5000000};
    unsigned accepted = 0;
    for (unsigned i = 0; i < 30; i++) {
        size_t size = sizes[i % 3];
        char *bytes = malloc(size);
        assert_non_null(bytes);
        memset(bytes, 'p', size);
        give_payload(scene, bytes, size, "text/plain");
        service_script(service, SERVICE_SCRIPT({.answer = OK_EMPTY}, {.cut_at = 1 + 3000 * i},
                                               {.answer = OK_EMPTY}));
        assert_int_equal(attempt(scene), JOBD_DONE);
        assert_int_equal(attempt(scene), JOBD_DONE);
        assert_sent_body(scene, bytes, size);
        accepted += i == 0 ? 2 : 1;
        assert_int_equal(service_count(service, SERVICE_ACCEPTED), accepted);
        free(bytes);
    }
}

/* A new connection that is dropped is the service's answer. */
static void test_new_connection_in_the_midst(void **state)
{
    struct scene *scene = *state;
    char *bytes = calloc(1, 5000000);
    assert_non_null(bytes);
    give_payload(scene, bytes, 5000000, "text/plain");
    service_script(scene->service, SERVICE_SCRIPT({.cut_at = 1000}, {.answer = OK_EMPTY}));
    assert_failed(attempt(scene), scene, false);
    assert_int_equal(service_count(scene->service, SERVICE_ACCEPTED), 1);
    free(bytes);
}

/* ---- stopping */

static void *attempt_main(void *context)
{
    struct scene *scene = context;
    post_attempt(&scene->task, &scene->outcome, scene->post, scene->stop_fd);
    return NULL;
}

static void test_stop(void **state)
{
    struct scene *scene = *state;
    struct service *service = scene->service;
    static const char *const answers[] = {NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"};
    pthread_t thread;
    uint64_t rings;
    for (unsigned i = 0; i < 2; i++) {
        service_script(service, SERVICE_SCRIPT({.answer = answers[i]}));
        assert_int_equal(pthread_create(&thread, NULL, attempt_main, scene), 0);
        service_await(service, SERVICE_REQUESTS, i + 1);
        service_ring(scene->stop_fd);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(scene->outcome.state, JOBD_CANCELLED);
        assert_null(scene->outcome.output);
        assert_null(scene->outcome.error);
        service_await(service, SERVICE_CLOSED, i + 1); /* the service hears of it */
        assert_true(read(scene->stop_fd, &rings, sizeof rings) == sizeof rings);
    }
    assert_int_equal(attempt_answered(scene, OK_EMPTY), JOBD_DONE);
}

static void test_stop_before_start(void **state)
{
    struct scene *scene = *state;
    service_ring(scene->stop_fd);
    assert_int_equal(attempt(scene), JOBD_CANCELLED);
    assert_int_equal(service_count(scene->service, SERVICE_ACCEPTED), 0);
}

static void test_stop_after_the_answer(void **state)
{
    struct scene *scene = *state;
    uint64_t rings;
    service_script(scene->service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone",
                                   .stop_fd = scene->stop_fd}));
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(attempt(scene), JOBD_DONE);
        assert_blob(scene->outcome.output, "done");
        struct pollfd stop = {.fd = scene->stop_fd, .events = POLLIN};
        assert_int_equal(poll(&stop, 1, PATIENCE_MS), 1);
        assert_true(read(scene->stop_fd, &rings, sizeof rings) == sizeof rings);
    }
}

/* Stands in for libc's: there is no unknown.invalid whatever the network says, and a lookup of
 * hanging.invalid hangs until the test lets it go. */
static const char hanging_name[] = "hanging.invalid";
static sem_t lookup_begun, lookup_goes_on, lookup_over;

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&next, &symbol, sizeof next); /* ISO C knows no such conversion */
    if (name != NULL && strcmp(name, "unknown.invalid") == 0)
        return EAI_NONAME;
    if (name != NULL && strcmp(name, hanging_name) == 0) {
        verify(sem_post(&lookup_begun) == 0);
        while (sem_wait(&lookup_goes_on) != 0)
            verify(errno == EINTR);
        name = "127.0.0.1";
        verify(sem_post(&lookup_over) == 0);
    }
    return next(name, service, hints, found);
}

static void await(sem_t *semaphore)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += PATIENCE_MS / 1000;
    assert_int_equal(sem_timedwait(semaphore, &until), 0);
}

static void post_to_hanging_name(struct scene *scene)
{
    char url[80];
    if (dlsym(RTLD_NEXT, "getaddrinfo") == NULL) {
        print_message("the program is one file: behind this lookup there is no other\n");
        skip();
    }
    assert_int_equal(sem_init(&lookup_begun, 0, 0), 0);
    assert_int_equal(sem_init(&lookup_goes_on, 0, 0), 0);
    assert_int_equal(sem_init(&lookup_over, 0, 0), 0);
    snprintf(url, sizeof url, "http://%s%s", hanging_name,
             strrchr(service_url(scene->service), ':'));
    post_elsewhere(scene, url);
}

/* Neither a stop nor a timeout waits for a lookup, and nothing is sent when it ends at last. */
static void test_stop_during_lookup(void **state)
{
    struct scene *scene = *state;
    struct service *service = scene->service;
    pthread_t thread;
    uint64_t rings;
    post_to_hanging_name(scene);
    assert_int_equal(pthread_create(&thread, NULL, attempt_main, scene), 0);
    await(&lookup_begun);
    service_ring(scene->stop_fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(scene->outcome.state, JOBD_CANCELLED);
    assert_true(read(scene->stop_fd, &rings, sizeof rings) == sizeof rings);
    scene->task.timeout_us = 20000;
    assert_failed(attempt(scene), scene, false);
    assert_blob(scene->outcome.error, "no connection within 20 ms");
    await(&lookup_begun);
    scene->task.timeout_us = PATIENCE_US;
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(sem_post(&lookup_goes_on), 0);
    await(&lookup_over);
    await(&lookup_over);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(attempt(scene), JOBD_DONE);
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 10);
}

/* Nor does the end. */
static void test_free_during_lookup(void **state)
{
    struct scene *scene = *state;
    post_to_hanging_name(scene);
    scene->task.timeout_us = 1000;
    assert_failed(attempt(scene), scene, false);
    post_free(scene->post);
    scene->post = NULL;
    await(&lookup_begun);
    assert_int_equal(sem_post(&lookup_goes_on), 0);
    await(&lookup_over);
}

/* The engine has no key for it. */
static void run_with_key(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    struct jobd_task whole = *task;
    whole.key = "from the pool";
    whole.trace = "";
    post_run(&whole, outcome, context);
}

static void test_in_a_pool(void **state)
{
    struct scene *scene = *state;
    struct service *service = scene->service;
    struct jobd_pool *pool;
    struct jobd_receipt receipts[2];
    struct jobd_info info;
    const struct jobd_config config = {
        .queues = &(struct jobd_queue_config){.name = "mail", .capacity = 4, .workers = 1},
        .queues_len = 1,
        .keep = 10,
        .memory_bytes = 1000,
        .waiters_max = 10,
        .first_id = 41,
    };
    const struct jobd_put put = {.priority = 0};
    service_script(service, SERVICE_SCRIPT({.answer = OK_EMPTY}, {.answer = NULL}));
    assert_int_equal(
        jobd_pool_new(&pool, &config, &(struct jobd_runner){run_with_key, scene->post}), 0);
    assert_int_equal(jobd_pool_start(pool), 0);
    struct jobd *jobd = jobd_pool_jobd(pool);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(jobd_put(jobd, &put, NULL, jobd_now_us(), &receipts[i]), JOBD_OK);
    service_await(service, SERVICE_REQUESTS, 2);
    assert_int_equal(jobd_cancel(jobd, receipts[1].id, NULL, jobd_now_us()), JOBD_STOPPING);
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    assert_int_equal(jobd_get(jobd, receipts[0].id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_DONE);
    assert_int_equal(jobd_get(jobd, receipts[1].id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_CANCELLED);
    jobd_pool_free(pool);
    assert_sent(scene, "Jobd-Id", "42");
    assert_sent(scene, "Idempotency-Key", "\"from the pool\"");
}

/* ---- URLs and the environment */

static void test_urls(void **state)
{
    static const struct {
        const char *url;
        bool ok;
    } urls[] = {
        {"http://localhost", true},
        {"http://localhost:8080/path?query=1&b", true},
        {"HTTPS://example.org/", true},
        {"http://[::1]:80/", true},
        {"http://10.0.0.1?q@x", true},
        {"", false},
        {"localhost:8080", false},
        {"/path", false},
        {"file:///etc/passwd", false},
        {"ftp://example.org/", false},
        {"gopher://example.org/", false},
        {"httpx://example.org/", false},
        {"http:", false},
        {"http:/localhost", false},
        {"http://", false},
        {"http:///path", false},
        {"http://?query", false},
        {"http://:80/", false},
        {"http://user@localhost/", false},
        {"http://user:secret@localhost/", false},
        {"http://localhost/#fragment", false},
        {"http://localhost:99999/", false},
        {"http://localhost:port/", false},
        {"http://[::1/", false},
        {"http://local host/", false},
        {"http://localhost/a b", false},
        {"http://localhost/\r\nEvil: yes", false},
        {"http://localhost/\x7f", false},
        {"http://b\xc3\xbc"
         "cher.example/",
         false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct post *post = NULL;
        if (post_url_ok(urls[i].url) != urls[i].ok)
            fail_msg("%s", urls[i].url);
        int error = post_new(
            &post, &(struct post_config){.url = urls[i].url, .queue = "q", .output_max_bytes = 10});
        assert_int_equal(error, urls[i].ok ? 0 : -EINVAL);
        post_free(post);
    }
    post_free(NULL);
}

static void test_environment_is_not_heard(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1/", 1), 0);
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(test_refused),
        scene_test(test_no_such_name),
        scene_test(test_timeout),
        scene_test(test_no_connection_in_time),
        scene_test(test_slow_but_in_time),
        scene_test(test_rubbish),
        scene_test(test_endless_header),
        scene_test(test_endless_fields),
        scene_test(test_https),
        scene_test(test_connection_is_kept),
        scene_test(test_threads),
        scene_test(test_stale_connection),
        scene_test(test_stale_connection_in_the_midst),
        scene_test(test_new_connection_in_the_midst),
        scene_test(test_stop),
        scene_test(test_stop_before_start),
        scene_test(test_stop_after_the_answer),
        scene_test(test_stop_during_lookup),
        scene_test(test_free_during_lookup),
        scene_test(test_in_a_pool),
        cmocka_unit_test(test_urls),
        scene_test(test_environment_is_not_heard),
    };
    return cmocka_run_group_tests_name("post_ends", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "support/service.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"
#include "base/verify.h"
#include "run/webhook_sign.h"
#include "support/server.h"

enum { CONNECTIONS = 16, STEPS = 4, REQUEST_SIZE = 6 * 1024 * 1024, FILLER_SIZE = 1024 * 1024 };

struct peer {
    int fd; /* -1: none */
    size_t size;
    char *bytes; /* REQUEST_SIZE */
};

struct service {
    int listener, end; /* the second an eventfd */
    pthread_t thread;
    struct peer peers[CONNECTIONS];
    char url[SERVICE_URL_SIZE];
    struct mutex lock;
    struct condition changed;
    struct service_step steps[STEPS]; /* the last one for ever */
    char *answers[STEPS];
    unsigned steps_len, step;
    unsigned counts[SERVICE_COUNTS];
    char *request; /* the last one, REQUEST_SIZE */
    char *copy;    /* of it, for the test */
    size_t request_size;
};

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void send_slowly(int fd, const char *bytes)
{
    const int one = 1;
    int unread;
    verify(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    for (; *bytes != '\0'; bytes++) {
        verify(send_all(fd, bytes, 1));
        for (unread = 1; unread > 0; sched_yield())
            verify(ioctl(fd, SIOCOUTQ, &unread) == 0);
    }
}

void service_ring(int fd)
{
    const uint64_t one = 1;
    verify(write(fd, &one, sizeof one) == sizeof one);
}

static void send_answer(int fd, const struct service_step *step)
{
    static char filler[FILLER_SIZE];
    int unread = 1;
    if (step->filler > 0)
        memset(filler, 'x', sizeof filler);
    if (step->slowly)
        send_slowly(fd, step->answer);
    else if (!send_all(fd, step->answer, strlen(step->answer)))
        return;
    for (size_t left = step->filler; left > 0;) {
        size_t part = left < sizeof filler ? left : sizeof filler;
        if (!send_all(fd, filler, part))
            return;
        left -= part;
    }
    for (; step->stop_fd > 0 && unread > 0; sched_yield())
        verify(ioctl(fd, SIOCOUTQ, &unread) == 0);
    if (step->stop_fd > 0)
        service_ring(step->stop_fd);
}

static void tell(struct service *service, enum service_count what)
{
    mutex_lock(&service->lock);
    service->counts[what]++;
    verify(pthread_cond_broadcast(&service->changed.os) == 0);
    mutex_unlock(&service->lock);
}

static void hang_up(struct service *service, struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
    tell(service, SERVICE_CLOSED);
}

static void serve(struct service *service, struct peer *peer)
{
    mutex_lock(&service->lock);
    struct service_step step = service->steps[service->step];
    char *answer = step.answer != NULL ? strdup(step.answer) : NULL;
    if (service->step + 1 < service->steps_len)
        service->step++;
    memcpy(service->request, peer->bytes, peer->size + 1);
    service->request_size = peer->size;
    mutex_unlock(&service->lock);
    peer->size = 0;
    tell(service, SERVICE_REQUESTS);
    step.answer = answer;
    if (answer != NULL)
        send_answer(peer->fd, &step);
    free(answer);
    if (step.closes)
        hang_up(service, peer);
}

static size_t request_length(const char *bytes)
{
    static const char length[] = "\r\nContent-Length: ";
    const char *end = strstr(bytes, "\r\n\r\n"), *field = strcasestr(bytes, length);
    if (end == NULL)
        return SIZE_MAX;
    size_t body = field != NULL ? strtoul(field + sizeof length - 1, NULL, 10) : 0;
    return (size_t)(end + 4 - bytes) + body;
}

/* Is the next step to cut off a request of which so much has come? Then it is done with. */
static bool cuts(struct service *service, size_t size)
{
    mutex_lock(&service->lock);
    size_t cut_at = service->steps[service->step].cut_at;
    bool now = cut_at > 0 && size >= cut_at;
    if (now && service->step + 1 < service->steps_len)
        service->step++;
    mutex_unlock(&service->lock);
    return now;
}

static void hear(struct service *service, struct peer *peer)
{
    ssize_t got = recv(peer->fd, peer->bytes + peer->size, REQUEST_SIZE - 1 - peer->size, 0);
    if (got <= 0) {
        hang_up(service, peer);
        return;
    }
    peer->size += (size_t)got;
    verify(peer->size < REQUEST_SIZE - 1);
    peer->bytes[peer->size] = '\0';
    if (cuts(service, peer->size))
        hang_up(service, peer);
    else if (peer->size >= request_length(peer->bytes))
        serve(service, peer);
}

static void greet(struct service *service)
{
    int fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC);
    struct peer *peer = service->peers;
    verify(fd >= 0);
    while (peer < service->peers + CONNECTIONS && peer->fd >= 0)
        peer++;
    verify(peer < service->peers + CONNECTIONS);
    peer->fd = fd;
    peer->size = 0;
    tell(service, SERVICE_ACCEPTED);
}

static void *service_main(void *context)
{
    struct service *service = context;
    struct pollfd fds[CONNECTIONS + 2] = {{.fd = service->listener, .events = POLLIN},
                                          {.fd = service->end, .events = POLLIN}};
    for (;;) {
        for (unsigned i = 0; i < CONNECTIONS; i++)
            fds[i + 2] = (struct pollfd){.fd = service->peers[i].fd, .events = POLLIN};
        verify(poll(fds, CONNECTIONS + 2, -1) > 0);
        if (fds[1].revents != 0)
            return NULL;
        for (unsigned i = 0; i < CONNECTIONS; i++)
            if (fds[i + 2].revents != 0)
                hear(service, &service->peers[i]);
        if (fds[0].revents != 0)
            greet(service);
    }
}

int service_socket(char url[SERVICE_URL_SIZE])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(url, SERVICE_URL_SIZE, "http://127.0.0.1:%u/do/it?now",
             (unsigned)ntohs(address.sin_port));
    return fd;
}

static void forget_script(struct service *service)
{
    for (unsigned i = 0; i < service->steps_len; i++)
        free(service->answers[i]);
    service->steps_len = service->step = 0;
}

void service_script(struct service *service, const struct service_step *steps, unsigned len)
{
    assert_true(len >= 1 && len <= STEPS);
    mutex_lock(&service->lock);
    forget_script(service);
    for (unsigned i = 0; i < len; i++) {
        service->steps[i] = steps[i];
        service->answers[i] = steps[i].answer != NULL ? strdup(steps[i].answer) : NULL;
        service->steps[i].answer = service->answers[i];
    }
    service->steps_len = len;
    mutex_unlock(&service->lock);
}

void service_await(struct service *service, enum service_count what, unsigned at_least)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &until), 0);
    until.tv_sec += PATIENCE_MS / 1000;
    mutex_lock(&service->lock);
    bool in_time = true;
    while (in_time && service->counts[what] < at_least)
        in_time = condition_wait_until(&service->changed, &service->lock, &until);
    mutex_unlock(&service->lock);
    assert_true(in_time);
}

unsigned service_count(struct service *service, enum service_count what)
{
    mutex_lock(&service->lock);
    unsigned value = service->counts[what];
    mutex_unlock(&service->lock);
    return value;
}

const char *service_request(struct service *service, size_t *size)
{
    mutex_lock(&service->lock);
    *size = service->request_size;
    memcpy(service->copy, service->request, service->request_size + 1);
    mutex_unlock(&service->lock);
    return service->copy;
}

struct service *service_start(void)
{
    struct service *service = calloc(1, sizeof *service);
    assert_non_null(service);
    service->request = calloc(1, REQUEST_SIZE);
    service->copy = calloc(1, REQUEST_SIZE);
    assert_non_null(service->request);
    assert_non_null(service->copy);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        service->peers[i].fd = -1;
        service->peers[i].bytes = malloc(REQUEST_SIZE);
        assert_non_null(service->peers[i].bytes);
    }
    assert_int_equal(mutex_init(&service->lock), 0);
    assert_int_equal(condition_init(&service->changed), 0);
    service_script(service, SERVICE_SCRIPT({.answer = OK_EMPTY}));
    service->listener = service_socket(service->url);
    assert_int_equal(listen(service->listener, CONNECTIONS), 0);
    service->end = eventfd(0, EFD_CLOEXEC);
    assert_true(service->end >= 0);
    assert_int_equal(pthread_create(&service->thread, NULL, service_main, service), 0);
    return service;
}

const char *service_url(const struct service *service)
{
    return service->url;
}

void service_stop(struct service *service)
{
    service_ring(service->end);
    assert_int_equal(pthread_join(service->thread, NULL), 0);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (service->peers[i].fd >= 0)
            close(service->peers[i].fd);
        free(service->peers[i].bytes);
    }
    close(service->listener);
    close(service->end);
    forget_script(service);
    condition_release(&service->changed);
    mutex_release(&service->lock);
    free(service->request);
    free(service->copy);
    free(service);
}

const char *service_body(struct service *service)
{
    size_t size;
    const char *end = strstr(service_request(service, &size), "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

const char *service_field(struct service *service, const char *name, char value[SERVICE_FIELD_SIZE])
{
    size_t size;
    const char *request = service_request(service, &size), *end = strstr(request, "\r\n\r\n");
    char begin[80];
    snprintf(begin, sizeof begin, "\r\n%s: ", name);
    const char *at = strstr(request, begin);
    value[0] = '\0';
    if (at != NULL && at < end)
        snprintf(value, SERVICE_FIELD_SIZE, "%.*s", (int)strcspn(at + strlen(begin), "\r"),
                 at + strlen(begin));
    assert_true(at == NULL || strstr(at + 2, begin) == NULL);
    return value;
}

void service_assert_signed(struct service *service, const char *secret)
{
    char id[SERVICE_FIELD_SIZE], at[SERVICE_FIELD_SIZE], signature[SERVICE_FIELD_SIZE];
    char expected[WEBHOOK_SIGNATURE_SIZE];
    struct webhook_key key;
    assert_true(webhook_key_parse(&key, secret));
    service_field(service, "webhook-id", id);
    service_field(service, "webhook-timestamp", at);
    const char *body = service_body(service);
    const struct webhook_message message = {
        .id = id, .at_s = atoll(at), .body = body, .size = strlen(body)};
    webhook_sign(&key, &message, expected);
    assert_string_equal(service_field(service, "webhook-signature", signature), expected);
}

/* SPDX-License-Identifier: MIT */
/* A web service of a test's own, in a thread, on a free port of 127.0.0.1: it reads whole requests
 * and answers each as scripted, byte for byte.
 *
 * The functions are for the test's own thread, and assert. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

enum { SERVICE_URL_SIZE = 64, SERVICE_FIELD_SIZE = 512 };

/* What it has seen up to now. */
enum service_count {
    SERVICE_ACCEPTED, /* connections */
    SERVICE_CLOSED,   /* of them, by whomever */
    SERVICE_REQUESTS,
    SERVICE_COUNTS
};

/* What it does when a request is complete. */
struct service_step {
    const char *answer; /* copied; NULL: none, ever */
    size_t filler;      /* so many x behind it */
    bool slowly;        /* each byte on its own, when the one before has arrived */
    bool closes;        /* the connection, then */
    size_t cut_at;      /* above 0: closed when so much of the request has come, unanswered */
    int stop_fd;        /* above 0: an eventfd, rung when all of the answer has arrived */
};

struct service;

/* Answers OK_EMPTY to all. */
struct service *service_start(void);
void service_stop(struct service *service);
const char *service_url(const struct service *service); /* http://127.0.0.1:PORT/do/it?now */

/* From the next request on; the last step is for all that follow. */
void service_script(struct service *service, const struct service_step *steps, unsigned len);
#define SERVICE_SCRIPT(...)                                                                        \
    (const struct service_step[]){__VA_ARGS__},                                                    \
        sizeof((const struct service_step[]){__VA_ARGS__}) / sizeof(struct service_step)

unsigned service_count(struct service *service, enum service_count what);
void service_await(struct service *service, enum service_count what, unsigned at_least);

/* The last request and how long it is, with a NUL behind it; a copy, valid until the next call. */
const char *service_request(struct service *service, size_t *size);
/* Its body, as such a copy. */
const char *service_body(struct service *service);
/* The value of a field of its header, which must not be there twice; "": it is not there. */
const char *service_field(struct service *service, const char *name,
                          char value[SERVICE_FIELD_SIZE]);
/* Its signature is good, as who receives it would check it. */
void service_assert_signed(struct service *service, const char *secret);

/* A socket bound to a free port, at which nobody listens, and its URL. */
int service_socket(char url[SERVICE_URL_SIZE]);

/* Makes an eventfd readable. */
void service_ring(int fd);

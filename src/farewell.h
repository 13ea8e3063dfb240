/* SPDX-License-Identifier: MIT */
/* How the gate ends a connection with a word of why, which the HTTP library would not say. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { LEAVERS_MAX = 64 };

/* Refused connections that have their answer and are read from until they close: a close with
 * bytes unread would make the system throw the answer away. */
struct farewell {
    struct {
        int fd; /* -1: free */
        int64_t until_ms;
    } leavers[LEAVERS_MAX];
};

void farewell_init(struct farewell *farewell);

/* Answers 503 with this line and closes `fd`, at once or after it is heard out: then `epoll`
 * reports it, with its number added to `topic`, for farewell_hear(). */
void farewell_say(struct farewell *farewell, int epoll, uint64_t topic, int fd, const char *line);
void farewell_hear(struct farewell *farewell, uint32_t number);

/* Closes those whose time is over; true when others are left. */
bool farewell_end(struct farewell *farewell, int64_t now_ms);

/* Answers on a connection that is to be closed then: 408, the request did not come in time; 431,
 * its header is too large; 400, its Content-Length is none. */
void farewell_too_slow(int fd);
void farewell_bad_length(int fd);
void farewell_too_large(int fd);

/* SPDX-License-Identifier: MIT */
/* Refused connections that have their answer and are read from until they close: a close with
 * bytes unread would make the system throw the answer away. They belong to the acceptor's thread;
 * nothing blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REJECTED_MAX = 64 };

struct rejects {
    struct {
        int fd; /* -1: free */
        int64_t until_ms;
    } rejected[REJECTED_MAX];
};

void reject_init(struct rejects *rejects);

/* Answers 503 with this line and closes `fd`, at once or after it is heard out: then `epoll`
 * reports it, with its number added to `topic`, for reject_read(). */
void reject_send(struct rejects *rejects, int epoll, uint64_t topic, int fd, const char *line);
void reject_read(struct rejects *rejects, uint32_t number);

/* Closes those whose time is over; true when others are left. */
bool reject_expire(struct rejects *rejects, int64_t now_ms);

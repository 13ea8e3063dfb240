/* SPDX-License-Identifier: MIT */
/* Refused connections that have been sent their answer, and are read from until they close: if we
 * closed them with bytes unread, the system would throw the answer away. For the acceptor's thread;
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

/* Answers 503 with this line and closes `fd`, at once or when its client has closed it: until then
 * `epoll` reports it, with its number added to `topic`, for reject_read(). */
void reject_send(struct rejects *rejects, int epoll, uint64_t topic, int fd, const char *line);
void reject_read(struct rejects *rejects, uint32_t number);

/* Closes those whose time is over; true when others are left. */
bool reject_expire(struct rejects *rejects, int64_t now_ms);

/* SPDX-License-Identifier: MIT */
/* What the tests of streams share: a client that reads one as it comes, and a command whose lines
 * the test says. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"

/* ---- who follows */

enum { FEED_SIZE = 4 << 20 };

struct feed {
    int fd;
    size_t size;
    size_t seen; /* up to here the test has looked */
    char text[FEED_SIZE];
};

/* In HTTP/1.0, so that no lengths of chunks stand between. `fields` are whole lines. */
static inline struct feed *feed_open(const struct server *server, const char *path,
                                     const char *fields)
{
    char request[1024];
    struct feed *feed = calloc(1, sizeof *feed);
    assert_non_null(feed);
    feed->fd = raw_connect(server);
    snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: localhost\r\n%s\r\n", path, fields);
    assert_true(raw_send(feed->fd, request));
    return feed;
}

/* False at its end. */
static inline bool feed_read(struct feed *feed)
{
    ssize_t size;
    assert_true(feed->size < FEED_SIZE - 1);
    do
        size = recv(feed->fd, feed->text + feed->size, FEED_SIZE - 1 - feed->size, 0);
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno != ECONNRESET)
        fail_msg("nothing more comes behind: %s", feed->text + feed->seen);
    if (size > 0)
        feed->size += (size_t)size;
    feed->text[feed->size] = '\0';
    return size > 0;
}

/* Waits until the text has come behind what was seen; where it ends. */
static inline char *feed_await(struct feed *feed, const char *text)
{
    char *found;
    while ((found = strstr(feed->text + feed->seen, text)) == NULL)
        if (!feed_read(feed))
            fail_msg("it has ended without %s: %s", text, feed->text + feed->seen);
    feed->seen = (size_t)(found - feed->text) + strlen(text);
    return found + strlen(text);
}

/* Waits for its end; what came behind what was seen. */
static inline const char *feed_await_end(struct feed *feed)
{
    while (feed_read(feed))
        ;
    return feed->text + feed->seen;
}

static inline const char *feed_body(struct feed *feed)
{
    return feed_await(feed, "\r\n\r\n");
}

static inline void feed_close(struct feed *feed)
{
    close(feed->fd);
    free(feed);
}

/* ---- a command that says what it is told */

struct speaker {
    int fd; /* of a pipe that it reads */
    char path[512];
};

static inline void speaker_open(struct speaker *speaker, const char *name)
{
    snprintf(speaker->path, sizeof speaker->path, "%s/%s", temporary_directory(), name);
    assert_int_equal(mkfifo(speaker->path, 0600), 0);
    speaker->fd = open(speaker->path, O_RDWR | O_CLOEXEC);
    assert_true(speaker->fd >= 0);
}

/* A shell's command: each line that is said is a command of its own, until `exit`. */
static inline const char *speaker_command(const struct speaker *speaker, char room[1024])
{
    snprintf(room, 1024, "exec 3<%s; while read -r line <&3; do eval \"$line\"; done",
             speaker->path);
    return room;
}

static inline void speaker_say(const struct speaker *speaker, const char *line)
{
    char text[512];
    int size = snprintf(text, sizeof text, "%s\n", line);
    assert_int_equal(write(speaker->fd, text, (size_t)size), size);
}

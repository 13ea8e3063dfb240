/* SPDX-License-Identifier: MIT */
/* Two buffers: one is filled, under the lock, while the thread writes the other. */
#include "base/line_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

enum { BUFFER_BYTES = 256 * 1024, FILE_MODE = 0640 };

#define SAY_US (10 * CLOCK_SECOND_US)

struct buffer {
    char *bytes;
    size_t used;
};

struct line_writer {
    const char *path;
    struct mutex lock;
    struct condition changed; /* for the thread */
    struct condition ended;   /* for line_writer_close() */
    struct buffer filling GUARDED_BY(lock);
    int next_fd GUARDED_BY(lock);    /* the file that was opened again; -1: none */
    size_t next_at GUARDED_BY(lock); /* where in `filling` the lines for next_fd begin */
    bool over GUARDED_BY(lock), at_end GUARDED_BY(lock);
    _Atomic uint64_t dropped;
    pthread_t thread;
    bool started;

    /* The thread's own. */
    struct buffer writing;
    int fd;
    bool in_line; /* the last write ended within a line */
    uint64_t said;
    int64_t say_us; /* not before then again */
    int error;      /* why the last line was dropped; 0: there was no room */
};

/* ---- the file */

static bool is_standard_error(const struct line_writer *writer)
{
    return strcmp(writer->path, "-") == 0;
}

/* The descriptor or -errno. Opening must not block; writing, in the thread, may. */
static int open_file(const struct line_writer *writer)
{
    if (is_standard_error(writer))
        return STDERR_FILENO;
    int fd = open(writer->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                  FILE_MODE);
    if (fd < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static void close_file(int fd)
{
    if (fd >= 0 && fd != STDERR_FILENO)
        close(fd);
}

/* ---- the thread */

static uint64_t count_lines(const char *bytes, size_t size)
{
    uint64_t lines = 0;
    const char *end = bytes + size;
    while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        lines++;
        bytes++;
    }
    return lines;
}

/* How much is written at a time. Standard error may be a pipe that others write to as well, which
 * keeps no more than PIPE_BUF together: whole lines up to that. */
static size_t piece(const struct line_writer *writer, const char *bytes, size_t size)
{
    if (writer->fd != STDERR_FILENO || size <= PIPE_BUF)
        return size;
    const char *end = memrchr(bytes, '\n', PIPE_BUF);
    if (end == NULL)
        end = memchr(bytes, '\n', size);
    return end != NULL ? (size_t)(end + 1 - bytes) : size;
}

/* Returns how much was written; less than all: `error` says why. */
static size_t write_some(struct line_writer *writer, const char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t written = write(writer->fd, bytes + done, piece(writer, bytes + done, size - done));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            writer->error = written < 0 ? errno : EIO;
            break;
        }
        done += (size_t)written;
        writer->in_line = bytes[done - 1] != '\n';
    }
    return done;
}

/* A line that was cut because the disk was full is ended before the next one begins. */
static void write_out(struct line_writer *writer, const char *bytes, size_t size)
{
    size_t done = 0;
    if (!writer->in_line || write_some(writer, "\n", 1) == 1)
        done = write_some(writer, bytes, size);
    if (done < size)
        atomic_fetch_add(&writer->dropped, count_lines(bytes + done, size - done));
}

static void say_dropped(struct line_writer *writer, bool last)
{
    uint64_t dropped = atomic_load(&writer->dropped), fresh = dropped - writer->said;
    int64_t now_us = clock_now_us();
    if (fresh == 0 || (!last && now_us < writer->say_us))
        return;
    log_warn("%s: %" PRIu64 " %s dropped: %s", writer->path, fresh,
             text_plural(fresh, "line is", "lines are"),
             writer->error != 0 ? strerror(writer->error) : "it is written too slowly");
    writer->said = dropped;
    writer->say_us = now_us + SAY_US;
    writer->error = 0;
}

/* Takes what there is to write. The bytes from *split on are for *next_fd; -1: there are none.
 * False: it is the last. */
static bool await_work_locked(struct line_writer *writer, int *next_fd, size_t *split)
    REQUIRES(writer->lock)
{
    while (writer->filling.used == 0 && writer->next_fd < 0 && !writer->over)
        condition_wait(&writer->changed, &writer->lock);
    struct buffer full = writer->filling;
    writer->filling = writer->writing;
    writer->filling.used = 0;
    writer->writing = full;
    *next_fd = writer->next_fd;
    *split = writer->next_fd >= 0 ? writer->next_at : full.used;
    writer->next_fd = -1;
    return !writer->over;
}

static void *run(void *context)
{
    struct line_writer *writer = context;
    bool go_on = true;
    while (go_on) {
        int next_fd;
        size_t split;
        mutex_lock(&writer->lock);
        go_on = await_work_locked(writer, &next_fd, &split);
        mutex_unlock(&writer->lock);
        write_out(writer, writer->writing.bytes, split);
        if (next_fd >= 0) {
            close_file(writer->fd);
            writer->fd = next_fd;
            writer->in_line = false;
            write_out(writer, writer->writing.bytes + split, writer->writing.used - split);
        }
        say_dropped(writer, !go_on);
    }
    mutex_lock(&writer->lock);
    writer->at_end = true;
    condition_signal(&writer->ended);
    mutex_unlock(&writer->lock);
    return NULL;
}

/* ---- lines */

void line_writer_add(struct line_writer *writer, const char *line, size_t size)
{
    if (writer == NULL)
        return;
    mutex_lock(&writer->lock);
    struct buffer *buffer = &writer->filling;
    bool room = size <= BUFFER_BYTES - buffer->used;
    if (room) {
        memcpy(buffer->bytes + buffer->used, line, size);
        if (buffer->used == 0)
            condition_signal(&writer->changed);
        buffer->used += size;
    } else {
        atomic_fetch_add(&writer->dropped, 1);
    }
    mutex_unlock(&writer->lock);
}

int line_writer_reopen(struct line_writer *writer)
{
    int fd = open_file(writer);
    if (fd < 0)
        return fd;
    mutex_lock(&writer->lock);
    int unused = writer->next_fd;
    if (unused < 0)
        writer->next_at = writer->filling.used;
    writer->next_fd = fd;
    condition_signal(&writer->changed);
    mutex_unlock(&writer->lock);
    close_file(unused);
    return 0;
}

uint64_t line_writer_dropped(const struct line_writer *writer)
{
    return writer != NULL ? atomic_load(&writer->dropped) : 0;
}

/* ---- its life */

static void release(struct line_writer *writer)
{
    close_file(writer->fd);
    free(writer->writing.bytes);
    mutex_lock(&writer->lock);
    close_file(writer->next_fd);
    free(writer->filling.bytes);
    mutex_unlock(&writer->lock);
    condition_release(&writer->changed);
    condition_release(&writer->ended);
    mutex_release(&writer->lock);
    free(writer);
}

static int init_locks(struct line_writer *writer)
{
    int error = mutex_init(&writer->lock);
    if (error != 0)
        return error;
    if ((error = condition_init(&writer->changed)) != 0)
        goto fail_changed;
    if ((error = condition_init(&writer->ended)) != 0)
        goto fail_ended;
    return 0;
fail_ended:
    condition_release(&writer->changed);
fail_changed:
    mutex_release(&writer->lock);
    return error;
}

int line_writer_open(struct line_writer **writer, const char *path)
{
    struct line_writer *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->path = path;
    int error = init_locks(new);
    if (error != 0) {
        free(new);
        return error;
    }
    mutex_lock(&new->lock);
    new->next_fd = -1;
    new->filling.bytes = malloc(BUFFER_BYTES);
    new->writing.bytes = malloc(BUFFER_BYTES);
    bool room = new->filling.bytes != NULL &&new->writing.bytes != NULL;
    mutex_unlock(&new->lock);
    new->fd = room ? open_file(new) : -ENOMEM;
    if (new->fd >= 0)
        *writer = new;
    else
        error = new->fd;
    if (error != 0)
        release(new);
    return error;
}

int line_writer_start(struct line_writer *writer)
{
    int error = thread_start(&writer->thread, run, writer);
    writer->started = error == 0;
    return error;
}

/* False: the thread still hangs in a write. */
static bool await_end(struct line_writer *writer, int64_t wait_us)
{
    struct timespec until = clock_monotonic(clock_after_us(wait_us));
    mutex_lock(&writer->lock);
    writer->over = true;
    condition_signal(&writer->changed);
    while (!writer->at_end && condition_wait_until(&writer->ended, &writer->lock, &until))
        ;
    bool at_end = writer->at_end;
    mutex_unlock(&writer->lock);
    return at_end;
}

void line_writer_close(struct line_writer *writer, int64_t wait_us)
{
    if (writer == NULL)
        return;
    if (writer->started && !await_end(writer, wait_us)) {
        verify(pthread_detach(writer->thread) == 0);
        return;
    }
    if (writer->started)
        verify(pthread_join(writer->thread, NULL) == 0);
    release(writer);
}

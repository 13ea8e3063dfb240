/* SPDX-License-Identifier: MIT */
/* Lines for a file that may be slow, full or not read: a bounded buffer, and a thread that writes
 * it. Whoever adds a line never waits; what finds no room, or cannot be written, is dropped and
 * counted, and the log says how much and why, once in ten seconds at most. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct line_writer;

/* Opens `path` to append to it, and makes it where it is not there, readable by its owner and
 * group; "-" is standard error. The path is borrowed. 0 and *writer, or -errno; nothing is written
 * yet. A named pipe needs a reader. */
__attribute__((warn_unused_result)) int line_writer_open(struct line_writer **writer,
                                                         const char *path);
/* Starts the thread. 0 or -errno. */
__attribute__((warn_unused_result)) int line_writer_start(struct line_writer *writer);

/* Adds a line, its line feed included, or drops it. Any thread; does not block. Takes NULL. */
void line_writer_add(struct line_writer *writer, const char *line, size_t size);

/* Opens the path anew, as after a rename: what is added from now on goes there, what was added
 * before to the file before. 0, or -errno, and the file before stays. The main thread; blocks on
 * the file system. */
__attribute__((warn_unused_result)) int line_writer_reopen(struct line_writer *writer);

/* Lines that were dropped up to now. Any thread. Takes NULL: 0. */
uint64_t line_writer_dropped(const struct line_writer *writer);

/* Writes what is left and frees all. When that takes longer than `wait_us`, as nobody reads, the
 * rest is given up, and the memory is left to the thread that stands there. Takes NULL. */
void line_writer_close(struct line_writer *writer, int64_t wait_us);

/* SPDX-License-Identifier: MIT */
/* Lines for a file that may be slow or full, or a pipe that nobody reads: a bounded buffer, and a
 * thread that writes it. Adding a line never blocks; a line for which there is no room, or that
 * cannot be written, is dropped and counted, and the log says how many and why, at most once in ten
 * seconds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct line_writer;

/* Opens `path` to append to it, and creates it, readable by its owner and group, if it is not
 * there; "-" is standard error. The path is borrowed until line_writer_close(). 0 and *writer, or
 * -errno; no thread runs yet. A named pipe must have a reader. */
__attribute__((warn_unused_result)) int line_writer_open(struct line_writer **writer,
                                                         const char *path);
/* Starts the thread. 0 or -errno. */
__attribute__((warn_unused_result)) int line_writer_start(struct line_writer *writer);

/* Adds a line, its line feed included, or drops it. Any thread; does not block. Takes NULL. */
void line_writer_add(struct line_writer *writer, const char *line, size_t size);

/* Opens the path again, for example after a rename: lines added from now on go there, earlier ones
 * to the former file. 0; or -errno, and the former file stays. The main thread; blocks on the file
 * system. */
__attribute__((warn_unused_result)) int line_writer_reopen(struct line_writer *writer);

/* Lines that were dropped up to now. Any thread. Takes NULL: 0. */
uint64_t line_writer_dropped(const struct line_writer *writer);

/* Writes what is left, ends the thread and frees all. When that takes longer than wait_us, because
 * nobody reads, the rest is given up, and the memory is left to the thread that hangs in its write.
 * Takes NULL. */
void line_writer_close(struct line_writer *writer, int64_t wait_us);

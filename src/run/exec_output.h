/* SPDX-License-Identifier: MIT */
/* What a command writes, as it is kept: of standard output the first bytes, of standard error the
 * last ones. For one thread; only the limit is the whole process's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/queue.h"

enum { EXEC_ERROR_BYTES = 1024 }; /* of standard error that are kept: the last ones */

struct exec_output {
    size_t max_bytes; /* the caller's: of standard output; the rest is dropped */
    struct jobd_blob *output;
    size_t used, room;
    bool truncated;
    char errors[EXEC_ERROR_BYTES]; /* a ring */
    uint64_t errors_total;
};

/* The outputs of all commands that run take at most this many bytes together; what goes beyond is
 * dropped. Until this has been called there is no limit. --memory counts only the outputs of
 * commands that have ended. */
void exec_output_limit(size_t bytes_max);

/* Adds bytes of standard output. True: there is something new, more output or that it is truncated.
 * The bytes in `output->output` never change: for more room another blob takes its place. */
bool exec_output_add(struct exec_output *output, const char *bytes, size_t size);
void exec_errors_add(struct exec_output *output, const char *bytes, size_t size);

/* Standard output, of the type text if it is UTF-8: the caller's; NULL: there is none. Once, at the
 * end. */
struct jobd_blob *exec_output_take(struct exec_output *output);

/* The end of standard error, which begins with a whole character and has no line ends behind it. */
void exec_errors_end(const struct exec_output *output, char text[EXEC_ERROR_BYTES + 1]);

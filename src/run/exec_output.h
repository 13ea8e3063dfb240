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

/* All that is kept of commands that run takes at most this, as --memory is for those that have
 * ended; what goes beyond is dropped. Until it has been said there is no such limit. */
void exec_output_limit(size_t bytes_max);

/* True: there is something new. What stands in `output->output` never changes: when it needs more
 * room that is another blob. */
bool exec_output_add(struct exec_output *output, const char *bytes, size_t size);
void exec_errors_add(struct exec_output *output, const char *bytes, size_t size);

/* Standard output, text when it is UTF-8; the caller's, NULL when there is none. To be called once,
 * at the end. */
struct jobd_blob *exec_output_take(struct exec_output *output);

/* The end of standard error from the beginning of a character on, without line ends behind it. */
void exec_errors_end(const struct exec_output *output, char text[EXEC_ERROR_BYTES + 1]);

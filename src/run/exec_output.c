/* SPDX-License-Identifier: MIT */
#include "run/exec_output.h"

#include <stdatomic.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"
#include "base/verify.h"

enum { FIRST_BYTES = 4096 };

static atomic_size_t held, held_max = SIZE_MAX;

void exec_output_limit(size_t bytes_max)
{
    atomic_store(&held_max, bytes_max);
}

static bool hold(size_t bytes)
{
    size_t max = atomic_load(&held_max), before = atomic_fetch_add(&held, bytes);
    if (before <= max && bytes <= max - before)
        return true;
    atomic_fetch_sub(&held, bytes);
    return false;
}

/* Copies to a new blob, since others may be reading the former one. */
static void move_to(struct exec_output *output, struct jobd_blob *other)
{
    if (output->used > 0)
        memcpy(other->bytes, output->output->bytes, output->used);
    jobd_blob_unref(output->output);
    output->output = other;
}

/* False when there is no memory for it, in the budget or at all. */
static bool resize(struct exec_output *output, size_t room)
{
    if (!hold(room - output->room))
        return false;
    struct jobd_blob *grown = jobd_blob_new(room, NULL);
    if (grown == NULL) {
        atomic_fetch_sub(&held, room - output->room);
        return false;
    }
    move_to(output, grown);
    output->room = room;
    return true;
}

/* Tries to double the room, since each growth copies everything; if that is too much, less. */
static bool grow(struct exec_output *output, size_t needed)
{
    size_t next = output->room > 0 ? output->room * 2 : FIRST_BYTES;
    if (needed <= output->room)
        return true;
    if (next < needed)
        next = needed;
    if (next > output->max_bytes)
        next = output->max_bytes;
    while (!resize(output, next)) {
        if (next == needed)
            return false;
        next = needed + (next - needed) / 2;
    }
    return true;
}

bool exec_output_add(struct exec_output *output, const char *bytes, size_t size)
{
    size_t room = output->max_bytes - output->used;
    bool before = output->truncated;
    if (size > room || output->truncated) {
        size = output->truncated ? 0 : room; /* nothing is left out in its midst */
        output->truncated = true;
    }
    if (size == 0)
        return output->truncated != before;
    if (!grow(output, output->used + size)) {
        output->truncated = true;
        return true;
    }
    verify(output->output != NULL);
    memcpy(output->output->bytes + output->used, bytes, size);
    output->used += size;
    return true;
}

void exec_errors_add(struct exec_output *output, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        output->errors[output->errors_total++ % EXEC_ERROR_BYTES] = bytes[i];
}

struct jobd_blob *exec_output_take(struct exec_output *output)
{
    struct jobd_blob *exact =
        output->used < output->room ? jobd_blob_new(output->used, NULL) : NULL;
    if (exact != NULL)
        move_to(output, exact);
    struct jobd_blob *taken = output->output;
    if (taken != NULL) {
        taken->size = (uint32_t)output->used; /* whoever follows does not look at it */
        if (utf8_valid(taken->bytes, taken->size))
            taken->type = TYPE_TEXT;
    }
    atomic_fetch_sub(&held, output->room);
    output->output = NULL;
    output->room = 0;
    return taken;
}

void exec_errors_end(const struct exec_output *output, char text[EXEC_ERROR_BYTES + 1])
{
    size_t length = 0;
    uint64_t total = output->errors_total,
             from = total > EXEC_ERROR_BYTES ? total - EXEC_ERROR_BYTES : 0;
    for (uint64_t at = from; at < total; at++) {
        char c = output->errors[at % EXEC_ERROR_BYTES];
        bool inside = from > 0 && length == 0 && ((unsigned char)c & 0xc0) == 0x80;
        if (!inside && c != '\0')
            text[length++] = c;
    }
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    text[length] = '\0';
}

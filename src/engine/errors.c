/* SPDX-License-Identifier: MIT */
#include "engine/errors.h"

#include <string.h>

enum { BACK, ATTEMPT = 8, SIZE = 10, EXITED = 12, EXIT_CODE, HEAD_BYTES = 16 };

static uint64_t read_number(const unsigned char *bytes, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}

static void write_number(unsigned char *bytes, unsigned size, uint64_t number)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
}

/* Where the time of another process has a sign, what is before it has one too. */
static int64_t earlier(int64_t us, int64_t back_us)
{
    return us < 0 ? us + back_us : us - back_us;
}

size_t jobd_errors(const struct jobd_blob *errors, int64_t last_us,
                   struct jobd_error list[JOBD_ERRORS_MAX])
{
    size_t len = 0, at = 0, all = errors != NULL ? errors->size : 0;
    while (len < JOBD_ERRORS_MAX && all - at >= HEAD_BYTES) {
        const unsigned char *head = errors->bytes + at;
        size_t size = (size_t)read_number(head + SIZE, 2);
        if (size > all - at - HEAD_BYTES)
            break;
        list[len++] =
            (struct jobd_error){.attempt = (uint32_t)read_number(head + ATTEMPT, 2),
                                .at_us = earlier(last_us, (int64_t)read_number(head + BACK, 8)),
                                .exited = head[EXITED] != 0,
                                .exit_code = head[EXIT_CODE],
                                .text = (const char *)head + HEAD_BYTES,
                                .size = size};
        at += HEAD_BYTES + size;
    }
    return len;
}

/* What was written last says best what went wrong. No character is cut in two. */
static void cut(struct jobd_error *error)
{
    if (error->size > JOBD_ERROR_MAX) {
        error->text += error->size - JOBD_ERROR_MAX;
        error->size = JOBD_ERROR_MAX;
        for (unsigned i = 0; i < 3 && ((unsigned char)*error->text & 0xC0) == 0x80; i++) {
            error->text++;
            error->size--;
        }
    }
}

static int64_t time_since(int64_t us, int64_t until_us)
{
    int64_t then_us = us < 0 ? -us : us;
    return then_us < until_us ? until_us - then_us : 0;
}

static size_t write_error(unsigned char *head, const struct jobd_error *error, int64_t last_us)
{
    memset(head, 0, HEAD_BYTES);
    write_number(head + BACK, 8, (uint64_t)time_since(error->at_us, last_us));
    write_number(head + ATTEMPT, 2, error->attempt);
    write_number(head + SIZE, 2, error->size);
    head[EXITED] = error->exited;
    head[EXIT_CODE] = (unsigned char)error->exit_code;
    if (error->size > 0)
        memcpy(head + HEAD_BYTES, error->text, error->size);
    return HEAD_BYTES + error->size;
}

struct jobd_blob *errors_with(const struct job *job, const struct jobd_outcome *outcome,
                              int64_t at_us)
{
    struct jobd_error list[JOBD_ERRORS_MAX + 1];
    const struct job_extra *extra = job->extra;
    size_t len = extra != NULL ? jobd_errors(extra->errors, extra->errors_us, list) : 0;
    size_t first = len == JOBD_ERRORS_MAX ? 1 : 0, size = 0, used = 0;
    struct jobd_error *last = &list[len];
    *last = (struct jobd_error){.attempt = job->attempt,
                                .at_us = at_us,
                                .exited = outcome->exited,
                                .exit_code = outcome->exit_code};
    if (outcome->error != NULL) {
        last->text = (const char *)outcome->error->bytes;
        last->size = outcome->error->size;
        cut(last);
    }
    for (size_t i = first; i <= len; i++)
        size += HEAD_BYTES + list[i].size;
    struct jobd_blob *errors = jobd_blob_new(size, NULL);
    for (size_t i = first; errors != NULL && i <= len; i++)
        used += write_error(errors->bytes + used, &list[i], at_us);
    return errors;
}

/* SPDX-License-Identifier: MIT */
/* What a load client says and hears: HTTP, and beanstalkd's protocol.
 *
 * An operation is one request and its reply, or two of them: a job is taken and then deleted, a
 * put is followed by a request to the Location it answered, many jobs are taken and then ended. No
 * I/O here, only bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TALK_IN = 65536, TALK_OUT = 16384 };

enum talk_step {
    TALK_MORE,   /* the reply is not whole yet */
    TALK_AGAIN,  /* `out` holds the operation's next request */
    TALK_ENDED,  /* the operation is over */
    TALK_BROKEN, /* what came is no reply, or too long */
};

struct talk {
    char in[TALK_IN], out[TALK_OUT];
    size_t in_len, out_len, out_sent;
    bool second;     /* the operation's second request is under way */
    unsigned status; /* of the last reply */
    uint64_t job;    /* the id that Location named, or 0 */
    bool in_body;    /* of an HTTP reply, which is `step` when it is whole */
    size_t body_left;
    enum talk_step step;
};

struct talk_plan {
    const char *protocol; /* http, put, take */
    const char *method, *host, *path;
    size_t payload;     /* bytes of a put's payload */
    bool json;          /* asks for JSON */
    size_t lines;       /* above 0: so many payloads, each a line of the body */
    const char *follow; /* method of a request to each reply's Location, or NULL */
    const char *suffix; /* is added to that Location */
    const char *ends; /* the leases of a JSON reply are ended there, all in one request; or NULL */
};

/* False when the protocol is unknown or a request would not fit. */
bool talk_init(const struct talk_plan *plan);

/* Puts an operation's first request into `out`. */
void talk_ask(struct talk *talk);

/* Looks at `in`, and takes a whole reply out of it. */
enum talk_step talk_hear(struct talk *talk);

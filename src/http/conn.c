/* SPDX-License-Identifier: MIT */
#include "http/conn.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/verify.h"

enum { PHASE_BITS = 8 }; /* of the word; the deadline stands above them */

#define TO(phase) (1U << PHASE_##phase)

/* The legal moves. REPLY and the two phases of a stream may also be entered again. A request that
 * the HTTP library itself refuses ends in HEADER or BODY. */
static const unsigned legal[PHASES] = {
    [PHASE_FREE] = TO(NEW),
    [PHASE_NEW] = TO(HEADER) | TO(CUT) | TO(FREE),
    [PHASE_HEADER] = TO(BODY) | TO(REPLY) | TO(IDLE) | TO(CUT) | TO(FREE),
    [PHASE_BODY] = TO(REPLY) | TO(IDLE) | TO(CUT) | TO(FREE),
    [PHASE_REPLY] = TO(REPLY) | TO(PARKED) | TO(STREAM) | TO(IDLE) | TO(CUT) | TO(FREE),
    [PHASE_PARKED] = TO(REPLY) | TO(IDLE) | TO(FREE),
    [PHASE_STREAM] = TO(STREAM) | TO(STREAM_PARKED) | TO(IDLE) | TO(CUT) | TO(FREE),
    [PHASE_STREAM_PARKED] = TO(STREAM) | TO(IDLE) | TO(CUT) | TO(FREE),
    [PHASE_IDLE] = TO(HEADER) | TO(CUT) | TO(FREE),
    [PHASE_CUT] = TO(CUT) | TO(FREE),
};

static uint64_t word_of(enum phase phase, int64_t deadline_ms)
{
    return (uint64_t)deadline_ms << PHASE_BITS | phase;
}

static struct conn_state state_of(uint64_t word)
{
    return (struct conn_state){.phase = (enum phase)(word & ((1U << PHASE_BITS) - 1)),
                               .deadline_ms = (int64_t)(word >> PHASE_BITS)};
}

struct conn_state conn_state(const struct conn *conn)
{
    return state_of(atomic_load(&conn->word));
}

enum phase conn_phase(const struct conn *conn)
{
    return conn_state(conn).phase;
}

bool conn_move(struct conn *conn, struct conn_state *seen, enum phase phase, int64_t deadline_ms)
{
    uint64_t word = word_of(seen->phase, seen->deadline_ms);
    verify((legal[seen->phase] & 1U << phase) != 0);
    if (atomic_compare_exchange_strong(&conn->word, &word, word_of(phase, deadline_ms)))
        return true;
    *seen = state_of(word);
    return false;
}

/* 0: for ever. */
static int64_t lasts_ms(const struct conn_times *times, enum phase phase)
{
    switch (phase) {
    case PHASE_NEW:
    case PHASE_HEADER:
        return times->header_ms;
    case PHASE_BODY:
        return times->body_ms;
    case PHASE_REPLY:
    case PHASE_STREAM:
        return times->reply_ms;
    case PHASE_IDLE:
        return times->idle_ms;
    case PHASE_CUT:
        return CONN_STUCK_MS;
    case PHASE_FREE:
    case PHASE_PARKED:
    case PHASE_STREAM_PARKED:
    case PHASES:
        break;
    }
    return 0;
}

bool conn_enter(struct conn *conn, enum phase phase, int64_t now_ms)
{
    int64_t ms = lasts_ms(conn->times, phase);
    int64_t fresh_ms = ms > 0 ? now_ms + ms : 0, deadline_ms;
    struct conn_state seen = conn_state(conn);
    do {
        if (seen.phase == PHASE_CUT)
            return false;
        /* A connection's first header began with the connection. */
        bool goes_on = phase == PHASE_HEADER && seen.phase == PHASE_NEW;
        deadline_ms = goes_on ? seen.deadline_ms : fresh_ms;
    } while (!conn_move(conn, &seen, phase, deadline_ms));
    return true;
}

void conn_extend_deadline(struct conn *conn, size_t bytes)
{
    int64_t more_ms = (int64_t)(bytes / (size_t)conn->times->slowest_bytes_per_s) * 1000;
    struct conn_state seen = conn_state(conn);
    while (seen.phase == PHASE_REPLY &&
           !conn_move(conn, &seen, PHASE_REPLY, seen.deadline_ms + more_ms))
        ;
}

bool conn_hung_up(const struct conn *conn)
{
    struct pollfd peer = {.fd = conn->fd, .events = POLLRDHUP};
    return poll(&peer, 1, 0) > 0; /* also for a reset, which is not asked for */
}

bool conn_client_left(const struct conn *conn)
{
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

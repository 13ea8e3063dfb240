/* SPDX-License-Identifier: MIT */
#include "http/deadlines.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "http/canned.h"

enum {
    NEW_MS = 200,        /* closing: a new connection may still send its request */
    GIVE_UP_MS = 1000,   /* after cutting all: for the HTTP library to close them */
    PROBES_A_SWEEP = 256 /* connections asked whether their client is still there */
};

static bool waits_for_client(enum phase phase)
{
    return phase == PHASE_NEW || phase == PHASE_HEADER || phase == PHASE_BODY;
}

/* Holding the lock keeps conn_end() away, and so the descriptor open. False when the connection has
 * moved on just in time; then *seen says where. */
static bool cut_locked(struct deadlines *deadlines, struct conn *conn, struct conn_state *seen,
                       bool too_slow) REQUIRES(deadlines->conns->lock)
{
    enum phase phase = seen->phase;
    if (!conn_move(conn, seen, PHASE_CUT, clock_coarse_ms() + CONN_STUCK_MS))
        return false;
    if (too_slow) {
        deadlines->conns->stats.cut++;
        deadlines->conns->stats.cut_streams += phase == PHASE_STREAM;
        if (waits_for_client(phase)) {
            atomic_store(&conn->timed_out, true);
            if (!deadlines->mute)
                (void)canned_send(conn->fd, 408, "the request did not come in time");
        }
    }
    shutdown(conn->fd, SHUT_RDWR);
    if (phase == PHASE_STREAM_PARKED)
        deadlines->events.look_after(deadlines->events.context, conn);
    return true;
}

/* ---- clients that leave */

static void cut_stream_locked(struct deadlines *deadlines, struct conn *conn)
    REQUIRES(deadlines->conns->lock)
{
    struct conn_state seen = conn_state(conn);
    while ((seen.phase == PHASE_STREAM || seen.phase == PHASE_STREAM_PARKED) &&
           !cut_locked(deadlines, conn, &seen, false))
        ;
}

void deadlines_on_hangup(struct deadlines *deadlines, uint32_t index, uint32_t generation)
{
    struct conn *conn = &deadlines->conns->conns[index];
    const struct conn_events *events = &deadlines->events;
    bool hung_up = false;
    mutex_lock(&deadlines->conns->lock);
    if (((conn->generation ^ generation) & ((1U << HANGUP_GENERATION_BITS) - 1)) == 0 &&
        conn->started) {
        cut_stream_locked(deadlines, conn);
        hung_up = conn_phase(conn) == PHASE_PARKED && events->cancel_wait(events->context, conn);
    }
    mutex_unlock(&deadlines->conns->lock);
    /* Its wait is cancelled, so only hung_up() will wake it; until then the connection stays. */
    if (hung_up)
        events->hung_up(events->context, conn);
}

/* ---- probes: a FIN that came with bytes is not reported to the HTTP library again, so a
 * connection that has stood still since its last probe, with nothing left to read but the end, is
 * at its end */

static void probe_locked(struct deadlines *deadlines, struct conn *conn)
    REQUIRES(deadlines->conns->lock)
{
    struct conn_state seen = conn_state(conn);
    if (!waits_for_client(seen.phase) && seen.phase != PHASE_IDLE)
        return;
    bool still = conn->probed.phase == seen.phase && conn->probed.deadline_ms == seen.deadline_ms;
    conn->probed = seen;
    if (still && conn_client_left(conn))
        (void)cut_locked(deadlines, conn, &seen, false);
}

static void probe_some_locked(struct deadlines *deadlines) REQUIRES(deadlines->conns->lock)
{
    struct conn_table *table = deadlines->conns;
    uint32_t probes = table->started < PROBES_A_SWEEP ? table->started : PROBES_A_SWEEP;
    for (uint32_t i = 0; i < table->max && probes > 0; i++) {
        struct conn *conn = &table->conns[deadlines->probe_next];
        deadlines->probe_next = (deadlines->probe_next + 1) % table->max;
        if (conn_phase(conn) == PHASE_FREE || !conn->started)
            continue;
        probes--;
        probe_locked(deadlines, conn);
    }
}

/* ---- the sweep */

/* While the server closes: an idle connection, or one that has had time enough, is cut. */
static bool due_to_close(const struct deadlines *deadlines, enum phase phase, int64_t now_ms)
    REQUIRES(deadlines->conns->lock)
{
    if (deadlines->closing_ms == 0)
        return false;
    int64_t closing_for_ms = now_ms - deadlines->closing_ms;
    return phase == PHASE_IDLE || (phase == PHASE_NEW && closing_for_ms > NEW_MS) ||
           closing_for_ms > deadlines->closing_wait_ms;
}

static void look_at_locked(struct deadlines *deadlines, struct conn *conn, int64_t now_ms)
    REQUIRES(deadlines->conns->lock)
{
    struct conn_state seen = conn_state(conn);
    bool late = seen.deadline_ms != 0 && seen.deadline_ms <= now_ms;
    if (!conn->started) {
        if (late) /* closed by the library before it was taken up; not ours to touch */
            conn_release_locked(deadlines->conns, conn);
    } else if (seen.phase == PHASE_CUT) {
        if (late && conn_move(conn, &seen, PHASE_CUT, now_ms + CONN_STUCK_MS))
            deadlines->events.look_after(deadlines->events.context, conn);
    } else if (seen.phase != PHASE_PARKED &&
               (late || due_to_close(deadlines, seen.phase, now_ms))) {
        (void)cut_locked(deadlines, conn, &seen, late);
    }
}

static void sweep_locked(struct deadlines *deadlines, int64_t now_ms)
    REQUIRES(deadlines->conns->lock)
{
    struct conn_table *table = deadlines->conns;
    uint32_t left = table->stats.open;
    for (uint32_t i = 0; i < table->max && left > 0; i++) {
        if (conn_phase(&table->conns[i]) == PHASE_FREE)
            continue;
        left--;
        look_at_locked(deadlines, &table->conns[i], now_ms);
    }
    probe_some_locked(deadlines);
}

struct connections_left deadlines_sweep(struct deadlines *deadlines, int64_t now_ms)
{
    mutex_lock(&deadlines->conns->lock);
    sweep_locked(deadlines, now_ms);
    int64_t give_up_ms = deadlines->closing_ms + deadlines->closing_wait_ms + GIVE_UP_MS;
    struct connections_left sweep = {.open = deadlines->conns->stats.open,
                                     .closing = deadlines->closing_ms != 0};
    /* A cut connection is closed by the library; give up on one that is not. */
    sweep.over = sweep.closing && (sweep.open == 0 || now_ms > give_up_ms);
    mutex_unlock(&deadlines->conns->lock);
    return sweep;
}

void deadlines_close(struct deadlines *deadlines, int64_t wait_ms)
{
    mutex_lock(&deadlines->conns->lock);
    deadlines->closing_ms = clock_coarse_ms();
    deadlines->closing_wait_ms = wait_ms;
    mutex_unlock(&deadlines->conns->lock);
}

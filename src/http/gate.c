/* SPDX-License-Identifier: MIT */
#include "http/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http/per_address.h"
#include "base/clock.h"
#include "http/canned.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"

enum {
    ACCEPTS_AT_A_TIME = 64,
    EVENTS_AT_A_TIME = 64,
    ROUND_MS = 250,        /* how often deadlines are looked at */
    CLOSING_ROUND_MS = 10, /* the same while closing */
    FRESH_MS = 200,        /* closing: a new connection may still send its request */
    REST_MS = 100,         /* after accept() failed for lack of something */
    QUIET_MS = 10000,      /* until that is said in the log again */
    STUCK_MS = 1000,       /* a cut connection is closed by then, or was forgotten */
    GIVE_UP_MS = 1000,     /* after cutting all: for the library to close them */
    PROBES_A_ROUND = 256,  /* connections asked whether their client is still there */
    PHASE_BITS = 8,
};

/* What an epoll event is about, in the upper byte of its data. */
enum topic { TOPIC_LISTENER, TOPIC_COMMAND, TOPIC_SLOT, TOPIC_REJECTED };

struct gate {
    struct gate_config config;
    struct mutex lock;
    struct slot *slots; /* their state is atomic, the rest guarded */
    uint32_t *spare GUARDED_BY(lock);
    uint32_t spare_len GUARDED_BY(lock), connections GUARDED_BY(lock), started GUARDED_BY(lock);
    struct slot **by_fd GUARDED_BY(lock);
    size_t by_fd_len;
    struct addresses addresses GUARDED_BY(lock);
    struct gate_stats stats GUARDED_BY(lock);
    int64_t closing_ms GUARDED_BY(lock); /* 0: open; else when closing began */
    int64_t closing_wait_ms GUARDED_BY(lock);

    /* The gate's own thread only. */
    int epoll, command;
    pthread_t thread;
    bool thread_started, door_closed;
    uint32_t probe_next;    /* the slot to go on with */
    int64_t rests_until_ms; /* not accepting until then; 0: accepting */
    int64_t quiet_until_ms;
    struct rejects rejects;
};

/* ---- a slot's state */

static uint64_t state_of(enum phase phase, int64_t deadline_ms)
{
    return (uint64_t)deadline_ms << PHASE_BITS | phase;
}

static enum phase phase_of(uint64_t state)
{
    return (enum phase)(state & ((1U << PHASE_BITS) - 1));
}

enum phase gate_phase(const struct slot *slot)
{
    return phase_of(atomic_load(&slot->state));
}

static int64_t deadline_of(uint64_t state)
{
    return (int64_t)(state >> PHASE_BITS);
}

static int64_t phase_ms(const struct gate *gate, enum phase phase)
{
    switch (phase) {
    case PHASE_FRESH:
    case PHASE_HEADER:
        return gate->config.header_ms;
    case PHASE_BODY:
        return gate->config.body_ms;
    case PHASE_REPLY:
        return gate->config.reply_ms;
    case PHASE_IDLE:
        return gate->config.idle_ms;
    case PHASE_FREE:
    case PHASE_PARKED:
    case PHASE_CUT:
        break;
    }
    return 0;
}

bool gate_enter(struct gate *gate, struct slot *slot, enum phase phase)
{
    int64_t lasts_ms = phase_ms(gate, phase);
    uint64_t fresh = state_of(phase, lasts_ms > 0 ? clock_coarse_ms() + lasts_ms : 0), next;
    uint64_t now = atomic_load_explicit(&slot->state, memory_order_relaxed);
    do {
        if (phase_of(now) == PHASE_CUT || phase_of(now) == PHASE_FREE)
            return false;
        /* A connection's first header began with the connection. */
        bool goes_on = phase == PHASE_HEADER && phase_of(now) == PHASE_FRESH;
        next = goes_on ? state_of(phase, deadline_of(now)) : fresh;
    } while (!atomic_compare_exchange_weak(&slot->state, &now, next));
    return true;
}

void gate_allow(struct gate *gate, struct slot *slot, size_t bytes)
{
    int64_t more_ms = (int64_t)(bytes / (size_t)gate->config.slowest_bytes_per_s) * 1000;
    uint64_t now = atomic_load_explicit(&slot->state, memory_order_relaxed);
    while (phase_of(now) == PHASE_REPLY &&
           !atomic_compare_exchange_weak(&slot->state, &now,
                                         state_of(PHASE_REPLY, deadline_of(now) + more_ms)))
        ;
}

/* ---- start and end */

static size_t descriptors_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > (1U << 22))
        return 1U << 22;
    return (size_t)limit.rlim_cur;
}

static int watch_listeners(struct gate *gate, uint32_t events, int operation)
{
    for (unsigned i = 0; i < gate->config.listeners->len; i++) {
        struct epoll_event event = {.events = events,
                                    .data.u64 = (uint64_t)TOPIC_LISTENER << 56 | i};
        if (epoll_ctl(gate->epoll, operation, gate->config.listeners->of[i].fd, &event) != 0)
            return -errno;
    }
    return 0;
}

int gate_new(struct gate **gate, const struct gate_config *config)
{
    struct gate *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = mutex_init(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    mutex_lock(&new->lock); /* nobody else sees it yet: for the analysis */
    new->config = *config;
    new->epoll = new->command = -1;
    new->by_fd_len = descriptors_max();
    addresses_init(&new->addresses);
    reject_init(&new->rejects);
    new->slots = calloc(config->connections_max, sizeof *new->slots);
    new->spare = calloc(config->connections_max, sizeof *new->spare);
    new->by_fd = calloc(new->by_fd_len, sizeof *new->by_fd);
    if (new->slots == NULL || new->spare == NULL || new->by_fd == NULL) {
        error = -ENOMEM;
    } else if ((new->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
               (new->command = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        error = -errno;
    } else {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)TOPIC_COMMAND << 56};
        error = epoll_ctl(new->epoll, EPOLL_CTL_ADD, new->command, &event) == 0
                    ? watch_listeners(new, EPOLLIN, EPOLL_CTL_ADD)
                    : -errno;
        for (uint32_t i = 0; i < config->connections_max; i++) {
            new->spare[i] = config->connections_max - 1 - i; /* low slots first: warm ones */
            new->slots[i].index = i;
        }
        new->spare_len = config->connections_max;
    }
    mutex_unlock(&new->lock);
    if (error == 0)
        *gate = new;
    else
        gate_free(new);
    return error;
}

void gate_free(struct gate *gate)
{
    if (gate == NULL)
        return;
    verify(!gate->thread_started);
    mutex_lock(&gate->lock);
    if (gate->epoll >= 0)
        close(gate->epoll);
    if (gate->command >= 0)
        close(gate->command);
    addresses_release(&gate->addresses);
    for (uint32_t i = 0; gate->slots != NULL && i < gate->config.connections_max; i++)
        free(gate->slots[i].owner);
    free(gate->slots);
    free(gate->spare);
    free(gate->by_fd);
    mutex_unlock(&gate->lock);
    mutex_release(&gate->lock);
    free(gate);
}

/* ---- coming in */

static void let_go_locked(struct gate *gate, struct slot *slot) REQUIRES(gate->lock)
{
    addresses_leave(&gate->addresses, slot->address);
    slot->address = NULL;
    gate->by_fd[slot->fd] = NULL;
    slot->fd = -1;
    slot->generation++;
    atomic_store(&slot->state, state_of(PHASE_FREE, 0));
    gate->spare[gate->spare_len++] = slot->index;
    gate->connections--;
}

/* A slot for the newcomer; else NULL, and *why says why not. */
static struct slot *seat_locked(struct gate *gate, int fd, const struct sockaddr *from,
                                const char **why) REQUIRES(gate->lock)
{
    struct address *address = NULL;
    gate->stats.accepted++;
    if (gate->by_fd[fd] != NULL) /* the library closed it without having taken it up */
        let_go_locked(gate, gate->by_fd[fd]);
    if (gate->spare_len == 0) {
        gate->stats.refused_total++;
        *why = "too many connections\n";
        return NULL;
    }
    int error = addresses_enter(&gate->addresses, from, gate->config.per_address_max, &address);
    if (error != 0) {
        gate->stats.refused_address++;
        *why = error == -ENOMEM ? "out of memory\n" : "too many connections from your address\n";
        return NULL;
    }
    struct slot *slot = &gate->slots[gate->spare[--gate->spare_len]];
    gate->connections++;
    slot->fd = fd;
    slot->started = slot->watched = false;
    slot->address = address;
    gate->by_fd[fd] = slot;
    atomic_store(&slot->state, state_of(PHASE_FRESH, clock_coarse_ms() + gate->config.header_ms));
    return slot;
}

static void welcome(struct gate *gate, const struct listener *listener, int fd,
                    const struct sockaddr *from, socklen_t size)
{
    const char *why;
    if ((size_t)fd >= gate->by_fd_len) {
        close(fd);
        return;
    }
    mutex_lock(&gate->lock);
    struct slot *slot = seat_locked(gate, fd, from, &why);
    if (slot != NULL) {
        slot->from_local = listener->local || listener->loopback;
        slot->from_unix = listener->local;
    }
    mutex_unlock(&gate->lock);
    if (slot != NULL)
        gate->config.admit(gate->config.context, fd, from, size);
    else if (gate->config.mute)
        close(fd);
    else
        reject_send(&gate->rejects, gate->epoll, (uint64_t)TOPIC_REJECTED << 56, fd, why);
}

static bool passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

static void rest(struct gate *gate, int error)
{
    int64_t now_ms = clock_coarse_ms();
    if (now_ms >= gate->quiet_until_ms) {
        log_warn("accept: %s; not accepting for 100 ms", strerror(error));
        gate->quiet_until_ms = now_ms + QUIET_MS;
    }
    if (watch_listeners(gate, 0, EPOLL_CTL_MOD) == 0)
        gate->rests_until_ms = now_ms + REST_MS;
}

/* True when the backlog may hold more. */
static bool accept_some(struct gate *gate, const struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_AT_A_TIME; i++) {
        struct sockaddr_storage from;
        memset(&from, 0, sizeof from);
        socklen_t size = sizeof from;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(gate, listener, fd, (struct sockaddr *)&from, size);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        } else if (!passing(errno)) {
            rest(gate, errno);
            return false;
        }
    }
    return true;
}

/* ---- for the HTTP layer */

struct slot *gate_started(struct gate *gate, int fd, void *loop)
{
    mutex_lock(&gate->lock);
    struct slot *slot = fd >= 0 && (size_t)fd < gate->by_fd_len ? gate->by_fd[fd] : NULL;
    if (slot != NULL) {
        slot->started = true;
        slot->loop = loop;
        gate->started++;
    }
    mutex_unlock(&gate->lock);
    return slot;
}

void gate_ended(struct gate *gate, struct slot *slot)
{
    mutex_lock(&gate->lock);
    gate->started--;
    let_go_locked(gate, slot);
    mutex_unlock(&gate->lock);
}

void gate_watch(struct gate *gate, struct slot *slot)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT,
                                .data.u64 = (uint64_t)TOPIC_SLOT << 56 |
                                            (uint64_t)(slot->generation & 0xffffff) << 32 |
                                            slot->index};
    /* Without it the wait still ends by itself, at its deadline. */
    slot->watched = epoll_ctl(gate->epoll, EPOLL_CTL_ADD, slot->fd, &event) == 0;
}

void gate_unwatch(struct gate *gate, struct slot *slot)
{
    if (slot->watched)
        epoll_ctl(gate->epoll, EPOLL_CTL_DEL, slot->fd, NULL);
    slot->watched = false;
}

void gate_stats(struct gate *gate, struct gate_stats *stats)
{
    mutex_lock(&gate->lock);
    *stats = gate->stats;
    stats->connections = gate->connections;
    stats->connections_max = gate->config.connections_max;
    mutex_unlock(&gate->lock);
}

/* ---- going out */

static void hang_up(struct gate *gate, uint64_t data)
{
    struct slot *slot = &gate->slots[(uint32_t)data];
    mutex_lock(&gate->lock);
    bool gone = (slot->generation & 0xffffff) == (data >> 32 & 0xffffff) && slot->started &&
                gate_phase(slot) == PHASE_PARKED && gate->config.unpark(gate->config.context, slot);
    mutex_unlock(&gate->lock);
    /* Its wait is over and nobody else will wake it: it stays until hung_up() does. */
    if (gone)
        gate->config.hung_up(gate->config.context, slot);
}

/* The descriptor is the slot's until gate_ended(), which needs the lock. */
static void cut_locked(struct gate *gate, struct slot *slot, uint64_t state, bool too_slow)
    REQUIRES(gate->lock)
{
    enum phase phase = phase_of(state);
    uint64_t cut = state_of(PHASE_CUT, clock_coarse_ms() + STUCK_MS);
    if (!atomic_compare_exchange_strong(&slot->state, &state, cut))
        return; /* it moved on just in time */
    if (too_slow) {
        gate->stats.cut++;
        bool waits = phase == PHASE_FRESH || phase == PHASE_HEADER || phase == PHASE_BODY;
        if (waits && !gate->config.mute)
            reject_too_slow(slot->fd);
    }
    shutdown(slot->fd, SHUT_RDWR);
}

/* While closing, who has nothing to say or has had time enough goes. */
static bool due_to_close(const struct gate *gate, enum phase phase, int64_t now_ms)
    REQUIRES(gate->lock)
{
    if (gate->closing_ms == 0)
        return false;
    int64_t closing_for_ms = now_ms - gate->closing_ms;
    return phase == PHASE_IDLE || (phase == PHASE_FRESH && closing_for_ms > FRESH_MS) ||
           closing_for_ms > gate->closing_wait_ms;
}

bool gate_is_stuck(struct gate *gate, const struct slot *slot, uint32_t generation)
{
    mutex_lock(&gate->lock);
    bool stuck = slot->generation == generation && slot->started && gate_phase(slot) == PHASE_CUT;
    mutex_unlock(&gate->lock);
    return stuck;
}

bool gate_left(const struct slot *slot)
{
    char byte;
    return recv(slot->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* A FIN that came with bytes is not reported to the library again: a connection that has stood
 * still for a round, with nothing left to read but the end, is at its end. */
static bool client_left(struct slot *slot, uint64_t state)
{
    bool still = slot->seen == state;
    slot->seen = state;
    return still && gate_left(slot);
}

static bool reads(enum phase phase)
{
    return phase == PHASE_FRESH || phase == PHASE_HEADER || phase == PHASE_BODY ||
           phase == PHASE_IDLE;
}

static void probe_some_locked(struct gate *gate) REQUIRES(gate->lock)
{
    uint32_t probes = gate->started < PROBES_A_ROUND ? gate->started : PROBES_A_ROUND;
    for (uint32_t i = 0; i < gate->config.connections_max && probes > 0; i++) {
        struct slot *slot = &gate->slots[gate->probe_next];
        gate->probe_next = (gate->probe_next + 1) % gate->config.connections_max;
        uint64_t state = atomic_load(&slot->state);
        enum phase phase = phase_of(state);
        if (phase == PHASE_FREE || !slot->started)
            continue;
        probes--;
        if (reads(phase) && client_left(slot, state))
            cut_locked(gate, slot, state, false);
    }
}

static void make_round_locked(struct gate *gate, int64_t now_ms) REQUIRES(gate->lock)
{
    uint32_t left = gate->connections;
    for (uint32_t i = 0; i < gate->config.connections_max && left > 0; i++) {
        struct slot *slot = &gate->slots[i];
        uint64_t state = atomic_load(&slot->state);
        enum phase phase = phase_of(state);
        if (phase == PHASE_FREE)
            continue;
        left--;
        bool late = deadline_of(state) != 0 && deadline_of(state) <= now_ms;
        if (!slot->started) {
            if (late) /* closed by the library before it was taken up; not ours to touch */
                let_go_locked(gate, slot);
        } else if (phase == PHASE_CUT && late) {
            atomic_store(&slot->state, state_of(PHASE_CUT, now_ms + STUCK_MS));
            gate->config.report_stuck(gate->config.context, slot);
        } else if (phase != PHASE_CUT && phase != PHASE_PARKED &&
                   (late || due_to_close(gate, phase, now_ms))) {
            cut_locked(gate, slot, state, late);
        }
    }
}

/* ---- the thread */

static void close_door(struct gate *gate)
{
    for (unsigned i = 0; i < gate->config.listeners->len; i++)
        while (accept_some(gate, &gate->config.listeners->of[i]))
            ;
    listen_close(gate->config.listeners);
    gate->door_closed = true;
}

static void handle(struct gate *gate, const struct epoll_event *event)
{
    uint64_t data = event->data.u64;
    uint64_t number;
    switch ((enum topic)(data >> 56)) {
    case TOPIC_LISTENER:
        if (!gate->door_closed)
            (void)accept_some(gate, &gate->config.listeners->of[(uint32_t)data]);
        break;
    case TOPIC_COMMAND:
        (void)!read(gate->command, &number, sizeof number);
        break;
    case TOPIC_SLOT:
        hang_up(gate, data);
        break;
    case TOPIC_REJECTED:
        reject_read(&gate->rejects, (uint32_t)data);
        break;
    }
}

struct outlook {
    int wait_ms; /* until the next round; -1: nobody to look after */
    bool closing, over;
};

static struct outlook look_round_locked(struct gate *gate, int64_t now_ms) REQUIRES(gate->lock)
{
    struct outlook outlook = {.wait_ms = -1, .closing = gate->closing_ms != 0};
    make_round_locked(gate, now_ms);
    probe_some_locked(gate);
    if (outlook.closing)
        outlook.wait_ms = CLOSING_ROUND_MS;
    else if (gate->connections > 0)
        outlook.wait_ms = ROUND_MS;
    /* A cut connection is closed by the library; give up on one that is not. */
    outlook.over =
        outlook.closing &&
        (gate->connections == 0 || now_ms - gate->closing_ms > gate->closing_wait_ms + GIVE_UP_MS);
    return outlook;
}

static bool commanded(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++)
        if (events[i].data.u64 >> 56 == TOPIC_COMMAND)
            return true;
    return false;
}

static void *gate_main(void *context)
{
    struct gate *gate = context;
    int64_t next_round_ms = 0;
    struct outlook outlook = {.wait_ms = ROUND_MS};
    while (!outlook.over) {
        struct epoll_event events[EVENTS_AT_A_TIME];
        int count = epoll_wait(gate->epoll, events, EVENTS_AT_A_TIME, outlook.wait_ms);
        for (int i = 0; i < count; i++)
            handle(gate, &events[i]);
        int64_t now_ms = clock_coarse_ms();
        if (gate->rests_until_ms != 0 && now_ms >= gate->rests_until_ms && !gate->door_closed &&
            watch_listeners(gate, EPOLLIN, EPOLL_CTL_MOD) == 0)
            gate->rests_until_ms = 0;
        if (outlook.closing && !gate->door_closed)
            close_door(gate);
        if (now_ms < next_round_ms && !commanded(events, count) && !outlook.closing &&
            outlook.wait_ms >= 0)
            continue;
        mutex_lock(&gate->lock);
        outlook = look_round_locked(gate, now_ms);
        mutex_unlock(&gate->lock);
        bool rejected = reject_expire(&gate->rejects, outlook.over ? INT64_MAX : now_ms);
        if (outlook.wait_ms < 0 && (rejected || gate->rests_until_ms != 0))
            outlook.wait_ms = ROUND_MS;
        if (gate->rests_until_ms != 0 && outlook.wait_ms > REST_MS)
            outlook.wait_ms = REST_MS;
        next_round_ms = now_ms + outlook.wait_ms;
    }
    return NULL;
}

int gate_start(struct gate *gate)
{
    int error = thread_start(&gate->thread, gate_main, gate);
    gate->thread_started = error == 0;
    return error;
}

void gate_close_door(struct gate *gate, int64_t wait_ms)
{
    if (!gate->thread_started)
        return;
    mutex_lock(&gate->lock);
    gate->closing_ms = clock_coarse_ms();
    gate->closing_wait_ms = wait_ms;
    mutex_unlock(&gate->lock);
    uint64_t one = 1;
    verify(write(gate->command, &one, sizeof one) == sizeof one);
    verify(pthread_join(gate->thread, NULL) == 0);
    gate->thread_started = false;
}

/* SPDX-License-Identifier: MIT */
#include "http/mhd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/chars.h"
#include "base/clock.h"
#include "base/verify.h"
#include "http/canned.h"
#include "http/head.h"
#include "http/recv.h"
#include "http/tls.h"

enum {
    /* How much of libmicrohttpd's pool for a connection a header may fill. The rest is for the
     * reply, which must not fail for want of room once a job is in. Each field or parameter takes a
     * record too. */
    POOL_HEAD_BYTES = 3072,
    RECORD_BYTES = 64,
    HELD_STEP_BYTES = 2048,
    HELD_UNCOUNTED = 4096, /* goes with its connection, bounded by how many there may be */
    SHUT_MS = 1000,        /* the client reads its answer, and goes */
    THROWN_AWAY_AT_A_TIME = 16
};

#define TARGET_TOO_LONG "the request's target is longer than 2048 bytes"
#define HEAD_TOO_LARGE  "the header is larger than 24 KiB"
#define NO_MEMORY       "there is no memory for the header at the moment"

/* What a connection is read from. */
struct wire {
    struct exchange *exchange;
    int fd;
    void *session; /* of TLS; NULL: none */
};

static _Thread_local struct loop *reading;

/* As recv(), or gnutls_record_recv(). */
static ssize_t wire_read(const struct wire *wire, void *bytes, size_t size)
{
    ssize_t came = wire->session != NULL ? tls_receive(wire->session, bytes, size)
                                         : recvfrom(wire->fd, bytes, size, 0, NULL, NULL);
    wire->exchange->gate.more = came == (ssize_t)size;
    return came;
}

/* Nothing has come for libmicrohttpd. */
static ssize_t nothing_yet(const struct wire *wire)
{
    errno = EAGAIN;
    return wire->session != NULL ? tls_nothing_yet() : -1;
}

/* ---- the end of a connection that was refused */

static ssize_t throw_away(const struct wire *wire)
{
    struct gate *gate = &wire->exchange->gate;
    char bin[4096];
    ssize_t size = 1;
    if (clock_coarse_ms() >= gate->shut_ms)
        return 0;
    for (int i = 0; i < THROWN_AWAY_AT_A_TIME && size > 0; i++)
        size = wire_read(wire, bin, sizeof bin);
    return size > 0 ? nothing_yet(wire) : size;
}

static void refuse(const struct wire *wire, unsigned status, const char *why)
{
    struct exchange *exchange = wire->exchange;
    char answer[CANNED_SIZE];
    exchange->gate.state = GATE_SHUT;
    exchange->gate.shut_ms = clock_coarse_ms() + SHUT_MS;
    if (!exchange_enter(exchange, PHASE_CUT))
        return;
    reply_count(exchange->loop->http, status);
    access_begin(exchange);
    access_reply(exchange, status, strlen(why) + 1);
    size_t size = canned_compose(answer, status, headers_want_json(&exchange->headers), why);
    if (exchange->headers.bodiless)
        size = head_end(answer, size, 0);
    if (wire->session != NULL)
        tls_say_last(wire->session, answer, size);
    else
        (void)send(wire->fd, answer, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(wire->fd, SHUT_WR);
}

/* ---- what is held */

/* Gives back the memory counted for what is not held any more. */
static void account_for(struct exchange *exchange)
{
    const struct gate *gate = &exchange->gate;
    budget_trim(exchange, &exchange->gate.account, gate->held_size + gate->head_size);
}

/* Makes room for `size` bytes behind what is held. */
static bool reserve(struct exchange *exchange, size_t size)
{
    struct gate *gate = &exchange->gate;
    if (gate->taken > 0) {
        gate->used -= gate->taken;
        memmove(gate->held, gate->held + gate->taken, gate->used);
        gate->taken = 0;
    }
    size += gate->used;
    if (gate->held_size >= size)
        return true;
    size += HELD_STEP_BYTES - size % HELD_STEP_BYTES;
    if (!jobd_charge(&gate->account, size - gate->held_size))
        return false;
    char *held = realloc(gate->held, size);
    if (held == NULL) {
        account_for(exchange);
        return false;
    }
    gate->held = held;
    gate->held_size = size;
    return true;
}

static void let_go(struct exchange *exchange)
{
    struct gate *gate = &exchange->gate;
    free(gate->held);
    gate->held = NULL;
    gate->held_size = gate->taken = gate->used = gate->searched = 0;
    account_for(exchange);
}

static size_t waiting(const struct gate *gate)
{
    return gate->used - gate->taken;
}

static void take(struct exchange *exchange, size_t size)
{
    struct gate *gate = &exchange->gate;
    gate->taken += size;
    gate->searched = 0;
    if (gate->taken == gate->used)
        let_go(exchange);
}

static bool hold(struct exchange *exchange, const char *bytes, size_t size)
{
    struct gate *gate = &exchange->gate;
    if (size == 0)
        return true;
    if (!reserve(exchange, size))
        return false;
    memcpy(gate->held + gate->used, bytes, size);
    gate->used += size;
    return true;
}

/* Keeps the first `size` bytes held, a header, until its request ends. */
static bool keep_head(struct exchange *exchange, size_t size)
{
    struct gate *gate = &exchange->gate;
    verify(gate->head == NULL);
    if (!jobd_charge(&gate->account, size))
        return false;
    gate->head = malloc(size);
    if (gate->head == NULL) {
        account_for(exchange);
        return false;
    }
    gate->head_size = size;
    memcpy(gate->head, gate->held + gate->taken, size);
    take(exchange, size);
    return true;
}

static void drop_head(struct exchange *exchange)
{
    struct gate *gate = &exchange->gate;
    if (gate->head == NULL)
        return;
    free(gate->head);
    gate->head = NULL;
    gate->head_size = 0;
    account_for(exchange);
}

/* ---- bodies */

/* Leaves at the front of `bytes` what is of the body, and returns how much that is; *used: how many
 * bytes that took. */
static size_t pass_body(const struct wire *wire, char *bytes, size_t size, size_t *used)
{
    struct gate *gate = &wire->exchange->gate;
    size_t passed = 0;
    *used = 0;
    if (gate->state == GATE_LENGTH) {
        passed = *used = size < gate->left ? size : (size_t)gate->left;
        gate->left -= passed;
        if (gate->left == 0)
            gate->state = GATE_HEAD;
    } else if (gate->state == GATE_CHUNKS) {
        passed = chunks_read(&gate->chunks, bytes, size, used);
        if (gate->chunks.state == CHUNK_DONE)
            gate->state = GATE_HEAD;
        else if (gate->chunks.state == CHUNK_BAD)
            refuse(wire, 400, "the framing of the chunks is wrong");
    }
    return passed;
}

/* ---- headers */

static void begin_body(struct exchange *exchange, const struct head *head)
{
    struct gate *gate = &exchange->gate;
    exchange->parameters = head->parameters;
    gate->busy = true;
    gate->left = exchange->headers.length;
    gate->state = gate->left > 0 ? GATE_LENGTH : GATE_HEAD;
    if (exchange->headers.chunked) {
        gate->state = GATE_CHUNKS;
        chunks_begin(&gate->chunks);
    }
}

/* False when it was refused. */
static bool judge(const struct wire *wire, struct head *head, char *text, size_t size)
{
    struct headers *headers = &wire->exchange->headers;
    access_request(wire->exchange, text, size);
    if (head_read(head, headers, text, size) && head->target.size > TARGET_MAX_BYTES)
        headers_refuse(headers, 414, TARGET_TOO_LONG);
    else if (headers->status == 0 && size > HEAD_MAX_BYTES)
        headers_refuse(headers, 431, HEAD_TOO_LARGE);
    if (headers->status != 0)
        refuse(wire, headers->status, headers->why);
    return headers->status == 0;
}

/* Does the library's memory hold the header and the reply? It makes copies of cookies, which nobody
 * needs here. */
static bool fits(const struct exchange *exchange, const struct head *head, size_t size)
{
    const struct headers *headers = &exchange->headers;
    return !headers->has_cookies &&
           size + (size_t)(headers->fields + head->parameters) * RECORD_BYTES <= POOL_HEAD_BYTES;
}

/* Keeps the header here and gives the library a short one in its place; returns the size of that, 0
 * when the request was refused. */
static size_t pass_shortened(const struct wire *wire, size_t end, char *bytes, size_t size)
{
    struct exchange *exchange = wire->exchange;
    struct gate *gate = &exchange->gate;
    struct head head;
    if (!keep_head(exchange, end)) {
        refuse(wire, 503, NO_MEMORY);
        return 0;
    }
    if (!judge(wire, &head, gate->head, end))
        return 0;
    size_t records = (size_t)(HEAD_SHORT_FIELDS + head.parameters) * RECORD_BYTES;
    if (head.target.size + HEAD_SHORT_BYTES > size ||
        head.target.size + HEAD_SHORT_BYTES + records > POOL_HEAD_BYTES) {
        refuse(wire, 431,
               "the target and its parameters, 64 bytes more each, are larger than 2496 bytes");
        return 0;
    }
    begin_body(exchange, &head);
    return head_shorten(&head, &exchange->headers, bytes, size);
}

/* The first bytes of a header have come: from now on its time limit runs, no longer that of an idle
 * connection. */
static void enter_header(struct exchange *exchange)
{
    enum phase phase = conn_phase(exchange->conn);
    access_begin(exchange);
    if (phase == PHASE_IDLE || phase == PHASE_NEW)
        (void)exchange_enter(exchange, PHASE_HEADER); /* a cut shows when it is served */
}

static size_t leading_lines(const char *bytes, size_t size)
{
    size_t at = 0;
    while (size - at >= 2 && bytes[at] == '\r' && bytes[at + 1] == '\n')
        at += 2;
    return at;
}

/* Refuses a header that is not complete, but already wrong or too large. */
static void refuse_unfinished(const struct wire *wire)
{
    const struct gate *gate = &wire->exchange->gate;
    const char *text = gate->held + gate->taken;
    bool bodiless = waiting(gate) >= 5 && memcmp(text, "HEAD ", 5) == 0;
    wire->exchange->headers = (struct headers){.bodiless = bodiless};
    access_request(wire->exchange, text, waiting(gate));
    if (*text != '\r' && !char_is(*text, CHARS_TOKEN))
        refuse(wire, 400, "that is no HTTP/1.1");
    else if (waiting(gate) > METHOD_MAX_BYTES && memchr(text, ' ', METHOD_MAX_BYTES + 1) == NULL)
        refuse(wire, 400, HEAD_BAD_LINE);
    else if (waiting(gate) > HEAD_MAX_BYTES && memchr(text, '\n', waiting(gate)) == NULL)
        refuse(wire, 414, TARGET_TOO_LONG);
    else if (waiting(gate) > HEAD_MAX_BYTES)
        refuse(wire, 431, HEAD_TOO_LARGE);
}

/* Passes on the header that what is held begins with. */
static size_t pass_held_head(const struct wire *wire, char *bytes, size_t size)
{
    struct exchange *exchange = wire->exchange;
    struct gate *gate = &exchange->gate;
    size_t lines = leading_lines(gate->held + gate->taken, waiting(gate));
    if (lines > 0)
        take(exchange, lines);
    if (waiting(gate) == 0)
        return 0;
    enter_header(exchange);
    size_t end = head_end(gate->held + gate->taken, waiting(gate), gate->searched);
    if (end > 0)
        return pass_shortened(wire, end, bytes, size);
    gate->searched = waiting(gate);
    refuse_unfinished(wire);
    return 0;
}

/* ---- reading */

/* Passes on as much as possible of what is held; 0: more must be read first. */
static size_t pass_held(const struct wire *wire, char *bytes, size_t size)
{
    struct gate *gate = &wire->exchange->gate;
    size_t passed = gate->state == GATE_HEAD && !gate->busy ? pass_held_head(wire, bytes, size) : 0;
    if (passed == 0 && gate->state == GATE_HEAD)
        return 0;
    while (gate->state != GATE_HEAD && gate->state != GATE_SHUT && waiting(gate) > 0 &&
           passed < size) {
        size_t used, part = size - passed < waiting(gate) ? size - passed : waiting(gate);
        memcpy(bytes + passed, gate->held + gate->taken, part);
        passed += pass_body(wire, bytes + passed, part, &used);
        take(wire->exchange, used);
    }
    return passed;
}

/* Passes on a header that came in one piece, with what follows it, where it was read to. 0: it
 * cannot stay there, and is held. */
static size_t pass_in_place(const struct wire *wire, char *bytes, size_t size)
{
    struct exchange *exchange = wire->exchange;
    struct head head;
    size_t end = *bytes != '\r' ? head_end(bytes, size, 0) : 0, used;
    if (end > 0 && !judge(wire, &head, bytes, end))
        return 0;
    if (end == 0 || !fits(exchange, &head, end)) {
        if (!hold(exchange, bytes, size))
            refuse(wire, 503, NO_MEMORY);
        return 0;
    }
    begin_body(exchange, &head);
    size_t passed = end + pass_body(wire, bytes + end, size - end, &used);
    if (exchange->gate.state != GATE_SHUT && !hold(exchange, bytes + end + used, size - end - used))
        refuse(wire, 503, NO_MEMORY);
    return passed;
}

/* Passes on bytes that were read to where the library wants them. */
static size_t pass_fresh(const struct wire *wire, char *bytes, size_t size)
{
    struct gate *gate = &wire->exchange->gate;
    size_t used;
    if (gate->state == GATE_HEAD)
        return pass_in_place(wire, bytes, size);
    size_t passed = pass_body(wire, bytes, size, &used);
    if (gate->state != GATE_SHUT && !hold(wire->exchange, bytes + used, size - used))
        refuse(wire, 503, NO_MEMORY);
    return passed;
}

/* Reads more, behind what is held. Returns what wire_read() does. */
static ssize_t read_more(const struct wire *wire)
{
    struct exchange *exchange = wire->exchange;
    struct gate *gate = &exchange->gate;
    if (!reserve(exchange, HELD_STEP_BYTES)) {
        refuse(wire, 503, NO_MEMORY);
        return nothing_yet(wire);
    }
    ssize_t size = wire_read(wire, gate->held + gate->used, gate->held_size - gate->used);
    if (size > 0)
        gate->used += (size_t)size;
    return size;
}

static void kick(struct exchange *exchange)
{
    if (!exchange->gate.kicked)
        TAILQ_INSERT_TAIL(&exchange->loop->kicks, exchange, gate.kick);
    exchange->gate.kicked = true;
}

/* Reads until there is something for the library, or no more on the wire: only then does epoll tell
 * it of what comes next. Of one that was parked the library asks the system anew when it reads
 * next. */
static ssize_t receive(const struct wire *wire, char *bytes, size_t size)
{
    struct gate *gate = &wire->exchange->gate;
    size_t passed = waiting(gate) > 0 ? pass_held(wire, bytes, size) : 0;
    ssize_t came = 1;
    while (passed == 0 && came > 0 && gate->state != GATE_SHUT) {
        if (gate->state == GATE_HEAD && gate->busy) {
            gate->missed = gate->more || wire->exchange->stage != STAGE_PARKED;
            return nothing_yet(wire);
        }
        if (waiting(gate) > 0) {
            came = read_more(wire);
        } else {
            came = wire_read(wire, bytes, size);
            passed = came > 0 ? pass_fresh(wire, bytes, (size_t)came) : 0;
        }
        if (passed == 0 && came > 0 && waiting(gate) > 0 && gate->state != GATE_SHUT)
            passed = pass_held(wire, bytes, size);
    }
    if (passed == 0)
        return gate->state == GATE_SHUT ? throw_away(wire) : came;
    if (waiting(gate) > 0 || (gate->more && passed < size))
        kick(wire->exchange);
    return (ssize_t)passed;
}

/* ---- in place of the libraries' own */

static ssize_t receive_plain(int fd, void *bytes, size_t size)
{
    struct exchange *exchange = exchange_at(reading->http, fd);
    return exchange != NULL ? receive(&(struct wire){.exchange = exchange, .fd = fd}, bytes, size)
                            : recvfrom(fd, bytes, size, 0, NULL, NULL);
}

ssize_t gate_receive_tls(void *session, void *bytes, size_t size)
{
    struct exchange *exchange = reading != NULL ? exchange_of(tls_owner(session)) : NULL;
    if (exchange == NULL)
        return tls_receive(session, bytes, size);
    return receive(&(struct wire){exchange, exchange->conn->fd, session}, bytes, size);
}

void gate_enter(struct loop *loop)
{
    reading = loop;
    if (!loop->http->config.tls) /* else GnuTLS reads by recv() */
        recv_read_by(receive_plain);
}

/* ---- from one request to the next */

void gate_open(struct exchange *exchange)
{
    exchange->gate = (struct gate){
        .state = GATE_HEAD,
        .account = {.budget = &exchange->loop->http->budget, .uncounted = HELD_UNCOUNTED}};
}

void gate_next(struct exchange *exchange)
{
    struct gate *gate = &exchange->gate;
    drop_head(exchange);
    gate->busy = false;
    if (waiting(gate) > 0 || gate->missed)
        kick(exchange);
    gate->missed = false;
}

void gate_release(struct exchange *exchange)
{
    struct gate *gate = &exchange->gate;
    if (gate->kicked)
        TAILQ_REMOVE(&exchange->loop->kicks, exchange, gate.kick);
    drop_head(exchange);
    let_go(exchange);
}

void gate_iteration(struct loop *loop)
{
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&loop->kicks)) != NULL) {
        TAILQ_REMOVE(&loop->kicks, exchange, gate.kick);
        exchange->gate.kicked = false;
        enum phase phase = conn_phase(exchange->conn);
        if (phase == PHASE_PARKED || phase == PHASE_STREAM_PARKED)
            continue; /* whoever resumes it makes it ready */
        MHD_suspend_connection(exchange->connection);
        MHD_resume_connection(exchange->connection);
    }
}

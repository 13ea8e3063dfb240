/* SPDX-License-Identifier: MIT */
/* The access log: a line for each request that has ended, whether we or the library answered it. */
#include "http/mhd.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/access.h"

static struct line_writer *log_of(const struct exchange *exchange)
{
    return exchange->loop->http->config.access_log;
}

static void add_line(const struct http *http, const struct access *access)
{
    char line[ACCESS_LINE_SIZE];
    size_t size = access_line(access, http->config.access_json, line);
    line_writer_add(http->config.access_log, line, size);
}

static const struct sockaddr *client_of(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info != NULL ? info->client_addr : NULL;
}

/* ---- a request */

/* Without memory for it there is no line. */
static struct access *record(struct exchange *exchange)
{
    if (exchange->access == NULL)
        exchange->access = malloc(sizeof *exchange->access);
    if (exchange->access != NULL) {
        *exchange->access = (struct access){.began_us = clock_now_us()};
        access_set_address(exchange->access, client_of(exchange));
    }
    return exchange->access;
}

void access_begin(struct exchange *exchange)
{
    if (log_of(exchange) != NULL && !exchange->access_open)
        exchange->access_open = record(exchange) != NULL;
}

void access_request(struct exchange *exchange, const char *text, size_t size)
{
    access_begin(exchange);
    if (exchange->access_open)
        access_set_request(exchange->access, text, size);
}

void access_client(struct exchange *exchange, const struct sockaddr *client)
{
    if (exchange->access_open)
        access_set_address(exchange->access, client);
}

void access_reply(struct exchange *exchange, unsigned status, uint64_t bytes)
{
    if (!exchange->access_open)
        return;
    exchange->access->status = status;
    exchange->access->bytes = strcmp(exchange->access->method, "HEAD") == 0 ? 0 : bytes;
}

void access_part(struct exchange *exchange, size_t bytes)
{
    if (exchange->access_open)
        exchange->access->bytes += bytes;
}

void access_end(struct exchange *exchange)
{
    struct access *access = exchange->access;
    if (!exchange->access_open)
        return;
    exchange->access_open = false;
    if (access->status == 0)
        access->status = atomic_exchange(&exchange->conn->timed_out, false) ? 408 : ACCESS_GONE;
    access->job = exchange->request.job;
    access->ended_us = clock_now_us();
    add_line(exchange->loop->http, access);
}

/* ---- a connection */

/* Notes what has come of a request that is not complete. */
static void note_unfinished(struct exchange *exchange)
{
    const struct gate *gate = &exchange->gate;
    if (gate->used > gate->taken)
        access_request(exchange, gate->held + gate->taken, gate->used - gate->taken);
}

void access_close(struct exchange *exchange)
{
    if (exchange->access_open && exchange->access->method[0] == '\0')
        note_unfinished(exchange);
    if (atomic_load(&exchange->conn->timed_out))
        access_begin(exchange); /* it has sent nothing */
    access_end(exchange);
    free(exchange->access);
    exchange->access = NULL;
}

void access_refused(const struct http *http, const struct sockaddr *from)
{
    struct access access = {.status = 503};
    if (http->config.access_log == NULL)
        return;
    access.began_us = access.ended_us = clock_now_us();
    access_set_address(&access, from);
    add_line(http, &access);
}

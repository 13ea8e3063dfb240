/* SPDX-License-Identifier: MIT */
/* The access log: a line when a request has ended, whoever has answered it. */
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

void access_begin(struct exchange *exchange, const char *target)
{
    if (log_of(exchange) == NULL || record(exchange) == NULL)
        return;
    access_set_target(exchange->access, target);
    exchange->access_open = true;
    exchange->request.wants_job = true;
}

void access_method(struct exchange *exchange, const char *method)
{
    if (exchange->access_open)
        access_set_method(exchange->access, method);
}

void access_reply(struct exchange *exchange, unsigned status, uint64_t bytes)
{
    if (!exchange->access_open)
        return;
    exchange->access->status = status;
    exchange->access->bytes = exchange->request.method == METHOD_HEAD ? 0 : bytes;
}

void access_part(struct exchange *exchange, size_t bytes)
{
    if (exchange->access_open)
        exchange->access->bytes += bytes;
}

/* What it was answered by another than us; 0: it was not. */
static unsigned answered_otherwise(struct exchange *exchange)
{
    struct loop *loop = exchange->loop;
    if (atomic_exchange(&exchange->conn->timed_out, false))
        return 408;
    if (loop->refusals == 0)
        return 0;
    loop->refusals--;
    return loop->refusal_status;
}

void access_end(struct exchange *exchange)
{
    struct access *access = exchange->access;
    if (!exchange->access_open)
        return;
    exchange->access_open = false;
    if (access->status == 0)
        access->status = answered_otherwise(exchange);
    if (access->status == 0)
        access->status = ACCESS_GONE;
    access->job = exchange->request.job;
    access->ended_us = clock_now_us();
    add_line(exchange->loop->http, access);
}

/* ---- a connection */

void access_close(struct exchange *exchange)
{
    unsigned status;
    access_end(exchange);
    if (log_of(exchange) != NULL && (status = answered_otherwise(exchange)) != 0 &&
        record(exchange) != NULL) {
        exchange->access->status = status;
        exchange->access->ended_us = exchange->access->began_us;
        add_line(exchange->loop->http, exchange->access);
    }
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

/* ---- what libmicrohttpd refuses itself */

void access_refused_here(struct loop *loop)
{
    loop->refused_here = true;
}

void access_on_message(struct loop *loop, const char *format, va_list arguments)
{
    static const char refusal[] = "Error processing request (HTTP response code is %u";
    va_list copy;
    if (loop->http->config.access_log == NULL || strncmp(format, refusal, strlen(refusal)) != 0)
        return;
    if (!loop->refused_here) {
        va_copy(copy, arguments);
        loop->refusal_status = va_arg(copy, unsigned);
        va_end(copy);
        loop->refusals++;
    }
    loop->refused_here = false;
}

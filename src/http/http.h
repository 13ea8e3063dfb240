/* SPDX-License-Identifier: MIT */
/* The HTTP server: libmicrohttpd behind an acceptor. It knows requests and replies, but no
 * endpoint.
 *
 * There is one libmicrohttpd daemon for each processor, in a loop and thread of its own; the
 * acceptor (acceptor.h) hands them connections, whose phases conn.h draws. A request may be refused
 * when its header has been read (headers.h); else its body is collected and the endpoint serves it.
 * It may be parked meanwhile: then it holds no thread, only its connection. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/line_writer.h"
#include "http/conn_table.h"
#include "http/listen.h"
#include "http/request.h"

struct http_config {
    struct jobd *jobd;           /* parked requests are its waiters */
    struct listeners *listeners; /* borrowed; http_stop() closes them */
    uint32_t connections_max, per_address_max;
    int64_t header_us, idle_us;
    uint64_t body_max_bytes;
    size_t memory_bytes; /* of bodies that have come in and replies not yet sent, at most; a quarter
                            is kept for those who empty queues */
    bool tls;            /* as tls.h has it, which must be open */
    const struct proxies *proxies;  /* borrowed; NULL: none is believed who its clients are */
    const char *cors_origin;        /* borrowed; NULL: no page of another site may come in */
    struct line_writer *access_log; /* borrowed; NULL: none */
    bool access_json;               /* its lines are JSON */
    bool has_tokens;                /* requests show tokens: where they come from does not count */
};

struct http;

/* 0 and *http, or -errno. Nothing is served yet. */
__attribute__((warn_unused_result)) int http_new(struct http **http,
                                                 const struct http_config *config);
/* Serves: calls `serve` in any of the server's threads; it must not block. Before a body is read
 * `admits` is asked; when it returns false, its reply ends the request. 0 or -errno. */
__attribute__((warn_unused_result)) int http_start(struct http *http, request_handler *serve,
                                                   request_admitter *admits, void *context);
/* From now on every reply closes its connection, and streams end. */
void http_drain(struct http *http);
/* Accepts no more connections, and lets replies under way finish within wait_ms. Before that every
 * parked request must have been woken, and nobody may be left who could wake one: call
 * jobd_pool_stop() first. Blocks. False when something could not be stopped: then the process must
 * end without http_free(). */
bool http_stop(struct http *http, int64_t wait_ms);
void http_free(struct http *http);

/* Makes a reply that can be sent many times; NULL when memory is short. It lives as long as the
 * server. */
const struct shared_reply *http_share(struct http *http, const struct reply *reply);

struct http_stats {
    struct conn_stats conns;
    uint32_t parked;         /* requests, and streams between two parts */
    size_t bytes;            /* as memory_bytes counts them */
    uint64_t replies[6];     /* by the first digit of their status */
    uint64_t access_dropped; /* lines of the access log */
};
void http_stats(struct http *http, struct http_stats *stats);

/* Is TLS built into the HTTP library? */
bool http_has_tls(void);
/* The HTTP library's name and version. */
const char *http_library(void);

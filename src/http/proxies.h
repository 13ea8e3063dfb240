/* SPDX-License-Identifier: MIT */
/* Proxies that are believed when they say, by X-Forwarded-For, who their client is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { PROXIES_MAX = 16 };

/* All addresses whose first `bits` are those of `bytes`; an IPv4 address stands in an IPv6 one. */
struct network {
    unsigned char bytes[16];
    unsigned bits;
};

/* No bytes in it but those that count: zero means nobody. */
struct proxies {
    struct network of[PROXIES_MAX];
    unsigned len;
    bool local; /* whoever comes over a unix socket */
};

/* Of addresses, ADDRESS/BITS and `unix`, with commas between. False: it is no such thing, or there
 * are too many; *proxies is undefined then. */
bool proxies_parse(struct proxies *proxies, const char *text);

/* Is that one of them? NULL: there are none. */
bool proxies_has(const struct proxies *proxies, const struct sockaddr *address);

/* Who the client is, by one such field more; before the first one its family is AF_UNSPEC, which
 * also means that it is not known. Each proxy puts behind it whom it got the request from: the last
 * address that is no proxy's is the client's; when all are, the first. An address may have a port.
 * Behind what is no address it begins anew. */
void proxies_client(const struct proxies *proxies, const char *text, size_t size,
                    struct sockaddr_storage *client);

/* SPDX-License-Identifier: MIT */
/* Trusted proxies: whom they name as their client in X-Forwarded-For is believed. */
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

/* proxies_parse() sets every byte, so that two can be compared by memcmp(). All zeros: no
 * proxies. */
struct proxies {
    struct network of[PROXIES_MAX];
    unsigned len;
    bool local; /* whoever comes over a unix socket */
};

/* Reads a list of ADDRESS, ADDRESS/BITS and `unix`, separated by commas. False: it is no such list,
 * or too long; *proxies is undefined then. */
bool proxies_parse(struct proxies *proxies, const char *text);

/* Is this the address of one of them? `proxies` NULL: there are none. */
bool proxies_has(const struct proxies *proxies, const struct sockaddr *address);

/* Finds the client in the value of an X-Forwarded-For field; call it for each such field in turn.
 * The family of *client is AF_UNSPEC before the first, and as long as the client is not known. Each
 * proxy appends the address that it got the request from, so the client's is the last that is not a
 * trusted proxy's; if all are, it is the first. An address may have a port. After an entry that is
 * no address the search begins anew. */
void proxies_client(const struct proxies *proxies, const char *text, size_t size,
                    struct sockaddr_storage *client);
